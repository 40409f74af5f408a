"""No false alarm on chest films, real and drawn; an alarm on what is something else."""

import numpy as np
import pytest

from cxr_jax.commands.plausible import (
    LEAST_MIDLINE_CONTRAST,
    header_warnings,
    midline_contrast,
    picture_warnings,
)
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.dicom import Exam
from cxr_jax.preprocess import Crop, PreprocessConfig
from cxr_jax.training import Config

CHEST = Config(preprocess=PreprocessConfig(image_size=64))
BREAST = Config(preprocess=PreprocessConfig(image_size=64, kind="breast"))


def lateral(seed, size=256):
    """A crude lateral chest: lung before a spine at one side, heart at the other, no midline."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size

    def ellipse(cy, cx, ry, rx, soft):
        return 1 / (1 + np.exp((np.hypot((y - cy) / ry, (x - cx) / rx) - 1) / soft))

    body = ellipse(0.55, 0.5 + rng.normal(0, 0.03), 0.75, 0.38 + rng.normal(0, 0.03), 0.02)
    lung = ellipse(0.45, 0.5, 0.42, 0.27 + rng.normal(0, 0.02), 0.02) * (y < 0.78)
    spine = np.exp(-(((x - 0.72 - 0.05 * np.sin(3 * y)) / 0.05) ** 2)) * body * (1 - 0.4 * y)
    heart = ellipse(0.6 + rng.normal(0, 0.02), 0.37, 0.16, 0.14, 0.02)
    shoulder = ellipse(0.05, 0.5, 0.18, 0.3, 0.1)
    hilum = ellipse(0.42, 0.5, 0.08, 0.06, 0.2)
    total = 2 * body - 1.3 * lung + 0.8 * spine + 0.9 * heart + 0.8 * shoulder + 0.5 * hilum
    film = 1 - np.exp(-total * rng.uniform(0.5, 1.2))
    film = film if seed % 2 else film[:, ::-1]
    return (film / film.max() * 255).astype(np.uint8)


def test_no_real_frontal_film_is_taken_for_something_else(nih_sample):
    contrasts = [midline_contrast(decode(path)) for path in (nih_sample / "images").glob("*.png")]
    assert len(contrasts) == 122
    assert min(contrasts) > LEAST_MIDLINE_CONTRAST + 0.05


def test_no_chest_phantom_is_taken_for_something_else(films):
    for path in (films / "images").glob("*.png"):
        assert picture_warnings(decode(path), CHEST) == []


@pytest.mark.parametrize("seed", range(6))
def test_a_drawn_lateral_film_is_noticed(seed):
    (warning,) = picture_warnings(lateral(seed), CHEST)
    assert "does not look like a frontal chest film" in warning
    assert picture_warnings(lateral(seed), BREAST) == []


@pytest.mark.parametrize("side", [1, -1])
def test_a_drawn_mammogram_is_noticed(side):
    y, x = np.mgrid[0:256, 0:192] / 256
    breast = np.sqrt(np.clip(1 - np.hypot((y - 0.5) / 0.4, x / 0.55), 0, 1))
    film = (220 * breast).astype(np.uint8)[:, ::side]
    assert any("frontal chest" in warning for warning in picture_warnings(film, CHEST))


def test_16_bits_and_turning_the_film_over_change_nothing(nih_sample):
    film = decode(nih_sample / "images" / "00000211_000.png")
    expected = midline_contrast(film)
    assert midline_contrast(film.astype(np.uint16) * 257) == pytest.approx(expected, rel=1e-4)
    assert midline_contrast(film[:, ::-1]) == pytest.approx(expected, abs=0.05)


def test_a_flat_picture_and_a_tiny_one_are_noticed(films):
    assert picture_warnings(np.full((64, 64), 7, np.uint8), CHEST) == ["all its pixels are alike"]
    film = decode(next((films / "images").iterdir()))
    large = Config(preprocess=PreprocessConfig(image_size=224, crop=Crop(top=0.25)))
    (warning,) = picture_warnings(film, large)
    assert "64 x 48 pixels, where the network sees 224 x 224" in warning


def exam(**fields):
    return Exam(**{"patient": "", "view": "", "laterality": "", **fields})


@pytest.mark.parametrize(
    ("config", "fields", "expected"),
    [
        (CHEST, {}, []),
        (CHEST, {"modality": "CR", "body_part": "Chest", "view": "AP"}, []),
        (CHEST, {"modality": "CT"}, ["modality"]),
        (CHEST, {"body_part": "EXTREMITY", "view": "AP"}, ["body part"]),
        (CHEST, {"view": "rl"}, ["lateral or oblique"]),
        (Config(views=("PA",)), {"view": "AP"}, ["a view other than PA"]),
        (BREAST, {"modality": "MG", "view": "MLO", "body_part": "BREAST"}, []),
        (BREAST, {"modality": "DX", "body_part": "CHEST"}, ["other than the breast"]),
    ],
)
def test_headers_are_compared_to_what_the_run_was_trained_on(config, fields, expected):
    warnings = header_warnings(exam(**fields), config)
    assert len(warnings) == len(expected)
    assert all(part in warning for part, warning in zip(expected, warnings, strict=True))
