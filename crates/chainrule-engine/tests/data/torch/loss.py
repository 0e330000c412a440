"""Writes loss.txt; see figures.py."""

import itertools

import torch
import torch.nn.functional as F
from figures import case, header, leaf, random

header("loss.py")
N, C = 5, 4
REDUCTIONS = ["none", "mean", "sum"]
CLASSES = torch.tensor([2, 0, 3, 1, 0])
X = random([N, C], 1)
W = torch.sigmoid(random([C], 2))
P = torch.softmax(random([N, C], 3), -1)
Y = torch.sigmoid(random([N, C], 4))
SIGNS = torch.sign(random([N, C], 5))

for r, weighted, ignore, smoothing in itertools.product(REDUCTIONS, [0, 1], [0, 1], [0.0, 0.3]):
    x, w = leaf(X), W if weighted else None
    kind = dict(weight=w, ignore_index=0 if ignore else -100, reduction=r)
    case(f"cross_entropy {r} {weighted} {ignore} {smoothing}", F.cross_entropy(x, CLASSES, label_smoothing=smoothing, **kind), [x])
    if smoothing == 0.0:
        case(f"nll {r} {weighted} {ignore}", F.nll_loss(x, CLASSES, **kind), [x])
    if not ignore:
        p = leaf(P)
        value = F.cross_entropy(x, p, weight=w, label_smoothing=smoothing, reduction=r)
        case(f"distributions {r} {weighted} {smoothing}", value, [x, p])

for r, weighted, positive in itertools.product(REDUCTIONS, [0, 1], [0, 1]):
    x, y, w = leaf(X), leaf(Y), W if weighted else None
    value = F.binary_cross_entropy_with_logits(x, y, weight=w, pos_weight=(W * 3) if positive else None, reduction=r)
    case(f"bce_with_logits {r} {weighted} {positive}", value, [x, y])
    if not positive:
        x = leaf(P)
        # The gradient by the target is not implemented there.
        case(f"bce {r} {weighted}", F.binary_cross_entropy(x, Y, weight=w, reduction=r), [x])
        x = leaf(X)
        case(f"multilabel_soft_margin {r} {weighted}", F.multilabel_soft_margin_loss(x, Y, weight=w, reduction=r), [x])

for logs in [0, 1]:
    x, t = leaf(torch.log_softmax(X, -1)), leaf(P.log() if logs else P)
    case(f"kl_div {logs}", F.kl_div(x, t, reduction="batchmean", log_target=bool(logs)), [x, t])

for r in REDUCTIONS:
    x, y = leaf(X), leaf(Y)
    case(f"pairwise mse {r}", F.mse_loss(x, y, reduction=r), [x, y])
    case(f"pairwise l1 {r}", F.l1_loss(x, y, reduction=r), [x, y])
    case(f"pairwise huber {r}", F.huber_loss(x, y, delta=0.7, reduction=r), [x, y])
    case(f"pairwise smooth_l1 {r}", F.smooth_l1_loss(x, y, beta=0.7, reduction=r), [x, y])
    case(f"pairwise soft_margin {r}", F.soft_margin_loss(x, SIGNS, reduction=r), [x])
    case(f"pairwise hinge_embedding {r}", F.hinge_embedding_loss(x, SIGNS, margin=0.6, reduction=r), [x])
    a, b = leaf(X), leaf(random([N, C], 6))
    case(f"pairwise margin_ranking {r}", F.margin_ranking_loss(a, b, SIGNS, margin=0.4, reduction=r), [a, b])
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0])
    case(f"pairwise cosine_embedding {r}", F.cosine_embedding_loss(a, b, signs, margin=-0.3, reduction=r), [a, b])
    labels = torch.tensor([[3, 0, -1, 1], [1, -1, 2, 0], [-1, 0, 0, 0], [0, 1, 2, 3], [2, -1, -1, -1]])
    case(f"pairwise multilabel_margin {r}", F.multilabel_margin_loss(x, labels, reduction=r), [x])

for log_input, full in itertools.product([0, 1], [0, 1]):
    x, y = leaf(X if log_input else X.abs()), Y * 6
    case(f"poisson_nll {log_input} {full}", F.poisson_nll_loss(x, y, log_input=bool(log_input), full=bool(full), eps=1e-3), [x])

for full, width in itertools.product([0, 1], [C, 1]):
    x, y, v = leaf(X), leaf(Y), leaf(torch.sigmoid(random([N, width], 7)) * 0.5)
    case(f"gaussian_nll {full} {width}", F.gaussian_nll_loss(x, y, v, full=bool(full), eps=0.2), [x, y, v])

for r, p, weighted, margin in itertools.product(REDUCTIONS, [1, 2], [0, 1], [1.0, 0.3]):
    x = leaf(X)
    value = F.multi_margin_loss(x, CLASSES, p=p, margin=margin, weight=W if weighted else None, reduction=r)
    case(f"multi_margin {r} {p} {weighted} {margin}", value, [x])

for p, swap, margin in itertools.product([1.0, 2.0, 3.0, float("inf")], [0, 1], [1.0, 3.0]):
    inputs = [leaf(random([N, C], 10 + i)) for i in range(3)]
    case(f"triplet {p} {swap} {margin}", F.triplet_margin_loss(*inputs, margin=margin, p=p, swap=bool(swap), reduction="none"), inputs)

# torchvision's sigmoid_focal_loss, by its formula.
for gamma, alpha in itertools.product([0.0, 0.5, 2.0], [-1.0, 0.25]):
    x, y = leaf(X), (SIGNS + 1) / 2
    p = torch.sigmoid(x)
    value = F.binary_cross_entropy_with_logits(x, y, reduction="none") * (1 - (p * y + (1 - p) * (1 - y))) ** gamma
    case(f"focal {gamma} {alpha}", (value * (alpha * y + (1 - alpha) * (1 - y)) if alpha >= 0 else value).mean(), [x])

T, N, C, S = 7, 4, 5, 3
for r, blank, zero in itertools.product(REDUCTIONS, [0, 2], [0, 1]):
    x = leaf(random([T, N, C], 20))
    # The last target repeats a label, and its three labels do not fit four steps where a blank must come between.
    labels = [1, 3, 4] if blank == 0 else [1, 3, 0]
    a, b, c = labels
    targets = torch.tensor([[a, b, c], [b, b, a], [c, a, blank], [a, a, a]])
    steps, lengths = torch.tensor([7, 6, 3, 5 if not zero else 4]), torch.tensor([3, 3, 1, 3])
    value = F.ctc_loss(x.log_softmax(-1), targets, steps, lengths, blank=blank, reduction=r, zero_infinity=bool(zero))
    case(f"ctc {r} {blank} {zero}", value, [x])
x = leaf(random([3, 2, 3], 21))
none = torch.zeros(2, dtype=torch.int64)
case("ctc empty", F.ctc_loss(x.log_softmax(-1), torch.tensor([[1], [2]]), torch.tensor([3, 2]), none, reduction="none"), [x])
