"""What is no image or no key is refused by name, also while it is traced."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.device_image import check_image, check_key, check_number, check_numbers


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
        ([[0.5]], TypeError, "film must be an array of JAX or NumPy, got list"),
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


@pytest.mark.parametrize(
    "value", [1, 0.0, np.float16(0.5), np.array(1.0), jnp.bfloat16(0.25), True]
)
def test_numbers_of_an_interval_pass(value):
    check_number(value, name="factor", within="[0, 1]")
    jax.jit(lambda value: check_number(value, name="factor", within="[0, 1]"))(value)


@pytest.mark.parametrize(
    ("value", "within", "error", "message"),
    [
        (-0.1, "[0, 1)", ValueError, r"factor must be in \[0, 1\), got -0.1"),
        (1.0, "[0, 1)", ValueError, r"factor must be in \[0, 1\), got 1.0"),
        (0, "(0, inf)", ValueError, r"factor must be in \(0, inf\), got 0"),
        (jnp.float32(2), "[0, 1]", ValueError, r"factor must be in \[0, 1\], got 2.0"),
        (float("nan"), "(-inf, inf)", ValueError, "factor must be in .*, got nan"),
        (np.inf, "(-inf, inf)", ValueError, "factor must be in .*, got inf"),
        (np.ones(1), "[0, 1]", ValueError, r"factor must be one number, got shape \(1,\); vmap"),
        ("1", "[0, 1]", TypeError, "factor must be a number, got str"),
        (None, "[0, 1]", TypeError, "factor must be a number, got NoneType"),
        ((1.0,), "[0, 1]", TypeError, "factor must be a number, got tuple"),
    ],
)
def test_what_is_no_number_of_an_interval_is_refused(value, within, error, message):
    with pytest.raises(error, match=message):
        check_number(value, name="factor", within=within)


def test_the_shape_of_a_traced_number_is_checked():
    with pytest.raises(ValueError, match=r"factor must be one number, got shape \(3,\)"):
        jax.eval_shape(lambda value: check_number(value, name="factor"), jnp.ones(3))


@pytest.mark.parametrize("zoom", [0.9, (1.0,), (1.0, 1.0, 1.0), None, "11", np.ones((2, 2))])
def test_another_count_of_numbers_is_refused(zoom):
    with pytest.raises(ValueError, match=r"zoom must be \(rows, columns\), got "):
        check_numbers(zoom, name="zoom", parts=("rows", "columns"), within="(0, inf)")


def test_each_of_several_numbers_is_checked_by_its_name():
    for zoom in [(1.0, -1.0), jnp.array([1.0, -1.0])]:
        with pytest.raises(ValueError, match=r"zoom \(columns\) must be in \(0, inf\), got -1.0"):
            check_numbers(zoom, name="zoom", parts=("rows", "columns"), within="(0, inf)")
