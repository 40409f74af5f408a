"""Grey levels against Keras and against their formulas; boxes by counting."""

from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax.test_util import check_grads

from cxr_jax.photometric import (
    add_noise,
    adjust_brightness,
    adjust_contrast,
    adjust_gamma,
    apply_clahe,
    erase,
)

CHANGES = (
    lambda image: adjust_brightness(image, 1.3),
    lambda image: adjust_contrast(image, 1.3),
    lambda image: adjust_gamma(image, 1.3),
    lambda image: add_noise(jax.random.key(0), image, deviation=0.1),
    lambda image: erase(image, (0.0, 0.0, 0.5, 0.5)),
    apply_clahe,
)


def picture(height=23, width=31, channels=1):
    return jnp.asarray(np.random.default_rng(0).random((height, width, channels), np.float32))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("keras", ["2.8", "3"])
@pytest.mark.parametrize("name", ["noise", "smooth"])
def test_brightness_equals_that_of_keras(name, keras, jit):
    with np.load(Path(__file__).with_name("goldens") / "keras_affine.npz") as golden:
        image = jnp.asarray(golden[name])[..., None] / 255
        function = jax.jit(adjust_brightness, static_argnames="keras") if jit else adjust_brightness
        for factor, expected in zip(
            golden["factors"], golden[f"{name} brightness {keras}"], strict=True
        ):
            grey = 255 * function(image, jnp.float32(factor), keras=keras)[..., 0]
            np.testing.assert_allclose(grey, expected, atol=1e-4)


def test_all_256_grey_levels_survive_the_cutting_of_keras():
    levels = (jnp.arange(256, dtype=jnp.float32) / 255).reshape(16, 16, 1)
    for keras in ("2.8", "3"):
        np.testing.assert_array_equal(adjust_brightness(levels, 1.0, keras=keras), levels)
    black = jnp.zeros((4, 4, 1))
    np.testing.assert_array_equal(adjust_brightness(black, 1.2, keras="2.8"), black)


def test_the_first_keras_has_no_brightness():
    with pytest.raises(ValueError, match=r'keras must be "", "2.8" or "3" for brightness'):
        adjust_brightness(picture(), 1.1, keras="2.1.2")


def test_contrast_scales_distances_to_each_channels_mean():
    image = 0.4 + 0.2 * picture(channels=2)
    mean = np.asarray(image).mean(axis=(0, 1))
    np.testing.assert_allclose(adjust_contrast(image, 1.5), (image - mean) * 1.5 + mean, atol=1e-6)
    np.testing.assert_allclose(
        adjust_contrast(image, 0.0), np.broadcast_to(mean, image.shape), atol=1e-6
    )
    strong = adjust_contrast(picture(), 5.0)
    assert float(strong.min()) == 0.0
    assert float(strong.max()) == 1.0


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.2])
def test_gamma_is_a_power_and_black_stays_black_with_a_finite_gradient(gamma):
    image = picture().at[0, 0].set(0.0)
    np.testing.assert_allclose(adjust_gamma(image, gamma), np.asarray(image) ** gamma, atol=1e-6)
    by_pixel, by_gamma = jax.grad(lambda x, g: adjust_gamma(x, g).sum(), argnums=(0, 1))(
        image, gamma
    )
    assert bool(jnp.isfinite(by_pixel).all() & jnp.isfinite(by_gamma))
    assert float(by_pixel[0, 0, 0]) == 0.0


def test_strength_of_none_changes_nothing():
    image = picture()
    for same in (
        adjust_brightness(image, 1.0),
        add_noise(jax.random.key(0), image, deviation=0.0),
        erase(image, (0.5, 0.5, 0.0, 0.0)),
    ):
        np.testing.assert_array_equal(same, image)
    for same in (adjust_contrast(image, 1.0), adjust_gamma(image, 1.0)):
        np.testing.assert_allclose(same, image, atol=1e-6)


def test_noise_is_gaussian_of_its_deviation_and_clipped():
    grey = jnp.full((100, 101, 1), 0.5)
    noise = np.asarray(add_noise(jax.random.key(3), grey, deviation=0.05) - grey) / 0.05
    assert abs(noise.mean()) < 0.03
    assert abs(noise.std() - 1) < 0.03
    assert abs((np.abs(noise) < 1).mean() - 0.6827) < 0.015
    assert abs((np.abs(noise) < 2).mean() - 0.9545) < 0.007
    loud = add_noise(jax.random.key(3), grey, deviation=1.0)
    assert (float(loud.min()), float(loud.max())) == (0.0, 1.0)


def test_clahe_is_opencvs_at_8_bits_channel_by_channel():
    image = 0.2 + 0.4 * picture(40, 33, channels=2)
    levels = np.round(255 * np.asarray(image)).astype(np.uint8)
    opencv = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 4))
    expected = np.stack([opencv.apply(levels[..., c]) for c in range(2)], axis=-1)
    equalised = apply_clahe(image, clip_limit=3.0, tiles=(8, 4))
    np.testing.assert_array_equal(np.round(255 * equalised), expected)
    with pytest.raises(ValueError, match="tiles must be no more than the image has pixels"):
        apply_clahe(image, tiles=(34, 8))


def test_a_box_is_filled_and_nothing_else():
    image = picture(20, 40)
    erased = erase(image, (0.1, 0.25, 0.5, 0.2), value=0.25)
    np.testing.assert_array_equal(erased, image.at[2:12, 10:18].set(0.25))
    assert float(erase(image, (0.0, 0.0, 1.0, 1.0)).max()) == 0.0


def on_arrays(function):
    """check_grads calls with NumPy's arrays, which the annotations refuse."""
    return lambda *arguments: function(*map(jnp.asarray, arguments))


def test_gradients_are_those_of_finite_differences():
    image = 0.3 + 0.4 * picture(5, 6)
    for function in (adjust_brightness, adjust_contrast, adjust_gamma):
        check_grads(on_arrays(function), (image, 1.1), order=1, modes=["rev"], rtol=2e-2)
    noisy = on_arrays(lambda x, s: add_noise(jax.random.key(0), x, deviation=s))
    check_grads(noisy, (image, 0.01), order=1, modes=["rev"], rtol=2e-2)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (np.zeros((4, 4, 1), np.uint8), TypeError, "must be of floats in"),
        (np.zeros((4, 4), np.float32), ValueError, r"must be \[height, width, channel\]"),
        (np.zeros((4, 0, 1), np.float32), ValueError, "none of them 0"),
        ([[[0.5]]], TypeError, "image must be an array of JAX or NumPy, got list"),
    ],
)
def test_what_is_no_image_is_refused(monkeypatch, wrong, error, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is outside of tests
    for function in CHANGES:
        with pytest.raises(error, match=message):
            function(wrong)


@pytest.mark.parametrize(
    ("function", "name", "low"),
    [
        (adjust_brightness, "factor", r"\[0"),
        (adjust_contrast, "factor", r"\[0"),
        (adjust_gamma, "gamma", r"\(0"),
        (lambda image, s: add_noise(jax.random.key(0), image, deviation=s), "deviation", r"\[0"),
        (lambda image, v: erase(image, (0, 0, 1, 1), value=v), "value", r"\[0"),
        (lambda image, h: erase(image, (0, 0, h, 1)), r"box \(height\)", r"\[0"),
    ],
)
def test_a_strength_without_a_meaning_is_refused(monkeypatch, function, name, low):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for wrong in (-1.0, float("nan"), float("inf"), np.float32(-0.5)):
        with pytest.raises(ValueError, match=f"{name} must be in {low}, .* got {wrong}"):
            function(picture(), wrong)
    # An array would be broadcast to three channels.
    with pytest.raises(ValueError, match=rf"{name} must be one number, got shape \(3,\)"):
        jax.eval_shape(function, picture(), jnp.ones(3))
    with pytest.raises(TypeError, match=f"{name} must be a number, got str"):
        function(picture(), "1")


def test_double_precision_switched_on_changes_nothing():
    def changed():
        image = jnp.asarray(picture(), jnp.float32)
        return [
            adjust_brightness(image, np.float64(1.3)),
            adjust_brightness(image, np.float64(1.3), keras="3"),
            adjust_contrast(image, np.float64(1.3)),
            adjust_gamma(image, np.float64(1.3)),
            add_noise(jax.random.key(0), image, deviation=np.float64(0.1)),
            erase(image, (0.0, 0.0, 0.5, 0.5), value=np.float64(0.3)),
            apply_clahe(image),
        ]

    single = changed()
    with jax.enable_x64(True):
        for one, other in zip(single, changed(), strict=True):
            assert other.dtype == jnp.float32
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32, np.float64])
def test_all_floats_come_back_as_float32(monkeypatch, dtype):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    rough = np.asarray(picture(), dtype)
    image = jnp.asarray(rough, jnp.float32)
    for function in CHANGES:
        changed = function(rough)
        assert changed.dtype == jnp.float32
        np.testing.assert_array_equal(changed, function(image))


@pytest.mark.parametrize(
    "wrong", [0, np.uint32([0, 1]), jax.random.PRNGKey(0), jax.random.split(jax.random.key(0))]
)
def test_what_is_no_key_is_refused(monkeypatch, wrong):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(TypeError, match=r"key must be one typed PRNG key, got .*random\.key\(seed"):
        add_noise(wrong, picture(), deviation=0.1)
