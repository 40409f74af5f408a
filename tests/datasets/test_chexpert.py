import math
from collections import Counter

import pytest
from chest_miniatures import CHEXPERT_HEADER
from chest_miniatures import chexpert as miniature
from refusals import refusal, set_cell

from cxr_jax import datasets
from cxr_jax.datasets import chexpert
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.findings import canonical
from cxr_jax.pipeline.record import UNCERTAIN

COLUMNS = CHEXPERT_HEADER.split(",")[5:]
MEANING = {"1.0": 1.0, "0.0": 0.0, "-1.0": UNCERTAIN, "": math.nan}


@pytest.mark.smoke
@pytest.mark.parametrize("layout", ["small", "batches"])
@pytest.mark.parametrize("inside", [True, False])
def test_every_line_is_a_record_and_its_file_is_found(tmp_path, layout, inside):
    truth = miniature(tmp_path, layout=layout)
    home = next(path.parent for path in tmp_path.glob("*/train.csv"))
    records = chexpert.read(home if inside else tmp_path)
    assert [record.image for record in records] == list(truth)
    for record, (view, cells) in zip(records, truth.values(), strict=True):
        assert record.view == view
        expected = {canonical(c): MEANING[cell] for c, cell in zip(COLUMNS, cells, strict=True)}
        assert record.labels == pytest.approx(expected, nan_ok=True)
        assert decode(record.path, bit_depth=record.bit_depth).shape == (48, 40)
    assert records[0].patient == records[1].patient == "patient00001"
    assert Counter(record.view for record in records) == {
        "AP": 2, "PA": 2, "LATERAL": 1, "LL": 1, "RL": 1,
    }  # fmt: skip


def test_names_are_the_vocabularys(tmp_path):
    miniature(tmp_path)
    labels = datasets.read("chexpert", tmp_path)[0].labels
    assert len(labels) == 14
    assert labels["No Finding"] == labels["Support Devices"] == 1
    assert math.isnan(labels["Effusion"])


def test_the_images_of_the_validation_table_are_the_test_set(tmp_path):
    miniature(tmp_path)
    splits = [record.split for record in chexpert.read(tmp_path)]
    assert splits == ["train_validation"] * 5 + ["test"] * 2


def test_with_the_test_table_each_is_what_its_name_says(tmp_path):
    miniature(tmp_path)
    header = ",".join(["Path", *COLUMNS[1:]])
    row = ",".join(["test/patient64741/study1/view1_lateral.jpg", "1", *"0" * 12])
    (tmp_path / "CheXpert-v1.0-small/test.csv").write_text(f"{header}\n{row}\n")
    records = chexpert.read(tmp_path)
    assert [record.split for record in records] == ["train"] * 5 + ["validation"] * 2 + ["test"]
    assert records[-1].labels["Enlarged Cardiomediastinum"] == 1
    assert records[-1].labels["Support Devices"] == 0
    assert records[-1].view == "LATERAL"


def test_training_images_alone_are_to_be_divided(tmp_path):
    miniature(tmp_path)
    (tmp_path / "CheXpert-v1.0-small/valid.csv").unlink()
    assert {record.split for record in chexpert.read(tmp_path)} == {None}


def test_an_image_that_is_not_there_keeps_its_record(tmp_path):
    miniature(tmp_path)
    (tmp_path / "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg").unlink()
    assert [record.path.exists() for record in chexpert.read(tmp_path)] == [False] + [True] * 6


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("Cardiomegaly", "2", "expected 1.0, 0.0, -1.0 or nothing, found '2'"),
        ("Support Devices", "yes", "expected 1.0, 0.0, -1.0 or nothing, found 'yes'"),
        ("Frontal/Lateral", "Oblique", "expected Frontal or Lateral"),
        ("AP/PA", "DP", "expected AP, PA, LL, RL or nothing"),
        ("Path", "", "expected a path such as CheXpert-v1.0/train/patient00001"),
        ("Path", "/etc/train/patient1/a.jpg", "expected a path such as"),
        (
            "Path",
            "CheXpert-v1.0-small/train/patient1/../../../a.jpg",
            "inside the data set's folder",
        ),
        (
            "Path",
            "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg",
            "expected an image that no line before has",
        ),
    ],
)
def test_a_malformed_line_is_named(tmp_path, column, value, complaint):
    miniature(tmp_path)
    table = tmp_path / "CheXpert-v1.0-small/train.csv"
    set_cell(table, 4, column, value)
    message = refusal(chexpert.read, tmp_path)
    assert message.startswith(f"{table}, line 4, column {column!r}: ")
    assert complaint in message


def test_what_is_missing_is_named(tmp_path):
    assert "holds no train.csv or valid.csv; --data_dir names" in refusal(chexpert.read, tmp_path)
    assert "no such folder" in refusal(chexpert.read, tmp_path / "nowhere")
    (tmp_path / "train.csv").write_text("Path,Sex\n")
    assert "no column 'Frontal/Lateral', 'AP/PA', 'No Finding'" in refusal(chexpert.read, tmp_path)
    (tmp_path / "train.csv").write_text(CHEXPERT_HEADER + "\n")
    assert "no lines below the header" in refusal(chexpert.read, tmp_path)
    row = "CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg,F,1,Frontal,PA" + "," * 14
    (tmp_path / "train.csv").write_text(f"{CHEXPERT_HEADER}\n{row}\n")
    assert "names 1 images, and none is there" in refusal(chexpert.read, tmp_path)
