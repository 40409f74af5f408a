"""Mixes by their definition, λ by its distribution, and no communication between devices."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import scipy.stats
from jax.sharding import NamedSharding, PartitionSpec

from cxr_jax.mixup import mix, sample_lambda


def examples(batch=8):
    rng = np.random.default_rng(0)
    return {
        "image": jnp.asarray(rng.random((batch, 5, 7, 1), dtype=np.float32)),
        "target": jax.nn.one_hot(jnp.arange(batch) % 2, 2),
    }


@pytest.mark.smoke
def test_each_example_is_mixed_with_its_neighbour():
    mixed = mix(jnp.array([[1.0], [2.0], [3.0], [4.0]]), 0.75)
    np.testing.assert_allclose(mixed, [[1.25], [1.75], [3.25], [3.75]])


def test_images_and_targets_are_mixed_alike():
    tree = examples()
    mixed = mix(tree, jnp.float32(0.3))
    for name, leaf in tree.items():
        swapped = leaf[jnp.array([1, 0, 3, 2, 5, 4, 7, 6])]
        np.testing.assert_allclose(mixed[name], 0.3 * leaf + 0.7 * swapped, atol=1e-6)
        assert mixed[name].dtype == leaf.dtype
    np.testing.assert_allclose(mixed["target"].sum(axis=-1), 1.0, rtol=1e-6)


def test_lambda_of_one_is_the_identity_and_of_zero_the_exchange():
    tree = examples()
    np.testing.assert_array_equal(mix(tree, 1.0)["image"], tree["image"])
    np.testing.assert_array_equal(mix(tree, 0.0)["image"][::2], tree["image"][1::2])


def test_a_mixed_label_is_known_only_if_both_are():
    labels = jnp.array([1.0, jnp.nan, 0.0, 1.0])[:, None]
    np.testing.assert_array_equal(jnp.isnan(mix(labels, 0.4))[:, 0], [True, True, False, False])


def test_a_label_of_weight_zero_is_not_needed():
    labels = jnp.array([1.0, jnp.nan])[:, None]
    np.testing.assert_array_equal(mix(labels, 1.0), labels)


def test_jit_equals_eager_and_it_is_differentiable():
    images, lam = examples()["image"], jnp.float32(0.3)
    np.testing.assert_allclose(jax.jit(mix)(images, lam), mix(images, lam), atol=1e-6)
    slope = jax.grad(lambda lam: mix(images, lam)[0].sum())(lam)
    np.testing.assert_allclose(slope, (images[0] - images[1]).sum(), rtol=1e-4)


def test_bfloat16_stays_bfloat16():
    assert mix(jnp.ones((2, 3), jnp.bfloat16), jnp.float32(0.3)).dtype == jnp.bfloat16


def test_a_sharded_batch_needs_no_communication():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    tree = examples(16)
    sharded = jax.device_put(tree, sharding)
    program = jax.jit(mix, out_shardings=sharding).lower(sharded, jnp.float32(0.3)).compile()
    for collective in ("all-reduce", "all-gather", "collective-permute", "all-to-all"):
        assert collective not in program.as_text()
    np.testing.assert_allclose(
        program(sharded, jnp.float32(0.3))["image"], mix(tree, 0.3)["image"], atol=1e-6
    )


@pytest.mark.parametrize("alpha", [0.2, 2.0])
def test_lambda_has_the_beta_distribution(alpha):
    keys = jax.random.split(jax.random.key(0), 2000)
    drawn = jax.jit(jax.vmap(lambda key: sample_lambda(key, alpha=alpha)))(keys)
    assert drawn.dtype == jnp.float32
    statistic = scipy.stats.kstest(
        np.asarray(drawn, np.float64), scipy.stats.beta(alpha, alpha).cdf
    )
    assert statistic.pvalue > 0.001


def test_alpha_of_zero_mixes_nothing():
    lam = sample_lambda(jax.random.key(0), alpha=0.0)
    assert lam.dtype == jnp.float32
    assert float(lam) == 1.0


@pytest.mark.parametrize("alpha", [-0.1, float("nan"), float("inf")])
def test_a_wrong_alpha_is_refused(alpha):
    with pytest.raises(ValueError, match=r"alpha must be in \[0, inf\), got"):
        sample_lambda(jax.random.key(0), alpha=alpha)


def test_what_cannot_be_mixed_is_refused():
    with pytest.raises(ValueError, match="even batch"):
        mix(jnp.ones((3, 2)), 0.5)
    with pytest.raises(ValueError, match="even batch"):
        mix((jnp.ones((4, 2)), jnp.ones((2, 2))), 0.5)
    with pytest.raises(ValueError, match="even batch"):
        mix(jnp.ones(()), 0.5)
    with pytest.raises(TypeError, match="arrays of floats, got uint8"):
        mix(jnp.ones((4, 2), jnp.uint8), 0.5)
    with pytest.raises(TypeError, match="arrays of floats, got float"):
        mix([0.5, 0.5], 0.5)


@pytest.mark.parametrize("alpha", [0.0, 0.2])
@pytest.mark.parametrize(
    "wrong", [0, np.uint32([0, 1]), jax.random.PRNGKey(0), jax.random.split(jax.random.key(0))]
)
def test_what_is_no_key_is_refused(monkeypatch, wrong, alpha):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is outside of tests
    with pytest.raises(TypeError, match=r"key must be one typed PRNG key, got .*random\.key\(seed"):
        sample_lambda(wrong, alpha=alpha)


@pytest.mark.parametrize("lam", [-0.5, 1.5, float("nan"), jnp.full(2, 0.5)])
def test_a_wrong_lambda_is_refused(monkeypatch, lam):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"lam must be (in \[0, 1\], got|one number, got shape)"):
        mix(jnp.ones((4, 2)), lam)


def test_numpys_doubles_are_mixed_in_single_precision():
    mixed = mix(np.array([[1.0], [2.0]]), 0.75)
    assert mixed.dtype == jnp.float32
    np.testing.assert_allclose(mixed, [[1.25], [1.75]])
