"""Fits the polynomials of the special functions in src/functions/special.rs.

The same weighted minimax fit as math_coefficients.py, whose errors are printed after each name as a power
of two. Needs mpmath; writes to stdout.
"""

from math_coefficients import show, single
from mpmath import digamma, erfc, erfinv, exp, loggamma, mp, mpf, sqrt

mp.dps = 60

# Where the argument of the tail of erfc is 0; any number near it serves.
MIDDLE = mpf(3)


def tail(u):
    """(1 + 2 x) e^(x^2) erfc(x), where u = (x - MIDDLE) / (x + MIDDLE)."""
    x = MIDDLE * (1 + u) / (1 - u)
    mp.dps = 100
    value = (1 + 2 * x) * exp(x**2) * erfc(x)
    mp.dps = 60
    return value


def at(x):
    """The u of an x."""
    return (mpf(x) - MIDDLE) / (mpf(x) + MIDDLE)


def inverse(w):
    """erfinv(x) / x, where w = -log(1 - x^2)."""
    w = max(w, mpf("1e-25"))
    x = sqrt(1 - exp(-w))
    return erfinv(x) / x


def gamma_near_two(z):
    """log(gamma(2 + z)) / z."""
    if abs(z) < mpf("1e-20"):
        return digamma(mpf(2))
    return loggamma(2 + z) / z


def main():
    one = lambda _: mpf(1)
    # Beyond the larger end erfc is 0 in that type.
    for name, rounding, degree, end in [("single", single, 10, "10.1"), ("double", float, 23, "27.3")]:
        show(f"{name} ERFC_TAIL: (1 + 2 x) e^(x^2) erfc(x)", tail, lambda u: 1 / tail(u), at(0), at(end), degree, rounding)
    show("ERFINV_NEAR: erfinv(x) / x of w - 2.5", lambda v: inverse(v + mpf("2.5")), one, "-2.5", "2.5", 8, single)
    show("ERFINV_FAR: erfinv(x) / x of sqrt(w) - 3", lambda v: inverse((v + 3) ** 2), one, sqrt(mpf(5)) - 3, "3.1", 12, single)
    for name, rounding, degree in [("single", single, 8), ("double", float, 18)]:
        show(f"{name} LGAMMA_NEAR_TWO: lgamma(2 + z) / z", gamma_near_two, lambda z: 1 / gamma_near_two(z), "-0.5", "0.5", degree, rounding)


if __name__ == "__main__":
    main()
