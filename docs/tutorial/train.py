"""Train one of the networks of net.py for 101 steps: python train.py first."""
# ruff: noqa: T201

import sys

import net
import torch
from torch.nn.functional import cross_entropy

from snnlens.data import images

batch = images.load("digits", samples=256)
model = getattr(net, sys.argv[1])()
optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(101):
    loss = cross_entropy(model(batch.x).mean(0), batch.y)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    if step % 25 == 0:
        print(f"step {step:3}  loss {loss.item():.2f}")
