"""Writes batch_norm_torch.txt: `python batch_norm_torch.py > batch_norm_torch.txt`.

Layers of batch normalisation that see three batches and are then evaluated, and a small convolutional network that is
trained for six steps, in double precision. A line is a name and numbers; `numbers` is that of ../library/buffers.rs.
"""

import itertools
import math

import torch

torch.set_default_dtype(torch.float64)


def numbers(shape, seed):
    count = math.prod(shape)
    return torch.tensor([2.0 * math.sin(12.9898 * i + 78.233 * seed) for i in range(count)]).reshape(shape)


def line(name, value):
    print(name, *(f"{v:.13g}" for v in value.detach().flatten().tolist()))


def digest(value):
    return torch.stack([(value * numbers(list(value.shape), 100 + k)).sum() for k in range(2)])


print("# Computed by batch_norm_torch.py with PyTorch", torch.__version__.split("+")[0], "in double precision.")
SHAPES = {"rows": [6, 3], "sequences": [4, 3, 5], "images": [4, 3, 2, 3]}
for (kind, shape), affine, momentum in itertools.product(SHAPES.items(), [0, 1], [0.1, 0.3, None]):
    layer = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d}[len(shape)]
    norm = layer(3, eps=1e-3, momentum=momentum, affine=bool(affine))
    if affine:
        norm.weight.data, norm.bias.data = numbers([3], 1), numbers([3], 2)
    name = f"{kind}.{affine}.{momentum or 'all'}"
    for batch in range(3):
        x = (numbers(shape, 10 + batch) * (batch + 1) + batch).requires_grad_()
        y = norm(x)
    loss = (y * numbers(shape, 77)).sum()
    inputs = [x, norm.weight, norm.bias] if affine else [x]
    line(f"{name}.output", digest(y))
    line(f"{name}.gradients", torch.cat([digest(g) for g in torch.autograd.grad(loss, inputs)]))
    line(f"{name}.statistics", torch.cat([norm.running_mean, norm.running_var, norm.num_batches_tracked.reshape(1).double()]))
    norm.eval()
    line(f"{name}.evaluated", digest(norm(x)))

conv, norm, linear = torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Linear(12, 2)
parameters = [conv.weight, conv.bias, norm.weight, norm.bias, linear.weight, linear.bias]
for i, parameter in enumerate(parameters):
    parameter.data = numbers(list(parameter.shape), 20 + i) / 4
optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=0.02)
losses = []
for step in range(6):
    y = linear(norm(conv(numbers([5, 1, 4, 4], 30 + step % 2))).relu().flatten(1))
    loss = (y - numbers([5, 2], 40 + step % 2)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.detach())
line("trained.losses", torch.stack(losses))
line("trained.statistics", torch.cat([norm.running_mean, norm.running_var]))
line("trained.affine", torch.cat([norm.weight, norm.bias]))
norm.eval()
line("trained.evaluated", linear(norm(conv(numbers([1, 1, 4, 4], 50))).relu().flatten(1)))
