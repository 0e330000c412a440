"""What the scripts of this folder share: inputs that the tests can make themselves, and results as text.

    python loss.py > loss.txt        (and the others likewise)

`random` gives what `random` of functions/check.rs gives. A case is a name, the value, and the gradients of
sum(value * random(shape, 77)) by its inputs. Of more than 6 numbers, two sums of products with random numbers are
stored instead: one wrong number changes both.
"""

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
MASK = (1 << 64) - 1


def numbers(count, seed):
    state = (seed * 0x9E3779B97F4A7C15 & MASK) | 1
    out = []
    for i in range(count + 8):
        state ^= state << 13 & MASK
        state ^= state >> 7
        state ^= state << 17 & MASK
        out.append((state >> 11) / (1 << 53) * 4.0 - 2.0)
    return out[8:]


def random(shape, seed):
    return torch.tensor(numbers(int(np.prod(shape)), seed)).reshape(shape)


def leaf(x):
    return x.detach().clone().requires_grad_()


def line(word, value):
    value = value.detach().to(torch.float64)
    flat = value.flatten()
    if flat.numel() > 6:
        flat = torch.stack([(flat * random([flat.numel()], 1000 + k)).sum() for k in range(2)])
    print(word, "x".join(map(str, value.shape)) or "-", *(f"{v:.13g}" for v in flat.tolist()))


def case(name, value, inputs=()):
    print("case", name)
    line("value", value)
    if inputs:
        loss = (value * random(list(value.shape), 77)).sum()
        for g, x in zip(torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True), inputs):
            line("grad", torch.zeros_like(x) if g is None else g)


def header(script):
    print(f"# Computed by {script} with PyTorch", torch.__version__.split("+")[0], "in double precision.")
