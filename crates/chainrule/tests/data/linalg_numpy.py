"""Figures of NumPy for tests/library/linalg.rs: python linalg_numpy.py > linalg_numpy.json"""
import json
import numpy as np

A = np.array([[4.0, -1.0, 0.5], [2.0, 3.0, -2.0], [0.25, 1.0, -5.0]])
S = A @ A.T + np.eye(3)
T = np.array([[1.0, 2.0], [-0.5, 3.0], [4.0, 1.5], [0.0, -1.0]])
B = np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 1.0]])


def expm(a):
    """By its series, in extended precision."""
    a = a.astype(np.longdouble)
    total, term = np.eye(len(a), dtype=np.longdouble), np.eye(len(a), dtype=np.longdouble)
    for k in range(1, 200):
        term = term @ a / k
        total = total + term
    return total.astype(np.float64)


sign, logabsdet = np.linalg.slogdet(A)
q, r = np.linalg.qr(T)
turn = np.sign(np.diag(r))
x, residuals, rank, s = np.linalg.lstsq(T, np.array([1.0, 2.0, 3.0, 4.0]), rcond=None)
figures = {
    "a": A, "s": S, "t": T, "b": B,
    "cholesky": np.linalg.cholesky(S),
    "solve": np.linalg.solve(A, B),
    "inv": np.linalg.inv(A),
    "det": np.linalg.det(A),
    "sign": sign,
    "logabsdet": logabsdet,
    "q": q * turn,
    "r": r * turn[:, None],
    "svdvals": np.linalg.svd(T)[1],
    "eigvalsh": np.linalg.eigvalsh(S),
    "pinv": np.linalg.pinv(T),
    "lstsq": x,
    "residuals": residuals[0],
    "expm": expm(A / 2),
    "fro": np.linalg.norm(T),
    "nuc": np.linalg.norm(T, "nuc"),
    "two": np.linalg.norm(T, 2),
    "one": np.linalg.norm(T, 1),
    "inf": np.linalg.norm(T, np.inf),
    "cond": np.linalg.cond(A),
    "cond_fro": np.linalg.cond(A, "fro"),
    "power": np.linalg.matrix_power(A, 5),
    "power_negative": np.linalg.matrix_power(A, -2),
    "multi_dot": np.linalg.multi_dot([T, B.T[:, :2] @ B[:2], B.T]),
}
print(json.dumps({k: np.ravel(np.asarray(v, dtype=np.float64)).tolist() for k, v in figures.items()}, indent=1))
