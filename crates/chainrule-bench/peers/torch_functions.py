"""Times of PyTorch's functions that `chainrule-bench functions` has rows of.
usage: torch_functions.py ROW ...   prints for each: name, milliseconds of the value, of value and gradient; '-' where there is none.
Threads: THREADS, 2 if it is not set.
"""
import sys, time, os
import torch
torch.manual_seed(0); torch.set_num_threads(int(os.environ.get("THREADS", "2")))
PATIENCE = 0.3

def segments(how, shape, count):
    parts, columns = shape
    x = torch.rand(shape if columns > 1 else shape[:1]) + 0.5
    segment = torch.randint(0, count, (parts,))
    out = (count, *x.shape[1:])
    if how in ("sum", "index_add"): return [x], lambda x: [torch.zeros(out).index_add(0, segment, x)]
    # By rows, of which scatter_reduce has none.
    at = segment.reshape(-1, *[1] * (x.dim() - 1)).expand_as(x)
    name = {"max": "amax", "min": "amin"}.get(how, how)
    return [x], lambda x: [torch.zeros(out).scatter_reduce(0, at, x, name, include_self=False)]

def conv(how, shape, channels):
    (batch, side), (before, after, kernel) = shape, (int(part) for part in channels.split("x"))
    order = torch.channels_last if how == "last" else torch.contiguous_format
    x, w = torch.randn(batch, before, side, side), torch.randn(after, before, kernel, kernel)
    return [t.to(memory_format=order) for t in (x, w)], lambda x, w: [torch.nn.functional.conv2d(x, w, padding=kernel // 2)]

def fft(how, shape):
    batch, n = shape
    pair = lambda y: [y.real, y.imag]
    if how == "fft": return [torch.randn(shape), torch.randn(shape)], lambda a, b: pair(torch.fft.fft(torch.complex(a, b)))
    if how == "rfft": return [torch.randn(shape)], lambda a: pair(torch.fft.rfft(a))
    half = (batch, n // 2 + 1)
    return [torch.randn(half), torch.randn(half)], lambda a, b: [torch.fft.irfft(torch.complex(a, b), n)]

def sort(how, shape, dtype):
    x = [torch.randn(shape).to(dtype)]
    if how == "sort": return x, lambda x: [torch.sort(x, stable=True).values]
    return x, lambda x: [torch.argsort(x, stable=True)]

L = torch.linalg
LINALG = {
    "solve": L.solve, "solve_triangular": lambda a, b: L.solve_triangular(a, b, upper=True), "inv": L.inv, "det": L.det,
    "slogdet": lambda a: L.slogdet(a).logabsdet, "cholesky": L.cholesky, "qr": L.qr, "lu": lambda a: L.lu(a)[1:],
    "svd": lambda a: L.svd(a, full_matrices=False), "svdvals": L.svdvals, "eigh": L.eigh, "eigvalsh": L.eigvalsh, "pinv": L.pinv,
    "lstsq": lambda a, b: L.lstsq(a, b).solution, "matrix_power": lambda a: L.matrix_power(a, 5), "expm": L.matrix_exp,
}
def linalg(how, shape, dtype):
    batch, n = shape
    m = 2 * n if how in ("pinv", "lstsq") else n
    noise = torch.randn(batch, m, n, dtype=dtype) / n ** .5
    eye = torch.eye(m, dtype=dtype)[:, :n]
    a = noise @ noise.mT + eye if how in ("cholesky", "eigh", "eigvalsh") else noise * .5 + eye * 2
    inputs = [a] + ([torch.randn(batch, m, 8, dtype=dtype)] if how in ("solve", "solve_triangular", "lstsq") else [])
    listed = lambda y: list(y) if isinstance(y, tuple) else [y]
    return inputs, lambda *x: listed(LINALG[how](*x))

def build(name):
    family, how, size, *more = name.split("/")
    shape = tuple(int(part) for part in size.split("x"))
    dtype = {"f32": torch.float32, "f64": torch.float64}
    if family == "segments": return segments(how, shape, int(more[0]))
    if family == "conv": return conv(how, shape, *more)
    if family == "fft": return fft(how, shape)
    return {"sort": sort, "linalg": linalg}[family](how, shape, dtype[more[0]])

def median(step):
    step(); times = []; begin = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - begin < PATIENCE and len(times) < 1000):
        start = time.perf_counter(); step(); times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2] * 1e3

for name in sys.argv[1:]:
    inputs, function = build(name)
    with torch.no_grad(): value = median(lambda: function(*inputs)); results = function(*inputs)
    weights = [torch.rand_like(y) - .5 for y in results if y.is_floating_point()]
    if not weights: print(name, f"{value:.6f}", "-", flush=True); continue
    for x in inputs: x.requires_grad_()
    def step():
        ys = [y for y in function(*inputs) if y.is_floating_point()]
        return torch.autograd.grad(sum((y * w).sum() for y, w in zip(ys, weights)), inputs)
    print(name, f"{value:.6f}", f"{median(step):.6f}", flush=True)
