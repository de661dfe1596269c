"""synaptic_operations against convolutions with ones, a plain loop, SpikingJelly and sinabs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from spikingjelly.activation_based import functional as jelly
from spikingjelly.activation_based import layer, neuron
from spikingjelly.activation_based.op_counter import DispatchCounterMode, SynOpCounter
from torch import Tensor, nn

from snnlens.measures.energy import Layer, counted
from snnlens.neuron.layers import IF
from snnlens.probes.synaptic_operations import SynapticOperations
from snnlens.recording.recorder import Recorder
from tests.unit.recording import brute

COUNTS = ("events", "spikes_as_counts", "bit_serial", "macs", "non_integer", "nonzero", "elements")

Case = tuple[nn.Module, tuple[int, ...]]
LAYERS: dict[str, Callable[[], Case]] = {
    "linear": lambda: (nn.Linear(7, 5), (3, 7)),
    "linear, steps and samples": lambda: (nn.Linear(7, 5), (4, 3, 7)),
    "1d": lambda: (nn.Conv1d(4, 6, 3), (3, 4, 11)),
    "1d stride, padding, dilation, groups": lambda: (
        nn.Conv1d(4, 6, 3, stride=2, padding=3, dilation=2, groups=2), (3, 4, 11)),
    "2d": lambda: (nn.Conv2d(3, 5, 3), (2, 3, 6, 7)),
    "2d padded": lambda: (nn.Conv2d(3, 5, 3, padding=1), (2, 3, 6, 7)),
    "2d one by one, strided": lambda: (nn.Conv2d(3, 5, 1, stride=2), (2, 3, 6, 7)),
    "2d that leaves a rest": lambda: (nn.Conv2d(3, 5, 3, stride=3), (2, 3, 8, 7)),
    "2d unlike axes": lambda: (
        nn.Conv2d(4, 6, (3, 2), stride=(1, 2), padding=(2, 0), dilation=(2, 3), groups=2),
        (2, 4, 9, 8)),
    "2d depthwise": lambda: (nn.Conv2d(4, 8, 5, padding=2, groups=4), (2, 4, 6, 6)),
    "2d same, even kernel": lambda: (nn.Conv2d(3, 5, 4, padding="same"), (2, 3, 6, 7)),
    "2d valid": lambda: (nn.Conv2d(3, 5, 4, padding="valid"), (2, 3, 6, 7)),
    "2d circular": lambda: (nn.Conv2d(3, 5, 3, padding=2, padding_mode="circular"), (2, 3, 6, 7)),
    "2d reflect": lambda: (nn.Conv2d(3, 5, 3, padding=2, padding_mode="reflect"), (2, 3, 6, 7)),
    "2d replicate": lambda: (
        nn.Conv2d(3, 5, (4, 3), padding="same", padding_mode="replicate"), (2, 3, 6, 7)),
    "2d without a batch": lambda: (nn.Conv2d(3, 5, 3, padding=1), (3, 6, 7)),
    "3d": lambda: (
        nn.Conv3d(2, 4, (2, 3, 3), stride=(1, 2, 1), padding=(0, 1, 2), groups=2), (2, 2, 4, 5, 6)),
    "multi-step of spikingjelly": lambda: (
        layer.Conv2d(3, 5, 3, stride=2, padding=1, step_mode="m"), (4, 2, 3, 6, 7)),
    "linear multi-step of spikingjelly": lambda: (layer.Linear(7, 5, step_mode="m"), (4, 3, 7)),
    "larger than a chunk": lambda: (nn.Conv2d(4, 3, 3, padding=1), (3, 4, 80, 90)),
}  # fmt: skip


def integers(shape: tuple[int, ...], largest: int = 9) -> Tensor:
    """Whole numbers of either sign, most of them 0."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-largest, largest + 1, shape, generator=generator)
    return (x * (torch.rand(shape, generator=generator) < 0.4)).float()


def count(module: nn.Module, x: Tensor) -> dict[str, Any]:
    """What the probe says of one call."""
    with torch.no_grad():
        found = SynapticOperations().around(None, module, x, module(x))  # type: ignore[arg-type]
    assert all(v.dtype == torch.int64 for n, v in found.items() if n != "total")
    assert found["total"].dtype == torch.float64
    return {name: value.item() for name, value in found.items()}


def through_ones(module: nn.Module, x: Tensor) -> int:
    """The sum of what the layer gives with all weights 1 and no bias, in float64: integers."""
    module = module.double()
    nn.init.ones_(module.weight)  # type: ignore[arg-type]
    nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    with torch.no_grad():
        return int(module(x.double()).sum())


def ones_of(x: Tensor) -> Tensor:
    """Binary digits that are 1, number by number."""
    digits = [abs(int(n)).bit_count() for n in x.flatten().tolist()]
    return torch.tensor(digits, dtype=torch.float64).view(x.shape)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # torch copies then
@pytest.mark.parametrize("name", LAYERS)
def test_against_a_convolution_with_ones(name: str) -> None:
    module, shape = LAYERS[name]()
    x = integers(shape)
    found, out = count(module, x), module(x)
    assert found["events"] == through_ones(module, x != 0)
    assert found["spikes_as_counts"] == through_ones(module, x.abs())
    assert found["bit_serial"] == through_ones(module, ones_of(x))
    assert found["macs"] == through_ones(module, torch.ones(shape))
    assert 0 < found["events"] < found["bit_serial"] < found["spikes_as_counts"]
    fan_in = module.weight[0].numel()  # type: ignore[index]
    assert found["macs_padded"] == out.numel() * fan_in
    assert found["nonzero"] == int(x.count_nonzero())
    assert found["elements"] == x.numel()
    assert found["total"] == float(x.double().sum())
    assert found["non_integer"] == 0


def test_against_a_loop() -> None:
    """Stride 2, padding 1, groups 2: every input, output and kernel position, one by one."""
    module, x = nn.Conv1d(2, 4, 3, stride=2, padding=1, groups=2), integers((2, 2, 6))
    events = counts = 0
    for sample in x.tolist():
        for into in range(4):
            for place in range(3):  # outputs of 6 + 2 - 2 = 6 positions, every second
                for k in range(3):
                    at = 2 * place + k - 1
                    if 0 <= at < 6:
                        events += sample[into // 2][at] != 0
                        counts += abs(sample[into // 2][at])
    found = count(module, x)
    assert (found["events"], found["spikes_as_counts"]) == (events, counts)


def test_what_is_no_whole_number() -> None:
    """It is an event, but neither so many spikes nor so many bits."""
    x = torch.tensor([[0.0, 0.5, -3.0, 2.0**24, 2.0**24 - 1, math.nan, math.inf, 1e-30]])
    found = count(nn.Linear(8, 10), x)
    assert found["non_integer"] == 5  # 0.5, 2^24, NaN, infinity, 1e-30
    assert found["events"] == 7 * 10
    assert found["spikes_as_counts"] == (3 + 2**24 - 1) * 10
    assert found["bit_serial"] == (2 + 24) * 10
    assert found["nonzero"] == 7


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats(dtype: torch.dtype) -> None:
    """70000 ones in float16: beyond its largest number, 65504."""
    module, x = nn.Conv1d(1, 2, 1).to(dtype), torch.ones(70_000, 1, 1, dtype=dtype)
    assert count(module, x)["events"] == 140_000
    assert count(module, 3 * x)["bit_serial"] == 280_000
    assert count(module, 0.5 * x)["non_integer"] == 70_000


def test_spikes_and_the_same_by_the_general_way() -> None:
    """Zeros and ones take a short cut; with one -1 among them they do not."""
    module = nn.Conv2d(3, 5, 3, padding=1)
    x = (integers((2, 3, 6, 7)) != 0).float()
    x[0, 0, 2, 2] = 1
    other = x.clone()
    other[0, 0, 2, 2] = -1
    short, general = count(module, x), count(module, other)
    assert {n: short[n] for n in COUNTS} == {n: general[n] for n in COUNTS}
    assert short["total"] - general["total"] == 2
    assert short["events"] == short["spikes_as_counts"] == short["bit_serial"]


class Padded(nn.Conv2d):
    """Pads by itself, so that its output is larger than its own numbers say."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(x, (1, 1, 1, 1)))


def test_it_says_nothing_of_what_it_cannot_count() -> None:
    x = torch.ones(1, 3, 6, 6)
    with torch.no_grad():
        for module in (nn.ConvTranspose2d(3, 2, 3), Padded(3, 2, 3)):
            assert SynapticOperations().around(None, module, x, module(x)) == {}  # type: ignore[arg-type]
        module = nn.Linear(3, 2)
        empty = torch.ones(0, 3)
        assert SynapticOperations().around(None, module, empty, module(empty)) == {}  # type: ignore[arg-type]


def jelly_net(mode: str) -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(
        layer.Conv2d(2, 6, 3, padding=1, bias=False), neuron.IFNode(0.3),
        layer.Conv2d(6, 4, 3, stride=2, groups=2, bias=False), neuron.IFNode(0.3),
        layer.Flatten(), layer.Linear(4 * 3 * 3, 5, bias=False),
    )  # fmt: skip
    jelly.set_step_mode(net, mode)
    return net


@pytest.mark.parametrize("mode", ["m", "s"])
def test_against_spikingjellys_counter(mode: str) -> None:
    """A network of zeros and ones throughout: its own SynOps, layer by layer summed."""
    net = jelly_net(mode)
    x = (torch.rand(4, 3, 2, 8, 8, generator=torch.Generator().manual_seed(1)) < 0.3).float()

    def run() -> None:
        for part in [x] if mode == "m" else x:
            net(part)

    with torch.no_grad(), Recorder(net, [SynapticOperations()]) as recorder:
        run()
    jelly.reset_net(net)
    counter = SynOpCounter()
    with torch.no_grad(), DispatchCounterMode([counter]):
        run()
    frame = recorder.frame().dropna(subset="synops").set_index("site")
    assert list(frame.index) == ["0", "2", "5"]
    assert frame["synops"].sum() == counter.get_total()
    assert (frame["synops"] > 0).all()
    assert frame.loc["0", "input_rate"] == float(x.mean(dtype=torch.float64))
    assert frame.loc["5", "macs"] == 4 * 3 * 36 * 5


def test_against_sinabs_map_of_connections() -> None:
    """Its fan-out per input, a transposed convolution of ones, where stride leaves no rest."""
    from sinabs.hooks import conv_connection_map

    module = nn.Conv2d(3, 5, 3, stride=2, padding=1)
    x = integers((2, 3, 7, 9))
    out = module(x)
    fan_out = conv_connection_map(module, x.shape[1:], out.shape[1:])
    assert count(module, x)["events"] == int(((x != 0) * fan_out).sum())


def test_integer_spikes_stay_additions() -> None:
    """SEW ADD: its spikes reach 3 or more, and no layer behind the first is priced as MACs."""
    model = brute.small("sew", "add", neuron=IF(0.2), depth=20)
    images = brute.batch()
    inputs: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(
                lambda _m, args, _o, name=name: inputs.__setitem__(name, args[0].detach())
            )
    with torch.no_grad(), Recorder(model, [SynapticOperations()]) as recorder:
        model(images)
    table = recorder.record().table("synaptic_operations").set_index("site")
    deep = inputs["layer3.2.conv1"]
    assert deep.max() >= 3
    row = table.loc["layer3.2.conv1"]
    ones = nn.Conv2d(64, 64, 3, padding=1, dtype=torch.float64)
    assert row["events"] == through_ones(ones, deep != 0)
    assert row["spikes_as_counts"] == through_ones(ones, deep)
    layers = [Layer(float(r.events), float(r.macs), float(r.spikes_as_counts),
                    float(r.bit_serial), r.non_integer == 0)
              for r in table.itertuples()]  # fmt: skip
    fc = table.index.get_loc("fc")  # its input is a mean over steps and positions
    assert [x.integer for x in layers] == [i not in (0, fc) for i in range(len(layers))]
    spiking = [x for i, x in enumerate(layers) if i not in (0, fc)]
    made = counted(spiking)
    assert made.macs == 0
    assert made.additions == sum(x.events for x in spiking)


def test_batches_and_steps_add_up() -> None:
    net = jelly_net("m")
    xs = [(torch.rand(t, 2, 2, 8, 8, generator=torch.Generator().manual_seed(t)) < 0.4).float()
          for t in (3, 5)]  # fmt: skip
    with torch.no_grad(), Recorder(net, [SynapticOperations()]) as recorder:
        for x in xs:
            jelly.reset_net(net)
            net(x)
    row = recorder.record().table("synaptic_operations").iloc[0]
    ones = nn.Conv2d(2, 6, 3, padding=1)
    assert row["events"] == sum(through_ones(ones, x.flatten(0, 1)) for x in xs)
