"""What is no image or no key is refused by name, also while it is traced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.device_image import check_image, check_key


def test_images_masks_and_keys_pass():
    check_image(np.zeros((2, 3, 1), np.float32))
    check_image(jnp.zeros((4, 2, 3, 1), jnp.bfloat16), rank=4)
    check_image(np.zeros((2, 3, 1), bool), floats=False)
    check_key(jax.random.key(0))
    jax.jit(check_key)(jax.random.key(0))
    jax.vmap(check_key)(jax.random.split(jax.random.key(0)))


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ([[0.5]], TypeError, "film must be an array, got list"),
        (
            np.zeros((2, 3), np.float32),
            ValueError,
            r"\[height, width, channel\].*got shape \(2, 3\)",
        ),
        (np.zeros((2, 0, 1), np.float32), ValueError, r"none of them 0, got shape \(2, 0, 1\)"),
        (np.zeros((2, 3, 1), np.uint16), TypeError, "film must be of floats in .*got uint16"),
    ],
)
def test_what_is_no_image_is_refused_by_name(image, error, message):
    with pytest.raises(error, match=message):
        check_image(image, name="film")


@pytest.mark.parametrize(
    ("key", "got"),
    [
        (0, "got int"),
        (jax.random.PRNGKey(0), r"got uint32\[2\].*wrap_key_data"),
        (jax.random.split(jax.random.key(0), 3), r"got key<fry>\[3\]"),
    ],
)
def test_what_is_no_key_is_refused(key, got):
    with pytest.raises(TypeError, match=f"key must be one typed PRNG key, {got}"):
        check_key(key)
