import functools
import gzip
import hashlib

import cv2
import numpy as np
import pytest
import refusals
from miniatures_breast import own_csv as miniature

from cxr_jax import datasets
from cxr_jax.datasets import csv as csv_module
from cxr_jax.errors import DataError
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.masks import read_mask
from cxr_jax.pipeline.record import UNCERTAIN, MaskFiles, RunLengths

VALUES = {"0": 0.0, "1.0": 1.0, "1": 1.0, "-1": UNCERTAIN, "": np.nan}


def table(folder, text):
    """The table of two images, a.png and b.png, that are there."""
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), np.full((40, 40), 100, np.uint8))
    (folder / "t.csv").write_text(text)
    return folder


refusal = functools.partial(refusals.refusal, csv_module.read)


@pytest.mark.smoke
def test_labels_and_masks_are_read(tmp_path):
    truth = miniature(tmp_path)
    records = csv_module.read(tmp_path)
    assert [record.image for record in records] == list(truth)
    for record in records:
        texts, mask = truth[record.image]
        assert list(record.labels) == ["Effusion", "Nodule"]  # as the vocabulary names it
        np.testing.assert_array_equal(list(record.labels.values()), [VALUES[t] for t in texts])
        shape = decode(record.path).shape
        np.testing.assert_array_equal(read_mask(record, "Effusion", shape), mask)
        np.testing.assert_array_equal(read_mask(record, "Nodule", shape), mask)
        assert record.view == "PA"
    assert datasets.read("csv", tmp_path)[0].image == records[0].image


def test_patients_are_hashes_and_splits_are_kept(tmp_path):
    miniature(tmp_path)
    records = csv_module.read(tmp_path)
    assert records[0].patient == hashlib.sha256(b"csvp0").hexdigest()[:12] == records[1].patient
    assert [r.split for r in records][::2] == ["train", "validation", "test"]


def test_only_path_patient_and_a_finding_are_needed(tmp_path):
    table(tmp_path, "image,patient,Mass\na.png,1,1\nb.png,2,0\n")
    a, b = csv_module.read(tmp_path)
    assert (a.labels, b.labels) == ({"Mass": 1}, {"Mass": 0})
    assert (a.view, a.laterality, a.split, a.masks) == ("", "", None, {})


def test_the_file_itself_may_be_named_and_be_compressed(tmp_path):
    table(tmp_path, "path,patient,Mass\na.png,1,1\n")
    assert len(csv_module.read(tmp_path / "t.csv")) == 1
    (tmp_path / "u.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    assert len(csv_module.read(tmp_path / "u.csv.gz")) == 1
    assert "holds 2 CSV files where one is expected" in refusal(tmp_path)


def test_the_same_file_by_another_path_is_refused(tmp_path):
    table(tmp_path, "path,patient,Mass\na.png,1,1\n.//a.png,2,0\n")
    assert "line 3, column 'path': expected every image once" in refusal(tmp_path)


def test_an_empty_mask_is_known_only_of_images_without_the_finding(tmp_path):
    lines = "a.png,1,1,,-1\nb.png,2,0,,\nc.png,3,1,a.png|b.png,1 2 | 9 1\n"
    table(tmp_path, f"path,patient,Mass,mask_Mass,rle_Lung\n{lines}")
    a, b, c = csv_module.read(tmp_path)
    assert a.masks == {"Lung": RunLengths(texts=("-1",))}
    assert b.masks == {"Mass": MaskFiles(paths=())}
    assert c.masks == {
        "Mass": MaskFiles(paths=(tmp_path / "a.png", tmp_path / "b.png")),
        "Lung": RunLengths(texts=("1 2", "9 1")),
    }
    assert not read_mask(a, "Lung", (40, 40)).any()
    assert read_mask(c, "Lung", (40, 40)).sum() == 3
    with pytest.raises(DataError, match="run lengths end at 10, beyond the 4 pixels"):
        read_mask(c, "Lung", (2, 2))


HEADER = "path,patient,laterality,split,Mass,mask_Mass,rle_Lung\n"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (
            "/a.png,1,,,1,,",
            "column 'path': expected the path of a file inside the data set's folder",
        ),
        ("../a.png,1,,,1,,", "column 'path': expected the path of a file inside"),
        (",1,,,1,,", "column 'path': expected the path of a file inside"),
        ("a.png,,,,1,,", "column 'patient': expected a patient, found 'nothing'"),
        ("a.png,1,up,,1,,", "column 'laterality': expected L or R, found 'up'"),
        ("a.png,1,,fold1,1,,", "column 'split': expected train, validation, test or nothing, fou"),
        ("a.png,1,,,57,,", "column 'Mass': expected 1, 0, -1 or nothing, as in every column that"),
        ("a.png,1,,,yes,,", "column 'Mass': expected 1, 0, -1 or nothing"),
        ("a.png,1,,,nan,,", "column 'Mass': expected 1, 0, -1 or nothing"),
        ("a.png,1,,,1,/etc/passwd,", "column 'mask_Mass': expected the path of a file inside"),
        ("a.png,1,,,1,,1 2 3", "column 'rle_Lung': expected pairs of gap and length, or -1"),
        ("a.png,1,,,1,\nb.png,1,,,1,,", "6 fields where the header has 7"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, complaint):
    table(tmp_path, f"{HEADER}{line}\n")
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}/t.csv, line 2")
    assert complaint in message


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("path,Mass\na.png,1", "no column 'patient' in the header; found path, Mass"),
        ("patient,Mass\n1,1", "expected one column path (or image), found none"),
        ("path,image,patient,Mass\na.png,a,1,1", "expected one column path (or image), found 2"),
        ("path,patient\na.png,1", "no column is a finding, such as Cardiomegaly; add one"),
        ("path,patient,Mass", "no lines below the header; add a line for each image"),
        (
            "path,patient,Effusion,Pleural Effusion\na.png,1,1,1",
            "columns 'Effusion' and 'Pleural Effusion' are of the same finding; remove one",
        ),
        (
            "path,patient,Mass,mask_Mass,rle_mass\na.png,1,1,,",
            "columns 'mask_Mass' and 'rle_mass' are of the same finding; remove one",
        ),
        ("path,patient,Mass\nc.png,1,1", "names 1 images, and none is there; "),
        ("path,patient,Mass\na.png,1,1\na.png,1,0", "line 3, column 'path': expected every image"),
    ],
)
def test_a_malformed_table_is_named(tmp_path, text, complaint):
    assert complaint in refusal(table(tmp_path, text))


def test_a_missing_table_is_named(tmp_path):
    assert "holds no CSV files where one is expected" in refusal(tmp_path)
