"""Runs that start from a file of published weights."""

import dataclasses
import shutil

import jax
import numpy as np
import optax
import pytest
from tiny_run import PLAIN, tiny_config

from cxr_jax import commands, models
from cxr_jax.errors import CheckpointError, ConfigError, TrainingError
from cxr_jax.models import pretrained
from cxr_jax.models.weights import read_weights
from cxr_jax.training import Config, fit
from cxr_jax.training.pretrained_config import PretrainedConfig
from cxr_jax.training.recipe import make_recipe
from cxr_jax.training.saved import load_run
from cxr_jax.training.start import hold_back

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
NETWORK = models.DenseNetConfig.tiny(num_classes=2, in_channels=3, mean=MEAN, std=STD)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    variables = models.init(jax.random.key(5), NETWORK, (32, 32, 3))
    pretrained.save(path, NETWORK, variables, labels=("no Cardiomegaly", "Cardiomegaly"))
    return path


def config_of(tmp_path, cache, changes, **fields):
    return tiny_config(
        tmp_path / "run",
        cache,
        pretrained=PretrainedConfig(**fields),
        **PLAIN,
        **changes,
    )


@pytest.mark.usefixtures("unreported")
def test_a_run_of_frozen_features_trains_the_head_alone_and_is_exported(
    weights, tmp_path, cache, capsys
):
    changes = {"epochs": 1, "optimizer": "adamw", "weight_decay": 0.1, "max_steps": 2}
    run = fit(config_of(tmp_path, cache, changes, file=str(weights), freeze=("all_but_head",)))
    saved = load_run(run.workdir)
    assert saved.recipe.model == dataclasses.replace(
        NETWORK, frozen=("stem", "block1", "block2", "block3")
    )
    before = pretrained.load(weights, NETWORK)
    for kind in ("params", "batch_stats"):
        jax.tree.map(
            np.testing.assert_array_equal,
            saved.variables[kind]["features"],
            before[kind]["features"],
        )
    heads = (tree["params"]["classifier"]["kernel"] for tree in (saved.variables, before))
    difference = abs(np.subtract(*heads))
    assert difference.min() > 0
    assert difference.max() < 0.02  # it was not replaced

    out = tmp_path / "out.safetensors"
    assert commands.main(["export", f"--run={run.workdir}", f"--out={out}"]) == 0
    assert "outputs no Cardiomegaly, Cardiomegaly" in capsys.readouterr().out
    assert (read_weights(out).mean, read_weights(out).std) == (MEAN, STD)
    jax.tree.map(
        np.testing.assert_array_equal, pretrained.load(out, NETWORK), dict(saved.variables)
    )
    assert commands.main(["export", f"--run={run.workdir}", f"--out={out}"]) == 1
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "changes", "message"),
    [
        ({"freeze": ("block9",)}, {}, "parts must be of stem, block1, .*, head, got 'block9'"),
        ({}, {"model": "densenet121"}, "its tensors are not those of this network: .* missing"),
        ({}, {"growth_rate": 4}, "in this network, and .* others differ too; choose the model"),
        ({}, {"compression": 0.25}, "in this network, and .* others differ too; choose the model"),
        ({"mean": (0.5,), "std": (0.0,)}, {}, "input_std > 0"),
        ({"mean": (0.5,)}, {}, "same number of channels, got 1 and 0"),
        ({"backbone_lr_scale": -1.0}, {}, "backbone_lr_scale must be >= 0"),
        ({"freeze": ("stem", "all_but_head")}, {}, "parts or all_but_head alone"),
        (
            {"freeze": ("stem", "block1", "block2", "block3", "head")},
            {},
            "leave a part to train, got all: stem, block1",
        ),
        ({}, {"init_from": "elsewhere"}, "give one of them"),
        ({}, {"preprocess": {"image_size": 8}}, "at least 13 x 13 pixels for this network's"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_read(
    fields, changes, message, weights, tmp_path, cache
):
    if "preprocess" in changes:
        size = changes["preprocess"]["image_size"]
        changes = {"preprocess": dataclasses.replace(models_preprocess(), image_size=size)}
    with pytest.raises(ValueError, match=message):
        fit(config_of(tmp_path, cache, changes, **{"file": str(weights), **fields}))
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("unreported")
def test_a_run_that_was_stopped_is_resumed_from_its_weights(weights, tmp_path, cache):
    """From the file while there is no checkpoint, and without the file once there is one."""
    path = tmp_path / "w.safetensors"
    path.write_bytes(weights.read_bytes())
    changes = {"epochs": 1, "checkpoint_every": 2}
    config = config_of(tmp_path, cache, changes, file=str(path), freeze=("all_but_head",))
    resumed = dataclasses.replace(config, resume=True)
    with pytest.raises(TrainingError, match="interrupted"):
        fit(config, interrupted=lambda: True)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(TrainingError, match="interrupted"):
        fit(resumed, interrupted=lambda: True)
    path.unlink()
    run = fit(resumed)
    stem, expected = (
        variables["params"]["features"]["conv0"]["kernel"]
        for variables in (run.variables, pretrained.load(weights, NETWORK))
    )
    np.testing.assert_array_equal(stem, expected)


def test_what_comes_before_the_head_learns_at_a_part_of_the_rate():
    config = Config(
        model="tiny", pretrained=PretrainedConfig(backbone_lr_scale=0.25, freeze=("block2",))
    )
    recipe = make_recipe(config)
    params = models.init(jax.random.key(0), recipe.model, (32, 32, 1))["params"]
    optimizer = hold_back(optax.identity(), config, recipe)
    updates, _ = optimizer.update(jax.tree.map(np.ones_like, params), optimizer.init(params))
    expected = {"head": 1.0, "block2": 0.0}
    for part, update in zip(
        jax.tree.leaves(models.parts(params)), jax.tree.leaves(updates), strict=True
    ):
        assert np.unique(update).tolist() == [expected.get(part, 0.25)], part


def models_preprocess():
    return tiny_config("run", "cache").preprocess


def test_a_file_that_does_not_tell_its_input_needs_the_flags(tmp_path, cache):
    network = models.DenseNetConfig.tiny(num_classes=2)
    path = tmp_path / "w.pth"
    pretrained.save(path, network, models.init(jax.random.key(5), network, (32, 32, 1)))
    with pytest.raises(ConfigError, match="give --input_mean and --input_std"):
        fit(config_of(tmp_path, cache, {}, file=str(path)))
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        fit(config_of(tmp_path, cache, {}, file=str(tmp_path / "none.pth")))
