"""SpikingJelly's own SEW ResNets: the check-up runs, and integer spikes stay additions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import snnlens
from snnlens.analysis._energy import layers
from snnlens.measures.energy import counted
from tests.parity.jelly import load

pytest.importorskip("spikingjelly")
pytestmark = pytest.mark.parity
DEEP = pytest.mark.slow


class Shown(nn.Module):
    """An image shown T times to a multi-step network that is reset before."""

    def __init__(self, net: nn.Module, reset: object, steps: int = 4) -> None:
        super().__init__()
        self.net, self.reset, self.steps = net, reset, steps

    def forward(self, x: Tensor) -> Tensor:
        self.reset(self.net)
        return self.net(x.expand(self.steps, *x.shape))


def shown(depth: int) -> Shown:
    jelly = load()
    torch.manual_seed(0)
    net = getattr(jelly.sew, f"sew_resnet{depth}")(
        cnf="ADD", spiking_neuron=jelly.neuron.IFNode, num_classes=10, detach_reset=True,
        surrogate_function=jelly.surrogate.ATan(),
    )  # fmt: skip
    jelly.functional.set_step_mode(net, "m")
    return Shown(net, jelly.functional.reset_net)


@pytest.mark.parametrize("depth", [18, *(pytest.param(d, marks=DEEP) for d in (34, 50, 101, 152))])
def test_a_check_up_of_sew_resnet(depth: int) -> None:
    torch.manual_seed(1)
    x, y = torch.randn(2, 3, 32, 32), torch.tensor([3, 7])
    model = shown(depth)
    result = snnlens.checkup(model, x, y)
    facts = result.record.networks["Shown"]
    spiking = [m for m in model.modules() if type(m).__name__ == "IFNode"]
    assert facts["spiking_layers"] == len(spiking) == len(result.table)
    assert (facts["time_steps"], facts["time_axis"], facts["binary"]) == (4, "on axis 0", True)
    assert (facts["residual"], facts["connect"]) == ("sew", "add")
    assert result.table["replay_mismatches"].sum() == 0
    assert result.table["firing_rate"].max() > 0
    assert not [f for f in result.findings if f.severity == "error"]

    found = layers(result.record, "Shown")
    largest = result.record.frame().query("role == 'block_output'")["largest"]
    assert largest.max() >= 2  # integer spikes pass, and yet
    graded = [layer for layer in found if not layer.integer]
    assert len(graded) == 1  # only the image: at 32 px the mean before the last layer is of one
    once, serial = (counted(found, integer_spikes=how) for how in ("binary", "bit_serial"))
    assert once.macs == serial.macs == sum(layer.macs for layer in graded)
    assert once.additions < serial.additions


def test_the_audit_of_sew_resnet18() -> None:
    from snnlens import api
    from snnlens.experiments import audit

    torch.manual_seed(1)
    record = audit.of(shown(18), torch.randn(2, 3, 32, 32), torch.tensor([3, 7]),
                      audit.Params(model="sew"))  # fmt: skip
    table = api.analyse("audit", record).table
    assert table["equal"].all()
    assert table["quantity"].nunique() == 11
    assert len(table) > 150
