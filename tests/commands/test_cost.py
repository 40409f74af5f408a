"""`cxr cost`: what a step costs on the devices that are here, and what it refuses."""

import contextlib
import functools
import io
import json

import jax
import pytest
from tiny_run import tiny_config

from cxr_jax.augment import AugmentConfig
from cxr_jax.commands import cost as command
from cxr_jax.commands import main
from cxr_jax.errors import ConfigError
from cxr_jax.models import init
from cxr_jax.training import cost as costs
from cxr_jax.training.config_json import to_json
from cxr_jax.training.hlo import Moved
from cxr_jax.training.recipe import make_recipe

BATCH, DEVICES = 16, 8


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    config = tiny_config(
        folder, folder, batch_size=BATCH, augment=AugmentConfig(enabled=False), mixup_alpha=0.0
    )
    (folder / "config.json").write_text(to_json(config))
    return config


def run(config, *arguments):
    return main(["cost", f"--run={config.workdir}", *arguments])


@functools.cache
def numbers(config, *arguments):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert run(config, "--json", *arguments) == 0
    return json.loads(printed.getvalue())


def test_numbers_of_a_step_are_those_of_each_device(config):
    found = numbers(config)
    assert found["where"] == "8 x cpu"
    assert (found["images"], found["batch_size"]) == (BATCH // DEVICES, BATCH)
    shapes = jax.eval_shape(lambda: init(jax.random.key(0), make_recipe(config).model, (32, 32, 1)))
    params, stats = (
        4 * sum(x.size for x in jax.tree.leaves(shapes[name])) for name in ("params", "batch_stats")
    )
    # Adam keeps two values a parameter. An image is a byte a pixel.
    own = 3 * params + stats + BATCH // DEVICES * 32 * 32
    assert found["arguments"] == pytest.approx(own, rel=0.02)
    # Gradients once; mean and variance of every map, forward and backward.
    assert list(found["collectives"]) == ["all-reduce"]
    assert params < found["collectives"]["all-reduce"]["bytes"] < params + 6 * stats
    assert found["memory_traffic"] == pytest.approx(found["bytes_accessed"], rel=0.3)
    assert 0 < found["temporaries"] < found["memory"]
    assert found["flops"] > 0
    assert "roofline" not in found


def test_accumulation_exchanges_no_image_and_costs_its_micro_batches(config):
    one, two = numbers(config), numbers(config, "--batch_size=32", "--accumulate=2")
    assert list(two["collectives"]) == ["all-reduce"]
    assert two["flops"] == pytest.approx(2 * one["flops"], rel=0.05)
    assert two["temporaries"] < 1.5 * one["temporaries"]
    count = one["collectives"]["all-reduce"]["count"]
    assert count < two["collectives"]["all-reduce"]["count"] <= 2 * count + 2


def test_statistics_of_each_device_need_no_exchange_by_layer(config):
    one, own = numbers(config), numbers(config, "--parallel=pmap")
    assert own["images"] == one["images"]
    assert own["arguments"] == pytest.approx(one["arguments"], rel=0.02)
    one, own = (each["collectives"]["all-reduce"] for each in (one, own))
    assert own["count"] < one["count"] / 3
    # Gradients and running statistics, where it was gradients and those of the batch.
    assert own["bytes"] == pytest.approx(one["bytes"], rel=0.1)


def test_the_wait_is_announced(config, capsys, monkeypatch):
    def costs_nothing(config, recipe, devices):
        assert recipe.model.remat == config.remat == "layer"
        return STEP

    monkeypatch.setattr(command, "step_cost", costs_nothing)
    assert run(config, "--remat=layer") == 0
    assert capsys.readouterr().err == "compiling tiny for 8 x cpu, which may take minutes\n"


def test_a_single_chip_has_a_host_of_its_own(monkeypatch):
    asked = []

    def describe(*arguments, **bounds):
        asked.append(bounds)
        raise jax.errors.JaxRuntimeError("enough")

    monkeypatch.setattr(costs.topologies, "get_topology_desc", describe)
    for topology in ("v5e:1x1", "v5e:2x4"):
        with pytest.raises(ConfigError, match="take one chip or multiples of 2 x 2"):
            costs.tpu_devices(topology)
    assert asked == [{"chips_per_host_bounds": (1, 1, 1)}, {}]


def test_tables_are_printed(config, capsys):
    assert run(config) == 0
    printed = capsys.readouterr().out
    assert "tiny, float32, 32 x 32 pixels, 8 x cpu, 2 images a device" in printed
    for name in ("FLOP", "bytes accessed", "memory traffic", "temporaries", "all-reduce"):
        assert f"\n{name} " in printed or f"  {name} " in printed


STEP = costs.StepCost(
    devices=8,
    images=64,
    flops=2e12,
    bytes_accessed=8.19e9,
    temporaries=10 * 2**30,
    arguments=2**30,
    outputs=0,
    program=0,
    collectives={},
    traffic={"copy, other": Moved(3, 4 * 10**9), "dot, forward": Moved(1, 10**9)},
)


def test_the_roofline_is_the_slower_of_compute_and_memory():
    chip = costs.CHIPS["v5e"]
    assert STEP.moved == 5 * 10**9
    assert STEP.seconds(chip, moved=0) == pytest.approx(2 / 197)
    assert STEP.seconds(chip, moved=8.19e10) == pytest.approx(0.1)
    assert STEP.fits(chip)
    assert not STEP.fits(costs.Chip(flops=1.0, bandwidth=1.0, memory=10 * 2**30))


@pytest.mark.parametrize("topology", ["v9:2x2", "v5e", "v5e:2x2x", "2x4", "v5e:axb", "v5p:2x4"])
def test_a_topology_that_is_none_is_refused(config, capsys, topology):
    assert run(config, f"--topology={topology}") == 1
    assert capsys.readouterr().err == (
        "error: topology must be a chip and its shape, such as v5e:2x4, v5p:2x2x1, v6e:2x4, "
        f"got {topology!r}\n"
    )


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (
            RuntimeError("JAX TPU support not installed"),
            "needs libtpu, which is not installed",
        ),
        (jax.errors.JaxRuntimeError("INVALID_ARGUMENT: 3x5\nat"), "it says: INVALID"),
    ],
)
def test_what_libtpu_cannot_do_is_one_line(config, capsys, monkeypatch, raised, message):
    def refuse(*arguments):
        raise raised

    monkeypatch.setattr(costs.topologies, "get_topology_desc", refuse)
    assert run(config, "--topology=v5e:3x5") == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--batch_size=12", "batch_size must be a multiple of the 8 devices, got 12"),
        ("--accumulate=4", "a multiple of the 8 devices times accumulate=4, got 16"),
        ("--accumulate=0", "accumulate must be > 0, got 0"),
        ("--image_size=8", "at least 13 x 13 pixels for this network's halvings, got 8 x 8"),
    ],
)
def test_a_step_that_cannot_be_is_refused(config, capsys, argument, message):
    assert run(config, argument) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_step_too_large_for_the_chip_is_refused_with_the_cure(config, monkeypatch):
    class Step:
        def lower(self, *arguments):
            raise jax.errors.JaxRuntimeError(
                "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO "
                "temporaries (33.76G) exceeds available HBM (15.75G).\nmore"
            )

    monkeypatch.setattr(costs, "jit_train_step", lambda *arguments: Step())
    with pytest.raises(ConfigError, match=r"take a smaller --batch_size.*\(33.76G\) exceeds.*\.$"):
        costs.step_cost(config, make_recipe(config), jax.devices())
