"""What the gallery shows of a film."""

import dataclasses

import jax
import numpy as np

from cxr_jax.augment import AugmentConfig
from cxr_jax.preprocess import PreprocessConfig
from cxr_jax.reporting.gallery import Film, film_sections, settings_section

FILM = Film(
    title="film",
    figure="film",
    pixels=np.random.default_rng(0).integers(0, 256, (40, 48), dtype=np.uint8),
)
PLAIN = PreprocessConfig(image_size=32, clahe_clip_limit=0.0, remove_artefacts=False)
EVERY = AugmentConfig(contrast=0.2, gamma=0.3, noise=0.1, erase=0.5, clahe=0.5)


def shown(augmentation):
    """Figure → the titles of its pictures."""
    sections = film_sections(
        jax.random.key(0), FILM, preprocessing=PLAIN, augmentation=augmentation
    )
    figures = [section.figure for section in sections]
    return {
        name: [axes.get_title() for axes in figure.axes if axes.images] for name, figure in figures
    }


def test_an_augmentation_is_shown_either_as_it_is_set_or_as_one_that_is_off():
    config = dataclasses.replace(EVERY, brightness=0.0, gamma=0.0, erase=0.0)
    figures = shown(config)
    assert figures["off_film"] == [
        "prepared",
        "0.1 of the area erased",
        "brightness × 0.9",
        "brightness × 1.1",
        "gamma 0.7",
        "gamma 1.3",
    ]
    assert not set(figures["off_film"][1:]) & set(figures["augmentations_film"])


def test_where_all_are_on_none_is_off_and_where_augmentation_is_off_none_is_shown():
    assert list(shown(EVERY)) == ["preprocessing_film", "augmentations_film", "draws_film"]
    off = dataclasses.replace(EVERY, enabled=False)
    assert list(shown(off)) == ["preprocessing_film"]


def test_settings_are_listed_by_their_flag():
    rows = settings_section("Settings", PLAIN, EVERY).table
    assert ("--image_size", "side of the square image the model gets", "32", "pixels") in rows
    assert (
        "--augment_clahe",
        "how often to apply CLAHE, 8 x 8 tiles",
        "0.5",
        "probability",
    ) in rows
