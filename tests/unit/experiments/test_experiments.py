"""Runs: what is in their Records, shared weights, progress, and that errors come before work."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import torch

from snnlens import api, cli
from snnlens.errors import InputError
from snnlens.experiments import gradients, rates
from snnlens.experiments._networks import Runner, neuron_of
from snnlens.experiments._params import NetworkParams, command, networks
from tests.unit.runs import TINY, made


def test_probes_of_a_gradients_run() -> None:
    """Gram matrices only of the zero-init Spiking networks, at the four ends of areas."""
    tables = made("gradients", base="DEPTH_18").tables
    assert sorted(tables) == ["firing_rate", "gradient_norm", "output_digest", "pattern_gram"]
    grams = tables["pattern_gram"]
    assert set(grams["network"]) == {"spiking-zero", "spiking-zero-t1"}
    ends = {"layer2.0.input", "layer3.0.input", "layer4.0.input", "layer4.1.output"}
    assert set(grams["site"]) == ends
    digests = set(tables["output_digest"]["network"])
    assert digests == {n for n in made("gradients", base="DEPTH_18").networks if "zero" in n}


def test_a_bounded_surrogate_is_watched() -> None:
    made_record = made("gradients", ("surrogate", "rectangular"), ("residual", "spiking"))
    assert "surrogate_active" in made_record.tables


def test_facts_and_provenance() -> None:
    record = made("gradients", base="DEPTH_18")
    facts = record.networks["sew-add"]
    for key, value in {
        "residual": "sew", "connect": "add", "zero_init": False, "time_steps": 2, "depth": 18,
        "batch": 4, "image_size": 32, "last_stage_samples": 4, "seed": 3, "device": "cpu",
        "neuron": "IF", "threshold": 1.0, "alpha": 2.0, "training_mode": True,
        "forward_passes": 1, "auxiliary": False,
    }.items():  # fmt: skip
        assert facts[key] == value, key
    assert 1 < facts["loss"] < 5  # ln 10 = 2.3 for ten classes
    assert record.networks["spiking-zero-t1"]["auxiliary"] is True
    said = record.provenance
    assert said["question"] == "gradients"
    assert said["parameters"]["depth"] == 18
    assert said["data"] == "digits (scikit-learn), 4 images at 32 px"
    assert len(said["data_fingerprint"]) == 64
    assert said["command"] == (
        "snnlens gradients --depth 18 --time-steps 2 --batch 4 --image-size 32 --seed 3 --threads 1"
    )


@pytest.mark.parametrize(
    "given",
    [{}, {"depth": 50, "connect": "iand,add", "zero_init": "yes"}, {"neuron": "lif", "tau": 3.5,
     "decay_input": False, "threshold": 0.125}, {"surrogate": "sigmoid", "alpha": 1.5,
     "data": "random", "residual": ("ms", "ann"), "layout": "cifar", "depth": 20}],
)  # fmt: skip
def test_the_command_repeats_the_run(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsed by the command line again, it gives the same parameters."""
    params, seen = gradients.Params(**given), []

    def answer(question: str, folder: object, *, force: bool, progress: object, **g: Any) -> None:
        seen.append(api.parameters(question, g))
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "answer", answer)
    program, *words = shlex.split(command("gradients", params))
    assert program == "snnlens"
    assert cli.main(words) == 130
    assert seen == [params]


def test_all_networks_share_their_weights() -> None:
    params = gradients.Params(**TINY)
    runner = Runner(params)
    models = [runner.build(network) for network in networks(params)]
    name = "layer2.0.conv1.weight"
    assert len({m.get_parameter(name).data_ptr() for m in models}) == 1
    assert len({m.layer2[0].bn1.weight.data_ptr() for m in models}) == len(models)  # type: ignore[union-attr,index]
    assert not any(p.requires_grad for m in models for p in m.parameters())


def test_the_seed_is_the_seed_of_the_weights_and_the_images() -> None:
    one, other = Runner(gradients.Params(**TINY)), Runner(gradients.Params(**TINY | {"seed": 1}))
    network = networks(one.params)[0]
    name = "layer1.0.conv1.weight"
    weights = [r.build(network).get_parameter(name) for r in (one, other)]
    assert not torch.equal(*weights)
    assert not torch.equal(one.images.x, other.images.x)
    again = Runner(gradients.Params(**TINY))
    assert torch.equal(again.build(network).get_parameter(name), weights[0])


def test_neuron_of_the_options() -> None:
    assert str(neuron_of(NetworkParams())) == str(api.import_module("snnlens").IF())
    neuron = neuron_of(NetworkParams(neuron="lif", tau=3.0, decay_input=False, reset="soft",
                                     threshold=0.5, surrogate="sigmoid", alpha=2.0))  # fmt: skip
    facts = neuron.facts(4)
    for key, value in {"neuron": "LIF", "tau_steps": 3.0, "decay_input": False, "reset": "soft",
                       "threshold": 0.5, "surrogate": "sigmoid", "alpha": 2.0}.items():  # fmt: skip
        assert facts[key] == value
    plif = neuron_of(NetworkParams(neuron="plif", tau=4.0)).facts(4)
    assert (plif["neuron"], round(plif["tau_steps"], 6)) == ("PLIF", 4.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"surrogate": "arctan"}, ("surrogate must be one of atan, constant, rectangular, sigmoid, "
                                  "superspike, triangular; got 'arctan'")),
        ({"alpha": 0.0}, "alpha must be a finite number above 0; got 0.0"),
        ({"surrogate": "constant", "alpha": 1.0},
         "alpha must be left out: constant has no slope; got 1.0"),
        ({"neuron": "lif", "tau": 0.5},
         "tau must be a finite number of time steps, at least 1; got 0.5"),
        ({"device": "cuda:99"}, ("device must be one of this machine's; got 'cuda:99'; give "
                                "--device cpu")),
        ({"device": "meta"}, "device must be one of this machine's; got 'meta'; give --device cpu"),
        ({"device": "gpu"}, "device must be one of this machine's; got 'gpu'; give --device cpu"),
        ({"batch": 1798}, ("number of images in digits must be at least 1798; got 1797; give "
                          "--batch 1797 or fewer")),
    ],
)  # fmt: skip
def test_what_is_judged_when_the_run_starts(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        api.run("rates", **(TINY | given))
    assert str(error.value) == message


def test_progress_hears_of_every_network_and_site() -> None:
    heard: dict[str, list[int]] = {}
    said: list[str] = []

    def progress(name: str, sites: int) -> Any:
        heard[name] = [sites, 0]

        def tick() -> None:
            heard[name][1] += 1

        return tick

    progress.announce = said.append  # type: ignore[attr-defined]
    options = TINY | {"residual": "spiking"}
    gradients.run(gradients.Params(**options), progress)
    assert list(heard) == ["spiking", "spiking-zero", "spiking-zero-t1"]
    # what was promised at the start is what came: a bar that ends at its end
    assert all(sites == ticks > 0 for sites, ticks in heard.values()), heard
    assert len(said) == 1
    assert said[0].startswith("3 passes; ")
    heard.clear()
    rates.run(rates.Params(**options), progress)
    assert list(heard) == ["spiking", "spiking-zero"]
    assert all(sites == ticks > 0 for sites, ticks in heard.values()), heard


def test_threads_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", wanted.append)
    Runner(rates.Params(**TINY | {"threads": 5}))
    Runner(rates.Params(**TINY | {"threads": None}))
    assert wanted == [5]


def test_runs_leave_the_global_random_state_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Runner(rates.Params(**TINY)).build(networks(rates.Params(**TINY))[0])
    assert torch.equal(torch.get_rng_state(), before)


def test_other_seeds_give_other_numbers() -> None:
    one = made("rates").tables["firing_rate"]
    other = made("rates", ("seed", 1)).tables["firing_rate"]
    assert not one["total"].equals(other["total"])
