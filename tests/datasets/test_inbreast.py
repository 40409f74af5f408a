import functools

import numpy as np
import pytest
import refusals
from miniatures_breast import INBREAST_CATEGORIES, write_outlines
from miniatures_breast import inbreast as miniature

from cxr_jax import datasets
from cxr_jax.datasets import inbreast
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.masks import read_mask


@pytest.fixture
def data_set(tmp_path):
    return tmp_path, miniature(tmp_path)


refusal = functools.partial(refusals.refusal, inbreast.read)


@pytest.mark.smoke
def test_regions_become_masks_and_images_without_have_empty_ones(data_set):
    folder, masks = data_set
    records = inbreast.read(folder)
    assert [record.image for record in records] == list(masks)
    for record in records:
        read = read_mask(record, inbreast.MASK, decode(record.path).shape)
        np.testing.assert_array_equal(read, masks[record.image])
    assert datasets.read("inbreast", folder) == records


def test_categories_from_4_on_are_suspicious(data_set):
    records = inbreast.read(data_set[0])
    found = dict(zip(INBREAST_CATEGORIES, (record.labels for record in records), strict=True))
    assert [c for c, labels in found.items() if labels["Suspicious"]] == [
        "4a",
        "4b",
        "4c",
        "5",
        "6",
    ]
    assert [c for c, labels in found.items() if labels["Highly Suspicious"]] == ["5", "6"]
    assert [c for c, labels in found.items() if labels["No Finding"]] == ["1"]


def test_patients_are_read_from_the_names_of_files(data_set):
    records = inbreast.read(data_set[0])
    assert [record.patient for record in records] == [f"{at // 2:016x}" for at in range(8)]
    assert [record.view for record in records[:2]] == ["CC", "MLO"]
    assert [record.laterality for record in records[:4]] == ["R", "R", "L", "L"]
    assert {record.split for record in records} == {None}


def test_an_image_that_is_not_there_keeps_its_record(data_set):
    folder, _ = data_set
    inbreast.read(folder)[0].path.unlink()
    first, second = inbreast.read(folder)[:2]
    assert (first.patient, first.path.is_file()) == (first.image, False)
    assert second.path.is_file()


def test_without_files_of_outlines_there_are_no_masks(data_set):
    folder, _ = data_set
    (folder / "AllXML").rename(folder / "elsewhere")
    assert not any(record.masks for record in inbreast.read(folder))


@pytest.mark.parametrize("view", ["ML", "FB"])
def test_other_views_are_known(data_set, view):
    change(data_set[0], ";CC;", f";{view};")
    assert inbreast.read(data_set[0])[0].view == {"ML": "MLO"}.get(view, view)


def change(folder, old, new):
    table = folder / "INbreast.csv"
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (";1\n", ";7\n", "line 2, column 'Bi-Rads': expected a BI-RADS category: 0 to 6, or 4a"),
        (";R;CC", ";B;CC", "line 2, column 'Laterality': expected L or R, found 'B'"),
        (";CC", ";up", "line 2, column 'View': expected CC or MLO or"),
        (
            ";20586934;",
            ";20586908;",
            "line 3, column 'File Name': expected an image that is not in",
        ),
        (";20586908;", ";../a;", "line 2, column 'File Name': expected a whole number"),
        ("Bi-Rads", "BIRADS", "no column 'Bi-Rads' in the header; found Patient ID, "),
    ],
)
def test_a_malformed_table_is_named(data_set, old, new, complaint):
    folder, _ = data_set
    table = folder / "INbreast.csv"
    table.write_text(table.read_text().replace("\r\n", "\n"))
    change(folder, old, new)
    message = refusal(folder)
    assert message.startswith(f"{table}")
    assert complaint in message


@pytest.mark.parametrize(
    "text",
    [b"", b"<plist>", b"<plist><dict></dict></plist>", b"<plist><string>a</string></plist>"],
)
def test_a_damaged_file_of_outlines_is_named(data_set, text):
    path = data_set[0] / "AllXML" / "20586986.xml"
    path.write_bytes(text)
    assert f"{path}: cannot be read as OsiriX's list of regions: " in refusal(data_set[0])


def test_an_outline_that_lacks_points_is_refused(data_set):
    path = data_set[0] / "AllXML" / "20586986.xml"
    write_outlines(path, [[(1, 2), (3, 4)]], lost=3)
    assert f"{path}: cannot be read as OsiriX's list of regions: a region lacks" in refusal(
        data_set[0]
    )
    write_outlines(path, [[(1e9, 2)]])
    assert "is no point of a film" in refusal(data_set[0])


def test_a_second_file_of_an_image_is_refused(data_set):
    folder, _ = data_set
    other = folder / "AllDICOMs" / "20586908_abc_MG_L_CC_ANON.dcm"
    other.write_bytes(b"")
    assert "is the same image; remove one of them" in refusal(folder)


def test_what_is_missing_is_named(tmp_path):
    assert "holds no INbreast.csv" in refusal(tmp_path)
    miniature(tmp_path, count=2)
    for path in (tmp_path / "AllDICOMs").iterdir():
        path.unlink()
    message = refusal(tmp_path)
    assert "names 2 images, and none is there; " in message
    assert "AllDICOMs/20586908.dcm would be the first" in message
