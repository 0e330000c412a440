"""Writes arrays.txt: what NumPy and PyTorch give for the functions of whole arrays, on numbers with ties.

A line is `name | sizes | numbers`. tests/arrays holds the same calls, by name. Run: python arrays.py > arrays.txt
"""
import numpy as np
import torch


def x(shape, seed=0, lane=float):
    """Eighths between -6.25 and 6.25, some of them equal."""
    n = int(np.prod(shape))
    v = np.array([((i * 37 + seed * 11) % 101 - 50) / 8 for i in range(n)])
    return v.reshape(shape).astype(lane)


def ints(shape, limit, seed=0):
    n = int(np.prod(shape))
    return np.array([(i * 7 + i // 3 + seed * 5) % limit for i in range(n)]).reshape(shape)


def T(a):
    return torch.from_numpy(np.ascontiguousarray(a))


def say(name, value):
    a = np.asarray(value)
    if a.dtype == bool:
        a = a.astype(int)
    print(name, "|", " ".join(str(s) for s in a.shape), "|", " ".join(repr(float(v)) for v in a.reshape(-1)))


with_nan = x((3, 5), 2)
with_nan[1, 3] = np.nan
few = np.round(x((4, 6), 1) / 3)  # ties

for axis in (0, 1, 2):
    say(f"sort {axis}", np.sort(x((2, 5, 3), 3), axis=axis, kind="stable"))
    say(f"argsort {axis}", np.argsort(np.round(x((2, 5, 3), 3) / 3), axis=axis, kind="stable"))
    v, i = torch.sort(T(np.round(x((2, 5, 3), 3) / 3)), dim=axis, stable=True, descending=True)
    say(f"sort_descending {axis}", v)
    say(f"argsort_descending {axis}", i)
say("sort nan", np.sort(with_nan, axis=1))
say("argsort nan", np.argsort(with_nan, axis=1, kind="stable"))
say("sort_descending nan", torch.sort(T(with_nan), dim=1, descending=True, stable=True)[0])
say("msort", torch.msort(T(x((4, 3), 5))))
say("top_k", torch.topk(T(x((3, 7), 4)), 3, dim=1)[0])
say("top_k positions", torch.topk(T(x((3, 7), 4)), 3, dim=1)[1])
say("bottom_k", torch.topk(T(x((5, 4), 4)), 2, dim=0, largest=False)[0])
say("kthvalue", torch.kthvalue(T(x((3, 7), 4)), 3, dim=1)[0])
say("kthvalue position", torch.kthvalue(T(x((3, 7), 4)), 3, dim=1)[1])
say("median", np.median(x((3, 4), 1)))
say("median odd", np.median(x((3, 5), 1)))
say("median 0", np.median(x((4, 3, 2), 1), axis=0))
say("median 0 2", np.median(x((4, 3, 2), 1), axis=(0, 2)))
say("median keep", np.median(x((4, 3, 2), 1), axis=(0, 2), keepdims=True))
say("median nan", np.median(with_nan, axis=1))
say("lower_median", torch.median(T(x((3, 6), 1)), dim=1)[0])
say("lower_median position", torch.median(T(x((3, 6), 1)), dim=1)[1])
say("lower_median nan", torch.median(T(with_nan), dim=1)[0])
qs = [0.0, 0.1, 0.25, 0.5, 0.5625, 0.8, 1.0]
for method in ("linear", "lower", "higher", "nearest", "midpoint"):
    say(f"quantile {method}", np.quantile(x((9, 2), 3), qs, axis=0, method=method))
    say(f"quantile even {method}", np.quantile(x((2, 8), 3), qs, axis=(0, 1), method=method))
say("quantile keep", np.quantile(x((3, 4, 2), 3), [0.3, 0.7], axis=(1, 2), keepdims=True))
say("quantile nan", np.quantile(with_nan, [0.0, 0.5], axis=1))
say("percentile", np.percentile(x((3, 4), 3), [5, 50, 99], axis=1))
edges = np.sort(few.reshape(-1))
say("searchsorted left", np.searchsorted(edges, x((3, 4), 6)))
say("searchsorted right", np.searchsorted(edges, np.round(x((3, 4), 6) / 3), side="right"))
say("searchsorted left ties", np.searchsorted(edges, np.round(x((3, 4), 6) / 3)))
say("searchsorted rows", torch.searchsorted(torch.sort(T(x((2, 5), 1)), 1)[0], T(x((2, 4), 2))))
say("searchsorted nan", np.searchsorted(np.array([1.0, 2.0, np.nan, np.nan]), np.array([np.nan, 5.0, 0.0])))
say("searchsorted nan right", np.searchsorted(np.array([1.0, 2.0, np.nan, np.nan]), np.array([np.nan, 5.0, 0.0]), side="right"))
say("digitize", np.digitize(x((7,), 2), np.array([-4.0, -0.5, 0.0, 3.0])))
say("digitize right", np.digitize(np.array([-4.0, -0.5, 1.0]), np.array([-4.0, -0.5, 0.0, 3.0]), right=True))

for part, value in zip(("values", "first", "inverse", "counts"), np.unique(few, return_index=True, return_inverse=True, return_counts=True)):
    say(f"unique {part}", value)
say("unique nan", np.unique(np.array([np.nan, 1.0, np.nan, 0.0]), return_counts=True)[1])
say("argwhere", np.argwhere(few > 0))
say("nonzero 1", np.nonzero(few)[1])
say("flatnonzero", np.flatnonzero(few))
say("masked_select", few[few > 0])
say("bincount", np.bincount(ints((20,), 6), minlength=9))
say("bincount weights", np.bincount(ints((20,), 6), weights=x((20,), 1)))
say("histogram", np.histogram(few, bins=5)[0])
say("histogram edges", np.histogram(few, bins=5)[1])
say("histogram range", np.histogram(x((50,), 1), bins=7, range=(-3.0, 2.5))[0])
say("histogram one", np.histogram(np.array([2.0, 2.0]), bins=3)[0])

a = x((4, 5, 3), 2)
i, j = ints((2, 3), 4), ints((3,), 5, 1) - 5
k = ints((2, 1), 3, 2)
mask = few > 0
say("pick one", a[i])
say("pick behind", a[:, j])
say("pick two", a[i, j])
say("pick apart", a[i, :, k])
a4 = x((2, 4, 5, 3), 6)
say("pick apart behind", a4[:, i, :, k])
say("pick apart in three", a4[:, i, 1, None, k])
say("pick behind an ellipsis", a4[..., j, k])
say("pick apart from a new axis", a[None, i, ..., k])
say("pick three", a[i, j, k])
say("pick slice first", a[1:3, j, k])
say("pick position", a[2, :, k])
say("pick position beside", a[2, j])
say("pick new", a[None, i, j])
say("pick new between", a[i, None, j])
say("pick new behind", a[i, j, None])
say("pick ellipsis", a[..., k])
say("pick step", a[::-1, j, ::2])
say("pick mask", few[mask])
say("pick mask rows", few[np.array([True, False, True, True])])
say("pick mask beside", a[np.array([True, False, True, False]), 1:, 0])
say("pick mask columns", few[..., np.array([True, False, True, True, False, True])])
b = a.copy(); b[i, j] = x((2, 3, 3), 7); say("put two", b)
b = a.copy(); b[:, j, 1] = 9.0; say("put number", b)
b = a.copy(); b[1:, ::2] = x((3,), 5); say("put slices", b)
b = few.copy(); b[mask] = -1.0; say("put mask", b)
b = a.copy(); np.add.at(b, (i, slice(None), 0), x((2, 3, 5), 1)); say("add", b)
index = ints((3, 2), 4) - np.array([[0, 4], [0, 0], [4, 0]])
say("take", np.take(a, index, axis=0))
say("take axis 1", np.take(a, index, axis=1))
say("take wrap", np.take(a, index * 5 - 3, axis=2, mode="wrap"))
say("take clip", np.take(a, index * 5 - 3, axis=1, mode="clip"))
say("take flat", np.take(a, index * 5))
b = a.copy(); np.put_along_axis(b, ints((4, 2, 3), 5), x((4, 2, 3), 9), axis=1); say("put_along_axis", b)
say("take_along_axis", np.take_along_axis(a, ints((4, 2, 1), 5) - 5, axis=1))
say("gather_nd", a[tuple(np.moveaxis(ints((3, 2), 4), -1, 0))])
t, src = T(x((5, 3), 2)), T(x((4, 3), 8))
idx = T(ints((4, 3), 5, 3))
for name, reduce in (("sum", "sum"), ("prod", "prod"), ("mean", "mean"), ("max", "amax"), ("min", "amin")):
    for own in (True, False):
        say(f"scatter_reduce {name} {own}".lower(), t.scatter_reduce(0, idx, src, reduce, include_self=own))
        if reduce != "sum":
            say(f"index_reduce {name} {own}".lower(), t.clone().index_reduce_(1, T(np.array([2, 0, 2])), T(x((5, 3), 4)), reduce, include_self=own))
say("index_add", t.index_add(1, T(np.array([2, 0, 2])), T(x((5, 3), 4))))
say("index_copy", t.index_copy(0, T(np.array([2, 0])), T(x((2, 3), 4))))
say("index_fill", t.index_fill(1, T(np.array([2, 0])), 7.5))
table = T(x((6, 2), 1))
bag = T(ints((3, 4), 6))
for mode in ("sum", "mean", "max"):
    say(f"bag {mode}", torch.nn.functional.embedding_bag(bag, table, mode=mode))
    if mode != "max":
        say(f"bag starts {mode}", torch.nn.functional.embedding_bag(bag.reshape(-1), table, offsets=torch.tensor([0, 3, 3, 10]), mode=mode))
say("bag weights", torch.nn.functional.embedding_bag(bag, table, mode="sum", per_sample_weights=T(x((3, 4), 6))))

say("moveaxis", np.moveaxis(a, [0, 1], [-1, 0]))
for times in (-1, 0, 1, 2, 3):
    say(f"rot90 {times}", np.rot90(a, times, axes=(0, 2)))
say("repeat_each", np.repeat(a, [2, 0, 1], axis=2))
u, v = x((3,), 1), x((3,), 2)
m, n = x((2, 3), 3), x((4, 3), 4)
say("vstack", np.vstack([u, m, n]))
say("hstack", np.hstack([u, v]))
say("hstack matrices", np.hstack([m, x((2, 2), 1)]))
say("dstack", np.dstack([m, x((2, 3), 5)]))
say("dstack vectors", np.dstack([u, v]))
say("column_stack", np.column_stack([u, x((3, 2), 1), v]))
for part, value in enumerate(np.split(a, [1, 1, 4], axis=1)):
    say(f"split_at {part}", value)
say("split_evenly 1", np.split(a, 2, axis=0)[1])
say("unbind 2", a[:, 2])
say("unfold", T(a).unfold(1, 3, 2))
say("sliding_windows", np.lib.stride_tricks.sliding_window_view(a, (2, 3), axis=(2, 0)))
say("expand", T(u).expand(2, -1))
for axes in ((0, 1), (1, 0), (0, 2), (1, 2)):
    for offset in (-4, -2, 0, 1, 6):
        say(f"diagonal {axes[0]} {axes[1]} {offset}", np.diagonal(a, offset, *axes))
say("trace", np.trace(a, 1, 2, 1))
say("diag vector", np.diag(u, -2))
say("diag matrix", np.diag(n, 1))
say("diag_embed", torch.diag_embed(T(m), 1, 0, -1))
say("tri", np.tri(3, 5, -1))
say("eye", np.eye(3, 5, 2))
say("tril_indices", np.stack(np.tril_indices(3, -1, 4)))
say("triu_indices", np.stack(np.triu_indices(3, 1, 4)))
for order in ("ij", "xy"):
    for part, value in enumerate(np.meshgrid(u, x((2,), 3), x((4,), 4), indexing=order)):
        say(f"meshgrid {order} {part}", value)
say("cartesian_prod", torch.cartesian_prod(T(u), T(x((2,), 3))))
say("range", np.arange(-1.0, 2.0, 0.3))
say("range down", np.arange(2.0, -1.0, -0.5))
say("logspace", np.logspace(-1.0, 2.0, 6, base=2.0))
say("geomspace", np.geomspace(-1.0, -1000.0, 5))
for name, mode in (("edge", "edge"), ("reflect", "reflect"), ("symmetric", "symmetric"), ("wrap", "wrap")):
    say(f"pad {name}", np.pad(m, ((1, 2), (2, 1)), mode))
    say(f"pad far {name}", np.pad(u, (7, 8), mode))
    say(f"pad one {name}", np.pad(np.array([3.0]), (1, 2), mode))
say("pad constant", np.pad(m, ((1, 0), (0, 2)), constant_values=1.5))
say("block_diag", torch.block_diag(T(m), T(u), T(x((2, 1), 1))))
say("kron", np.kron(m, x((3, 2), 5)))
say("kron ranks", np.kron(u, x((2, 1, 2), 5)))
say("outer", np.outer(m, u))
say("cross", np.cross(n, u))
say("cross axis", np.cross(x((3, 2), 1), x((3, 2), 2), axis=0))
say("tensordot", np.tensordot(a, x((3, 2, 4), 3), axes=([0, 2], [2, 0])))
say("vander", np.vander(u, 4))
say("vander increasing", np.vander(u, 3, increasing=True))
say("cov", np.cov(n))
say("cov population", np.cov(n, ddof=0))
say("cov vector", np.cov(u))
say("corrcoef", np.corrcoef(n))
say("diff", np.diff(a, n=2, axis=1))
places = np.array([0.0, 0.5, 2.0, 2.25, 4.0])
say("gradient", np.gradient(a, 0.5, axis=1))
say("gradient places", np.gradient(a, places, axis=1))
say("trapezoid", np.trapezoid(a, dx=0.5, axis=0))
say("trapezoid places", np.trapezoid(a, places, axis=1))
say("pixel_shuffle", torch.pixel_shuffle(T(x((1, 8, 2, 3), 1)), 2))
say("pixel_unshuffle", torch.pixel_unshuffle(T(x((2, 4, 6), 1)), 2))

p, q, r = x((2, 3), 1), x((3, 4), 2), x((4, 2), 3)
s3 = x((3, 3, 2), 4)
say("einsum chain", np.einsum("ij,jk,kl->il", p, q, r))
say("einsum implicit", np.einsum("ba,ac", x((2, 3), 1), q))
say("einsum trace", np.einsum("iij->j", s3))
say("einsum diagonal", np.einsum("iij->ij", s3))
say("einsum diagonal of diagonal", np.einsum("iii->i", x((3, 3, 3), 5)))
say("einsum sum", np.einsum("ijk->", s3))
say("einsum turned", np.einsum("ijk->kij", s3))
say("einsum rest", np.einsum("...ij,...jk->...ik", x((2, 1, 2, 3), 1), x((3, 3, 4), 2)))
say("einsum rest behind", np.einsum("i...,ij->j...", x((2, 3, 2), 1), p))
say("einsum rest implicit", np.einsum("...j,j", x((2, 2, 3), 1), x((3,), 2)))
say("einsum rest between", np.einsum("i...k,k->k...i", x((2, 3, 2, 4), 1), x((4,), 2)))
say("einsum outer", np.einsum("i,j,k->kij", x((2,), 1), x((3,), 2), x((2,), 3)))
say("einsum same", np.einsum("ij,ij,ij->i", p, x((2, 3), 5), x((2, 3), 6)))
say("einsum all", np.einsum("ij,jk,ki->", p, q, r))
say("einsum lonely", np.einsum("ij,kl->k", p, q))
say("einsum star", np.einsum("ai,bi,ci,di->abcd", x((2, 3), 1), x((2, 3), 2), x((1, 3), 3), x((2, 3), 4)))
say("einsum one", np.einsum("ij,jk->ik", x((2, 1), 1), x((1, 4), 2)))
say("einsum scalar", np.einsum(",i->i", 2.0, x((3,), 1)))


def pair(name, value):
    say(name + " re", value.real)
    say(name + " im", value.imag)


z = x((3, 8), 1) + 1j * x((3, 8), 2)
w = x((3, 2, 5), 1) + 1j * x((3, 2, 5), 2)
for norm in ("backward", "ortho", "forward"):
    pair(f"fft {norm}", np.fft.fft(z, norm=norm))
    pair(f"ifft {norm}", np.fft.ifft(z, axis=0, norm=norm))
    pair(f"rfft {norm}", np.fft.rfft(x((3, 7), 1), norm=norm))
    say(f"irfft {norm}", np.fft.irfft(z[:, :5], n=8, norm=norm))
    say(f"irfft odd {norm}", np.fft.irfft(z[:, :5], n=9, norm=norm))
    pair(f"fftn {norm}", np.fft.fftn(w, axes=(0, 2), norm=norm))
    pair(f"rfftn {norm}", np.fft.rfftn(x((3, 2, 6), 1), axes=(0, 1, 2), norm=norm))
    say(f"irfftn {norm}", np.fft.irfftn(w, s=(3, 8), axes=(0, 2), norm=norm))
pair("ifftn", np.fft.ifftn(w, axes=(2, 1)))
pair("fft prime", np.fft.fft(x((2, 101), 1) + 1j * x((2, 101), 2)))
pair("rfft prime", np.fft.rfft(x((53,), 1)))
pair("fft 97", np.fft.ifft(x((97,), 1) + 1j * x((97,), 2)))
for n in (4, 5):
    say(f"fftfreq {n}", np.fft.fftfreq(n, 0.5))
    say(f"rfftfreq {n}", np.fft.rfftfreq(n, 0.5))
    say(f"fftshift {n}", np.fft.fftshift(x((3, n), 1)))
    say(f"ifftshift {n}", np.fft.ifftshift(x((3, n), 1), axes=1))
say("fft_convolve", np.stack([np.convolve(row, x((4,), 2)) for row in x((2, 9), 1)]))
