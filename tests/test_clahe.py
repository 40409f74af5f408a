"""The device's CLAHE gives OpenCV's bits."""

import inspect
from functools import partial

import cv2
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from cxr_jax import clahe as module
from cxr_jax import preprocess
from cxr_jax.clahe import clahe

DTYPES = (np.uint8, np.uint16)
SHAPES_AND_TILES = [
    ((224, 224), (8, 8)),  # divides
    ((61, 90), (8, 8)),  # neither side does
    ((64, 90), (8, 8)),  # one side does; OpenCV adds to both
    ((997, 1013), (7, 3)),  # a million pixels, so that single roundings show
    ((9, 9), (6, 6)),  # more padding than image in some tiles
    ((3, 5), (3, 2)),
    ((17, 1), (1, 4)),
    ((1, 1), (1, 1)),
]


def film(shape, dtype, seed=0):
    """Noise whose grey levels are far from evenly used."""
    top = np.iinfo(dtype).max
    levels = np.random.default_rng(seed).random(shape) ** 3
    return np.rint(levels * top).astype(dtype)


def opencv(image, clip_limit, tiles):
    return cv2.createCLAHE(clip_limit, tiles).apply(image)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "tiles"), SHAPES_AND_TILES, ids=str)
def test_compiled_it_equals_opencv_for_every_clip_limit(shape, tiles, dtype):
    image = film(shape, dtype)
    compiled = jax.jit(lambda image, limit: clahe(image, clip_limit=limit, tiles=tiles))
    for limit in (-1.0, 0.0, 0.5, 2.0, 40.0, 1e4):
        expected = opencv(image, limit, tiles)
        np.testing.assert_array_equal(compiled(image, limit), expected, err_msg=str(limit))


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", DTYPES)
def test_eager_compiled_and_vmapped_are_one(dtype):
    images = np.stack([film((61, 90), dtype, seed) for seed in range(3)])
    one = partial(clahe, clip_limit=3.0, tiles=(4, 5))
    expected = np.stack([opencv(image, 3.0, (4, 5)) for image in images])
    np.testing.assert_array_equal(one(images[0]), expected[0])
    np.testing.assert_array_equal(jax.jit(one)(images[0]), expected[0])
    vmapped = jax.jit(jax.vmap(one))(images)
    np.testing.assert_array_equal(vmapped, expected)
    assert vmapped.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_each_image_of_a_batch_may_have_its_own_clip_limit(dtype):
    images = np.stack([film((40, 40), dtype, seed) for seed in range(3)])
    limits = [0.0, 1.5, 9.0]
    drawn = jax.jit(jax.vmap(lambda image, limit: clahe(image, clip_limit=limit)))
    expected = [opencv(*pair, (8, 8)) for pair in zip(images, limits, strict=True)]
    np.testing.assert_array_equal(drawn(images, jnp.array(limits)), expected)


def test_a_limit_beyond_opencvs_integers_limits_nothing():
    image = film((64, 64), np.uint8)
    for function in (clahe, preprocess.clahe):
        unlimited = function(image, clip_limit=1e12)
        np.testing.assert_array_equal(unlimited, opencv(image, 0.0, (8, 8)))


def test_host_and_device_take_the_same_defaults():
    image = film((100, 80), np.uint8)
    np.testing.assert_array_equal(clahe(image), preprocess.clahe(image))
    parameters = [inspect.signature(function).parameters for function in (clahe, preprocess.clahe)]
    defaults = [{name: one[name].default for name in one} for one in parameters]
    assert defaults[0] == defaults[1]


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (jnp.zeros((9, 9)), TypeError, "image must be uint8 or uint16, got float32; scale it to 0"),
        (np.zeros((9, 9), np.int32), TypeError, "image must be uint8 or uint16, got int32"),
        ([[1, 2]], TypeError, "image must be uint8 or uint16, got list"),
        (
            jnp.zeros((2, 9, 9), jnp.uint8),
            ValueError,
            r"image must be \[height, width\], none of them 0, got shape \(2, 9, 9\); take one",
        ),
    ],
)
def test_what_is_no_image_is_refused_when_traced(image, error, message):
    raw = inspect.unwrap(module.clahe)
    with pytest.raises(error, match=message):
        raw(image)
    if hasattr(image, "shape"):
        with pytest.raises(error, match=message):
            jax.eval_shape(raw, image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tiles": (9, 8)}, r"image has pixels, 8 across and 12 down, got \(9, 8\); take fewer"),
        ({"tiles": (8, 13)}, r"image has pixels, 8 across and 12 down, got \(8, 13\)"),
        ({"tiles": (0, 8)}, r"two positive integers, \(across, down\), got \(0, 8\)"),
        ({"tiles": (2.5, 8)}, r"two positive integers, \(across, down\), got \(2.5, 8\)"),
        ({"tiles": (True, True)}, r"two positive integers, .* got \(True, True\)"),
        ({"clip_limit": float("nan")}, r"clip_limit must be in \(-inf, inf\), got nan"),
        ({"clip_limit": float("inf")}, r"clip_limit must be in \(-inf, inf\), got inf"),
        ({"clip_limit": jnp.float32("nan")}, "clip_limit must be in .*, got nan"),
    ],
)
@pytest.mark.parametrize("function", [clahe, preprocess.clahe])
def test_settings_without_a_meaning_are_refused_on_host_and_device(
    function, options, message, monkeypatch
):
    check = inspect.unwrap(module.check_settings)
    monkeypatch.setattr(module, "check_settings", check)
    monkeypatch.setattr(preprocess, "check_settings", check)
    with pytest.raises(ValueError, match=message):
        inspect.unwrap(function)(np.zeros((12, 8), np.uint8), **options)


def test_a_batch_of_clip_limits_for_one_image_is_refused():
    raw = inspect.unwrap(module.clahe)
    with pytest.raises(ValueError, match=r"clip_limit must be one number, got shape \(3,\); vmap"):
        raw(np.zeros((12, 8), np.uint8), clip_limit=jnp.ones(3))


@pytest.mark.parametrize("function", [clahe, preprocess.clahe])
def test_a_clip_limit_that_is_no_number_is_refused(function, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is outside of tests
    with pytest.raises(TypeError, match="clip_limit must be a number, got str"):
        function(np.zeros((12, 8), np.uint8), clip_limit="2")
