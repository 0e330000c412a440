"""Writes math_reference.csv, the f64 points the element functions are held to.

Each line: function, argument bits, second argument bits (pow only, else 0),
bits of the nearest f64 to the exact result, bits of what that leaves. All bits
in hexadecimal. Results are computed with 60 digits more than the argument
needs. Run it in this folder; needs mpmath.
"""

import random
import struct

from mpmath import atan, cos, erf, exp, expm1, log, log1p, mp, mpf, pi, sech, sin, tanh

mp.dps = 400
HERE = random.Random(20)


def bits(value):
    """The bits of an f64, in hexadecimal."""
    return f"{struct.unpack('<Q', struct.pack('<d', value))[0]:016x}"


def pair(exact):
    """The nearest f64 and the nearest f64 to the remainder."""
    high = float(exact)
    return high, float(exact - mpf(high))


def uniform(low, high, count):
    return [HERE.uniform(low, high) for _ in range(count)]


def spread(low, high, count, signed=False):
    """Points whose binary exponents are spread evenly."""
    points = [2.0 ** HERE.uniform(low, high) for _ in range(count)]
    return [x * HERE.choice((-1, 1)) if signed else x for x in points]


def beside(values):
    """Each value with its two neighbours on either side."""
    found = []
    for value in values:
        at = struct.unpack("<q", struct.pack("<d", abs(value)))[0]
        for step in range(-2, 3):
            near = struct.unpack("<d", struct.pack("<q", at + step))[0]
            found.append(near if value > 0 else -near)
    return found


QUARTERS = [float(k * pi / 2) for k in (1, 2, 3, 4, 7, 100, 101, 636_619)]
POINTS = {
    "exp": (exp, uniform(-745, 709.7, 120) + uniform(-2, 2, 80) + spread(-60, 0, 40, True)
            + uniform(-745, -708, 40) + beside([0.34657359, -0.34657359, 709.78, -708.39])),
    "expm1": (expm1, uniform(-40, 709.7, 60) + uniform(-2, 2, 120) + spread(-60, 0, 80, True)
              + beside([0.34657359, -0.34657359, 1.0397207, -1.0397207, 709.78])),
    "log": (log, spread(-1074, 1023, 120) + uniform(0.5, 2, 120)
            + beside([1.0, 0.70710678118654757, 1.4142135623730951, 2.3e-308, 1e-320])),
    "log1p": (log1p, spread(-60, 0, 60, True) + spread(0, 1000, 40) + uniform(-0.999, 2, 160)
              + beside([-0.29289321881345254, 0.41421356237309515, 1e15, -0.9999])),
    "tanh": (tanh, uniform(-2, 2, 160) + uniform(-20, 20, 60) + spread(-60, 0, 40, True)
             + beside([0.55, -0.55, 19.0])),
    "sigmoid": (lambda x: 1 / (1 + exp(-x)), uniform(-745, 40, 80) + uniform(-6, 6, 160)
                + beside([1e-9, -1e-9, -708.0])),
    "softplus": (lambda x: log1p(exp(x)), uniform(-745, 40, 80) + uniform(-6, 6, 160) + [-40.0]
                 + beside([0.88, -0.88, 1e-9, -36.8, -39.1])),
    "erf": (erf, uniform(-1.2, 1.2, 140) + uniform(-6, 6, 120) + spread(-60, 0, 40, True)
            + beside([0.92, -0.92, 5.9])),
    "sin": (sin, uniform(-7, 7, 100) + uniform(-1e6, 1e6, 100) + spread(-60, 0, 40, True)
            + beside(QUARTERS) + spread(20, 1000, 30, True)),
    "cos": (cos, uniform(-7, 7, 100) + uniform(-1e6, 1e6, 100) + spread(-60, 0, 40, True)
            + beside(QUARTERS) + spread(20, 1000, 30, True)),
}


def of_one(name, function, points):
    """The lines of a function of one argument."""
    lines = []
    for x in points:
        high, low = pair(function(mpf(x)))
        lines.append(f"{name},{bits(x)},{bits(0.0)},{bits(high)},{bits(low)}")
    return lines


def main():
    lines = []
    for name, (function, points) in POINTS.items():
        lines += of_one(name, function, points)
    bases = spread(-1074, 1023, 120) + uniform(0.5, 2, 160) + beside([1.0, 0.7071067811865476])
    for x in bases:
        # Powers that reach anything from the smallest to the largest result.
        reach = mpf(HERE.uniform(-744, 709))
        y = float(reach / log(mpf(x))) if x != 1.0 else 3.0
        if abs(y) > 1e300:
            continue
        high, low = pair(mpf(x) ** mpf(y))
        lines.append(f"pow,{bits(x)},{bits(y)},{bits(high)},{bits(low)}")
    # Functions that came later draw later, so that no earlier point moves.
    lines += of_one("sech", sech, uniform(-746, 746, 80) + uniform(-6, 6, 160) + spread(-60, 0, 40, True)
                    + uniform(708, 745, 40) + beside([0.34657359, -1.0397207, 18.7, -372.0, 744.4]))
    lines += of_one("atan", atan, uniform(-1, 1, 120) + uniform(-6, 6, 120) + spread(-60, 60, 60, True)
                    + beside([0.5, -0.5, 1.0, 2.5]))
    with open("math_reference.csv", "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
