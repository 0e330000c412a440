"""Writes special_reference.csv, what the functions of single elements are held to.

Each line: function, arguments x and y (0 of a function of one), value, and two derivatives: the first and the second of a
function of one, those by x and by y of a function of two. All are the nearest f64 to the exact number, in the fewest
digits that read back as it. Arguments are exact in f32 too. Run it in this folder; needs mpmath.
"""

import random
import struct

from mpmath import (acos, acosh, asin, asinh, atan, atan2, atanh, cbrt, cosh, diff, digamma, erf, erfc, erfinv, exp, expm1,
                    floor, log, log1p, loggamma, mp, mpf, ncdf, npdf, pi, polygamma, sec, sech, sign, sin, sinh, sqrt, tan, tanh)

mp.dps = 50
HERE = random.Random(7)


def single(value):
    """The nearest f32."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def uniform(low, high, count):
    return [single(HERE.uniform(low, high)) for _ in range(count)]


def spread(low, high, count, signed=False):
    """Points whose binary exponents are spread evenly."""
    points = [2.0 ** HERE.uniform(low, high) for _ in range(count)]
    return [single(x * HERE.choice((-1, 1)) if signed else x) for x in points]


def cube(x):
    return cbrt(x) if x > 0 else -cbrt(-x)


def cardinal(x):
    return sin(pi * x) / (pi * x)


def gamma_log(x):
    return loggamma(x).real


def sigmoid(x):
    return 1 / (1 + exp(-x))


def softplus(x):
    return log1p(exp(x))


def gelu(x):
    return x * ncdf(x)


def gelu_slope(x):
    return ncdf(x) + x * npdf(x)


def gelu_bend(x):
    return (2 - x * x) * npdf(x)


def softsign(x):
    return x / (1 + abs(x))


def softsign_slope(x):
    return 1 / (1 + abs(x)) ** 2


def softsign_bend(x):
    return -2 * sign(x) / (1 + abs(x)) ** 3


def positive_or(of_negative):
    return lambda x: x if x > 0 else of_negative(x)


SELU = mpf("1.0507009873554804934193349852946"), mpf("1.6732632423543772848170429916717")
WIDE = uniform(-4, 4, 30)
BENDS = WIDE + [-30.0, -12.0, 12.0, 30.0]
# Without drawing, so that what is drawn stays as it was.
TINY = [single(s * m * 2.0**-k) for k in (40, 26, 18, 12, 8, 5, 3, 2) for m in (1.0, 1.3) for s in (1, -1)]
FAR = [single(s * m * 2.0**k) for k in (2, 5, 9, 15, 21, 30) for m in (1.0, 1.3) for s in (1, -1)]
BOTH = uniform(-1, 1, 20) + spread(-30, -1, 10, True)
NEAR_ONE = [single(s * (1 - 2.0**-k)) for k in (5, 10, 16, 22) for s in (1, -1)]
POSITIVE = uniform(0.01, 3, 40) + uniform(3, 12, 40) + spread(-60, 60, 30) + [1.0, 2.0, 0.5, 1.5, 2.5, 7.5, 8.0, 8.5]
NEGATIVE = [x for x in uniform(-9, 0, 50) if abs(x - round(x)) > 1e-3] + [-0.5, -1.5, -2.25, -30.25]

# Function, points, and formulas of the first and the second derivative (differences of 50 digits if there are none).
ONE = {
    "asin": (asin, BOTH + NEAR_ONE, lambda x: 1 / sqrt(1 - x * x), lambda x: x / sqrt(1 - x * x) ** 3),
    "acos": (acos, BOTH + NEAR_ONE, lambda x: -1 / sqrt(1 - x * x), lambda x: -x / sqrt(1 - x * x) ** 3),
    "atan": (atan, WIDE + spread(-40, 40, 30, True), lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
    "asinh": (asinh, WIDE + spread(-40, 60, 30, True), lambda x: 1 / sqrt(1 + x * x), lambda x: -x / sqrt(1 + x * x) ** 3),
    "acosh": (acosh, uniform(1, 6, 30) + [single(1 + 2.0**-k) for k in (3, 8, 15, 22)] + spread(3, 60, 20),
              lambda x: 1 / (sqrt(x - 1) * sqrt(x + 1)), lambda x: -x / (sqrt(x - 1) * sqrt(x + 1)) ** 3),
    "atanh": (atanh, BOTH + NEAR_ONE, lambda x: 1 / (1 - x * x), lambda x: 2 * x / (1 - x * x) ** 2),
    "tan": (tan, uniform(-1.5, 1.5, 30) + uniform(-30, 30, 20), lambda x: sec(x) ** 2, lambda x: 2 * tan(x) * sec(x) ** 2),
    "sinh": (sinh, WIDE + uniform(-80, 80, 10) + spread(-30, 0, 10, True), cosh, sinh),
    "cosh": (cosh, WIDE + uniform(-80, 80, 10), sinh, cosh),
    "expm1": (expm1, WIDE + spread(-30, 5, 20, True), exp, exp),
    "log1p": (log1p, uniform(-0.95, 5, 30) + spread(-40, 40, 20), lambda x: 1 / (1 + x), lambda x: -1 / (1 + x) ** 2),
    "tanh": (tanh, WIDE + spread(-30, 4, 20, True), lambda x: sech(x) ** 2, lambda x: -2 * tanh(x) * sech(x) ** 2),
    "sech": (sech, WIDE + spread(-30, 4, 20, True), lambda x: -sech(x) * tanh(x), lambda x: sech(x) * (tanh(x) ** 2 - sech(x) ** 2)),
    "sigmoid": (sigmoid, BENDS, lambda x: sigmoid(x) * sigmoid(-x), lambda x: sigmoid(x) * sigmoid(-x) * (1 - 2 * sigmoid(x))),
    "rsqrt": (lambda x: 1 / sqrt(x), spread(-30, 30, 30), lambda x: -1 / (2 * x * sqrt(x)), lambda x: 3 / (4 * x * x * sqrt(x))),
    "erf": (erf, uniform(-4, 4, 40) + spread(-30, 0, 10, True), lambda x: 2 / sqrt(pi) * exp(-x * x), lambda x: -4 * x / sqrt(pi) * exp(-x * x)),
    "exp2": (lambda x: mpf(2) ** x, WIDE + uniform(-120, 120, 20), lambda x: mpf(2) ** x * log(2), lambda x: mpf(2) ** x * log(2) ** 2),
    "log2": (lambda x: log(x, 2), spread(-60, 60, 40), lambda x: 1 / (x * log(2)), lambda x: -1 / (x * x * log(2))),
    "log10": (lambda x: log(x, 10), spread(-60, 60, 40), lambda x: 1 / (x * log(10)), lambda x: -1 / (x * x * log(10))),
    "cbrt": (cube, WIDE + spread(-60, 60, 30, True), lambda x: cube(x) / (3 * x), lambda x: -2 * cube(x) / (9 * x * x)),
    "sinc": (cardinal, [x for x in WIDE if x != round(x)] + spread(-25, -1, 20, True) + [0.5, -0.5, 3.5], None, None),
    "logit": (lambda x: log(x) - log1p(-x), uniform(0.01, 0.99, 30) + spread(-60, -1, 10) + [single(1 - 2.0**-k) for k in (4, 9, 20)],
              lambda x: 1 / (x * (1 - x)), lambda x: (2 * x - 1) / (x * (1 - x)) ** 2),
    "erfc": (erfc, uniform(-3, 3, 40) + uniform(0.4, 9, 30) + uniform(9, 26, 10) + spread(-30, 0, 10, True),
             lambda x: -2 / sqrt(pi) * exp(-x * x), lambda x: 4 * x / sqrt(pi) * exp(-x * x)),
    "erfinv": (erfinv, BOTH + NEAR_ONE + [0.5, -0.5, single(1 - 2.0**-24)],
               lambda x: sqrt(pi) / 2 * exp(erfinv(x) ** 2), lambda x: pi / 2 * erfinv(x) * exp(2 * erfinv(x) ** 2)),
    "lgamma": (gamma_log, POSITIVE, digamma, lambda x: polygamma(1, x)),
    "digamma": (digamma, POSITIVE, lambda x: polygamma(1, x), lambda x: polygamma(2, x)),
    "polygamma 1": (lambda x: polygamma(1, x), POSITIVE, lambda x: polygamma(2, x), lambda x: polygamma(3, x)),
    "polygamma 2": (lambda x: polygamma(2, x), POSITIVE, lambda x: polygamma(3, x), lambda x: polygamma(4, x)),
    "polygamma 7": (lambda x: polygamma(7, x), POSITIVE, lambda x: polygamma(8, x), lambda x: polygamma(9, x)),
    # Far out x^-31 is no normal number any more.
    "polygamma 30": (lambda x: polygamma(30, x), [x for x in POSITIVE if x < 1e6], lambda x: polygamma(31, x), lambda x: polygamma(32, x)),
    "lgamma below 0": (gamma_log, NEGATIVE, digamma, lambda x: polygamma(1, x)),
    "digamma below 0": (digamma, NEGATIVE, lambda x: polygamma(1, x), lambda x: polygamma(2, x)),
    "polygamma 1 below 0": (lambda x: polygamma(1, x), NEGATIVE, lambda x: polygamma(2, x), lambda x: polygamma(3, x)),
    "polygamma 2 below 0": (lambda x: polygamma(2, x), NEGATIVE, lambda x: polygamma(3, x), lambda x: polygamma(4, x)),
    "polygamma 7 below 0": (lambda x: polygamma(7, x), NEGATIVE, lambda x: polygamma(8, x), lambda x: polygamma(9, x)),
    "deg2rad": (lambda x: x * pi / 180, WIDE, lambda x: pi / 180, lambda x: mpf(0)),
    "rad2deg": (lambda x: x * 180 / pi, WIDE, lambda x: 180 / pi, lambda x: mpf(0)),
    "celu": (positive_or(lambda x: mpf("1.5") * expm1(x / mpf("1.5"))), BENDS, lambda x: exp(min(x, 0) / mpf("1.5")),
             lambda x: 0 if x > 0 else exp(x / mpf("1.5")) / mpf("1.5")),
    "elu": (positive_or(lambda x: mpf("1.5") * expm1(x)), BENDS, None, None),
    "selu": (lambda x: SELU[0] * (x if x > 0 else SELU[1] * expm1(x)), BENDS, None, None),
    "softplus_with": (lambda x: softplus(3 * x) / 3 if 3 * x <= 6 else mpf(x), BENDS,
                      lambda x: sigmoid(3 * x) if 3 * x <= 6 else mpf(1),
                      lambda x: 3 * sigmoid(3 * x) * sigmoid(-3 * x) if 3 * x <= 6 else mpf(0)),
    "softplus": (softplus, BENDS, sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "log_sigmoid": (lambda x: -softplus(-x), BENDS, lambda x: sigmoid(-x), lambda x: -sigmoid(x) * sigmoid(-x)),
    "silu": (lambda x: x * sigmoid(x), BENDS, None, None),
    "mish": (lambda x: x * tanh(softplus(x)), BENDS, None, None),
    "gelu": (gelu, WIDE, gelu_slope, gelu_bend),
    "gelu far out": (gelu, [-37.0, -30.0, -20.0, -12.0, -10.0, -8.0, -7.0, -5.5, -4.0, -3.0, -2.5, 12.0, 30.0], gelu_slope, gelu_bend),
    "asin near 0": (asin, TINY, lambda x: 1 / sqrt(1 - x * x), lambda x: x / sqrt(1 - x * x) ** 3),
    "acos near 0": (acos, TINY, lambda x: -1 / sqrt(1 - x * x), lambda x: -x / sqrt(1 - x * x) ** 3),
    "asinh near 0": (asinh, TINY, lambda x: 1 / sqrt(1 + x * x), lambda x: -x / sqrt(1 + x * x) ** 3),
    "atanh near 0": (atanh, TINY, lambda x: 1 / (1 - x * x), lambda x: 2 * x / (1 - x * x) ** 2),
    "sinh near 0": (sinh, TINY, cosh, sinh),
    "softsign far out": (softsign, FAR, softsign_slope, softsign_bend),
    "tanh_shrink near 0": (lambda x: x - tanh(x), TINY, lambda x: tanh(x) ** 2, lambda x: 2 * tanh(x) * sech(x) ** 2),
    "gelu_tanh": (lambda x: x * sigmoid(2 * sqrt(2 / pi) * (x + mpf("0.044715") * x**3)), WIDE, None, None),
    "softsign": (lambda x: x / (1 + abs(x)), WIDE, None, None),
    "tanh_shrink": (lambda x: x - tanh(x), WIDE, lambda x: tanh(x) ** 2, lambda x: 2 * tanh(x) * sech(x) ** 2),
}


def larger(x, y):
    return log(exp(x) + exp(y))


PLANE = list(zip(uniform(-3, 3, 40), uniform(-3, 3, 40))) + list(zip(spread(-40, 40, 20, True), spread(-40, 40, 20, True)))
BASES = list(zip(uniform(-2, 2, 30), uniform(0.01, 5, 30)))
QUOTIENTS = [(x, y) for x, y in PLANE + list(zip(uniform(-100, 100, 20), uniform(-2, 2, 20))) if abs(x / y) < 2**22]


def truncated(x, y):
    q = x / y
    return floor(q) if q >= 0 else -floor(-q)


TWO = {
    "atan2": (atan2, PLANE, lambda x, y: y / (x * x + y * y), lambda x, y: -x / (x * x + y * y)),
    "hypot": (lambda x, y: sqrt(x * x + y * y), PLANE, lambda x, y: x / sqrt(x * x + y * y), lambda x, y: y / sqrt(x * x + y * y)),
    "logaddexp": (larger, PLANE[:40] + [(20.0, -20.0), (500.0, 501.0)], lambda x, y: sigmoid(x - y), lambda x, y: sigmoid(y - x)),
    "logaddexp2": (lambda x, y: log(mpf(2) ** x + mpf(2) ** y, 2), PLANE[:40], lambda x, y: sigmoid((x - y) * log(2)),
                   lambda x, y: sigmoid((y - x) * log(2))),
    "xlogy": (lambda x, y: x * log(y), BASES, lambda x, y: log(y), lambda x, y: x / y),
    "xlog1py": (lambda x, y: x * log1p(y), BASES, lambda x, y: log1p(y), lambda x, y: x / (1 + y)),
    "fmod": (lambda x, y: x - y * truncated(x, y), QUOTIENTS, lambda x, y: mpf(1), lambda x, y: -truncated(x, y)),
    "remainder": (lambda x, y: x - y * floor(x / y), QUOTIENTS, lambda x, y: mpf(1), lambda x, y: -floor(x / y)),
    "copysign": (lambda x, y: abs(x) if y > 0 else -abs(x), PLANE, lambda x, y: mpf(1 if (x > 0) == (y > 0) else -1), lambda x, y: mpf(0)),
}


def main():
    lines = []
    for name, (function, points, first, second) in ONE.items():
        first = first or (lambda x, f=function: diff(f, x))
        second = second or (lambda x, f=function: diff(f, x, 2))
        for x in map(float, points):
            numbers = [float(f(mpf(x))) for f in (function, first, second)]
            lines.append(",".join([name, repr(x), "0.0", *map(repr, numbers)]))
    for name, (function, points, by_x, by_y) in TWO.items():
        for x, y in points:
            numbers = [float(f(mpf(x), mpf(y))) for f in (function, by_x, by_y)]
            lines.append(",".join([name, repr(float(x)), repr(float(y)), *map(repr, numbers)]))
    with open("special_reference.csv", "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
