"""Writes resize.txt: interpolation, grids, pixels and patches; see figures.py."""

import itertools

import torch
import torch.nn.functional as F
from figures import case, header, leaf, random

header("resize.py")
SHAPES = {1: [2, 2, 5], 2: [2, 2, 5, 4], 3: [1, 2, 3, 4, 5]}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}

for d in [1, 2, 3]:
    modes = {"Nearest": "nearest", "NearestExact": "nearest-exact", "Linear": LINEAR[d], "Area": "area"}
    if d == 2:
        modes["Cubic"] = "bicubic"
    for (name, mode), first, align in itertools.product(modes.items(), [1, 2, 3, 5, 7, 10, 11], [0, 1]):
        corners = name in ["Linear", "Cubic"]
        if align and not corners:
            continue
        x = leaf(random(SHAPES[d], 1))
        size = [first] + [6, 3][: d - 1]
        case(f"interpolate {name} {d} {first} {align}", F.interpolate(x, size, mode=mode, align_corners=bool(align) if corners else None), [x])
    for (name, mode), scale, align in itertools.product(modes.items(), [0.4, 1.0, 1.7, 2.0, 2.6], [0, 1]):
        corners = name in ["Linear", "Cubic"]
        if align and not corners or name == "Area" and d == 3 and scale < 1:
            continue
        x = leaf(random(SHAPES[d], 1))
        value = F.interpolate(x, scale_factor=scale, mode=mode, align_corners=bool(align) if corners else None, recompute_scale_factor=False)
        case(f"scaled {name} {d} {scale} {align}", value, [x])

for (name, mode), first, align in itertools.product({"Linear": "bilinear", "Cubic": "bicubic"}.items(), [1, 2, 3, 5, 9], [0, 1]):
    x = leaf(random(SHAPES[2], 1))
    case(f"antialiased {name} {first} {align}", F.interpolate(x, [first, 3], mode=mode, align_corners=bool(align), antialias=True), [x])

for d, mode, padding, align in itertools.product([2, 3], ["Bilinear", "Nearest", "Bicubic"], ["Zeros", "Border", "Reflection"], [0, 1]):
    if d == 3 and mode == "Bicubic":
        continue
    # Places from far outside on one side to far outside on the other.
    x, grid = leaf(random(SHAPES[d], 1)), leaf(random([SHAPES[d][0], 4, 3] + [2] * (d - 2) + [d], 2) * 1.3)
    value = F.grid_sample(x, grid, mode=mode.lower(), padding_mode=padding.lower(), align_corners=bool(align))
    case(f"grid_sample {d} {mode} {padding} {align}", value, [x, grid])

for d, first, align in itertools.product([2, 3], [1, 3], [0, 1]):
    theta = leaf(random([2, d, d + 1], 3))
    size = [first, 4, 2][:d]
    case(f"affine_grid {d} {first} {align}", F.affine_grid(theta, [2, 1] + size, bool(align)), [theta])

x = leaf(random([2, 18, 2, 4], 4))
case("pixel_shuffle 3", F.pixel_shuffle(x, 3), [x])
x = leaf(random([3, 4, 6], 4))
case("pixel_unshuffle 2", F.pixel_unshuffle(x, 2), [x])

for kernel, dilation, padding, stride in itertools.product([[2, 3], [1, 2]], [[1, 1], [2, 1]], [[0, 0], [1, 2]], [[1, 1], [2, 3]]):
    x = leaf(random([2, 2, 5, 6], 5))
    columns = F.unfold(x, kernel, dilation, padding, stride)
    case(f"unfold {kernel} {dilation} {padding} {stride}", columns, [x])
    y = leaf(random(list(columns.shape), 6))
    case(f"fold {kernel} {dilation} {padding} {stride}", F.fold(y, [5, 6], kernel, dilation, padding, stride), [y])
