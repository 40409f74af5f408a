import dataclasses
import math

import jax
import numpy as np
import pytest

from cxr_jax.cardiothoracic import cardiothoracic_ratio
from cxr_jax.datasets import phantom_structures as structures
from cxr_jax.datasets.phantom_patient import draw_film, draw_patient
from cxr_jax.preprocess import Crop, crop, resize


def box(left: int, right: int, *, top: int = 8, bottom: int = 24) -> np.ndarray:
    mask = np.zeros((32, 40), bool)
    mask[top:bottom, left:right] = True
    return mask


LUNGS = box(2, 14) | box(26, 38)


def test_whole_pixels_are_counted():
    assert cardiothoracic_ratio(box(12, 30), LUNGS) == 18 / 36
    assert cardiothoracic_ratio(box(0, 40), box(0, 40)) == 1


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.4])
def test_edges_lie_between_pixels(shift):
    """Blurred edges as a network draws them: the ramp crosses 0.5 at the true place."""
    columns = np.arange(40) + 0.5
    ramp = np.clip(0.5 + (7.3 + shift - np.abs(columns - 20)) / 3, 0, 1)
    heart = np.where(box(0, 40), ramp, 0.0)
    assert cardiothoracic_ratio(heart, LUNGS) == pytest.approx(2 * (7.3 + shift) / 36)


def test_specks_do_not_widen_anything():
    heart, lungs = box(12, 30), LUNGS.copy()
    heart[1:4, 35:38] = True
    lungs[1:4, 39] = True
    lungs[28, 0] = True
    assert cardiothoracic_ratio(heart, lungs) == 18 / 36
    fused = box(2, 38) & ~box(14, 26, top=12)
    fused[30, 39] = True
    assert cardiothoracic_ratio(heart, fused) == 18 / 36


@pytest.mark.parametrize(
    ("heart", "lungs"),
    [
        pytest.param(box(0, 0), LUNGS, id="no heart"),
        pytest.param(box(12, 30), box(0, 0), id="no lungs"),
        pytest.param(box(12, 30), box(2, 14), id="one lung"),
        pytest.param(0.4 * box(12, 30), LUNGS, id="no heart above 0.5"),
    ],
)
def test_what_is_missing_gives_no_number(heart, lungs):
    assert math.isnan(cardiothoracic_ratio(heart, lungs))


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match=r"one shape, got \(32, 40\), \(32, 39\)"):
        cardiothoracic_ratio(LUNGS, LUNGS[:, 1:])
    with pytest.raises(ValueError, match=r"lungs must be probabilities in .* divide 8-bit ones"):
        cardiothoracic_ratio(LUNGS, LUNGS * 255.0)
    with pytest.raises(ValueError, match="heart must be probabilities"):
        cardiothoracic_ratio(np.full((32, 40), np.nan), LUNGS)


@pytest.fixture(scope="module")
def phantoms():
    """Outlines of 64 chests, 192 pixels, and the ratios they were drawn with."""

    def stand(patient_key, film_key):
        chest = structures.stand(draw_patient(patient_key), draw_film(film_key), (192, 192))
        return chest.heart > 0, chest.lungs > 0, chest.ratio

    keys = jax.random.split(jax.random.key(21), (2, 64))
    return jax.device_get(jax.jit(jax.vmap(stand))(*keys))


@pytest.mark.parametrize(("size", "soft", "error"), [
    (64, True, 0.006), (96, True, 0.005), (64, False, 0.011), (96, False, 0.008),
])  # fmt: skip
def test_the_drawn_ratio_is_found_in_the_outlines_a_network_would_see(phantoms, size, soft, error):
    recipe = dataclasses.asdict(Crop(left=0.06, right=0.06, top=0.20, bottom=0.12))

    def seen(outline: np.ndarray) -> np.ndarray:
        small = resize(crop(outline.astype(np.uint8) * np.uint8(255), **recipe), size=size) / 255
        return small if soft else small >= 0.5

    measured = [
        cardiothoracic_ratio(seen(heart), seen(lungs))
        for heart, lungs in zip(*phantoms[:2], strict=True)
    ]
    assert np.abs(np.array(measured) - phantoms[2]).mean() < error
