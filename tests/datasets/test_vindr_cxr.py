import pytest
from chest_dicom_miniatures import VINDR_MARKS
from chest_dicom_miniatures import vindr_cxr as miniature
from refusals import refusal, set_cell

from cxr_jax import datasets
from cxr_jax.datasets import vindr_cxr
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.record import Box

LAYOUTS = pytest.mark.parametrize("layout", ["kaggle", "physionet"])


def present(record):
    return {name for name, label in record.labels.items() if label == 1}


@pytest.mark.smoke
@LAYOUTS
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"readers": "any"},
            [{"No Finding"}, {"Cardiomegaly", "Effusion"}, {"Cardiomegaly"}, {"Pneumothorax"}],
        ),
        ({}, [{"No Finding"}, {"Cardiomegaly"}, {"Cardiomegaly"}, {"No Finding"}]),
        (
            {"readers": "count", "reader_count": 3},
            [{"No Finding"}, {"Cardiomegaly"}, {"No Finding"}, {"No Finding"}],
        ),
    ],
)
def test_readers_who_disagree_are_combined_by_the_rule(tmp_path, layout, options, expected):
    images = miniature(tmp_path, layout=layout)
    records = datasets.read("vindr_cxr", tmp_path, ReaderConfig(**options))
    assert [record.image for record in records] == images
    assert [present(record) for record in records[:4]] == expected
    assert {record.view for record in records} == {"PA"}
    assert len({record.patient for record in records}) == len(records)


def test_kaggles_findings_have_the_vocabularys_names(tmp_path):
    miniature(tmp_path)
    records = vindr_cxr.read(tmp_path)
    assert len(records[0].labels) == 15
    assert {"Effusion", "Fibrosis", "Pleural_Thickening", "ILD"} <= records[0].labels.keys()
    assert {record.split for record in records} == {None}


def test_physionets_images_have_a_split_and_a_consensus_is_one_reading(tmp_path):
    miniature(tmp_path, layout="physionet")
    for rule in ("any", "majority", "count"):
        records = vindr_cxr.read(tmp_path, readers=rule)
        assert [r.split for r in records] == ["train_validation"] * 4 + ["test"]
        assert present(records[4]) == {"Rib fracture", "Fracture"}
    assert records[4].path == tmp_path / f"test/{records[4].image}.dicom"
    assert records[0].labels["Clavicle fracture"] == 0
    assert records[0].labels.keys() == records[4].labels.keys()


@LAYOUTS
def test_boxes_are_those_of_the_findings_that_are_present(tmp_path, layout):
    miniature(tmp_path, layout=layout)
    records = vindr_cxr.read(tmp_path)
    counts = [
        sum(name == "Cardiomegaly" for m in marks.values() for name in m) for marks in VINDR_MARKS
    ]
    assert [len(record.boxes) for record in records[:4]] == counts
    assert records[2].boxes[0] == Box(
        finding="Cardiomegaly", left=10.0, top=20.0, width=20.5, height=24.0
    )
    assert {box.finding for box in vindr_cxr.read(tmp_path, readers="any")[1].boxes} == {
        "Cardiomegaly",
        "Effusion",
    }


def test_images_are_dicom_under_either_suffix(tmp_path):
    images = miniature(tmp_path)
    (tmp_path / f"train/{images[1]}.dicom").rename(tmp_path / f"train/{images[1]}.dcm")
    (tmp_path / f"train/{images[2]}.dicom").unlink()
    records = vindr_cxr.read(tmp_path)
    assert [record.path.exists() for record in records] == [True, True, False, True]
    assert decode(records[1].path, bit_depth=records[1].bit_depth).shape == (48, 40)


def test_a_reader_who_denies_no_finding_without_naming_one_saw_something(tmp_path):
    miniature(tmp_path, layout="physionet")
    table = tmp_path / "annotations/image_labels_train.csv"
    for line in (2, 6):  # two readers of the first image
        set_cell(table, line, "No finding", "0")
    assert present(vindr_cxr.read(tmp_path)[0]) == set()


@pytest.mark.parametrize(
    ("layout", "column", "value", "complaint"),
    [
        ("kaggle", "class_name", "Cardio", "expected No finding or one of Aortic enlargement,"),
        ("kaggle", "x_max", "9", "expected a number of at least 10, found '9'"),
        ("kaggle", "y_min", "", "expected a number of at least 0, found 'nothing'"),
        ("kaggle", "rad_id", "", "expected a reader"),
        ("physionet", "Edema", "2", "expected 1, 0 or nothing, found '2'"),
        ("physionet", "No finding", "x", "expected 1, 0 or nothing"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, layout, column, value, complaint):
    miniature(tmp_path, layout=layout)
    name = {"kaggle": "train.csv", "physionet": "annotations/image_labels_train.csv"}[layout]
    set_cell(tmp_path / name, 3, column, value)
    message = refusal(vindr_cxr.read, tmp_path)
    assert message.startswith(f"{tmp_path / name}, line 3, column {column!r}: ")
    assert complaint in message


@LAYOUTS
def test_an_image_needs_three_readers_and_a_name_inside_the_folder(tmp_path, layout):
    images = miniature(tmp_path, layout=layout)
    table = next(tmp_path.glob("train.csv"), tmp_path / "annotations/image_labels_train.csv")
    text = table.read_text()
    table.write_text(text.replace(images[0], "../a"))
    assert "inside the data set's folder" in refusal(vindr_cxr.read, tmp_path)
    table.write_text("".join(line for line in text.splitlines(True) if "R10" not in line))
    assert "expected an image of 3 readers, and it has 2, found" in refusal(
        vindr_cxr.read, tmp_path
    )


def test_a_reader_reads_an_image_once(tmp_path):
    miniature(tmp_path, layout="physionet")
    table = tmp_path / "annotations/image_labels_train.csv"
    table.write_text(table.read_text() + table.read_text().splitlines()[1] + "\n")
    assert "expected an image that its reader has in no line before" in refusal(
        vindr_cxr.read, tmp_path
    )


def test_what_is_missing_is_named(tmp_path):
    message = refusal(vindr_cxr.read, tmp_path)
    assert "holds no train.csv or image_labels_train.csv or image_labels_test.csv" in message
