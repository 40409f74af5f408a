"""What is drawn has the distribution the config names; what is applied follows what is drawn."""

import dataclasses

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import scipy.stats
from jax.sharding import NamedSharding, PartitionSpec

from cxr_jax import augment as aug
from cxr_jax import geometry
from cxr_jax.augment import AugmentConfig, Parameters, augment, draw

STILL = AugmentConfig(
    rotation=0.0, height_shift=0.0, width_shift=0.0, shear=0.0, zoom=0.0, brightness=0.0, flip=0.0
)
STRONG = AugmentConfig(
    rotation=30.0, height_shift=0.2, width_shift=0.3, shear=15.0, zoom=0.3, brightness=0.4, flip=0.5
)
EVERY = dataclasses.replace(STRONG, contrast=0.5, gamma=0.6, noise=0.1, erase=0.7, erase_area=0.2)
SOMETIMES = dataclasses.replace(STILL, clahe=0.5, clahe_clip_limit=3.0)
BEYOND = ("brightness", "contrast", "gamma", "noise", "erase")
compiled_apply = jax.jit(aug.apply)
compiled_draw = jax.jit(draw, static_argnames="config")
compiled = jax.jit(augment, static_argnames="config")  # a fraction of the eager calls' time


def noise(*shape):
    return jnp.asarray(np.random.default_rng(0).random(shape, dtype=np.float32))


@pytest.fixture(scope="module")
def drawn():
    keys = jax.random.split(jax.random.key(1), 4000)
    return jax.jit(jax.vmap(lambda key: draw(key, EVERY)))(keys)


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
        (lambda d: d.contrast, 0.5, 1.5),
        (lambda d: d.gamma, 0.4, 1.6),
        (lambda d: d.noise, 0.0, 0.1),
    ],
    ids=[
        "rotation",
        "down",
        "across",
        "shear",
        "rows",
        "columns",
        "brightness",
        "contrast",
        "gamma",
        "noise",
    ],
)
def test_draws_are_uniform_in_their_range(drawn, value, low, high):
    counts, _ = np.histogram(value(drawn), bins=10, range=(low, high))
    assert counts.sum() == 4000
    # Chi-square with 9 degrees of freedom: above 27.9 once in a thousand seeds; this seed is fixed.
    assert ((counts - 400) ** 2 / 400).sum() < 27.9


def test_half_of_the_images_flip_and_draws_are_independent(drawn):
    assert abs(float(drawn.flip.mean()) - 0.5) < 0.03
    sides = drawn.erase[:, 2:]  # a box' place depends on its sides, as it must fit
    once = jax.tree.leaves(drawn._replace(erase=sides[:, 0] / jnp.maximum(sides[:, 1], 1e-9)))
    columns = np.column_stack([np.asarray(leaf, np.float64) for leaf in once])
    off_diagonal = np.corrcoef(columns.T) - np.eye(columns.shape[1])
    assert np.abs(off_diagonal).max() < 0.06


def test_boxes_are_as_frequent_large_and_long_as_the_config_says(drawn):
    top, left, tall, wide = np.asarray(drawn.erase, np.float64).T
    some = tall > 0
    assert abs(some.mean() - 0.7) < 0.025
    for values, low, high in [
        (tall * wide, 0.0, 0.2),
        (np.log(tall / np.maximum(wide, 1e-9) + ~some), np.log(0.3), np.log(1 / 0.3)),
        (top / (1 - tall), 0.0, 1.0),
        (left / (1 - wide), 0.0, 1.0),
    ]:
        assert scipy.stats.kstest(values[some], "uniform", (low, high - low)).pvalue > 0.01
    assert (top + tall).max() <= 1
    assert (left + wide).max() <= 1


def test_what_is_drawn_for_a_key_stays_what_it_was():
    """Saved runs continue with the same images; what came later must not change these."""
    values = draw(jax.random.key(7), STRONG)
    np.testing.assert_allclose(values.rotation, 10.4453945, rtol=1e-6)
    np.testing.assert_allclose(values.shift, [0.18984675, -0.11829386], rtol=1e-6)
    np.testing.assert_allclose(values.shear, -1.6812444, rtol=1e-6)
    np.testing.assert_allclose(values.zoom, [1.1385319, 1.0785577], rtol=1e-6)
    np.testing.assert_allclose(values.brightness, 0.95884025, rtol=1e-6)
    assert bool(values.flip)


def test_flip_probabilities_of_0_and_1_are_certain():
    keys = jax.random.split(jax.random.key(0), 200)
    for probability in (0.0, 1.0):
        config = dataclasses.replace(STILL, flip=probability)
        flips = jax.jit(jax.vmap(lambda key, config=config: draw(key, config).flip))(keys)
        assert float(flips.mean()) == probability


@pytest.mark.parametrize("off", ["shear", "brightness", "erase"])
def test_switching_one_range_off_leaves_the_other_draws(off):
    key = jax.random.key(2)
    with_it = compiled_draw(key, config=EVERY)
    without = compiled_draw(key, config=dataclasses.replace(EVERY, **{off: 0.0}))
    assert not getattr(without, off)  # 0, or None where the function is left out
    for name in Parameters._fields:
        if name != off:
            np.testing.assert_array_equal(getattr(with_it, name), getattr(without, name))


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
    for image, image_key, expected in zip(images, jax.random.split(key, 4), batch, strict=True):
        alone = compiled_apply(image, compiled_draw(image_key, config=STRONG))
        np.testing.assert_allclose(alone, expected, atol=2e-5)
    eager = aug.apply(image, draw(image_key, STRONG))
    np.testing.assert_allclose(eager, expected, atol=2e-5)


def test_images_of_a_batch_are_augmented_differently():
    images = jnp.broadcast_to(noise(1, 23, 31, 1), (4, 23, 31, 1))
    batch = np.asarray(compiled(jax.random.key(0), images, config=STRONG))
    assert all(np.abs(batch[0] - other).max() > 0.1 for other in batch[1:])


def test_every_range_is_applied_in_order():
    key, images = jax.random.key(3), noise(2, 23, 31, 1)

    @jax.jit
    def one_after_the_other(key, image):
        values = draw(key, EVERY)
        image = aug.apply(image, values._replace(**dict.fromkeys(BEYOND)))
        image = aug.adjust_gamma(aug.adjust_contrast(image, values.contrast), values.gamma)
        image = aug.adjust_brightness(image, values.brightness)
        noise_key = jax.random.key(values.noise_seed)
        return aug.erase(aug.add_noise(noise_key, image, deviation=values.noise), values.erase)

    batch = compiled(key, images, config=EVERY)
    for image, image_key, got in zip(images, jax.random.split(key, 2), batch, strict=True):
        np.testing.assert_allclose(one_after_the_other(image_key, image), got, atol=1e-4)


def test_clahe_comes_first_to_the_images_that_are_drawn_for_it():
    key, images = jax.random.key(8), 0.3 + 0.3 * noise(6, 24, 33, 1)
    equalise = jax.jit(lambda image, limit: aug.apply_clahe(image, clip_limit=limit))
    batch = compiled(key, images, config=SOMETIMES)
    limits = [compiled_draw(k, config=SOMETIMES).clahe for k in jax.random.split(key, 6)]
    assert 0 < np.count_nonzero(limits) < 6
    for image, limit, got in zip(images, limits, batch, strict=True):
        expected = equalise(image, limit) if limit else image
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_clahe_is_drawn_as_often_as_asked_for_with_limits_from_1():
    keys = jax.random.split(jax.random.key(1), 4000)
    limits = np.asarray(jax.jit(jax.vmap(lambda key: draw(key, SOMETIMES).clahe))(keys), np.float64)
    assert abs((limits > 0).mean() - 0.5) < 0.03
    assert scipy.stats.kstest(limits[limits > 0], "uniform", (1.0, 2.0)).pvalue > 0.01


@pytest.mark.parametrize("keras", ["2.8", "3"])
def test_a_batch_is_augmented_as_that_keras_would(keras):
    """Keras' matrix about Keras' centre, its flip after it, its brightness in 8 bits last."""
    key, images = jax.random.key(5), noise(3, 23, 31, 1)
    config = dataclasses.replace(STRONG, keras=keras)

    @jax.jit
    def as_keras(key, image):
        values = draw(key, config)
        geometric = {name: getattr(values, name) for name in ("rotation", "shift", "shear", "zoom")}
        matrix = geometry.affine(shape=(23, 31), keras=keras, **geometric)
        moved = geometry.warp(image, matrix)
        moved = jnp.where(values.flip, moved[:, ::-1], moved)
        return aug.adjust_brightness(moved, values.brightness, keras=keras)

    batch = compiled(key, images, config=config)
    for image, image_key, got in zip(images, jax.random.split(key, 3), batch, strict=True):
        # Rounding before decimals are cut off moves a pixel by a grey level, seldom.
        difference = np.abs(255 * (got - as_keras(image_key, image)))
        assert difference.max() < 2.5
        assert (difference > 1e-3).mean() < 0.01


def test_the_first_keras_takes_the_nearest_pixel_and_has_no_brightness():
    config = dataclasses.replace(STRONG, keras="2.1.2", shear=0.2, brightness=0.0)
    images = noise(2, 23, 31, 1)
    moved = compiled(jax.random.key(0), images, config=config)
    assert set(np.unique(moved)) <= set(np.unique(images))
    with pytest.raises(ValueError, match=r"shear must be in radians .* 5.7 degrees are 0.0995"):
        AugmentConfig(keras="2.1.2", brightness=0.0)
    with pytest.raises(ValueError, match=r"brightness must be 0 with keras='2\.1\.2'"):
        dataclasses.replace(STRONG, keras="2.1.2", shear=0.2)


def test_extremes_are_the_ends_of_the_ranges_alone():
    ends = aug.extremes(EVERY)
    assert {"rotation", "height_shift", "width_shift", "flip", "erase"} < set(ends)
    assert (ends["rotation"][0].rotation, ends["rotation"][1].rotation) == (-30.0, 30.0)
    assert ends["zoom"] == (Parameters(zoom=(0.7, 0.7)), Parameters(zoom=(1.3, 1.3)))
    image = noise(23, 31, 1)
    for name in ("rotation", "width_shift", "zoom", "flip", "erase"):
        low, high = ends[name]
        changed = compiled_apply(image, high)
        assert float(jnp.abs(changed - compiled_apply(image, low)).max()) > 0.05, name
    assert "gamma" not in aug.extremes(STRONG)
    assert aug.extremes(STILL) == {}


def test_it_is_differentiable_in_the_image_and_in_every_parameter():
    row, column = np.indices((14, 17))
    smooth = 0.5 + 0.2 * np.sin(row / 4) * np.cos(column / 5)
    values = {
        "rotation": np.float32(4.0),
        "shift": np.float32([0.02, -0.03]),
        "shear": np.float32(3.0),
        "zoom": np.float32([1.05, 0.93]),
        "brightness": np.float32(1.1),
        "contrast": np.float32(1.2),
        "gamma": np.float32(0.9),
    }
    weights = jnp.asarray(np.sin(row / 3 + 1) + np.cos(column / 4 + 2), jnp.float32)[..., None]

    @jax.jit
    def energy(image, values):
        return jnp.sum(weights * aug.apply(image, Parameters(**values)))

    image = jnp.asarray(smooth, jnp.float32)[..., None]
    by_image, by_value = jax.jit(jax.grad(energy, argnums=(0, 1)))(image, values)
    bump = np.exp(-((row - 6) ** 2 + (column - 8) ** 2) / 9).astype(np.float32)[..., None]
    slope = (energy(image + 0.05 * bump, values) - energy(image - 0.05 * bump, values)) / 0.1
    np.testing.assert_allclose((by_image * bump).sum(), slope, rtol=0.02)
    for name, value in values.items():
        step = np.float32({"rotation": 0.05, "shear": 0.05}.get(name, 1e-3))
        for unit in np.eye(np.size(value), dtype=np.float32).reshape(-1, *np.shape(value)):
            up, down = {**values, name: value + step * unit}, {**values, name: value - step * unit}
            slope = (energy(image, up) - energy(image, down)) / (2 * step)
            got = (by_value[name] * unit).sum()
            np.testing.assert_allclose(got, slope, rtol=0.05, atol=0.02, err_msg=name)


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


@pytest.mark.parametrize("keras", geometry.KERAS)
def test_masks_follow_their_images_in_every_keras(keras):
    """Where all pixels that an image's pixel is made of agree, the mask's pixel agrees too."""
    picture = (noise(23, 31, 1) > 0.5).astype(jnp.float32)
    drawn = Parameters(rotation=20.0, shift=(0.1, -0.2), shear=0.2, zoom=(0.8, 1.2), flip=True)
    moved = aug.apply(picture, drawn, keras=keras)
    followed = aug.apply_to_mask(picture, drawn, keras=keras)
    sure = (moved == 0) | (moved == 1)
    assert float(sure.mean()) > 0.2
    np.testing.assert_array_equal(moved[sure], followed[sure])


def test_images_beyond_the_range_come_back_clipped():
    clipped = aug.apply(4 * noise(9, 9, 1) - 2, Parameters())
    assert (float(clipped.min()), float(clipped.max())) == (0.0, 1.0)


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
        {"contrast": -0.1},
        {"gamma": 1.0},
        {"noise": 2.0},
        {"erase": 1.5},
        {"erase_area": 0.31},
        {"clahe": 2.0},
        {"clahe_clip_limit": 0.5},
        {"clahe_clip_limit": float("inf")},
    ],
)
def test_a_range_out_of_bounds_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must be in "):
        AugmentConfig(**wrong)


@pytest.mark.parametrize(("name", "value"), [("fill", "wrap"), ("keras", "2.15")])
def test_an_unknown_choice_is_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be one of"):
        AugmentConfig(**{name: value})


@pytest.mark.parametrize(
    ("key", "shape", "dtype", "error", "message"),
    [
        (0, (2, 8, 8, 1), np.float32, TypeError, "key must be one typed PRNG key, got int"),
        (jax.random.PRNGKey(0), (2, 8, 8, 1), np.float32, TypeError, "got uint32.*wrap_key_data"),
        (
            None,
            (8, 8, 1),
            np.float32,
            ValueError,
            r"images must be \[batch, height, width, channel",
        ),
        (None, (0, 8, 8, 1), np.float32, ValueError, "none of them 0"),
        (None, (2, 8, 8, 1), np.uint8, TypeError, "images must be of floats in .*got uint8"),
    ],
)
def test_bad_input_is_refused_when_it_is_traced(monkeypatch, key, shape, dtype, error, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is outside of tests
    key = jax.random.key(0) if key is None else key
    with pytest.raises(error, match=message):
        compiled(key, np.zeros(shape, dtype), config=STILL)


def test_masks_of_another_size_are_refused(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is outside of tests
    with pytest.raises(ValueError, match="resize them first"):
        augment(jax.random.key(0), noise(2, 8, 8, 1), STILL, noise(2, 4, 4, 1))
