"""A ReLU network for MNIST, as somebody brings it to be converted: 97.88 % with published weights.

The weights are sinabs_mnist_params.pt of synsense/sinabs. They have no biases, so the unit of the
pixels changes no decision; `mnist` gives one channel in [0, 1].

Run: snnlens conversion --ann examples/mnist_ann.py:build --weights FILE --data mnist:FOLDER
"""

from torch import nn


def build() -> nn.Module:
    """Images [B, 1, 28, 28] in, logits [B, 10] out; each ReLU is a module of its own."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(20, 32, 5, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(32, 128, 3, bias=False),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 500, bias=False),
        nn.ReLU(),
        nn.Linear(500, 10, bias=False),
    )
