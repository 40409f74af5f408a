import cv2
import numpy as np
import pytest

from cxr_jax.errors import DataError
from cxr_jax.pipeline.leaks import without_leaks
from cxr_jax.pipeline.prepare import prepare
from cxr_jax.pipeline.record import Record
from cxr_jax.preprocess import PreprocessConfig

SPLITS = ["train", "test", "train", "validation", "train", "unused"]
SAME = ["a", "a", "b", "b", "c", "c"]


@pytest.fixture
def records(tmp_path):
    return [
        Record(image=f"{at}.png", path=tmp_path / f"{at}.png", patient=str(at)) for at in range(6)
    ]


def test_an_image_in_two_splits_is_refused_and_named(records):
    with pytest.raises(DataError) as error:
        without_leaks(records, SPLITS, SAME, on_leak="fail")
    assert str(error.value) == (
        "2 images have the same pixels as one of another split: 0.png in train is 1.png in test; "
        "2.png in train is 3.png in validation; remove them, or leave them out with --on_leak=skip"
    )


def test_skipping_keeps_the_image_that_is_tested(records):
    splits = without_leaks(records, SPLITS, SAME, on_leak="skip")
    assert splits == ["unused", "test", "unused", "validation", "train", "unused"]


def test_twins_in_one_split_are_no_leak(records):
    splits = ["train", "train", "test", "test", "validation", "unused"]
    assert without_leaks(records, splits, SAME, on_leak="fail") == splits


def test_another_word_is_refused(records):
    with pytest.raises(ValueError, match="on_leak must be one of fail, skip, got 'warn'"):
        without_leaks(records, SPLITS, SAME, on_leak="warn")


def test_equal_pixels_are_found_whatever_file_they_are_in(records, tmp_path):
    film = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
    other = film.copy()
    other[7, 9] ^= 1
    images = [film, np.dstack([film] * 3), other, film.T.copy(), film.astype(np.uint16) * 257, film]
    for record, image in zip(records, images, strict=True):
        cv2.imwrite(str(record.path), image)
    prepared = prepare(records, PreprocessConfig(image_size=32), cache_dir=tmp_path / "cache")
    first, colour, changed, turned, deep, again = prepared.fingerprints
    assert first == colour == again
    assert len({first, changed, turned, deep}) == 4
    cached = prepare(records, PreprocessConfig(image_size=32), cache_dir=tmp_path / "cache")
    assert cached.fingerprints == prepared.fingerprints
