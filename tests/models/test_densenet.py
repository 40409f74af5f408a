import functools
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.errors import ConfigError
from cxr_jax.models import VARIANTS, DenseNetConfig, apply, by_name, depths, init

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
def variables():
    return init(jax.random.key(0), TINY, (32, 32, 1))


@pytest.fixture(scope="module")
def images():
    return jax.random.normal(jax.random.key(1), (8, 32, 32, 1))


@functools.partial(
    jax.jit,
    static_argnames=("config", "train"),
    compiler_options={"xla_backend_optimization_level": 0},  # compiles in half of the time
)
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


@pytest.mark.parametrize("case", ["densenet121", "densenet169", "densenet201"])
def test_evaluation_equals_torchvision(case, goldens, script):
    _, channels, _ = script["CASES"][case]
    config = by_name(case, num_classes=script["NUM_CLASSES"], in_channels=channels)
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
            script["some_values"](np.asarray(x)), expected, rtol=1e-4, atol=1e-4, err_msg=name
        )
        compared += 1
    assert compared == 2 * 121


def test_gradients_equal_torchvisions(goldens, script):
    config = DenseNetConfig(num_classes=script["NUM_CLASSES"], **script["NARROW"])
    variables = weights_of_goldens(config, script)
    images = jnp.asarray(script["random_images"](1))

    def loss(params):
        logits, _ = apply(config, {**variables, "params": params}, images, train=True)
        return jnp.square(logits).sum()

    gradients = jax.jit(jax.grad(loss), compiler_options={"xla_backend_optimization_level": 0})(
        variables["params"]
    )
    for path, x in jax.tree.leaves_with_path(gradients):
        name = script["torch_name"](tuple(part.key for part in path))
        kernel = path[-1].key == "kernel"
        in_torch = np.moveaxis(np.asarray(x), (-1, -2), (0, 1)) if kernel else np.asarray(x)
        expected = goldens[f"gradient/{name}"]
        scale = abs(expected).max()
        np.testing.assert_allclose(
            script["some_values"](in_torch), expected, rtol=0, atol=1e-3 * scale, err_msg=name
        )


@pytest.mark.parametrize(
    ("config", "count"),
    [
        pytest.param(
            DenseNetConfig.densenet121(num_classes=1000, in_channels=3),
            7_978_856,
            marks=pytest.mark.smoke,
        ),
        (DenseNetConfig.densenet121(num_classes=18), 6_966_034),
        (DenseNetConfig.densenet161(num_classes=1000, in_channels=3), 28_681_000),
        (DenseNetConfig.densenet169(num_classes=1000, in_channels=3), 14_149_480),
        (DenseNetConfig.densenet201(num_classes=1000, in_channels=3), 20_013_928),
        (DenseNetConfig.densenet264(num_classes=1000, in_channels=3), 33_337_704),
    ],
)
def test_the_number_of_parameters_is_torchvisions(config, count):
    assert sum(x.size for x in jax.tree.leaves(shapes(config)["params"])) == count


def test_every_variant_is_reached_by_its_name():
    for name in VARIANTS:
        assert by_name(name, num_classes=2, dropout=0.1).dropout == 0.1
    with pytest.raises(ValueError, match=r"model must be one of densenet121, .*, got 'resnet'"):
        by_name("resnet", num_classes=2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"block_sizes": ()}, "block_sizes must be positive"),
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"compression": 0.0}, r"compression must be in \(0, 1\], got 0"),
        ({"block_sizes": (1, 1), "compression": 0.01}, "0.01 leaves none of the 96 channels"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1"),
        ({"dtype": "float16"}, "dtype must be one of float32, bfloat16, got 'float16'"),
        ({"mean": (0.5, 0.5)}, "mean must be one number or one for each of 1 channels"),
        ({"std": 0.0}, "std must be positive, got 0"),
        ({"std": float("nan")}, "std must be finite, got nan"),
        ({"mean": float("inf")}, "mean must be finite, got inf"),
        ({"frozen": ("block2",)}, "frozen parts must be of stem, block1, head, got 'block2'"),
    ],
)
def test_a_wrong_config_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        DenseNetConfig(**{"block_sizes": (2,), "num_classes": 2, **fields})


def test_initial_weights_have_torchvisions_distributions():
    config = DenseNetConfig.tiny(num_classes=1000, growth_rate=64)
    variables = init(jax.random.key(0), config, (32, 32, 1))
    features = variables["params"]["features"]
    for kernel in (
        features["conv0"]["kernel"],
        features["denseblock2"]["denselayer1"]["conv1"]["kernel"],
        features["denseblock3"]["denselayer2"]["conv2"]["kernel"],
    ):
        fan_in = kernel.size // kernel.shape[-1]
        np.testing.assert_allclose(kernel.std(), (2 / fan_in) ** 0.5, rtol=0.08)
        assert abs(kernel.mean()) < 0.1 * kernel.std()
        assert abs(kernel).max() > 2.5 * kernel.std()  # a normal that is not truncated
    kernel = variables["params"]["classifier"]["kernel"]
    bound = len(kernel) ** -0.5
    assert 0.99 * bound < kernel.max() <= bound
    assert -bound <= kernel.min() < -0.99 * bound
    other = init(jax.random.key(1), config, (32, 32, 1))["params"]["features"]
    assert not np.array_equal(other["conv0"]["kernel"], features["conv0"]["kernel"])
    for path, x in jax.tree.leaves_with_path(variables):
        if path[-1].key != "kernel":
            np.testing.assert_array_equal(x, float(path[-1].key in ("scale", "var")))


def test_init_can_be_traced(variables):
    traced = jax.jit(lambda key: init(key, TINY, (32, 32, 1)))(jax.random.key(0))
    assert_trees_close(traced, variables, rtol=1e-6)


@pytest.mark.smoke
def test_jit_equals_eager(variables, images):
    eager = apply(TINY, variables, images, train=True)
    assert_trees_close(jitted(TINY, variables, images, train=True), eager, rtol=1e-4, atol=1e-5)


@pytest.mark.smoke
def test_bfloat16_keeps_parameters_statistics_and_logits_float32(images):
    config = DenseNetConfig.tiny(num_classes=3, dtype="bfloat16")
    variables = init(jax.random.key(0), config, (32, 32, 1))
    logits, stats = jitted(config, variables, images, train=True)
    assert {x.dtype for x in jax.tree.leaves((variables, logits, stats))} == {jnp.dtype("float32")}
    expected, expected_stats = jitted(TINY, variables, images, train=True)
    np.testing.assert_allclose(logits, expected, atol=0.05)
    assert_trees_close(stats, expected_stats, atol=0.02)
    assert not np.array_equal(logits, expected)


def test_running_statistics_move_a_tenth_of_the_way_to_mean_and_unbiased_variance(
    variables, images
):
    _, stats = jitted(TINY, variables, images, train=True)
    kernel = variables["params"]["features"]["conv0"]["kernel"]
    maps = jax.lax.conv_general_dilated(
        images, kernel, (2, 2), ((3, 3), (3, 3)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    norm = stats["features"]["norm0"]
    np.testing.assert_allclose(norm["mean"], 0.1 * maps.mean((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(norm["var"], 0.9 + 0.1 * maps.var((0, 1, 2), ddof=1), rtol=1e-4)


def test_evaluation_leaves_the_statistics_and_treats_images_one_by_one(variables, images):
    logits, stats = jitted(TINY, variables, images, train=False)
    jax.tree.map(np.testing.assert_array_equal, stats, variables["batch_stats"])
    alone, _ = jitted(TINY, variables, images[:1], train=False)
    np.testing.assert_allclose(alone, logits[:1], rtol=1e-4, atol=1e-5)


def test_gradients_are_finite_where_a_batch_is_constant(variables):
    @jax.jit
    def gradient(params, images):
        def loss(params):
            logits, _ = apply(TINY, {**variables, "params": params}, images, train=True)
            return jnp.square(logits).sum()

        return jax.grad(loss)(params)

    gradients = gradient(variables["params"], jnp.zeros((8, 32, 32, 1)))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradients))


def test_eight_devices_equal_one(variables, images):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.NamedSharding(mesh, jax.P("data"))
    sharded = jitted(TINY, variables, jax.device_put(images, sharding), train=True)
    assert_trees_close(sharded, jitted(TINY, variables, images, train=True), rtol=1e-4, atol=1e-5)


def test_dropout_takes_the_key(variables, images):
    config = DenseNetConfig.tiny(num_classes=3, dropout=0.5)
    one, same, other = (
        jitted(config, variables, images, train=True, key=jax.random.key(seed))[0]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    with pytest.raises(ValueError, match=r"dropout = 0.5 needs a key in training, got None"):
        apply(config, variables, images, train=True)
    evaluated, _ = jitted(config, variables, images, train=False)
    np.testing.assert_array_equal(evaluated, jitted(TINY, variables, images, train=False)[0])


@pytest.mark.parametrize("size", [28, 16, 1])
def test_an_image_too_small_is_refused(size):
    message = f"at least 29 x 29 pixels for this network's halvings, got {size} x {size}"
    with pytest.raises(ValueError, match=message):
        shapes(DenseNetConfig.densenet121(num_classes=2), size)


def test_the_smallest_image_is_not_refused():
    shapes(DenseNetConfig.densenet121(num_classes=2), 29)


def test_images_of_other_channels_are_refused(variables):
    with pytest.raises(ValueError, match=r"must have 1 channels \(config.in_channels\), got 3"):
        apply(TINY, variables, jnp.zeros((2, 32, 32, 3)), train=False)


def test_statistics_of_a_single_value_are_refused(variables):
    with pytest.raises(ConfigError, match="more than one value per channel"):
        jitted(TINY, variables, jnp.zeros((1, 16, 16, 1)), train=True)


def test_depths_count_from_the_head():
    config = DenseNetConfig.tiny(num_classes=2)
    params = init(jax.random.key(0), config, (32, 32, 1))["params"]
    found = depths(len(config.block_sizes), params)
    assert jax.tree.structure(found) == jax.tree.structure(params)
    by_layer = {name: set(jax.tree.leaves(tree)) for name, tree in found["features"].items()}
    assert set(jax.tree.leaves(found["classifier"])) == {0}
    assert by_layer == {
        "norm4": {1}, "denseblock3": {1}, "transition2": {2}, "denseblock2": {2},
        "transition1": {3}, "denseblock1": {3}, "norm0": {3}, "conv0": {3},
    }  # fmt: skip
