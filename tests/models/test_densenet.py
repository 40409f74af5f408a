import functools
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from cxr_jax.models import VARIANTS, DenseNetConfig, apply, by_name, init
from cxr_jax.models.layers import BatchNorm, moments

GOLDENS = Path(__file__).parents[1] / "goldens"
TINY = DenseNetConfig.tiny(num_classes=3)


@pytest.fixture(scope="module")
def goldens():
    with np.load(GOLDENS / "densenet.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(GOLDENS / "make_densenet.py"))


@pytest.fixture(scope="module")
def tiny_variables():
    return init(jax.random.key(0), TINY, (32, 32, 1))


@pytest.fixture(scope="module")
def tiny_images():
    return jax.random.normal(jax.random.key(1), (8, 32, 32, 1))


@functools.partial(jax.jit, static_argnames=("config", "train"))
def jitted(config, variables, images, *, train, key=None):
    return apply(config, variables, images, train=train, key=key)


def shapes(config, size=224):
    shape = (size, size, config.in_channels)
    return jax.eval_shape(lambda key: init(key, config, shape), jax.random.key(0))


def weights_of_goldens(config, script):
    """The variables that torch had when it made the goldens."""

    def weight(path, x):
        path = tuple(part.key for part in path)[1:]
        shape = script["torch_shape"](x.shape, path)
        return script["from_torch"](script["random_weight"](script["torch_name"](path), shape))

    return jax.tree.map_with_path(weight, shapes(config))


def assert_trees_close(actual, expected, **tolerance):
    jax.tree.map(functools.partial(np.testing.assert_allclose, **tolerance), actual, expected)


@pytest.mark.parametrize("case", ["densenet121", "densenet121_rgb", "densenet169", "densenet201"])
def test_evaluation_equals_torchvision(case, goldens, script):
    _, channels, _ = script["CASES"][case]
    config = by_name(
        case.removesuffix("_rgb"), num_classes=script["NUM_CLASSES"], in_channels=channels
    )
    variables = weights_of_goldens(config, script)
    logits, stats = jitted(config, variables, script["random_images"](channels), train=False)
    np.testing.assert_allclose(logits, goldens[f"{case}/eval"], rtol=0, atol=1e-4)
    jax.tree.map(np.testing.assert_array_equal, stats, variables["batch_stats"])


def test_training_equals_torchvision_in_logits_and_running_statistics(goldens, script):
    config = DenseNetConfig.densenet121(num_classes=script["NUM_CLASSES"])
    variables = weights_of_goldens(config, script)
    logits, stats = jitted(config, variables, script["random_images"](1), train=True)
    np.testing.assert_allclose(logits, goldens["densenet121/train"], rtol=0, atol=1e-4)
    compared = 0
    for path, x in jax.tree.leaves_with_path(stats):
        name = script["torch_name"](tuple(part.key for part in path))
        expected = goldens[f"densenet121/{name}"]
        np.testing.assert_allclose(
            script["some_channels"](np.asarray(x)), expected, rtol=1e-4, atol=1e-4, err_msg=name
        )
        compared += 1
    assert compared == 2 * 121


@pytest.mark.parametrize(
    ("config", "count"),
    [
        pytest.param(
            DenseNetConfig.densenet121(num_classes=1000, in_channels=3),
            7_978_856,
            marks=pytest.mark.smoke,
        ),
        (DenseNetConfig.densenet121(num_classes=18), 6_966_034),
        (DenseNetConfig.densenet169(num_classes=1000, in_channels=3), 14_149_480),
        (DenseNetConfig.densenet201(num_classes=1000, in_channels=3), 20_013_928),
        (DenseNetConfig.densenet264(num_classes=1000, in_channels=3), 33_337_704),
    ],
)
def test_the_number_of_parameters_is_torchvisions(config, count):
    assert sum(x.size for x in jax.tree.leaves(shapes(config)["params"])) == count
