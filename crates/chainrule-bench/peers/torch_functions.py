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

F = torch.nn.functional
same = lambda kernel, **more: lambda x, w: [F.conv2d(x, w, padding=kernel // 2, **more)]
one = lambda function: lambda *x: [function(*x)]
# Name, shapes of what is not the first input, function. Whole numbers: their shape, and below what they are.
LAYERS = {
    "reduce/sum_all": ([], one(lambda x: x.sum())), "reduce/sum_0": ([], one(lambda x: x.sum(0))), "reduce/sum_1": ([], one(lambda x: x.sum(1))),
    "reduce/max_0": ([], one(lambda x: x.amax(0))), "reduce/max_1": ([], one(lambda x: x.amax(1))),
    "reduce/argmax_0": ([], one(lambda x: x.argmax(0))), "reduce/argmax_1": ([], one(lambda x: x.argmax(1))),
    "reduce/var_0": ([], one(lambda x: x.var(0))), "reduce/var_1": ([], one(lambda x: x.var(1))), "reduce/norm": ([], one(lambda x: x.norm())),
    "reduce/sum_channels": ([], one(lambda x: x.sum((0, 2, 3)))), "reduce/var_channels": ([], one(lambda x: x.var((0, 2, 3), correction=0))),
    "reduce/sum_middle": ([], one(lambda x: x.sum(1))),
    "short/sum": ([], one(lambda x: x.sum(1))), "short/max": ([], one(lambda x: x.amax(1))), "short/softmax": ([], one(lambda x: x.softmax(1))),
    "short/unit": ([], one(lambda x: x / (x * x).sum(1, keepdim=True).sqrt())),
    "scan/cumsum_0": ([], one(lambda x: x.cumsum(0))), "scan/cumsum_1": ([], one(lambda x: x.cumsum(1))), "scan/cummax_1": ([], one(lambda x: x.cummax(1).values)),
    "move/t": ([], one(lambda x: x.t().contiguous())), "move/flip_0": ([], one(lambda x: x.flip(0))), "move/flip_1": ([], one(lambda x: x.flip(1))),
    "move/roll_1": ([], one(lambda x: x.roll(100, 1))), "move/tile": ([], one(lambda x: x.tile(2, 2))), "move/tril": ([], one(lambda x: x.tril())),
    "move/to_channels_last": ([], one(lambda x: x.permute(0, 2, 3, 1).contiguous())), "move/swap_1_2": ([], one(lambda x: x.transpose(1, 2).contiguous())),
    "move/pad": ([], one(lambda x: F.pad(x, (1, 1, 1, 1)))),
    "move/concat_0": ([(2048, 1024)], one(lambda x, y: torch.cat([x, y], 0))), "move/concat_1": ([(2048, 1024)], one(lambda x, y: torch.cat([x, y], 1))),
    "move/stack_2": ([(2048, 1024)], one(lambda x, y: torch.stack([x, y], 2))),
    "norm/softmax_0": ([], one(lambda x: x.softmax(0))), "norm/softmax_1": ([], one(lambda x: x.softmax(1))), "norm/log_softmax_1": ([], one(lambda x: x.log_softmax(1))),
    "norm/rms_norm": ([], one(lambda x: F.rms_norm(x, x.shape[1:], eps=1e-5))),
    "norm/layer_norm": ([(1024,), (1024,)], one(lambda x, g, b: F.layer_norm(x, x.shape[1:], g, b))),
    "norm/batch_norm": ([(128,), (128,)], one(lambda x, g, b: F.batch_norm(x, None, None, g, b, training=True))),
    "norm/group_norm": ([(128,), (128,)], one(lambda x, g, b: F.group_norm(x, 32, g, b))),
    "norm/instance_norm": ([(128,), (128,)], one(lambda x, g, b: F.instance_norm(x, weight=g, bias=b))),
    "pool/max_2": ([], one(lambda x: F.max_pool2d(x, 2))), "pool/max_3_stride_2": ([], one(lambda x: F.max_pool2d(x, 3, 2, 1))),
    "pool/avg_2": ([], one(lambda x: F.avg_pool2d(x, 2))), "pool/avg_3_stride_1": ([], one(lambda x: F.avg_pool2d(x, 3, 1, 1))),
    "pool/global_avg": ([], one(lambda x: F.adaptive_avg_pool2d(x, 1))),
    "pool/nearest_2x": ([], one(lambda x: F.interpolate(x, scale_factor=2))), "pool/bilinear_2x": ([], one(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"))),
    "layer/depthwise": ([(128, 1, 3, 3)], same(3, groups=128)), "layer/depthwise_7": ([(96, 1, 7, 7)], same(7, groups=96)), "layer/grouped_8": ([(128, 16, 3, 3)], same(3, groups=8)),
    "layer/stride_2": ([(128, 64, 3, 3)], same(3, stride=2)), "layer/dilation_2": ([(128, 64, 3, 3)], one(lambda x, w: F.conv2d(x, w, padding=2, dilation=2))),
    "layer/stem_7_stride_2": ([(64, 3, 7, 7)], same(7, stride=2)),
    "layer/transposed_4_stride_2": ([(64, 32, 4, 4)], one(lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1))),
    "layer/conv1d_5": ([(64, 64, 5)], one(lambda x, w: F.conv1d(x, w, padding=2))),
    "product/mm": ([(1024, 1024)], one(torch.matmul)), "product/mv": ([(4096, 1)], one(torch.matmul)), "product/vm": ([(4096, 4096)], one(torch.matmul)),
    "product/bmm": ([None], one(torch.matmul)), "product/distances": ([(2000, 128)], one(lambda x, y: ((x * x).sum(1, keepdim=True) + (y * y).sum(1) - 2 * x @ y.t()).sqrt())),
    "product/cosine": ([(2000, 128)], one(lambda x, y: (x * y).sum(1) / ((x * x).sum(1) * (y * y).sum(1)).sqrt())),
    "attention/whole": ([None, None], one(F.scaled_dot_product_attention)),
    "attention/causal": ([None, None], one(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True))),
    "index/embedding": (((4096,), 50_000), lambda at: one(lambda x: F.embedding(at, x))), "index/select_1": (((256,), 1024), lambda at: one(lambda x: x.index_select(1, at))),
    "index/along_1": (((4096, 256), 1024), lambda at: one(lambda x: x.gather(1, at))), "index/along_0": (((256, 1024), 4096), lambda at: one(lambda x: x.gather(0, at))),
    "index/top_10": (((1,), 1), lambda at: one(lambda x: x.topk(10, 1).values)), "index/where": (((4096, 1024), 2), lambda at: one(lambda x: torch.where(at == 1, x, x.exp()))),
    "loss/cross_entropy": (((0,), 0), lambda at: one(lambda x: F.cross_entropy(x, at))),
}
def layer(name, shape):
    more, function = LAYERS[name]
    if isinstance(more, list): return [torch.randn(shape), *(torch.randn(shape if other is None else other) for other in more)], function
    of, limit = (shape[:1], shape[1]) if name == "loss/cross_entropy" else more
    return [torch.randn(shape)], function(torch.randint(0, limit, of))

def build(name):
    family, how, size, *more = name.split("/")
    shape = tuple(int(part) for part in size.split("x"))
    dtype = {"f32": torch.float32, "f64": torch.float64}
    if f"{family}/{how}" in LAYERS: return layer(f"{family}/{how}", shape)
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
