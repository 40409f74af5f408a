"""`cxr inspect`: what a data set counts, and what is wrong with it."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom

from cxr_jax.commands import inspect as inspect_command
from cxr_jax.commands import inspect_tables as tables
from cxr_jax.commands import main
from cxr_jax.datasets import nih
from cxr_jax.pipeline.decode import DecodeConfig
from cxr_jax.pipeline.facts import read_facts
from cxr_jax.pipeline.record import UNCERTAIN, Record
from cxr_jax.pipeline.split import torn_patients


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def film(rng):
    return cv2.GaussianBlur(rng.integers(0, 256, (60, 50), np.uint8), (0, 0), 3)


@pytest.fixture
def classes(tmp_path):
    """Class folders with a film twice, a broken file and DICOM."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "films"
    for name in ("normal", "Cardiomegaly"):
        (folder / name).mkdir(parents=True)
        for at in range(3):
            cv2.imwrite(str(folder / name / f"{at}.png"), film(rng))
    twin = cv2.imread(str(folder / "normal/0.png"), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(folder / "Cardiomegaly/twin.tif"), twin)
    (folder / "normal/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    write_dicom(
        folder / "normal/exam.dcm",
        film(rng).astype(np.uint16) << 4,
        bits=12,
        photometric="MONOCHROME1",
        BurnedInAnnotation="YES",
    )
    return folder


def test_everything_that_is_wrong_is_said_and_written(classes, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["inspect", "--dataset=folder", f"--data_dir={classes}", f"--out={out}"]
    with pytest.warns(UserWarning, match="annotation is burned into them"):
        assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "MONOCHROME1" in printed
    assert "By view" in printed
    assert "By laterality" not in printed
    assert "Same pixels under several names" in printed
    assert rows(out / "unreadable.csv")[1][0] == "normal/broken.png"
    assert {name for _, name in rows(out / "duplicates.csv")[1:]} == {
        "normal/0.png",
        "Cardiomegaly/twin.tif",
    }
    page = (out / "inspection.html").read_text()
    assert "normal/broken.png" in page
    assert (out / "figures/cardiomegaly.png").is_file()
    assert (out / "figures/no_finding.png").is_file()
    assert "DOE^4711" not in page + printed
    assert main(arguments) == 1
    assert "is there already; choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dataset=foot"], "dataset must be one of phantom,"),
        (["--dataset=nih"], "needs data_dir"),
        (["--dataset=nih", "--data_dir=/nowhere"], "/nowhere: no such folder"),
        (["--dataset=phantom", "--images=0"], "images must be >= 1, got 0"),
        (["--dataset=phantom", "--max_pixels=0"], "max_pixels must be >= 1, got 0"),
    ],
)
def test_nonsense_is_refused_in_one_line(tmp_path, capsys, arguments, said):
    assert main(["inspect", *arguments, f"--out={tmp_path / 'out'}"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert error.count("\n") == 1


def test_labels_are_counted_by_what_they_are():
    values = [1, 1, 0, UNCERTAIN, float("nan")]
    records = [
        Record(image=str(at), path=Path("x"), patient=str(at // 2), labels={"Edema": float(value)})
        for at, value in enumerate(values)
    ]
    records.append(
        Record(image="5", path=Path("x"), patient="5", labels={"Mass": 1.0, "Hernia": 0.0})
    )
    assert tables.labels(records)[1:] == [
        ("Edema", "2", "1", "1", "1", "2"),
        ("Mass", "1", "1", "0", "0", "5"),
        ("Hernia", "0", "0", "1", "0", "5"),
    ]
    assert tables.co_occurrence(records)[1:] == [("1 Edema", "2", "0"), ("2 Mass", "0", "1")]


def test_patients_in_two_splits_are_found():
    records = [
        Record(image=str(at), path=Path("x"), patient=patient, split=split)
        for at, (patient, split) in enumerate([("a", "train"), ("b", "test"), ("a", "test")])
    ]
    assert [{r.image for r in group} for group in torn_patients(records).values()] == [{"0", "2"}]


def test_the_real_sample_counts_what_its_table_says(nih_sample):
    records = nih.read(nih_sample)
    counts = {row[0]: row[1] for row in tables.labels(records)[1:]}
    assert (counts["Cardiomegaly"], counts["Pneumothorax"]) == ("27", "32")
    facts = read_facts(records[0])
    assert (facts.width, facts.height, facts.bits, facts.error) == (1024, 1024, 8, "")


@pytest.mark.parametrize(
    ("name", "title"),
    [("1.png", "R MLO 1.png"), ("0123456789abcdef0123456789abcdef", "R MLO …f0123456789abcdef")],
)
def test_a_picture_is_small_and_its_title_fits_above_it(tmp_path, name, title):
    path = tmp_path / "film.png"
    cv2.imwrite(str(path), np.zeros((900, 600), np.uint8))
    record = Record(image=name, path=path, patient="p", view="MLO", laterality="R")
    shown, picture = inspect_command.titled(record, DecodeConfig())
    assert (shown, picture.shape) == (title, (320, 213))
