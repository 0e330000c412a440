"""Writes optimizers_torch.json: where PyTorch's optimizers bring 17 numbers in f64.

usage: python optimizers_torch.py > optimizers_torch.json
"""
import json
import math
import sys

import torch

torch.set_default_dtype(torch.float64)
N, STEPS, RATE = 17, 100, 0.05
A = torch.tensor([1 + i / 8 for i in range(N)])
B = torch.tensor([(i % 5 - 2) / 4 for i in range(N)])
START = [(i * 7 % 11 - 5) / 8 for i in range(N)]


def loss(w):
    """Has the gradient A B cos(A w) + w / 4."""
    return (torch.sin(A * w) * B).sum() + 0.125 * (w * w).sum()


def factor(step):
    """Ten steps of warm-up, then half a cosine wave to a tenth in step 80."""
    if step < 10:
        return (step + 1) / 10
    if step >= 80:
        return 0.1
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - 10) / 70))


CASES = {
    "sgd": lambda p: torch.optim.SGD(p, RATE),
    "sgd_decay": lambda p: torch.optim.SGD(p, RATE, weight_decay=0.1),
    "sgd_momentum": lambda p: torch.optim.SGD(p, RATE, momentum=0.9),
    "sgd_nesterov_decay": lambda p: torch.optim.SGD(p, RATE, momentum=0.8, nesterov=True, weight_decay=0.03),
    "adam": lambda p: torch.optim.Adam(p, RATE, foreach=False),
    "adam_decay": lambda p: torch.optim.Adam(p, RATE, betas=(0.7, 0.95), eps=1e-6, weight_decay=0.1, foreach=False),
    "adamw": lambda p: torch.optim.AdamW(p, RATE, weight_decay=0.01, foreach=False),
    "adamw_betas": lambda p: torch.optim.AdamW(p, RATE, betas=(0.5, 0.9), eps=1e-2, weight_decay=0.3, foreach=False),
}

results = {"torch": torch.__version__}
for clip in (None, 0.75):
    for name, make in CASES.items():
        w = torch.tensor(START, requires_grad=True)
        optimizer = make([w])
        saved = []
        for step in range(STEPS):
            optimizer.param_groups[0]["lr"] = RATE * factor(step)
            optimizer.zero_grad()
            loss(w).backward()
            if clip is not None:
                torch.nn.utils.clip_grad_norm_([w], clip)
            optimizer.step()
            if step + 1 in (1, 2, 10, STEPS):
                saved.append(w.tolist())
        results[name + ("" if clip is None else "_clipped")] = saved
json.dump(results, sys.stdout, indent=1)
print()
