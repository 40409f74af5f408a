import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from cxr_jax.datasets import phantom, phantom_files
from cxr_jax.errors import DataError, WorkspaceError
from cxr_jax.pipeline.masks import read_mask
from cxr_jax.pipeline.record import NO_FINDING

COUNT, SIZE = 37, 48


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = phantom.directory(
        tmp_path_factory.mktemp("cache"), count=COUNT, seed=5, image_size=SIZE
    )
    assert phantom.make(folder, count=COUNT, seed=5, image_size=SIZE)
    return folder


@pytest.fixture
def copy(made, tmp_path) -> Path:
    """A data set that a test may damage: its own table, images of two rows."""
    rows = (made / phantom_files.TABLE).read_text().splitlines()[:3]
    (tmp_path / phantom_files.TABLE).write_text("\n".join(rows) + "\n")
    for row in rows[1:]:
        name = row.split(",")[0]
        for file in made.glob(f"**/{name}"):
            copied = tmp_path / file.relative_to(made)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(file.read_bytes())
    return tmp_path


def test_records_say_what_was_drawn(made):
    records = phantom.read(made)
    assert len(records) == COUNT == len({record.image for record in records})
    for record in records:
        image = cv2.imread(str(record.path), cv2.IMREAD_UNCHANGED)
        assert image.shape == (SIZE, SIZE)
        assert image.dtype == np.uint8
        ratio = record.measurements["cardiothoracic_ratio"]
        masks = {name: read_mask(record, name, image.shape) for name in record.masks}
        air = masks["Pneumothorax"]
        assert record.labels == {
            "Cardiomegaly": ratio > 0.5,
            "Pneumothorax": air.any(),
            NO_FINDING: ratio <= 0.5 and not air.any(),
        }
        assert set(masks) == {"heart", "lungs", "Pneumothorax"}
        assert masks["heart"].any()
        assert not np.any(masks["heart"] & masks["lungs"])
        assert not np.any(air & ~masks["lungs"])
        assert record.view in ("PA", "AP")
        assert record.split is None
    assert len({tuple(record.labels.values()) for record in records}) == 4
    assert len({record.view for record in records}) == 2


def test_patients_have_one_to_three_films_of_one_class(made):
    films: dict[str, list[float]] = {}
    for record in phantom.read(made):
        films.setdefault(record.patient, []).append(record.labels["Cardiomegaly"])
    assert {len(classes) for classes in films.values()} == {1, 2, 3}
    assert all(len(set(classes)) == 1 for classes in films.values())


def test_what_is_there_is_not_drawn_again(made):
    def progress(finished: int) -> None:
        raise AssertionError("drawn again")

    assert not phantom.make(made, count=COUNT, seed=5, image_size=SIZE, progress=progress)


def test_a_smaller_data_set_is_the_beginning_of_a_larger_and_another_seed_is_another(
    made, tmp_path
):
    told = []
    phantom.make(tmp_path / "few", count=20, seed=5, image_size=SIZE, progress=told.append)
    phantom.make(tmp_path / "other", count=4, seed=6, image_size=SIZE)
    assert sum(told) == 20
    few, other, all_of_them = map(phantom.read, (tmp_path / "few", tmp_path / "other", made))
    assert len(few) == 20
    for record, same in zip(few, all_of_them, strict=False):
        assert record.image == same.image
        assert record.path.read_bytes() == same.path.read_bytes()
        assert record.measurements == same.measurements
    assert other[0].path.read_bytes() != all_of_them[0].path.read_bytes()


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot write here"):
        phantom.make(tmp_path / "file" / "phantoms", count=4, seed=0, image_size=48)


def edit(folder: Path, column: str, value: str, row: int = 0) -> None:
    with (folder / phantom_files.TABLE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[row][column] = value
    with (folder / phantom_files.TABLE).open("w", newline="") as file:
        writer = csv.DictWriter(file, phantom.COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("image", "elsewhere.png"),
        ("image", ""),
        ("patient", ""),
        ("view", "LATERAL"),
        ("cardiothoracic_ratio", "wide"),
        ("cardiothoracic_ratio", "nan"),
        ("cardiothoracic_ratio", "-0.1"),
        ("cardiothoracic_ratio", "52"),
        ("pneumothorax", "left"),
        ("pneumothorax", "1.5"),
    ],
)
def test_a_cell_that_makes_no_sense_is_named(copy, column, value):
    edit(copy, column, value)
    with pytest.raises(DataError, match=rf"{phantom_files.TABLE}, line 2, column '{column}'"):
        phantom.read(copy)


@pytest.mark.parametrize("structure", ["heart", "lungs", "Pneumothorax"])
def test_a_missing_mask_is_named(copy, structure):
    edit(copy, "pneumothorax", "0.2")
    for mask in copy.glob(f"masks/{structure}/*.png"):
        mask.unlink()
    with pytest.raises(DataError, match=rf"line 2, column 'image': expected .*/masks/{structure}"):
        phantom.read(copy)


def test_an_image_named_twice_is_refused(copy):
    edit(copy, "image", phantom.read(copy)[0].image, row=1)
    with pytest.raises(DataError, match="line 3, column 'image': expected every image once"):
        phantom.read(copy)


def test_a_missing_table_column_or_row_is_named(copy):
    table = copy / phantom_files.TABLE
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header.replace("patient", "name"), *rows]))
    with pytest.raises(DataError, match=r"phantoms.csv: no column 'patient'"):
        phantom.read(copy)
    table.write_text(header + "\n")
    with pytest.raises(DataError, match=r"phantoms.csv: no images in it"):
        phantom.read(copy)
    table.unlink()
    with pytest.raises(DataError, match=r"phantoms.csv: cannot be read"):
        phantom.read(copy)
