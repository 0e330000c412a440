"""Writes sequence.txt: normalisations, attention, places and recurrent cells; see figures.py."""

import itertools

import torch
import torch.nn.functional as F
from figures import case, header, leaf, random

header("sequence.py")

for affine, momentum in itertools.product([0, 1], [0.1, 0.25]):
    x, g, b = leaf(random([3, 4, 2, 3], 1)), leaf(random([4], 2)), leaf(random([4], 3))
    mean, variance = random([4], 4), torch.sigmoid(random([4], 5))
    kind = dict(weight=g, bias=b) if affine else {}
    inputs = [x, g, b] if affine else [x]
    case(f"batch_norm {affine} {momentum} eval", F.batch_norm(x, mean, variance, **kind, eps=1e-3), inputs)
    case(f"batch_norm {affine} {momentum} train", F.batch_norm(x, mean, variance, **kind, training=True, momentum=momentum, eps=1e-3), inputs)
    case(f"batch_norm {affine} {momentum} mean", mean)
    case(f"batch_norm {affine} {momentum} variance", variance)
    if momentum == 0.1:
        case(f"norm instance {affine}", F.instance_norm(x, **kind, eps=1e-3), inputs)
        for groups in [1, 2, 4]:
            case(f"norm group {groups} {affine}", F.group_norm(x, groups, **kind, eps=1e-3), inputs)
        for axes in [[3], [2, 3], [4, 2, 3]]:
            g, b = leaf(random(axes, 2)), leaf(random(axes, 3))
            kind = dict(weight=g, bias=b) if affine else {}
            case(f"norm layer {len(axes)} {affine}", F.layer_norm(x, axes, **kind, eps=1e-3), [x, g, b] if affine else [x])
            kind = dict(weight=g) if affine else {}
            case(f"norm rms {len(axes)} {affine}", F.rms_norm(x, axes, **kind, eps=1e-3), [x, g] if affine else [x])
for size, beta in itertools.product([1, 2, 3, 5], [0.75, 2.0]):
    x = leaf(random([2, 6, 3], 6))
    case(f"local_response {size} {beta}", F.local_response_norm(x, size, alpha=0.7, beta=beta, k=1.5), [x])

T, S = 4, 6
mask = torch.tensor(random([T, S], 9) > -1.2)
mask[:, 0] = True
for queries, keys in [(4, 6), (6, 4), (5, 5)]:
    for kv, masked, causal, cap in itertools.product([4, 2, 1], ["none", "bool", "float", "heads"], [0, 1], [0.0, 1.5]):
        q, k, v = leaf(random([2, 4, queries, 3], 1)), leaf(random([2, kv, keys, 3], 2)), leaf(random([2, kv, keys, 2], 3))
        bias = {"none": 0.0, "bool": None, "float": random([queries, keys], 4), "heads": random([4, 1, keys], 5)}[masked]
        if masked == "bool":
            seen = random([queries, keys], 9) > -1.2
            seen[:, 0] = True
            bias = torch.zeros(queries, keys).masked_fill(~seen, float("-inf"))
        bias = torch.zeros(queries, keys) + bias
        if causal:
            bias = bias.masked_fill(torch.ones(queries, keys, dtype=torch.bool).tril() == 0, float("-inf"))
        if cap == 0.0:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, enable_gqa=True)
        else:
            scores = q @ k.repeat_interleave(4 // kv, 1).mT / 3**0.5
            y = torch.softmax(torch.tanh(scores / cap) * cap + bias, -1) @ v.repeat_interleave(4 // kv, 1)
        case(f"attention {queries} {keys} {kv} {masked} {causal} {cap}", y, [q, k, v])

for interleaved, width, start in itertools.product([0, 1], [6, 4], [0, 3]):
    x = leaf(random([2, 3, 5, 6], 1))
    angles = (torch.arange(5) + start)[:, None] * 100.0 ** -(torch.arange(width // 2) * 2 / width)
    turn = torch.polar(torch.ones_like(angles), angles)
    moving = x[..., :width]
    pairs = moving.unflatten(-1, (-1, 2)) if interleaved else moving.unflatten(-1, (2, -1)).mT
    y = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * turn)
    y = (y if interleaved else y.mT).flatten(-2)
    case(f"rotary {interleaved} {width} {start}", torch.cat([y, x[..., width:]], -1), [x])

TIME, N, IN, HIDDEN, OUT = 5, 3, 2, 4, 3
KINDS = {"RnnTanh": 1, "RnnRelu": 1, "Gru": 3, "Lstm": 4}
for (kind, gates), biased, ways, projected, begun, ragged in itertools.product(KINDS.items(), [0, 1], [1, 2], [0, 1], [0, 1], [0, 1]):
    if projected and kind != "Lstm":
        continue
    out = OUT if projected else HIDDEN
    sizes = dict(bias=bool(biased), bidirectional=ways == 2)
    if kind == "Lstm":
        net = torch.nn.LSTM(IN, HIDDEN, proj_size=OUT if projected else 0, **sizes)
    elif kind == "Gru":
        net = torch.nn.GRU(IN, HIDDEN, **sizes)
    else:
        net = torch.nn.RNN(IN, HIDDEN, nonlinearity=kind[3:].lower(), **sizes)
    weights = list(net.parameters())
    for i, w in enumerate(weights):
        w.data = random(list(w.shape), 50 + i)
    x = leaf(random([TIME, N, IN], 1))
    h, c = random([ways, N, out], 2), random([ways, N, HIDDEN], 3)
    state = ((h, c) if kind == "Lstm" else h) if begun else None
    given = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([3, 5, 1]), enforce_sorted=False) if ragged else x
    y, last = net(given, state)
    y = torch.nn.utils.rnn.pad_packed_sequence(y, total_length=TIME)[0] if ragged else y
    last = torch.cat(last, -1) if kind == "Lstm" else last
    settings = f"{kind} {biased} {ways} {projected} {begun} {ragged}"
    case(f"recurrent {settings} output", y, [x] + weights)
    case(f"recurrent {settings} state", last, [x] + weights)
