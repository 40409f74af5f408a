import cv2
import numpy as np
import pytest

from cxr_jax.artefacts.bands import find_bands


def film(shape=(400, 320)):
    """A noisy grey disc on dark, noisy air."""
    row, column = np.mgrid[: shape[0], : shape[1]]
    inside = np.hypot(row / shape[0] - 0.5, column / shape[1] - 0.5) < 0.55
    image = np.where(inside, 140, 20) + np.random.default_rng(0).normal(0, 3, shape)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 1) + image % 3, 2, 250).astype(np.uint8)


def band(shape, depth, askew):
    """A band on top that gets deeper or shallower to the right."""
    edge = depth + askew * (np.arange(shape[1]) - shape[1] / 2)
    return np.arange(shape[0])[:, None] < edge


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("depth", [6, 30, 90])
@pytest.mark.parametrize("askew", [0.0, 0.03])
@pytest.mark.parametrize("value", [0, 255])
def test_straight_bands_are_found_to_the_pixel(turn, depth, askew, value):
    image = np.rot90(film(), -turn)
    truth = band(image.shape, max(depth, 6 + 200 * askew), askew)
    found = find_bands(np.rot90(np.where(truth, np.uint8(value), image), turn), kind="chest")
    truth = np.rot90(truth, turn)
    assert found[truth].mean() > 0.99
    near = cv2.dilate(truth.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert not found[~near].any()


def test_a_film_without_bands_has_none():
    assert not find_bands(film(), kind="chest").any()


def test_a_band_that_bends_is_anatomy():
    image = film()
    column = np.arange(image.shape[1])
    bent = np.arange(len(image))[:, None] < 60 * np.sin(column / 320 * np.pi)
    assert not find_bands(np.where(bent, np.uint8(255), image), kind="chest").any()


def test_what_is_written_on_a_band_goes_with_it():
    image = np.where(band(film().shape, 50, 0.0), np.uint8(0), film())
    cv2.putText(image, "PORTABLE", (10, 35), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 255, 2)
    assert find_bands(image, kind="chest")[:50].all()


def test_a_white_strip_beside_the_side_is_found_and_the_film_beyond_it_stays():
    image = film()
    image[20:28] = 255
    found = find_bands(image, kind="chest")
    assert found[20:28].mean() > 0.99
    assert not found[:18].any()
    assert not found[30:].any()


def test_scanned_bands_are_noisy():
    image = film()
    image[:40] = np.random.default_rng(1).integers(0, 5, (40, image.shape[1]))
    assert find_bands(image, kind="chest")[:40].mean() > 0.99


@pytest.mark.parametrize("turn", range(4))
def test_white_edges_that_fade_are_found(turn):
    image = np.rot90(film((512, 512)), -turn)
    row = np.arange(512)[:, None]
    glow = 1 / (1 + np.exp((row - 24) / 2))  # from 90 to 10 % in 9 pixels
    white = np.round(image * (1 - glow) + 230 * glow).astype(np.uint8)
    found = np.rot90(find_bands(np.rot90(white, turn), kind="chest"), -turn)
    assert found[:24].all()
    assert not found[40:].any()


def test_dark_air_that_ends_at_a_straight_flank_is_none_on_a_chest_film():
    image = film((512, 512))
    column, row = np.arange(512), np.arange(512)[:, None]
    shoulder = (row < 130) & (row > 60)
    noise = np.random.default_rng(2).integers(2, 9, image.shape, np.uint8)
    image = np.where((column < 60) & ~shoulder, noise, np.maximum(image, 90))
    assert not find_bands(image, kind="chest").any()


def border_on_air(depth, side=512):
    """A constant border that hardly stands out of noisy air: it shows by being constant."""
    air = np.random.default_rng(3).integers(20, 30, (side, side), np.uint8)
    row = np.arange(side)[:, None]
    return np.where(row < depth, np.uint8(25), np.where(row < 0.3 * side, air, film((side, side))))


@pytest.mark.parametrize("turn", range(4))
def test_a_border_behind_an_edge_is_found(turn):
    image = np.where(band((512, 512), 15, 0.02), np.uint8(255), border_on_air(40))
    found = np.rot90(find_bands(np.rot90(image, turn), kind="chest"), -turn)
    assert found[:39].mean() > 0.99
    assert not found[43:].any()


@pytest.mark.parametrize("turn", range(4))
def test_a_thin_border_behind_an_edge_is_found_where_the_film_is_large(turn):
    shape = (1024, 1024)  # twice the size of the copy, on which the border is five pixels deep
    image = np.where(band(shape, 30, 0.01), np.uint8(255), border_on_air(40, 1024))
    found = np.rot90(find_bands(np.rot90(image, turn), kind="chest"), -turn)
    assert found[:20].mean() > 0.99
    assert not found[23:].any()


def test_what_is_written_across_a_bands_rim_does_not_hide_it():
    image = border_on_air(32)
    for line in (22, 36):
        cv2.putText(image, "25.11.2026 08:15", (10, line), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1)
    found = find_bands(image, kind="chest")
    assert found[:31].all()
    assert not found[35:].any()
