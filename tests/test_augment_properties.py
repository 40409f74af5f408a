"""What holds of every augmentation, whatever is drawn; hypothesis looks for what breaks it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cxr_jax import augment as aug
from cxr_jax.augment import AugmentConfig, Parameters, augment
from cxr_jax.geometry import FILLS, KERAS, affine, warp

SHAPE = (24, 33)
few = settings(max_examples=25, deadline=None, derandomize=True)


def between(low, high):
    return st.floats(low, high, width=32, allow_subnormal=False)


fills, seeds = st.sampled_from(FILLS), st.integers(0, 2**32 - 1)
geometries = st.fixed_dictionaries(
    {
        "rotation": between(-180, 180),
        "shift": st.tuples(between(-1, 1), between(-1, 1)),
        "shear": between(-60, 60),
        "zoom": st.tuples(between(0.25, 4), between(0.25, 4)),
        "flip": st.booleans(),
    }
)
make_matrix = jax.jit(partial(affine, shape=SHAPE), static_argnames="keras")
compiled_warp = jax.jit(warp, static_argnames=("order", "fill"))
GEOMETRY = ("rotation", "shift", "shear", "zoom", "flip")


def matrix_of(drawn, keras=""):
    as_arrays = {name: jnp.asarray(value, jnp.float32) for name, value in drawn.items()}
    return make_matrix(**{**as_arrays, "flip": jnp.asarray(drawn["flip"])}, keras=keras)


def noise(seed=0, channels=1):
    return jnp.asarray(np.random.default_rng(seed).random((*SHAPE, channels), np.float32))


@few
@given(geometries, fills)
def test_values_stay_in_the_range_of_the_image(drawn, fill):
    image = 0.25 + 0.5 * noise()
    warped = compiled_warp(image, matrix_of(drawn), fill=fill)
    assert warped.shape == image.shape
    assert warped.dtype == jnp.float32
    low = 0.0 if fill == "constant" else float(image.min())
    assert low - 1e-6 <= float(warped.min())
    assert float(warped.max()) <= float(image.max()) + 1e-6


@few
@given(geometries, fills, st.sampled_from([jnp.uint8, jnp.bool_, jnp.float16]))
def test_masks_get_no_new_value_whatever_their_type(drawn, fill, dtype):
    mask = (3 * noise()).astype(dtype)
    moved = compiled_warp(mask, matrix_of(drawn), order=0, fill=fill)
    assert moved.dtype == dtype
    assert set(np.unique(moved)) <= {0, *np.unique(mask).tolist()}


@few
@given(geometries, st.sampled_from(KERAS))
def test_a_composition_is_the_product_of_its_matrices(drawn, keras):
    """Rotation, shift, shear, zoom, flip: about whatever point, one after the other."""
    still = {"rotation": 0, "shift": (0, 0), "shear": 0, "zoom": (1, 1), "flip": False}
    parts = [
        np.asarray(matrix_of({**still, name: drawn[name]}, keras), np.float64) for name in still
    ]
    expected = np.linalg.multi_dot(parts)
    np.testing.assert_allclose(matrix_of(drawn, keras), expected, atol=5e-4)


@few
@given(geometries, st.sampled_from(["nearest", "reflect"]))
def test_the_flip_comes_last_and_twice_is_the_identity(drawn, fill):
    """With "constant", rounding decides whether a point on the edge itself is inside."""
    image = noise()
    plain = compiled_warp(image, matrix_of({**drawn, "flip": False}), fill=fill)
    flipped = compiled_warp(image, matrix_of({**drawn, "flip": True}), fill=fill)
    np.testing.assert_allclose(flipped, plain[:, ::-1], atol=2e-4)
    np.testing.assert_array_equal(aug.flip_horizontal(aug.flip_horizontal(image)), image)
    mirror = affine(shape=SHAPE, flip=True)
    twice = compiled_warp(compiled_warp(image, mirror, fill=fill), mirror, fill=fill)
    np.testing.assert_array_equal(twice, image)


@few
@given(fills, st.sampled_from(KERAS), st.integers(0, 1))
def test_no_strength_is_the_identity(fill, keras, order):
    still = {name: getattr(Parameters(), name) for name in GEOMETRY}
    matrix = matrix_of(still, keras)
    np.testing.assert_array_equal(matrix, np.eye(3))
    np.testing.assert_array_equal(compiled_warp(noise(), matrix, order=order, fill=fill), noise())


@few
@given(geometries, fills, st.sampled_from(KERAS))
def test_a_mask_stays_on_its_image(drawn, fill, keras):
    """Where all pixels that an image's pixel is made of agree, the mask's pixel agrees too."""
    row, column = np.indices(SHAPE)
    image = jnp.asarray(np.sin(row / 4.0) * np.cos(column / 5.0) > 0, jnp.float32)[..., None]
    matrix = matrix_of(drawn, keras)
    moved = np.asarray(compiled_warp(image, matrix, fill=fill))
    followed = np.asarray(compiled_warp(image.astype(jnp.uint8), matrix, order=0, fill=fill))
    agreed = (moved == 0) | (moved == 1)
    np.testing.assert_array_equal(moved[agreed], followed[agreed])


@few
@given(geometries, fills, st.sampled_from(KERAS))
def test_a_masks_pixel_comes_from_within_half_a_pixel_of_its_images(drawn, fill, keras):
    place = jnp.stack(jnp.indices(SHAPE), axis=-1).astype(jnp.float32)
    matrix = matrix_of(drawn, keras)
    nearest = compiled_warp(place, matrix, order=0, fill=fill)
    between = compiled_warp(place, matrix, fill=fill)
    assert float(jnp.abs(nearest - between).max()) < 0.5 + 1e-4


ALL = AugmentConfig(
    rotation=20.0,
    shear=10.0,
    zoom=0.3,
    brightness=0.5,
    contrast=0.5,
    gamma=0.5,
    noise=0.1,
    erase=0.5,
)
augmented = jax.jit(augment, static_argnames="config")


@few
@given(seeds)
def test_a_batch_comes_back_as_float32_in_range_with_its_masks(seed):
    images = jnp.stack([noise(seed), noise(seed + 1)]).astype(jnp.float16)
    masks = images > 0.5
    key = jax.random.key(seed)
    changed, followed = augmented(key, images, config=ALL, masks=masks)
    assert changed.shape == images.shape
    assert changed.dtype == jnp.float32
    assert 0.0 <= float(changed.min()) <= float(changed.max()) <= 1.0
    assert followed.shape == masks.shape
    assert followed.dtype == jnp.bool_
    np.testing.assert_array_equal(changed, augmented(key, images, config=ALL, masks=masks)[0])
