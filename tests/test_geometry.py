"""Matrices against their definition, the resample against SciPy."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import scipy.ndimage

from cxr_jax import geometry
from cxr_jax.geometry import KERAS, affine, warp

SHAPE = (37, 52)
compiled_warp = jax.jit(warp, static_argnames=("order", "fill"))
PARAMETERS = [
    {},
    {"rotation": 17.0},
    {"rotation": -6.0, "shear": 5.7},
    {"shift": (0.12, -0.23)},
    {"zoom": (0.8, 1.3)},
    {"flip": True},
    {
        "rotation": 23.0,
        "shift": (-0.11, 0.07),
        "shear": -12.0,
        "zoom": (1.21, 0.87),
        "flip": True,
    },
]


def definition(*, shape, rotation=0.0, shift=(0, 0), shear=0.0, zoom=(1, 1), flip=False, keras=""):
    """Multiply the matrices out, in double precision."""
    height, width = shape
    theta, s = np.deg2rad(rotation), shear if keras == "2.1.2" else np.deg2rad(shear)
    off = 0.5 if keras in ("2.1.2", "2.8") else -0.5
    centre = np.array([[1, 0, height / 2 + off], [0, 1, width / 2 + off], [0, 0, 1]])
    about = (
        centre
        @ [[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]]
        @ [[1, 0, shift[0] * height], [0, 1, shift[1] * width], [0, 0, 1]]
        @ [[1, -np.sin(s), 0], [0, np.cos(s), 0], [0, 0, 1]]
        @ np.diag([*zoom, 1])
        @ np.linalg.inv(centre)
    )
    if keras == "3":
        about = about[[1, 0, 2]][:, [1, 0, 2]]
    return about @ [[1, 0, 0], [0, -1 if flip else 1, (width - 1) * flip], [0, 0, 1]]


def noise(shape=SHAPE, channels=1):
    return np.random.default_rng(0).random((*shape, channels), dtype=np.float32)


def blocks(shape=SHAPE):
    """A mask of three values."""
    row, column = np.indices(shape)
    return ((row // 5 + column // 7) % 3).astype(np.uint8)[..., None]


@pytest.mark.smoke
@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("shape", [SHAPE, (224, 224)])
def test_affine_equals_the_product_of_its_matrices(shape, parameters):
    np.testing.assert_allclose(
        affine(shape=shape, **parameters), definition(shape=shape, **parameters), atol=1e-4
    )


@pytest.mark.smoke
@pytest.mark.parametrize("fill", ["nearest", "constant", "reflect"])
@pytest.mark.parametrize("parameters", PARAMETERS)
def test_bilinear_warp_equals_scipy(parameters, fill):
    image = noise(channels=2)
    expected = np.stack(
        [
            scipy.ndimage.affine_transform(
                channel, definition(shape=SHAPE, **parameters), order=1, mode=fill
            )
            for channel in np.moveaxis(image, -1, 0)
        ],
        axis=-1,
    )
    warped = warp(jnp.asarray(image), affine(shape=SHAPE, **parameters), fill=fill)
    assert warped.dtype == jnp.float32
    np.testing.assert_allclose(warped, expected, atol=5e-5)


@pytest.mark.parametrize("fill", ["nearest", "constant", "reflect"])
@pytest.mark.parametrize("parameters", PARAMETERS)
def test_nearest_warp_of_a_mask_equals_scipy(parameters, fill):
    mask = blocks()
    expected = scipy.ndimage.affine_transform(
        mask[..., 0], definition(shape=SHAPE, **parameters), order=0, mode=fill
    )
    warped = warp(jnp.asarray(mask), affine(shape=SHAPE, **parameters), order=0, fill=fill)
    assert warped.dtype == jnp.uint8
    np.testing.assert_array_equal(warped[..., 0], expected)


def test_half_way_between_two_pixels_the_nearest_is_the_next():
    row, column = jnp.indices((6, 6), jnp.uint8)[..., None]
    half = jnp.array([[1.0, 0, 0.5], [0, 1.0, 0.5], [0, 0, 1]])
    for mask, axis in [(row, 0), (column, 1)]:
        moved = np.asarray(warp(mask, half, order=0)[..., 0])
        np.testing.assert_array_equal(moved.take(2, axis=1 - axis), [1, 2, 3, 4, 5, 5])


def test_far_from_the_corner_points_are_as_exact_as_near_it():
    """Between black and white columns the grey level is the point's fraction."""
    stripes = np.tile(np.float32([0, 1]), (2, 2048))
    matrix = affine(shape=stripes.shape, zoom=(1.0, 1.001), shift=(0.0, 1e-4))
    exact = scipy.ndimage.affine_transform(
        stripes.astype(np.float64), np.asarray(matrix, np.float64), order=1, mode="nearest"
    )
    warped = compiled_warp(jnp.asarray(stripes)[..., None], matrix)[..., 0]
    np.testing.assert_allclose(warped, exact, atol=2e-6)


@pytest.mark.parametrize("keras", KERAS)
def test_error_at_224_pixels_is_a_hundredth_of_a_grey_level_on_noise_and_a_tenth_of_it_else(keras):
    sharp = noise((224, 173))
    smooth = scipy.ndimage.gaussian_filter(sharp[..., 0], 3)[..., None]
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    parameters = {**PARAMETERS[-1], "keras": keras}
    if keras == "2.1.2":
        parameters["shear"] = -0.2
    matrix = affine(shape=(224, 173), **parameters)
    for image, most in [(sharp, 1e-2), (smooth, 1e-3)]:
        expected = scipy.ndimage.affine_transform(
            image[..., 0], definition(shape=(224, 173), **parameters), order=1, mode="nearest"
        )
        warped = compiled_warp(jnp.asarray(image), matrix)[..., 0]
        assert 255 * np.abs(warped - expected).max() < most


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).with_name("goldens") / "keras_affine.npz") as file:
        return dict(file)


@partial(jax.jit, static_argnames=("order", "fill"))
def warp_each(image, matrices, *, order, fill):
    return jax.vmap(lambda matrix: warp(image, matrix, order=order, fill=fill))(matrices)


@pytest.mark.parametrize("keras", ["2.1.2", "2.8", "3"])
def test_the_generations_of_keras_are_met_on_images_that_are_not_square(golden, keras):
    @jax.jit
    @jax.vmap
    def matrices(row):
        return affine(
            shape=golden["noise"].shape,
            rotation=row[0],
            shift=row[1:3],
            shear=jnp.radians(row[3]) if keras == "2.1.2" else row[3],
            zoom=row[4:6],
            flip=row[6] > 0,
            keras=keras,
        )

    made = matrices(jnp.asarray(golden["parameters"], jnp.float32))
    order = 0 if keras == "2.1.2" else 1  # up to 2.1.2 the nearest pixel's value was taken
    for picture, tolerance in [("noise", 2e-2), ("smooth", 1e-3)]:
        image = jnp.asarray(golden[picture])[..., None]
        for fill, expected in zip(golden["fills"], golden[f"{picture} {keras}"], strict=True):
            moved = warp_each(image, made, order=order, fill=str(fill))[..., 0]
            np.testing.assert_allclose(
                moved, expected, atol=tolerance, err_msg=f"{picture}, {fill}"
            )


@pytest.mark.parametrize("fill", ["nearest", "constant", "reflect"])
@pytest.mark.parametrize("order", [0, 1])
def test_the_identity_and_the_flip_are_exact(order, fill):
    image = jnp.asarray(noise())
    warped = warp(image, affine(shape=SHAPE), order=order, fill=fill)
    np.testing.assert_array_equal(warped, image)
    mirrored = warp(image, affine(shape=SHAPE, flip=True), order=order, fill=fill)
    np.testing.assert_array_equal(mirrored, image[:, ::-1])


def test_the_flip_comes_last():
    image, parameters = jnp.asarray(noise()), PARAMETERS[-1]
    plain = warp(image, affine(shape=SHAPE, **{**parameters, "flip": False}))
    flipped = warp(image, affine(shape=SHAPE, **parameters))
    np.testing.assert_allclose(flipped, plain[:, ::-1], atol=2e-5)


def test_positive_rotation_is_clockwise_and_positive_shift_goes_up_and_left():
    image = jnp.zeros((21, 21, 1)).at[10, 15].set(1.0)
    turned = warp(image, affine(shape=(21, 21), rotation=90.0))
    assert np.unravel_index(jnp.argmax(turned), turned.shape)[:2] == (15, 10)
    moved = warp(image, affine(shape=(21, 21), shift=(3 / 21, 2 / 21)))
    assert np.unravel_index(jnp.argmax(moved), moved.shape)[:2] == (7, 13)


def test_zoom_below_one_magnifies():
    image = jnp.zeros((21, 21, 1)).at[8:13, 8:13].set(1.0)
    assert warp(image, affine(shape=(21, 21), zoom=(0.5, 0.5))).sum() > image.sum()


def test_what_lies_far_outside_is_filled():
    image = jnp.asarray(noise()) + 1.0
    far = affine(shape=SHAPE, shift=(30.0, -30.0))
    np.testing.assert_array_equal(warp(image, far), jnp.full_like(image, image[-1, 0, 0]))
    np.testing.assert_array_equal(warp(image, far, fill="constant"), jnp.zeros_like(image))
    assert float(warp(image, far, fill="reflect").min()) >= 1.0


def test_parameters_may_be_traced_and_vmap_equals_a_loop():
    images = jnp.asarray(np.stack([noise(), 1 - noise()]))
    drawn = {
        "rotation": jnp.array([5.0, -8.0]),
        "shift": jnp.array([[0.1, 0.0], [-0.05, 0.2]]),
        "shear": jnp.array([3.0, -2.0]),
        "zoom": jnp.array([[0.9, 1.1], [1.05, 0.95]]),
        "flip": jnp.array([True, False]),
    }

    def move(image, parameters):
        return warp(image, affine(shape=SHAPE, **parameters))

    together = jax.jit(jax.vmap(move))(images, drawn)
    for index in range(2):
        alone = move(images[index], {name: value[index] for name, value in drawn.items()})
        np.testing.assert_allclose(together[index], alone, atol=5e-5)


@pytest.mark.parametrize("shape", [(*SHAPE, 2), (1, 5, 1), (5, 1, 1), (1, 1, 1)])
def test_a_tpu_is_given_the_same_neighbours(shape):
    image = jnp.asarray(np.random.default_rng(0).random(shape, np.float32))
    row, column = (np.minimum(np.arange(n), max(n - 2, 0)) for n in shape[:2])
    first = jnp.asarray(row[:, None] * shape[1] + column)
    apart, at_once = geometry._four(image, first), geometry._four_at_once(image, first)
    np.testing.assert_array_equal(jnp.stack(at_once), jnp.stack(apart))
    below, right = (np.minimum(x + 1, n - 1) for x, n in zip((row, column), shape, strict=False))
    np.testing.assert_array_equal(apart[3], image[below][:, right])


@pytest.mark.parametrize("shape", [(*SHAPE, 2), (1, 5, 1), (5, 1, 1), (1, 1, 1)])
def test_a_tpu_interpolates_by_products(shape, monkeypatch):
    image = jnp.asarray(np.random.default_rng(0).random(shape, np.float32))
    matrix = affine(shape=shape[:2], **PARAMETERS[-1])
    gathered = warp(image, matrix)
    monkeypatch.setattr(geometry, "_by_gathering", lambda _, *args: geometry._by_products(*args))
    np.testing.assert_allclose(warp(image, matrix), gathered, atol=1e-6)


def test_a_tpu_gathers_not_at_all_or_once_where_others_gather_each_neighbour():
    def count(side, platform):
        traced = compiled_warp.trace(jnp.zeros((side, side, 1)), affine(shape=(side, side)))
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        return text.count('"stablehlo.gather"(')

    assert [count(224, platform) for platform in ("tpu", "cpu", "cuda")] == [0, 4, 4]
    assert count(512, "tpu") == 1


def test_it_is_differentiable_in_the_angle_and_in_the_image():
    row, column = np.indices(SHAPE)
    image = jnp.asarray(np.sin(row / 9) * np.cos(column / 11), jnp.float32)[..., None]

    @jax.jit
    @jax.value_and_grad
    def energy(degrees):
        return jnp.mean(warp(image, affine(shape=SHAPE, rotation=degrees)) ** 2)

    difference = (energy(5.0)[0] - energy(3.0)[0]) / 2
    np.testing.assert_allclose(energy(4.0)[1], difference, rtol=0.05)
    mirror = affine(shape=SHAPE, flip=True)
    gradient = jax.jit(jax.grad(lambda x: warp(x, mirror).sum()))(image)
    np.testing.assert_array_equal(gradient, jnp.ones_like(image))


def test_wrong_arguments_are_refused():
    image, matrix = jnp.zeros((4, 4, 1)), affine(shape=(4, 4))
    with pytest.raises(TypeError, match="order=0 for a mask"):
        warp(jnp.zeros((4, 4, 1), jnp.uint8), matrix)
    with pytest.raises(ValueError, match="order must be"):
        warp(image, matrix, order=3)
    with pytest.raises(ValueError, match="fill must be one of"):
        warp(image, matrix, fill="wrap")
    with pytest.raises(ValueError, match="keras must be one of"):
        affine(shape=(4, 4), keras="2.9")
    with pytest.raises(ValueError, match=r"shape must be \(height, width\), both >= 1"):
        affine(shape=(4, 0))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"rotation": "90"}, TypeError, "rotation must be a number, got str"),
        ({"rotation": jnp.ones(3)}, ValueError, r"rotation must be one number, got shape \(3,\)"),
        ({"shear": float("nan")}, ValueError, "shear must be in .*, got nan"),
        ({"shift": 0.1}, ValueError, r"shift must be \(down, across\), got 0.1"),
        ({"zoom": (0.0, 1.0)}, ValueError, r"zoom \(rows\) must be in \(0, inf\), got 0.0"),
        ({"flip": jnp.ones(2, bool)}, ValueError, r"flip must be one number, got shape \(2,\)"),
    ],
)
def test_wrong_parameters_are_refused(monkeypatch, wrong, error, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is outside of tests
    with pytest.raises(error, match=message):
        affine(shape=(4, 4), **wrong)


@pytest.mark.parametrize(
    ("image", "matrix", "message"),
    [
        (np.zeros((4, 4), np.float32), np.eye(3), r"image must be \[height, width, channel\]"),
        (np.zeros((4, 0, 1), np.float32), np.eye(3), "none of them 0"),
        (np.zeros((4, 4, 1), np.float32), np.eye(2), r"matrix must be \[3, 3\]"),
    ],
)
def test_wrong_shapes_are_refused(monkeypatch, image, matrix, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is outside of tests
    with pytest.raises(ValueError, match=message):
        compiled_warp(image, matrix)


@pytest.mark.parametrize("fill", ["nearest", "constant", "reflect"])
def test_a_line_of_pixels_and_a_single_one_are_images_too(fill):
    for shape in [(1, 5, 1), (5, 1, 1), (1, 1, 1)]:
        image = jnp.asarray(np.random.default_rng(0).random(shape, np.float32))
        moved = compiled_warp(image, affine(shape=shape[:2], shift=(1.0, 0.4)), fill=fill)
        expected = scipy.ndimage.affine_transform(
            image[..., 0], definition(shape=shape[:2], shift=(1.0, 0.4)), order=1, mode=fill
        )
        np.testing.assert_allclose(moved[..., 0], expected, atol=1e-5)
