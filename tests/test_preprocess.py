import inspect

import cv2
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from cxr_jax import preprocess
from cxr_jax.preprocess import Crop, PreprocessConfig
from experiments.benchmark.artefacts import chest_films

DTYPES = (np.uint8, np.uint16)


def noise(shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def film(dtype=np.uint8, side=512):
    """Two dark lungs in a grey body on a black background, slightly noisy; no marks."""
    row, column = np.mgrid[:side, :side] / side
    image = np.full((side, side), 30.0)
    image[np.hypot((row - 0.6) / 0.8, (column - 0.5) / 0.42) < 1] = 150
    for centre in (0.33, 0.67):
        image[np.hypot((row - 0.5) / 0.3, (column - centre) / 0.12) < 1] = 80
    image = cv2.GaussianBlur(image, (0, 0), side / 100)
    image += np.random.default_rng(0).normal(0, 2, image.shape)
    return (image * (np.iinfo(dtype).max // 255)).astype(dtype)


def with_marker(image, *, row, column, text="L", value=None):
    """Burn in white letters, 5 % of the side high, with their lower left corner there."""
    side = len(image)
    value = int(np.iinfo(image.dtype).max) if value is None else value
    where = (int(column * side), int(row * side))
    scale = side / 512
    marked = cv2.putText(
        np.zeros(image.shape, np.uint8),
        text,
        where,
        cv2.FONT_HERSHEY_SIMPLEX,
        scale,
        1,
        int(3 * scale),
    )
    return np.where(marked > 0, np.asarray(value, image.dtype), image)


def mammogram():
    """A breast at the left side, a label and a tag in the dark."""
    row, column = np.mgrid[:400, :300]
    breast = np.hypot((row - 200) / 150, column / 180) < 1
    image = np.where(breast, 140, 6).astype(np.uint8)
    labelled = cv2.putText(image.copy(), "R CC", (210, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 255, 2)
    labelled[340:380, 230:290] = 220
    return image, labelled, breast


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", DTYPES)
def test_crop_cuts_the_named_sides(dtype):
    image = noise((100, 50), dtype)
    cropped = preprocess.crop(image, left=0.06, right=0.1, top=0.2, bottom=0.12)
    np.testing.assert_array_equal(cropped, image[20:88, 3:45])
    assert not np.shares_memory(cropped, image)


def test_crop_rounds_to_the_nearest_pixel():
    image = noise((53, 47))
    cropped = preprocess.crop(image, left=0.06, right=0.1, top=0.2, bottom=0.12)
    np.testing.assert_array_equal(cropped, image[11:47, 3:42])


def test_crop_of_nothing_is_the_image():
    image = noise((7, 9))
    np.testing.assert_array_equal(preprocess.crop(image), image)


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ({"left": 1.0}, r"crop left must be a fraction in \[0, 1\), got 1.0"),
        ({"top": -0.1}, r"crop top must be a fraction in \[0, 1\), got -0.1"),
        ({"left": float("nan")}, "crop left must be a fraction"),
        ({"left": 0.5, "right": 0.5}, r"crop fractions left \+ right must be < 1, got 0.5 \+ 0.5"),
        ({"top": 0.4, "bottom": 0.59}, "crop leaves nothing of an image of 2 x 2 pixels"),
    ],
)
def test_crop_refuses_what_leaves_nothing(sides, message):
    with pytest.raises(ValueError, match=message):
        preprocess.crop(noise((2, 2)), **sides)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("tiles", [(8, 8), (4, 2)])
def test_clahe_is_opencvs(dtype, tiles):
    image = noise((61, 90), dtype)
    ours = preprocess.clahe(image, clip_limit=3.0, tiles=tiles)
    np.testing.assert_array_equal(ours, cv2.createCLAHE(3.0, tiles).apply(image))
    assert ours.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_resize_averages_when_it_shrinks(dtype):
    image = noise((64, 96), dtype)
    exact = image.reshape(32, 2, 32, 3).mean(axis=(1, 3))
    assert np.abs(preprocess.resize(image, size=32) - exact).max() <= 0.51


def test_resize_interpolates_when_it_grows():
    image = noise((20, 20))
    expected = cv2.resize(image, (50, 50), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(preprocess.resize(image, size=50), expected)


def test_resize_averages_along_one_axis_and_interpolates_along_the_other():
    image = np.repeat(noise((10, 1)), 100, axis=1)
    image[:, ::2] = 0
    halves = preprocess.resize(image, size=50)
    assert halves.shape == (50, 50)
    assert np.ptp(halves, axis=1).max() == 0


@pytest.mark.smoke
def test_bit_depth_is_opencvs_shift_and_back():
    image = noise((40, 40), np.uint16)
    low = preprocess.convert_depth(image, bits=8)
    np.testing.assert_array_equal(low, image >> 8)
    np.testing.assert_array_equal(preprocess.convert_depth(low, bits=16), low * np.uint16(257))
    shifted = cv2.createCLAHE(2.0, (8, 8))
    shifted.setBitShift(8)
    np.testing.assert_array_equal(preprocess.clahe(low), shifted.apply(image) >> 8)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((4, 4), np.float32), TypeError, "must be uint8 or uint16, got float32; scale it"),
        (np.zeros((4, 4, 3), np.uint8), ValueError, r"height, width.*, got shape \(4, 4, 3\)"),
        (np.zeros((0, 4), np.uint8), ValueError, r"none of them 0, got shape \(0, 4\)"),
        ("film.png", TypeError, "image must be uint8 or uint16, got str"),
        (jnp.zeros((4, 4), np.uint8), TypeError, "image must be an array of NumPy, got Array"),
    ],
)
def test_what_is_no_image_is_refused(image, error, message):
    for function in (
        preprocess.crop,
        preprocess.clahe,
        preprocess.remove_artefacts,
        lambda image: inspect.unwrap(preprocess.resize)(image, size=8),
        lambda image: inspect.unwrap(preprocess.convert_depth)(image, bits=8),
    ):
        with pytest.raises(error, match=message):
            inspect.unwrap(function)(image)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("side", [256, 512, 1024])
@pytest.mark.parametrize("place", [(0.12, 0.9), (0.12, 0.05), (0.5, 0.02), (0.97, 0.4)])
def test_letters_at_the_edge_go(dtype, side, place):
    clean = film(dtype, side)
    marked = with_marker(clean, row=place[0], column=place[1])
    restored = preprocess.remove_artefacts(marked)
    assert restored.dtype == dtype
    letters = marked != clean
    left_over = np.abs(restored[letters].astype(float) - clean[letters]).max()
    assert left_over < 0.2 * np.iinfo(dtype).max
    far = cv2.dilate(letters.astype(np.uint8), np.ones((side // 10, side // 10))) == 0
    np.testing.assert_array_equal(restored[far], clean[far])


def test_black_discs_with_white_letters_go():
    clean = film()
    marked = cv2.circle(clean.copy(), (445, 200), 13, 0, -1)
    marked[195:206, 442:445] = 255
    restored = preprocess.remove_artefacts(marked)
    assert np.abs(restored.astype(int) - clean).max() < 60


def test_what_lies_over_the_thorax_stays():
    image = with_marker(film(), row=0.5, column=0.4, text="o-o")
    np.testing.assert_array_equal(preprocess.remove_artefacts(image), image)


def test_a_film_without_artefacts_is_returned_unchanged():
    image = film()
    restored = preprocess.remove_artefacts(image)
    np.testing.assert_array_equal(restored, image)
    assert not np.shares_memory(restored, image)


@pytest.mark.parametrize("value", [0, 255])
def test_straight_borders_are_filled_from_the_film(value):
    image = film()
    bordered = image.copy()
    for row in range(512):
        bordered[row, : 10 + row // 100] = value  # a film that lies a little askew
    restored = preprocess.remove_artefacts(bordered)
    assert np.abs(restored.astype(int) - image).max() < 60
    np.testing.assert_array_equal(restored[:, 40:], image[:, 40:])


def test_a_cropped_film_is_searched_in_what_is_left_of_the_frame():
    image = with_marker(film(), row=0.3, column=0.7, text="o")
    config = PreprocessConfig(crop=Crop(top=0.2), clahe_clip_limit=0.0)
    steps = preprocess.stages(image, config)
    np.testing.assert_array_equal(steps["artefacts_removed"], steps["cropped"])


def test_marks_that_the_crop_cuts_through_go_too():
    config = PreprocessConfig(crop=Crop(left=0.05, right=0.05, top=0.05, bottom=0.17))
    removed = burned = 0
    for phantom in chest_films(5, count=24, size=448):
        steps = preprocess.stages(phantom.image, config)
        marks = config.crop.cut(phantom.artefacts)
        removed += np.sum((steps["artefacts_removed"] != steps["clahe"])[marks])
        burned += np.sum(marks)
    assert removed > 0.97 * burned  # some pixels are filled with the grey they had


def test_labels_beside_a_breast_go():
    clean, labelled, breast = mammogram()
    restored = preprocess.remove_artefacts(labelled, kind="breast")
    np.testing.assert_array_equal(restored[breast], clean[breast])
    np.testing.assert_array_equal(restored, clean)


MAMMOGRAPHY = {
    "crop": Crop(left=0.01, right=0.01, top=0.04, bottom=0.04),
    "kind": "breast",
    "mirror_right": True,
}


@pytest.mark.smoke
@pytest.mark.parametrize("keep_aspect", [False, True])
def test_a_breast_and_its_mirror_image_are_prepared_alike(keep_aspect):
    left = mammogram()[1]
    right = np.fliplr(left).copy()
    config = PreprocessConfig(**MAMMOGRAPHY, keep_aspect=keep_aspect, image_size=96)
    assert not preprocess.is_mirrored(left, config)
    assert preprocess.is_mirrored(right, config)
    prepared = preprocess.preprocess(left, config)
    np.testing.assert_array_equal(preprocess.preprocess(right, config), prepared)
    assert prepared[:, 0].mean() > prepared[:, -1].mean() + 50
    plain = PreprocessConfig(crop=MAMMOGRAPHY["crop"], kind="breast", image_size=96)
    assert not preprocess.is_mirrored(right, plain)
    assert (preprocess.preprocess(right, plain) != preprocess.preprocess(left, plain)).any()


def test_hearts_are_not_mirrored():
    with pytest.raises(ValueError, match="mirror_right must be off with kind chest, got True"):
        PreprocessConfig(mirror_right=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "side", "corner"),
    [
        ((7, 7), "both", (0, 0)),
        ((9, 4), "both", (0, 2)),
        ((9, 4), "right", (0, 0)),
        ((4, 9), "both", (2, 0)),
        ((4, 9), "right", (2, 0)),
        ((1, 30), "right", (14, 0)),
    ],
)
def test_padding_makes_a_square_around_the_film(dtype, shape, side, corner):
    image = noise(shape, dtype)
    padded = preprocess.pad_to_square(image, side=side)
    expected = np.zeros((max(shape), max(shape)), dtype)
    expected[corner[0] : corner[0] + shape[0], corner[1] : corner[1] + shape[1]] = image
    np.testing.assert_array_equal(padded, expected)
    assert padded.dtype == dtype


def test_padding_is_refused_where_it_makes_no_sense():
    with pytest.raises(ValueError, match="side must be both or right, got 'left'"):
        preprocess.pad_to_square(noise((4, 4)), side="left")


def test_a_circle_stays_one_where_the_aspect_is_kept():
    row, column = np.mgrid[:400, :250]
    image = (np.hypot(row - 200, column - 125) < 80).astype(np.uint8) * np.uint8(255)
    config = PreprocessConfig(
        clahe_clip_limit=0.0, remove_artefacts=False, image_size=100, keep_aspect=True
    )
    row, column = np.nonzero(preprocess.preprocess(image, config) > 127)
    assert abs(np.ptp(row) - np.ptp(column)) <= 1
    assert np.ptp(row) == pytest.approx(40, abs=1)


@pytest.mark.parametrize("kind", ["chest", "breast"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (40, 3), (2000, 30)])
def test_any_shape_is_taken(kind, shape):
    config = PreprocessConfig(
        kind=kind,
        mirror_right=kind == "breast",
        keep_aspect=True,
        image_size=20,
        clahe_tiles=(1, 1),
    )
    for image in (noise(shape), np.zeros(shape, np.uint8), np.full(shape, 65535, np.uint16)):
        assert preprocess.remove_artefacts(image, kind=kind).shape == shape
        assert preprocess.preprocess(image, config).shape == (20, 20)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind must be chest or breast, got 'foot'"):
        preprocess.remove_artefacts(noise((9, 9)), kind="foot")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bits", [8, 16])
def test_preprocess_ends_in_the_promised_size_and_depth(dtype, bits):
    image = preprocess.preprocess(film(dtype, 256), PreprocessConfig(image_size=64, bit_depth=bits))
    assert image.shape == (64, 64)
    assert image.dtype == (np.uint8 if bits == 8 else np.uint16)


@pytest.mark.smoke
def test_the_stages_are_the_functions_in_order():
    image = with_marker(film(), row=0.3, column=0.9)
    sides = {"left": 0.05, "right": 0.05, "top": 0.05, "bottom": 0.17}
    config = PreprocessConfig(crop=Crop(**sides), clahe_clip_limit=3.0, clahe_tiles=(4, 4))
    steps = preprocess.stages(image, config)
    assert list(steps) == ["original", "cropped", "clahe", "artefacts_removed", "resized"]
    np.testing.assert_array_equal(steps["cropped"], preprocess.crop(image, **sides))
    equalised = preprocess.clahe(steps["cropped"], clip_limit=3.0, tiles=(4, 4))
    np.testing.assert_array_equal(steps["clahe"], equalised)
    assert (steps["artefacts_removed"] != equalised).any()
    resized = preprocess.resize(steps["artefacts_removed"], size=224)
    np.testing.assert_array_equal(steps["resized"], resized)
    np.testing.assert_array_equal(preprocess.preprocess(image, config), resized)
    everything = PreprocessConfig(**MAMMOGRAPHY, keep_aspect=True)
    assert list(preprocess.stages(image, everything)) == [
        "original", "cropped", "mirrored", "clahe", "artefacts_removed", "padded", "resized",
    ]  # fmt: skip


def test_steps_that_are_off_are_left_out():
    config = PreprocessConfig(clahe_clip_limit=0.0, remove_artefacts=False, image_size=32)
    image = film()
    assert list(preprocess.stages(image, config)) == ["original", "cropped", "resized"]
    np.testing.assert_array_equal(
        preprocess.preprocess(image, config), preprocess.resize(image, size=32)
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clahe_clip_limit": -1.0}, "clahe_clip_limit must be >= 0, got -1.0"),
        ({"clahe_tiles": (0, 8)}, "clahe_tiles must be two positive integers"),
        ({"clahe_tiles": (8,)}, "clahe_tiles must be two positive integers"),
        ({"kind": "foot"}, "kind must be one of chest, breast, got 'foot'"),
        ({"image_size": 0}, "image_size must be a positive number of whole pixels, got 0"),
        ({"bit_depth": 12}, "bit_depth must be 8 or 16, got 12"),
    ],
)
def test_wrong_settings_are_refused(monkeypatch, wrong, message):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as it is outside of tests
    with pytest.raises(ValueError, match=message):
        PreprocessConfig(**wrong)


def test_real_films_lose_their_markers_and_keep_their_thorax(nih_sample):
    """Two films with burned-in marks, and one with a port over the lung, which must stay."""
    for name, (top, bottom, left, right) in {
        "00022425_000.png": (430, 500, 850, 910),  # a black disc with L
        "00013519_000.png": (60, 110, 180, 320),  # AP PORTABLE
    }.items():
        image = cv2.imread(str(nih_sample / "images" / name), cv2.IMREAD_GRAYSCALE)
        before = image[top:bottom, left:right]
        after = preprocess.remove_artefacts(image)[top:bottom, left:right]
        assert np.ptp(after) < 0.6 * np.ptp(before), name
    image = cv2.imread(str(nih_sample / "images/00028162_000.png"), cv2.IMREAD_GRAYSCALE)
    restored = preprocess.remove_artefacts(image)
    np.testing.assert_array_equal(restored[200:900, 180:840], image[200:900, 180:840])
