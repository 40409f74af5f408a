import functools

import numpy as np
import pytest
import refusals
from miniatures_breast import vindr_mammo as miniature

from cxr_jax import datasets
from cxr_jax.datasets import vindr_mammo
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.record import Box
from cxr_jax.pipeline.split import split_by_patient

BREASTS, FINDINGS = "breast-level_annotations.csv", "finding_annotations.csv"


@pytest.fixture
def data_set(tmp_path):
    miniature(tmp_path)
    return tmp_path


refusal = functools.partial(refusals.refusal, vindr_mammo.read)


def change(folder, name, old, new):
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))


@pytest.mark.smoke
def test_breasts_are_labelled_by_their_category(data_set):
    records = vindr_mammo.read(data_set)
    assert len(records) == 24
    first = records[0]
    assert (first.view, first.laterality, first.patient) == ("CC", "L", "0" * 32)
    left = [record.labels for record in records if record.laterality == "L"][::2]  # BI-RADS 1 to 5
    assert [labels["Suspicious"] for labels in left] == [0, 0, 0, 1, 1, 0]
    assert [labels["Highly Suspicious"] for labels in left] == [0, 0, 0, 0, 1, 0]
    assert decode(first.path).shape == (96, 72)
    assert datasets.read("vindr_mammo", data_set) == records


def test_findings_have_labels_and_boxes(data_set):
    first, second, *_ = records = vindr_mammo.read(data_set)
    present = {name for name, label in first.labels.items() if label == 1}
    assert present == {"Mass", "Skin Thickening", "Asymmetry"}
    assert [box.finding for box in first.boxes] == ["Mass", "Skin Thickening", "Asymmetry"]
    assert first.boxes[0] == Box(finding="Mass", left=1.0, top=2.0, width=2.0, height=2.0)
    assert second.labels["No Finding"] == 1
    assert all(second.labels[finding] == 0 for finding in vindr_mammo.FINDINGS)
    suspicious = next(record for record in records if record.labels["Suspicious"])
    assert suspicious.boxes == (Box(finding="Mass", left=10.5, top=20.0, width=19.5, height=25.25),)


def test_without_the_table_of_findings_only_categories_are_known(data_set):
    (data_set / FINDINGS).unlink()
    first, *_, last = vindr_mammo.read(data_set)
    assert first.labels == {"Suspicious": 0, "Highly Suspicious": 0, "No Finding": 1}
    assert last.boxes == ()


def test_the_official_split_is_used(data_set):
    records = vindr_mammo.read(data_set)
    assert {r.patient for r in records if r.split == "test"} == {records[-1].patient}
    labels = np.float32([[record.labels["Suspicious"]] for record in records])
    assert set(split_by_patient(records, labels, seed=0)) == {"train", "validation", "test"}


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        (BREASTS, "BI-RADS 1", "BI-RADS 9", "line 2, column 'breast_birads': expected a BI-RADS"),
        (BREASTS, "training", "train", "line 2, column 'split': expected training or test"),
        (BREASTS, ",L,", ",B,", "line 2, column 'laterality': expected L or R"),
        (BREASTS, ",CC,", ",CCC,", "line 2, column 'view_position': expected CC or MLO"),
        (BREASTS, f"{17:032x}", f"{16:032x}", "line 3, column 'image_id': expected every image"),
        (
            BREASTS,
            f"{16:032x}",
            "../../x",
            "line 2, column 'image_id': expected the path of a file",
        ),
        (FINDINGS, f"{16:032x}", "f" * 32, "line 2, column 'image_id': expected an image of br"),
        (FINDINGS, "'Asymmetry'", "'Gas'", "line 3, column 'finding_categories': expected ['No F"),
        (FINDINGS, "['Asymmetry']", "[[]]", "line 3, column 'finding_categories': expected"),
        (FINDINGS, "['Asymmetry']", "[" * 300, "line 3, column 'finding_categories': expected"),
        (FINDINGS, "['Asymmetry']", "Asymmetry", "line 3, column 'finding_categories': expected"),
        (FINDINGS, "0,0,9,9", "1,0,0,9", "line 3, column 'xmax': expected a corner that is not"),
        (FINDINGS, "0,0,9,9", "0,0,,9", "line 3, column 'xmax': expected a number"),
    ],
)
def test_a_malformed_line_is_named(data_set, name, old, new, complaint):
    if name == BREASTS:
        (data_set / FINDINGS).unlink()
    change(data_set, name, old, new)
    message = refusal(data_set)
    assert message.startswith(f"{data_set / name}, {complaint}")


def test_what_is_missing_is_named(data_set):
    (data_set / "images").rename(data_set / "elsewhere")
    assert f"{BREASTS}: names 24 images, and none is there; " in refusal(data_set)
    (data_set / BREASTS).unlink()
    assert f"holds no {BREASTS}" in refusal(data_set)
