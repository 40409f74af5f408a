import jax
import numpy as np
import pytest

from cxr_jax.models import DenseNetConfig, apply, init


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (DenseNetConfig.densenet121(num_classes=1000, in_channels=3), 7_978_856),
        (DenseNetConfig.densenet121(num_classes=18), 6_966_034),
        (DenseNetConfig.densenet169(num_classes=1000, in_channels=3), 14_149_480),
        (DenseNetConfig.densenet201(num_classes=1000, in_channels=3), 20_013_928),
    ],
)
def test_the_number_of_parameters_is_the_papers(config, count):
    shape = (224, 224, config.in_channels)
    variables = jax.eval_shape(lambda key: init(key, config, shape), jax.random.key(0))
    assert sum(x.size for x in jax.tree.leaves(variables["params"])) == count


def test_jit_equals_eager():
    config = DenseNetConfig.tiny(num_classes=3)
    variables = init(jax.random.key(0), config, (32, 32, 1))
    images = jax.random.normal(jax.random.key(1), (4, 32, 32, 1))
    eager, stats = apply(config, variables, images, train=True)
    jitted, jitted_stats = jax.jit(lambda v, x: apply(config, v, x, train=True))(variables, images)
    np.testing.assert_allclose(jitted, eager, rtol=1e-4, atol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), jitted_stats, stats
    )
