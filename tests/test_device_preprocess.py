"""The device prepares films as the host does."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax import device_preprocess as device
from cxr_jax import preprocess as host
from cxr_jax.preprocess import Crop, PreprocessConfig

DTYPES = (np.uint8, np.uint16)
PLAIN = {"remove_artefacts": False, "image_size": 48}


def noise(shape, dtype):
    """The hardest case for a resize: neighbours have nothing in common, the ends are frequent."""
    top = np.iinfo(dtype).max
    drawn = np.random.default_rng(0).uniform(-0.3, 1.3, shape)
    return np.rint(np.clip(drawn, 0, 1) * top).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((64, 96), 32),  # whole ratios
        ((101, 77), 64),  # odd ones
        ((30, 41), 64),  # growing
        ((300, 20), 64),  # both
        ((3, 500), 64),
        ((1, 1), 5),
        ((64, 64), 64),
        ((601, 2003), 2000),  # OpenCV leaves out slivers of pixels
        ((2, 1017), 1000),  # its rounding of the step decides what is one
    ],
    ids=str,
)
def test_resize_is_opencvs_within_one_grey_level_of_either_depth(shape, size, dtype):
    image = noise(shape, dtype)
    resized = device.resize(image, size=size)
    expected = host.resize(image, size=size)
    assert resized.dtype == dtype
    assert np.abs(np.asarray(resized, np.int64) - expected).max() <= 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_crop_is_the_hosts(dtype):
    image = noise((53, 47), dtype)
    sides = {"left": 0.06, "right": 0.1, "top": 0.2, "bottom": 0.12}
    np.testing.assert_array_equal(device.crop(image, **sides), host.crop(image, **sides))


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "options",
    [
        {"crop": Crop(left=0.06, right=0.06, top=0.2, bottom=0.12)},
        {"keep_aspect": True, "bit_depth": 16},
        {"clahe_clip_limit": 0.0, "kind": "breast"},
    ],
    ids=["cropped", "padded_16_bits", "without_clahe"],
)
def test_the_recipe_is_the_hosts_within_one_grey_level(options, dtype):
    image = noise((131, 117), dtype)
    config = PreprocessConfig(**PLAIN, **options)
    expected = host.preprocess(image, config)
    top = np.iinfo(expected.dtype).max
    prepared = device.preprocess(image, config)
    assert prepared.dtype == jnp.float32
    assert np.abs(np.asarray(prepared) * top - expected).max() < 1.01


def test_a_batch_is_prepared_as_its_images_are_but_for_the_rounding_of_halves():
    images = np.stack([noise((40, 50), np.uint8), 255 - noise((40, 50), np.uint8)])
    config = PreprocessConfig(**PLAIN)
    batch = jax.vmap(lambda image: device.preprocess(image, config))(images)
    for one, image in zip(batch, images, strict=True):
        levels = 255 * np.abs(one - device.preprocess(image, config))
        assert levels.max() < 1.01
        assert (levels > 0.5).mean() < 0.01


@pytest.mark.parametrize("bits", [8, 16])
def test_white_is_1_and_black_is_0(bits):
    image = np.zeros((48, 48), np.uint16)
    image[:24] = 65535
    config = PreprocessConfig(**PLAIN, clahe_clip_limit=0.0, bit_depth=bits)
    np.testing.assert_array_equal(device.preprocess(image, config), image / 65535)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"remove_artefacts": True}, "remove_artefacts must be off on the device, got True; prep"),
        ({"mirror_right": True, "kind": "breast"}, "mirror_right must be off on the device"),
        ({"clahe_tiles": (60, 8)}, r"tiles must be no more than .* 50 across and 40 down"),
        ({"crop": Crop(top=0.5, bottom=0.4)}, "tiles must be no more than"),
    ],
)
def test_what_the_device_cannot_do_is_refused_when_traced(options, message):
    config = PreprocessConfig(**(PLAIN | options))
    image = jax.ShapeDtypeStruct((40, 50), jnp.uint8)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda image: device.preprocess(image, config), image)


def test_what_leaves_nothing_is_refused():
    image = noise((2, 2), np.uint8)
    with pytest.raises(ValueError, match="crop leaves nothing of an image of 2 x 2 pixels"):
        device.crop(image, top=0.4, bottom=0.59)
    with pytest.raises(ValueError, match="crop left must be a fraction"):
        device.crop(image, left=1.0)
    for size in (0, -3, 2.5, "8", True):
        message = f"size must be a positive number of whole pixels, got {size!r}"
        for resize in (device.resize, host.resize):
            with pytest.raises(ValueError, match=message):
                inspect.unwrap(resize)(image, size=size)


@pytest.mark.parametrize(
    "image",
    [jnp.zeros((40, 50)), jnp.zeros((40, 50), jnp.int32), np.zeros((9, 9), ">u2"), "film.png"],
)
def test_other_types_are_refused(image):
    for function in (device.preprocess, device.crop, device.resize):
        options = {"size": 8} if function is device.resize else {}
        if function is device.preprocess:
            options = {"config": PreprocessConfig(**PLAIN)}
        with pytest.raises(TypeError, match="image must be uint8 or uint16, got"):
            inspect.unwrap(function)(image, **options)
