import pytest
from chest_dicom_miniatures import RSNA_CLASSES
from chest_dicom_miniatures import rsna_pneumonia as miniature
from refusals import refusal, set_cell

from cxr_jax import datasets
from cxr_jax.datasets import rsna_pneumonia
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.record import Box

TABLE, CLASSES = "stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"
MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"


@pytest.mark.smoke
def test_every_image_is_a_record_with_its_boxes(tmp_path):
    images = miniature(tmp_path)
    records = rsna_pneumonia.read(tmp_path)
    assert [record.image for record in records] == images
    for record, kind in zip(records, RSNA_CLASSES, strict=True):
        opaque = float(kind == "Lung Opacity")
        assert record.labels == {
            "Lung Opacity": opaque,
            "Pneumonia": opaque,
            "No Finding": float(kind == "Normal"),
        }
        assert decode(record.path, bit_depth=record.bit_depth).shape == (48, 40)
    assert [len(record.boxes) for record in records] == [0, 2, 0, 1, 0]
    assert records[1].boxes[1] == Box(
        finding="Lung Opacity", left=265.0, top=152.0, width=213.0, height=379.0
    )
    assert [record.view for record in records] == ["PA", "AP", "PA", "AP", "PA"]
    assert datasets.read("rsna_pneumonia", tmp_path) == records


def test_patients_are_the_nihs_where_it_is_known_who_they_are(tmp_path):
    miniature(tmp_path)
    patients = [record.patient for record in rsna_pneumonia.read(tmp_path)]
    assert patients == ["7", "8", "9", "10", "10"]


def test_without_the_other_files_normality_and_patients_are_unknown(tmp_path):
    images = miniature(tmp_path, extras=False)
    records = rsna_pneumonia.read(tmp_path)
    assert [record.patient for record in records] == images
    assert all("No Finding" not in record.labels for record in records)


def test_its_films_are_those_of_nih_and_siim():
    assert datasets.shares_films("rsna_pneumonia", "nih")
    assert datasets.shares_films("rsna_pneumonia", "siim")
    assert not datasets.shares_films("rsna_pneumonia", "chexpert")


def test_an_image_that_is_not_there_or_damaged_keeps_its_record(tmp_path):
    images = miniature(tmp_path)
    (tmp_path / f"stage_2_train_images/{images[0]}.dcm").unlink()
    (tmp_path / f"stage_2_train_images/{images[1]}.dcm").write_bytes(b"damaged")
    records = rsna_pneumonia.read(tmp_path)
    assert [record.view for record in records] == ["", "", "PA", "AP", "PA"]


@pytest.mark.parametrize(
    ("table", "line", "column", "value", "complaint"),
    [
        (TABLE, 3, "Target", "2", "expected 0 or 1, found '2'"),
        (TABLE, 4, "Target", "0", "expected 1, as in line 3 of the same image, found '0'"),
        (TABLE, 3, "width", "", "expected a number of at least 0, found 'nothing'"),
        (TABLE, 2, "patientId", "", "inside the data set's folder"),
        (TABLE, 2, "patientId", "../a", "inside the data set's folder"),
        (
            CLASSES,
            2,
            "class",
            "Healthy",
            "expected Lung Opacity or No Lung Opacity / Not Normal or",
        ),
        (CLASSES, 2, "class", "Lung Opacity", "a class that fits a Target of 0 in line 2 of stage"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, table, line, column, value, complaint):
    miniature(tmp_path)
    if "patientId" in column:
        (tmp_path / CLASSES).unlink()
    set_cell(tmp_path / table, line, column, value)
    message = refusal(rsna_pneumonia.read, tmp_path)
    assert message.startswith(f"{tmp_path / table}, line {line}, column {column!r}: ")
    assert complaint in message


def test_an_image_of_two_classes_or_none_is_refused(tmp_path):
    miniature(tmp_path)
    lines = (tmp_path / CLASSES).read_text().splitlines()
    other = lines[1].replace("Normal", "No Lung Opacity / Not Normal")
    (tmp_path / CLASSES).write_text("\n".join([*lines, other]))
    assert "expected Normal, as in the image's first line" in refusal(rsna_pneumonia.read, tmp_path)
    (tmp_path / CLASSES).write_text("\n".join(lines[:-1]))
    message = refusal(rsna_pneumonia.read, tmp_path)
    assert message.startswith(
        f"{tmp_path / TABLE}, line 7, column 'patientId': expected an image of"
    )


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '[{"img_id": "x"}]', '[{"subset_img_id": "a", "img_id": "x"}]', "7"]
)
def test_a_malformed_list_of_names_is_refused(tmp_path, text):
    miniature(tmp_path)
    (tmp_path / MAPPING).write_text(text)
    message = refusal(rsna_pneumonia.read, tmp_path)
    assert message.startswith(
        f"{tmp_path / MAPPING}: expected a list of objects with subset_img_id"
    )


def test_what_is_missing_is_named(tmp_path):
    assert f"holds no {TABLE}; --data_dir" in refusal(rsna_pneumonia.read, tmp_path)
