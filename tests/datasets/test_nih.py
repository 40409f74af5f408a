import functools
import gzip
from collections import Counter

import numpy as np
import pytest
import refusals
from chest_miniatures import NIH_HEADER as HEADER
from chest_miniatures import nih as miniature
from refusals import set_cell

from cxr_jax import datasets
from cxr_jax.datasets import nih
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.record import UNCERTAIN, Box

ROWS = (
    "00000001_000.png,Cardiomegaly,0,1,58,M,PA,2682,2749,0.143,0.143",
    "00000001_001.png,Cardiomegaly|Pleural_Thickening,1,1,58,M,AP,2894,2729,0.143,0.143",
    "00000002_000.png,No Finding,0,2,81,M,PA,2500,2048,0.171,0.171",
)
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"


def data_set(
    folder, *, header=HEADER, rows=ROWS, name="Data_Entry_2017_v2020.csv", images="images"
):
    """A data set on disk; the image files are empty, as no reader opens them."""
    (folder / name).write_text("\n".join([header, *rows]) + "\n")
    if images:
        (folder / images).mkdir(parents=True, exist_ok=True)
        for row in rows:
            (folder / images / row.split(",")[0]).touch()
    return folder


refusal = functools.partial(refusals.refusal, nih.read)


@pytest.mark.smoke
def test_every_line_is_a_record(tmp_path):
    first, second, third = nih.read(data_set(tmp_path))
    assert (first.image, first.patient, first.view) == ("00000001_000.png", "1", "PA")
    assert first.path == tmp_path / "images/00000001_000.png"
    assert first.bit_depth == 8
    assert first.split is None
    assert second.view == "AP"
    assert {name for name, label in second.labels.items() if label == 1} == {
        "Cardiomegaly",
        "Pleural_Thickening",
    }
    assert third.labels == {**dict.fromkeys(nih.FINDINGS, 0.0), "No Finding": 1.0}
    assert len(nih.FINDINGS) == 14


def test_the_old_file_with_its_extra_column_reads_the_same(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "old").mkdir()
    new = nih.read(data_set(tmp_path / "new"))
    rows = [f"{row}," for row in ROWS]
    old = nih.read(
        data_set(tmp_path / "old", header=HEADER + ",", rows=rows, name="Data_Entry_2017.csv")
    )
    assert [(r.image, r.patient, r.view, r.labels) for r in new] == [
        (r.image, r.patient, r.view, r.labels) for r in old
    ]


def test_a_byte_order_mark_windows_line_ends_and_empty_lines_do_not_matter(tmp_path):
    data_set(tmp_path)
    text = "\r\n".join([HEADER, *ROWS, "", ",,,,,,,,,,"])
    (tmp_path / "Data_Entry_2017_v2020.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert len(nih.read(tmp_path)) == 3


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("archives", [True, False])
def test_the_whole_layout_is_read(tmp_path, old, archives):
    truth = miniature(tmp_path, old=old, archives=archives)
    records = nih.read(tmp_path)
    assert [record.image for record in records] == list(truth)
    for record, found in zip(records, truth.values(), strict=True):
        positive = {name for name, label in record.labels.items() if label == 1}
        assert positive == set(found or ("No Finding",))
        assert decode(record.path, bit_depth=record.bit_depth).dtype == np.uint8
    assert [record.split for record in records] == ["train_validation"] * 3 + ["test"] * 3
    assert [box.finding for record in records for box in record.boxes] == [
        "Cardiomegaly",
        "Infiltration",
    ]


def test_radiologists_labels_are_an_option(tmp_path):
    miniature(tmp_path)
    records = datasets.read("nih", tmp_path, ReaderConfig(nih_labels="expert"))
    assert {record.image: record.labels for record in records} == {
        "00000002_000.png": {
            "Fracture": 0, "Pneumothorax": 0, "Lung Opacity": 1, "Nodule/Mass": 0,
        },
        "00000003_000.png": {
            "Fracture": 1, "Pneumothorax": 0, "Lung Opacity": 0, "Nodule/Mass": 1,
        },
    }  # fmt: skip
    for name in ("train_val_list.txt", "test_list.txt"):
        (tmp_path / name).unlink()
    records = nih.read(tmp_path, nih_labels="expert")
    assert [record.split for record in records] == ["train_validation", "test"]


@pytest.mark.parametrize(
    "place", ["{}", "four_findings_expert_labels_{}", "four_findings_expert_labels/{}"]
)
def test_radiologists_labels_may_be_two_files(tmp_path, place):
    miniature(tmp_path)
    (tmp_path / "google2019_nih-chest-xray-labels.csv.gz").unlink()
    for name, image in (("validation", "00000002_000.png"), ("test", "00000003_000.png")):
        path = tmp_path / place.format(f"{name}_labels.csv")
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            "Image Index,Fracture,Pneumothorax,Airspace opacity,Nodule or mass\n"
            f"{image},YES,NO,NO,HEDGE\n"
        )
    (tmp_path / "train_val_list.txt").unlink()
    (tmp_path / "test_list.txt").unlink()
    records = nih.read(tmp_path, nih_labels="expert")
    assert [record.split for record in records] == ["train_validation", "test"]
    assert records[0].labels["Nodule/Mass"] == UNCERTAIN


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("Fracture", "", "expected YES or NO or HEDGE, found 'nothing'"),
        ("Set Id", "train", "expected val or test, found 'train'"),
        ("Image Index", "00000002_000.png", "expected an image that no line before has otherwise"),
    ],
)
def test_a_malformed_line_of_a_radiologist_is_named(tmp_path, column, value, complaint):
    miniature(tmp_path)
    packed = tmp_path / "google2019_nih-chest-xray-labels.csv.gz"
    table = tmp_path / "google2019_nih-chest-xray-labels.csv"
    table.write_bytes(gzip.decompress(packed.read_bytes()))
    set_cell(table, 3, column, value)
    message = refusal(tmp_path, nih_labels="expert")
    assert message.startswith(f"{table}, line 3, column {column!r}: {complaint}")


def test_missing_radiologists_labels_are_named(tmp_path):
    data_set(tmp_path)
    message = refusal(tmp_path, nih_labels="expert")
    assert "holds no validation_labels.csv, test_labels.csv or google2019_nih" in message


def test_three_lists_of_others_are_followed(tmp_path):
    data_set(tmp_path)
    ones = " ".join("0" * 14)
    (tmp_path / "train_list.txt").write_text(f"00000001_000.png {ones}\n00000001_001.png {ones}\n")
    (tmp_path / "val_list.txt").write_text(f"images_001/00000002_000.png {ones}\n")
    assert "without the other" in refusal(tmp_path)
    (tmp_path / "test_list.txt").write_text(f"00000009_000.png {ones}\n")
    splits = [record.split for record in nih.read(tmp_path)]
    assert splits == ["train", "train", "validation"]


def test_a_name_that_leaves_the_folder_is_refused(tmp_path):
    data_set(tmp_path)
    file = tmp_path / "Data_Entry_2017_v2020.csv"
    file.write_text("\n".join([HEADER, ROWS[0], ROWS[2].replace("00000002", "../00000002")]))
    assert "inside the data set's folder, found '../00000002_000.png'" in refusal(tmp_path)


def test_images_lie_in_one_folder_or_in_twelve(tmp_path):
    data_set(tmp_path, images="images_001/images")
    (tmp_path / "images_012/images").mkdir(parents=True)
    moved = tmp_path / "images_012/images/00000002_000.png"
    (tmp_path / "images_001/images/00000002_000.png").rename(moved)
    paths = [record.path for record in nih.read(tmp_path)]
    assert paths[0] == tmp_path / "images_001/images/00000001_000.png"
    assert paths[2] == moved


def test_an_image_that_is_not_there_keeps_its_record(tmp_path):
    data_set(tmp_path)
    (tmp_path / "images/00000001_001.png").unlink()
    records = nih.read(tmp_path)
    assert [record.path.exists() for record in records] == [True, False, True]


def test_the_official_lists_are_followed(tmp_path):
    data_set(tmp_path)
    (tmp_path / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n\nother.png")
    (tmp_path / "test_list.txt").write_text("00000002_000.png\r\n")
    splits = [record.split for record in nih.read(tmp_path)]
    assert splits == ["train_validation", "train_validation", "test"]


def test_boxes_go_to_their_images(tmp_path):
    data_set(tmp_path)
    lines = (
        BOX_HEADER,
        "00000001_000.png,Cardiomegaly,329.4,399.8,456.1,382.5",
        "00000001_000.png,Infiltrate,1,2,3,4",
        "99999999_000.png,Mass,1,2,3,4",
    )
    (tmp_path / "BBox_List_2017.csv").write_text("\n".join(lines))
    records = nih.read(tmp_path)
    assert records[0].boxes == (
        Box(finding="Cardiomegaly", left=329.4, top=399.8, width=456.1, height=382.5),
        Box(finding="Infiltration", left=1.0, top=2.0, width=3.0, height=4.0),
    )
    assert records[1].boxes == ()


def test_the_real_sample_has_the_counts_of_its_description(nih_sample):
    records = nih.read(nih_sample)
    assert len(records) == 122
    assert Counter(record.split for record in records) == {"train_validation": 85, "test": 37}
    found = Counter(name for r in records for name, label in r.labels.items() if label == 1)
    assert found["No Finding"] == 63
    assert found["Pneumothorax"] == 32
    assert found["Cardiomegaly"] == 27
    assert all(record.path.is_file() for record in records)
    assert sum(len(record.boxes) for record in records) == 2


def test_a_missing_folder_is_named(tmp_path):
    message = refusal(tmp_path / "nowhere")
    assert message == (
        f"{tmp_path}/nowhere: no such folder; --data_dir names the folder of the data set"
    )


def test_an_empty_folder_says_what_is_looked_for(tmp_path):
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}: holds no Data_Entry_2017_v2020.csv or Data_Entry_2017")
    assert "--data_dir" in message


def test_a_missing_column_is_named_with_what_was_found(tmp_path):
    data_set(tmp_path, header=HEADER.replace("Patient ID", "Patient"))
    assert refusal(tmp_path).startswith(
        f"{tmp_path}/Data_Entry_2017_v2020.csv: no column 'Patient ID' in the header; "
        "found Image Index, Finding Labels, Follow-up #, Patient, "
    )


def test_labels_of_no_image_are_refused(tmp_path):
    message = refusal(data_set(tmp_path, images=None))
    assert message.startswith(
        f"{tmp_path}/Data_Entry_2017_v2020.csv: names 3 images, 00000001_000.png "
    )


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (
            ROWS[2].replace(",2,", ",two,"),
            "column 'Patient ID': expected a whole number, found 'two'",
        ),
        (ROWS[2].replace("PA", "LL"), "column 'View Position': expected PA or AP, found 'LL'"),
        (ROWS[2].replace("PA", ""), "column 'View Position': expected PA or AP, found 'nothing'"),
        (
            ROWS[2].replace("No Finding", "Cardio"),
            "column 'Finding Labels': expected No Finding, or",
        ),
        (ROWS[2].replace("No Finding", "No Finding|Mass"), "expected No Finding alone or findings"),
        (ROWS[2].replace("00000002_000.png", ""), "column 'Image Index': expected the name of an"),
        (ROWS[0], "expected an image that is not in line 2 already, found '00000001_000.png'"),
        ("00000002_000.png,No Finding", "2 fields where the header has 11"),
        (ROWS[2] + ",surplus", "12 fields where the header has 11"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, row, complaint):
    data_set(tmp_path)
    file = tmp_path / "Data_Entry_2017_v2020.csv"
    file.write_text("\n".join([HEADER, *ROWS[:2], row]))
    message = refusal(tmp_path)
    assert message.startswith(f"{file}, line 4")
    assert complaint in message
    assert message.endswith("correct or remove the line")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "the file is empty"),
        (HEADER.encode(), "no lines below the header"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "not UTF-8 text"),
        (f'{HEADER}\n"unclosed'.encode(), "not a table of text"),
    ],
)
def test_a_file_that_is_no_label_file_is_refused(tmp_path, content, complaint):
    data_set(tmp_path)
    (tmp_path / "Data_Entry_2017_v2020.csv").write_bytes(content)
    assert complaint in refusal(tmp_path)


def test_lists_that_do_not_fit_are_refused(tmp_path):
    data_set(tmp_path)
    train, test = tmp_path / "train_val_list.txt", tmp_path / "test_list.txt"
    train.write_text("00000001_000.png\n00000001_001.png\n")
    assert "holds train_val_list.txt without the other" in refusal(tmp_path)
    test.write_text("00000001_001.png\n")
    assert refusal(tmp_path).startswith(
        f"{test}, line 1: 00000001_001.png is in train_val_list.txt too"
    )
    test.write_text("other.png\n")
    assert "expected an image of train_val_list.txt or test_list.txt" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("00000001_000.png,Cardio,1,2,3,4", "column 'Finding Label': expected one of Atelectasis"),
        ("00000001_000.png,Mass,1,2,x,4", "column 'w': expected a number of at least 0, found 'x'"),
        ("00000001_000.png,Mass,1,2,nan,4", "column 'w': expected a number of at least 0"),
        ("00000001_000.png,Mass,1,-2,3,4", "column 'y': expected a number of at least 0"),
    ],
)
def test_a_malformed_box_is_named(tmp_path, line, complaint):
    data_set(tmp_path)
    (tmp_path / "BBox_List_2017.csv").write_text(f"{BOX_HEADER}\n{line}\n")
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}/BBox_List_2017.csv, line 2")
    assert complaint in message


def test_data_sets_are_read_by_name(tmp_path):
    data_set(tmp_path)
    assert datasets.read("nih", tmp_path) == nih.read(tmp_path)
    assert "phantom" in datasets.NAMES
    with pytest.raises(ValueError, match=r"dataset must be one of phantom, .*nih, .*, got 'nhi'"):
        datasets.read("nhi", tmp_path)
