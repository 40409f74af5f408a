"""What is drawn has the distribution the config names; what is applied follows what is drawn."""

import dataclasses

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from cxr_jax import augment as aug
from cxr_jax import geometry
from cxr_jax.augment import AugmentConfig, augment, draw

STILL = AugmentConfig(
    rotation=0.0, height_shift=0.0, width_shift=0.0, shear=0.0, zoom=0.0, brightness=0.0, flip=0.0
)
STRONG = AugmentConfig(
    rotation=30.0, height_shift=0.2, width_shift=0.3, shear=15.0, zoom=0.3, brightness=0.4, flip=0.5
)
compiled = jax.jit(augment, static_argnames="config")  # a fraction of the eager calls' time


def noise(*shape):
    return jnp.asarray(np.random.default_rng(0).random(shape, dtype=np.float32))


@pytest.fixture(scope="module")
def drawn():
    keys = jax.random.split(jax.random.key(1), 4000)
    return jax.jit(jax.vmap(lambda key: draw(key, STRONG)))(keys)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        (lambda d: d.rotation, -30.0, 30.0),
        (lambda d: d.shift[:, 0], -0.2, 0.2),
        (lambda d: d.shift[:, 1], -0.3, 0.3),
        (lambda d: d.shear, -15.0, 15.0),
        (lambda d: d.zoom[:, 0], 0.7, 1.3),
        (lambda d: d.zoom[:, 1], 0.7, 1.3),
        (lambda d: d.brightness, 0.6, 1.4),
    ],
    ids=["rotation", "down", "across", "shear", "rows", "columns", "brightness"],
)
def test_draws_are_uniform_in_their_range(drawn, value, low, high):
    counts, _ = np.histogram(value(drawn), bins=10, range=(low, high))
    assert counts.sum() == 4000
    # Chi-square with 9 degrees of freedom: above 27.9 once in a thousand seeds; this seed is fixed.
    assert ((counts - 400) ** 2 / 400).sum() < 27.9


def test_half_of_the_images_flip_and_draws_are_independent(drawn):
    assert abs(float(drawn.flip.mean()) - 0.5) < 0.03
    columns = np.column_stack([np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(drawn)])
    off_diagonal = np.corrcoef(columns.T) - np.eye(columns.shape[1])
    assert np.abs(off_diagonal).max() < 0.06


def test_flip_probabilities_of_0_and_1_are_certain():
    keys = jax.random.split(jax.random.key(0), 200)
    for probability in (0.0, 1.0):
        config = dataclasses.replace(STILL, flip=probability)
        flips = jax.vmap(lambda key, config=config: draw(key, config).flip)(keys)
        assert float(flips.mean()) == probability


def test_switching_one_range_off_leaves_the_other_draws():
    key = jax.random.key(2)
    with_shear, without = draw(key, STRONG), draw(key, dataclasses.replace(STRONG, shear=0.0))
    assert float(without.shear) == 0.0
    for name in ("rotation", "shift", "zoom", "flip", "brightness"):
        np.testing.assert_array_equal(getattr(with_shear, name), getattr(without, name))


def test_no_strength_is_the_identity():
    images = noise(4, 23, 31, 1)
    np.testing.assert_array_equal(compiled(jax.random.key(0), images, config=STILL), images)
    off = augment(jax.random.key(0), images, AugmentConfig(enabled=False), images)
    assert off[0] is images
    assert off[1] is images


@pytest.mark.smoke
def test_the_batch_equals_its_images_one_by_one_and_jit_equals_eager():
    key, images = jax.random.key(3), noise(4, 23, 31, 1)
    batch = compiled(key, images, config=STRONG)
    np.testing.assert_allclose(augment(key, images, STRONG), batch, atol=2e-5)
    for image, image_key, expected in zip(images, jax.random.split(key, 4), batch, strict=True):
        values = draw(image_key, STRONG)
        matrix = geometry.affine(
            shape=(23, 31),
            rotation=values.rotation,
            shift=values.shift,
            shear=values.shear,
            zoom=values.zoom,
            flip=values.flip,
        )
        alone = aug.adjust_brightness(geometry.warp(image, matrix), values.brightness)
        np.testing.assert_allclose(alone, expected, atol=2e-5)


def test_images_of_a_batch_are_augmented_differently():
    images = jnp.broadcast_to(noise(1, 23, 31, 1), (4, 23, 31, 1))
    batch = np.asarray(compiled(jax.random.key(0), images, config=STRONG))
    assert all(np.abs(batch[0] - other).max() > 0.1 for other in batch[1:])


@pytest.mark.parametrize("fill", ["nearest", "constant", "reflect"])
def test_masks_stay_on_their_images(fill):
    """A mask augmented with its image is the augmented image, thresholded, but for edge pixels."""
    row, column = np.indices((64, 80))
    disc = (((row - 25) / 14) ** 2 + ((column - 50) / 20) ** 2 < 1).astype(np.float32)
    images = jnp.broadcast_to(jnp.asarray(disc)[None, ..., None], (8, 64, 80, 1))
    config = dataclasses.replace(STRONG, brightness=0.0, fill=fill)
    masks = (images > 0).astype(jnp.uint8)
    moved, masks = compiled(jax.random.key(4), images, config=config, masks=masks)
    assert masks.dtype == jnp.uint8
    assert set(np.unique(masks)) == {0, 1}
    assert float(jnp.mean((moved > 0.5) == (masks == 1))) > 0.997
    assert float(jnp.mean((images > 0.5) == (masks == 1))) < 0.95


def test_brightness_leaves_masks_alone_and_clips_images():
    images = noise(4, 8, 8, 1)
    config = dataclasses.replace(STILL, brightness=1.0)
    bright, masks = compiled(jax.random.key(0), images, config=config, masks=images)
    np.testing.assert_array_equal(masks, images)
    assert float(bright.max()) <= 1.0
    assert not np.allclose(bright, images)


def test_a_sharded_batch_needs_no_communication():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    key, images = jax.random.key(0), noise(16, 16, 16, 1)
    sharded = jax.device_put(images, sharding)
    step = jax.jit(lambda key, images: augment(key, images, STRONG), out_shardings=sharding)
    program = step.lower(key, sharded).compile()
    for collective in ("all-reduce", "all-gather", "collective-permute", "all-to-all"):
        assert collective not in program.as_text()
    expected = compiled(key, images, config=STRONG)
    np.testing.assert_allclose(program(key, sharded), expected, atol=2e-5)


def test_the_single_transforms_do_what_they_say():
    image = jnp.zeros((21, 21, 1)).at[10, 15].set(1.0)

    def peak(moved):
        return np.unravel_index(jnp.argmax(moved), moved.shape)[:2]

    assert peak(aug.flip_horizontal(image)) == (10, 5)
    assert peak(aug.rotate(image, 90.0)) == (15, 10)
    assert peak(aug.shift(image, (3 / 21, 2 / 21))) == (7, 13)
    assert peak(aug.shear(image.at[10, 15].set(0.0).at[15, 10].set(1.0), 0.0)) == (15, 10)
    assert float(aug.zoom(image, (0.5, 0.5)).sum()) > 1.0
    np.testing.assert_allclose(aug.adjust_brightness(0.4 * image, 2.0).max(), 0.8)
    np.testing.assert_allclose(aug.adjust_brightness(0.8 * image, 2.0).max(), 1.0)


def test_shear_slides_columns_along_each_other():
    vertical = jnp.zeros((41, 41, 1)).at[20, :].set(1.0)
    slanted = np.asarray(aug.shear(vertical, 20.0))[..., 0]
    rise = slanted[:, 30].argmax() - slanted[:, 10].argmax()
    assert abs(rise - 20 * np.sin(np.radians(20.0))) < 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"rotation": -1.0},
        {"rotation": 181.0},
        {"height_shift": 1.0},
        {"width_shift": float("nan")},
        {"shear": 90.0},
        {"zoom": 1.0},
        {"brightness": 1.1},
        {"flip": 1.1},
    ],
)
def test_a_range_out_of_bounds_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must be in"):
        AugmentConfig(**wrong)


def test_an_unknown_fill_is_refused():
    with pytest.raises(ValueError, match="fill must be one of"):
        AugmentConfig(fill="wrap")


def test_masks_of_another_size_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is outside of tests
    with pytest.raises(ValueError, match="resize them first"):
        augment(jax.random.key(0), noise(2, 8, 8, 1), STILL, noise(2, 4, 4, 1))
