import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from cxr_jax import datasets
from cxr_jax.datasets import phantom_breast
from cxr_jax.datasets.phantom_files import TABLE
from cxr_jax.errors import DataError
from cxr_jax.pipeline.masks import read_mask
from cxr_jax.pipeline.record import NO_FINDING, MaskFiles
from cxr_jax.training import Config

COUNT, HEIGHT, WIDTH = 60, 48, 36


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    return datasets.draw("phantom_breast", cache, count=COUNT, seed=5, image_size=HEIGHT)


@pytest.fixture
def copy(made, tmp_path) -> Path:
    """A data set that a test may damage."""
    return shutil.copytree(made, tmp_path / "copy")


def test_records_say_what_was_drawn(made):
    records = phantom_breast.read(made)
    assert len(records) == COUNT == len({record.image for record in records})
    for record in records:
        image = cv2.imread(str(record.path), cv2.IMREAD_UNCHANGED)
        assert image.shape == (HEIGHT, WIDTH)
        assert image.dtype == np.uint8
        assert record.bit_depth == 8
        assert record.split is None
        assert record.image == f"{record.patient}_{record.laterality}_{record.view}.png"
    films = {(record.laterality, record.view) for record in records}
    assert films == {("L", "CC"), ("L", "MLO"), ("R", "CC"), ("R", "MLO")}


def test_labels_follow_the_lesions(made):
    seen = set()
    for record in phantom_breast.read(made):
        cancer, none = record.labels["Cancer"], record.labels[NO_FINDING]
        malignant = record.labels.get("Malignant")
        assert (cancer, none, malignant) in {(1, 0, 1), (0, 0, 0), (0, 1, None)}
        seen.add((cancer, none))
    assert len(seen) == 3


def test_masks_show_the_malignant_lesion_and_are_empty_elsewhere(made):
    for record in phantom_breast.read(made):
        for label in ("Cancer", "Malignant"):
            mask = read_mask(record, label, (HEIGHT, WIDTH))
            assert mask.any() == bool(record.labels["Cancer"])
            assert mask.mean() < 0.15
        if not record.labels["Cancer"]:
            assert record.masks["Cancer"] == MaskFiles(paths=())


def test_most_patients_have_four_films_and_a_breast_has_one_label(made):
    films: dict[str, list] = {}
    for record in phantom_breast.read(made):
        films.setdefault(record.patient, []).append(record)
    # The last patient may have been cut short.
    numbers = [len(records) for records in list(films.values())[:-1]]
    assert set(numbers) == {2, 4}
    assert np.mean(np.array(numbers) == 4) > 0.6
    for records in films.values():
        breasts = {(record.laterality, record.labels["Cancer"]) for record in records}
        assert len(breasts) == len({laterality for laterality, _ in breasts})
        assert sum(cancer for _, cancer in breasts) <= 1


def test_what_is_there_is_not_drawn_again(made):
    def progress(finished: int) -> None:
        raise AssertionError("drawn again")

    again = datasets.draw(
        "phantom_breast", made.parent, count=COUNT, seed=5, image_size=HEIGHT, progress=progress
    )
    assert again == made


def test_a_smaller_data_set_is_the_beginning_of_a_larger(made, tmp_path):
    few = datasets.draw("phantom_breast", tmp_path, count=20, seed=5, image_size=HEIGHT)
    few, all_of_them = phantom_breast.read(few), phantom_breast.read(made)
    assert len(few) == 20
    for record, same in zip(few, all_of_them, strict=False):
        assert record.image == same.image
        assert record.labels == same.labels
        assert record.path.read_bytes() == same.path.read_bytes()


def test_only_drawn_data_sets_need_no_folder(tmp_path):
    for name in datasets.DRAWN:
        Config(dataset=name)
    with pytest.raises(ValueError, match="dataset nih needs data_dir"):
        Config(dataset="nih")
    with pytest.raises(ValueError, match="must be one of phantom, phantom_breast, got 'nih'"):
        datasets.draw("nih", tmp_path, count=4, seed=0, image_size=48)


def edit(folder: Path, column: str, value: str) -> None:
    with (folder / TABLE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0][column] = value
    with (folder / TABLE).open("w", newline="") as file:
        writer = csv.DictWriter(file, phantom_breast.COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("image", "elsewhere.png", "the name of a file"),
        ("patient", "", "a patient"),
        ("laterality", "left", "L or R"),
        ("view", "PA", "CC or MLO"),
        ("malignant", "yes", "0 or 1"),
        ("malignant", "", "0 or 1"),
        ("benign", "0.5", "0 or 1"),
    ],
)
def test_a_cell_that_makes_no_sense_is_named(copy, column, value, expected):
    edit(copy, column, value)
    with pytest.raises(
        DataError, match=rf"{TABLE}, line 2, column '{column}': expected {expected}"
    ):
        phantom_breast.read(copy)


def test_a_missing_mask_is_named(copy):
    shutil.rmtree(copy / "masks")
    with pytest.raises(DataError, match=r"column 'image': expected the name of a file in .*masks"):
        phantom_breast.read(copy)
