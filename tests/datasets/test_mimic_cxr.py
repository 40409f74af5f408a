import math

import pytest
from chest_miniatures import mimic_cxr as miniature
from refusals import refusal, set_cell

from cxr_jax import datasets
from cxr_jax.datasets import mimic_cxr
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.record import UNCERTAIN

SPLITS = {"train": "train", "validate": "validation", "test": "test"}


def known(record):
    return {name: label for name, label in record.labels.items() if not math.isnan(label)}


@pytest.mark.smoke
@pytest.mark.parametrize("compressed", [True, False])
def test_every_image_is_a_record_with_the_labels_of_its_study(tmp_path, compressed):
    truth = miniature(tmp_path, compressed=compressed)
    records = mimic_cxr.read(tmp_path)
    assert [record.image for record in records] == list(truth)
    for record, (patient, view, split) in zip(records, truth.values(), strict=True):
        assert (record.patient, record.view, record.split) == (patient, view, SPLITS[split])
        assert decode(record.path, bit_depth=record.bit_depth).shape == (48, 40)
    first = {"Atelectasis": 1.0, "Cardiomegaly": 0.0, "Effusion": UNCERTAIN}
    assert [known(record) for record in records] == [first, first, {"No Finding": 1.0}, {}, {}]
    assert {len(record.labels) for record in records} == {14}


def test_the_other_labeller_is_an_option(tmp_path):
    miniature(tmp_path)
    records = datasets.read("mimic_cxr", tmp_path, ReaderConfig(labeller="negbio"))
    assert known(records[0]) == {"No Finding": 1.0}


def test_without_its_table_there_is_no_split(tmp_path):
    miniature(tmp_path, compressed=False)
    (tmp_path / "mimic-cxr-2.0.0-split.csv").unlink()
    assert {record.split for record in mimic_cxr.read(tmp_path)} == {None}


def test_numbers_may_be_written_as_pandas_does(tmp_path):
    truth = miniature(tmp_path, compressed=False)
    table = tmp_path / "mimic-cxr-2.0.0-metadata.csv"
    table.write_text(table.read_text().replace("10000032,50414267", "10000032.0,50414267.0"))
    records = mimic_cxr.read(tmp_path)
    assert [record.patient for record in records] == [patient for patient, _, _ in truth.values()]
    assert all(record.path.is_file() for record in records)


@pytest.mark.parametrize(
    ("table", "column", "value", "complaint"),
    [
        ("metadata", "dicom_id", "", "expected an image of mimic-cxr-2.0.0-split.csv"),
        ("metadata", "dicom_id", "../../a", "expected an image of mimic-cxr-2.0.0-split.csv"),
        ("metadata", "subject_id", "p1", "expected a whole number"),
        ("metadata", "study_id", "1.5", "expected a whole number"),
        ("chexpert", "study_id", "50414267", "expected a study that no line before has"),
        ("chexpert", "Edema", "maybe", "expected 1.0, 0.0, -1.0 or nothing"),
        ("split", "split", "valid", "expected train or validate or test"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, table, column, value, complaint):
    miniature(tmp_path, compressed=False)
    path = tmp_path / f"mimic-cxr-2.0.0-{table}.csv"
    set_cell(path, 3, column, value)
    message = refusal(mimic_cxr.read, tmp_path)
    assert message.startswith(f"{path}, line 3, column {column!r}: ")
    assert complaint in message


def test_an_image_that_leaves_the_folder_or_comes_twice_is_refused(tmp_path):
    miniature(tmp_path, compressed=False)
    (tmp_path / "mimic-cxr-2.0.0-split.csv").unlink()
    table = tmp_path / "mimic-cxr-2.0.0-metadata.csv"
    set_cell(table, 3, "dicom_id", "../../a")
    assert "inside the data set's folder" in refusal(mimic_cxr.read, tmp_path)
    set_cell(table, 3, "dicom_id", "02aa804e-bde0afdd-112c0b34-7bc16630-4e384014")
    assert "expected an image that no line before has" in refusal(mimic_cxr.read, tmp_path)


def test_what_is_missing_is_named(tmp_path):
    assert "holds no mimic-cxr-2.0.0-metadata.csv" in refusal(mimic_cxr.read, tmp_path)
    miniature(tmp_path)
    (tmp_path / "mimic-cxr-2.0.0-negbio.csv.gz").unlink()
    message = refusal(mimic_cxr.read, tmp_path, labeller="negbio")
    assert "holds no mimic-cxr-2.0.0-negbio.csv" in message
