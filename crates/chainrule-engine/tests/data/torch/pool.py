"""Writes pool.txt: convolution over three axes, and pooling; see figures.py."""

import itertools

import torch
import torch.nn.functional as F
from figures import case, header, leaf, random

header("pool.py")

for stride, padding, dilation, groups in itertools.product([[1, 1, 1], [2, 1, 3]], [[0, 0, 0], [1, 2, 0]], [[1, 1, 1], [1, 2, 2]], [1, 2]):
    x, w = leaf(random([2, 4, 4, 5, 6], 1)), leaf(random([4, 4 // groups, 2, 3, 2], 2))
    settings = f"{stride} {padding} {dilation} {groups}"
    case(f"conv3d {settings}", F.conv3d(x, w, None, stride, padding, dilation, groups), [x, w])
    x = leaf(random([2, 4, 2, 3, 2], 1))
    if padding[1] == 0 or stride[1] == 1:
        extra = [s - 1 for s in stride]
        case(f"conv_transpose3d {settings}", F.conv_transpose3d(x, w, None, stride, padding, extra, groups, dilation), [x, w])

SHAPES = {1: [2, 2, 7], 2: [2, 2, 7, 6], 3: [1, 2, 5, 4, 6]}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
LP = {1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
UNPOOL = {1: F.max_unpool1d, 2: F.max_unpool2d, 3: F.max_unpool3d}
ADAPTIVE = {
    1: (F.adaptive_avg_pool1d, F.adaptive_max_pool1d),
    2: (F.adaptive_avg_pool2d, F.adaptive_max_pool2d),
    3: (F.adaptive_avg_pool3d, F.adaptive_max_pool3d),
}

for d in [1, 2, 3]:
    for kernel, stride, padded, ceil in itertools.product([2, 3], [1, 2, 3], [0, 1], [0, 1]):
        k, s, p = [kernel] + [2] * (d - 1), [stride] + [2] * (d - 1), [padded] * d
        settings = f"{d} {kernel} {stride} {padded} {ceil}"
        x = leaf(random(SHAPES[d], 3))
        for dilation in [1, 2]:
            value, places = MAX[d](x, k, s, p, dilation, bool(ceil), return_indices=True)
            case(f"max_pool {settings} {dilation}", value, [x])
            case(f"max_pool_indices {settings} {dilation}", places)
        for count in [0, 1]:
            case(f"avg_pool {settings} {count}", AVG[d](x, k, s, p, bool(ceil), bool(count)), [x])
        if d > 1 and not padded:
            case(f"avg_pool {settings} 5", AVG[d](x, k, s, p, bool(ceil), True, 5), [x])
        if not padded:
            for power in [1.0, 2.0, 2.5]:
                x = leaf(random(SHAPES[d], 3).abs())
                case(f"lp_pool {settings} {power}", LP[d](x, power, k if d > 1 else kernel, s, bool(ceil)), [x])
    x = leaf(random(SHAPES[d], 4))
    value, places = MAX[d](x, 2, 2, return_indices=True)
    y = leaf(random(list(value.shape), 5))
    case(f"max_unpool {d} 0", UNPOOL[d](y, places, 2, 2), [y])
    case(f"max_unpool {d} 1", UNPOOL[d](y, places, 2, 2, output_size=SHAPES[d]), [y])
    for size in [1, 2, 3, 5, 8]:
        size = [size] + [3] * (d - 1)
        for name, pool in zip(["avg", "max"], ADAPTIVE[d]):
            case(f"adaptive_{name} {d} {size[0]}", pool(x, size), [x])
