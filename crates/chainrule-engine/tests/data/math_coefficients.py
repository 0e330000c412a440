"""Fits the polynomials of the CPU backend's element functions.

Each polynomial is the weighted minimax fit found by the Remez exchange
algorithm on a fine Chebyshev grid with 60 digits, its coefficients then
rounded to the nearest single or double. The weight turns the error of the
polynomial into the relative error of the function it serves, which is what is
printed (as a power of two) after each list. Needs mpmath; writes to stdout.
"""

from mpmath import atan, atanh, cos, erf, erfc, exp, expm1, log, log1p, mp, mpf
from mpmath import pi, sin, sqrt, tanh, lu_solve, matrix
import struct

mp.dps = 60


def single(value):
    """The nearest f32, in the fewest digits that read back as it."""
    bits = struct.unpack("<f", struct.pack("<f", float(value)))[0]
    for digits in range(6, 10):
        text = f"{bits:.{digits}g}"
        if struct.unpack("<f", struct.pack("<f", float(text)))[0] == bits:
            return float(text)
    return bits


def fit(target, weight, low, high, degree):
    """Coefficients, lowest first, and the largest weighted error."""
    count = 40 * (degree + 2)
    middle, half = (high + low) / 2, (high - low) / 2
    grid = [middle - half * cos(pi * (2 * i + 1) / (2 * count)) for i in range(count)]
    scaled = [(x - middle) / half for x in grid]
    values = [target(x) for x in grid]
    weights = [abs(weight(x)) for x in grid]
    terms = degree + 2
    chosen = [int(i * (count - 1) / (terms - 1)) for i in range(terms)]
    for _ in range(40):
        system = matrix(terms, terms)
        right = matrix(terms, 1)
        for row, at in enumerate(chosen):
            for k in range(degree + 1):
                system[row, k] = scaled[at] ** k
            system[row, degree + 1] = (-1) ** row / weights[at]
            right[row] = values[at]
        solution = lu_solve(system, right)
        errors = []
        for i in range(count):
            total = mpf(0)
            for k in range(degree, -1, -1):
                total = total * scaled[i] + solution[k]
            errors.append((values[i] - total) * weights[i])
        level = abs(solution[degree + 1])
        worst = max(abs(e) for e in errors)
        if worst <= level * mpf("1.001"):
            break
        # One extreme point for every run of one sign, then the best window.
        peaks, start = [], 0
        for i in range(1, count + 1):
            if i == count or (errors[i] > 0) != (errors[start] > 0):
                peaks.append(max(range(start, i), key=lambda j: abs(errors[j])))
                start = i
        while len(peaks) > terms:
            peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
        if len(peaks) < terms:
            break
        chosen = peaks
    # Expand the scaled powers into powers of x itself.
    result = [mpf(0)] * (degree + 1)
    for k in range(degree, -1, -1):
        shifted = [mpf(0)] * (degree + 1)
        for j in range(degree + 1):
            shifted[j] += result[j] * (-middle / half)
            if j + 1 <= degree:
                shifted[j + 1] += result[j] / half
        shifted[0] += solution[k]
        result = shifted
    return result, worst


def show(name, target, weight, low, high, degree, rounding):
    """Print one fit."""
    coefficients, worst = fit(target, weight, mpf(low), mpf(high), degree)
    print(f"{name} (degree {degree}, error 2^{float(log(worst, 2)):.1f})")
    for c in coefficients:
        print(f"    {rounding(c)!r},")


LN2 = log(mpf(2))
REACH = LN2 / 2 * mpf("1.002")
LOW, HIGH = sqrt(mpf("0.5")) - 1 - mpf("1e-6"), sqrt(mpf(2)) - 1 + mpf("1e-6")
QUARTER = (pi / 4 * mpf("1.001")) ** 2
ATAN_END = mpf("0.2501")


def series(function, x, tiny):
    """Evaluate with guard digits: the quotients cancel near zero."""
    if abs(x) < mpf("1e-12"):
        x = mpf("1e-12")
    mp.dps += 40
    value = function(x)
    mp.dps -= 40
    return value + tiny


def exp_rest(r):
    return series(lambda t: (expm1(t) - t) / t**2, r, 0)


def log_rest(f):
    return series(lambda t: (log1p(t) - t + t * t / 2) / t**3, f, 0)


def tanh_rest(z):
    return series(lambda t: (tanh(sqrt(t)) / sqrt(t) - 1) / t, z, 0)


def erf_rest(z):
    return series(lambda t: erf(sqrt(t)) / sqrt(t) - 1, z, 0)


def sin_rest(z):
    return series(lambda t: (sin(sqrt(t)) / sqrt(t) - 1) / t, z, 0)


def cos_rest(z):
    return series(lambda t: (cos(sqrt(t)) - 1 + t / 2) / t**2, z, 0)


def atanh_rest(z):
    return series(lambda t: (atanh(sqrt(t)) / sqrt(t) - 1 - t / 3) / t**2, z, 0)


def atan_rest(z):
    return series(lambda t: (atan(sqrt(t)) / sqrt(t) - 1) / t, z, 0)


def family(rounding, exps, logs, tanhs, erfs, tails, sines, cosines, tail_end, tanh_end):
    """Every polynomial of one precision, of the degrees given."""
    show("EXP: (e^r - 1 - r) / r^2", exp_rest,
         lambda r: r**2 / expm1(r) if r else mpf(0), -REACH, REACH, exps, rounding)
    show("LOG: (log(1+f) - f + f^2/2) / f^3", log_rest,
         lambda f: f**3 / log1p(f) if f else mpf(0), LOW, HIGH, logs, rounding)
    show("TANH: (tanh(x)/x - 1) / z, z = x^2", tanh_rest,
         lambda z: z * sqrt(z) / tanh(sqrt(z)), "1e-30", tanh_end, tanhs, rounding)
    show("ERF: erf(x)/x - 1, z = x^2", erf_rest,
         lambda z: sqrt(z) / erf(sqrt(z)), "1e-30", "0.8465", erfs, rounding)
    show("ERF_TAIL: log(erfc(x))", lambda x: log(erfc(x)), erfc, "0.919", tail_end,
         tails, rounding)
    show("SIN: (sin(r)/r - 1) / z, z = r^2", sin_rest, lambda z: z, "1e-30", QUARTER,
         sines, rounding)
    show("COS: (cos(r) - 1 + z/2) / z^2, z = r^2", cos_rest, lambda z: z**2, "1e-30",
         QUARTER, cosines, rounding)


if __name__ == "__main__":
    print("== single ==")
    family(single, 4, 7, 4, 6, 7, 2, 2, "3.93", "0.44")
    show("SOFTPLUS: (log(1+f) - f + f^2/2) / f^3", log_rest,
         lambda f: f**3 / log1p(f) if f else mpf(0), "-0.2501", "0.5001", 7, single)
    show("POW_LOG: log2(1+f) / f", lambda f: series(lambda t: log1p(t) / t / LN2, f, 0),
         lambda f: f / log1p(f) if f else mpf(1), LOW, HIGH, 12, float)
    show("POW_EXP: 2^t", lambda t: mpf(2) ** t, lambda t: mpf(2) ** -t,
         "-0.501", "0.501", 6, float)
    show("ATAN: (atan(r)/r - 1) / z, z = r^2", atan_rest, lambda z: z * sqrt(z) / atan(sqrt(z)),
         "1e-30", ATAN_END, 5, single)
    print("== double ==")
    family(float, 10, 18, 9, 11, 18, 5, 5, "5.95", "0.3030")
    show("ATANH: (atanh(s)/s - 1 - z/3) / z^2, z = s^2", atanh_rest, lambda z: z**2,
         "1e-30", "0.02945", 7, float)
    show("ATAN: (atan(r)/r - 1) / z, z = r^2", atan_rest, lambda z: z * sqrt(z) / atan(sqrt(z)),
         "1e-30", ATAN_END, 12, float)
