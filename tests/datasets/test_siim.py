import functools
import hashlib

import numpy as np
import pytest
import refusals
from miniatures import siim as miniature

from cxr_jax import datasets
from cxr_jax.datasets import siim
from cxr_jax.errors import DataError
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.masks import read_mask
from cxr_jax.pipeline.prepare import prepare
from cxr_jax.preprocess import PreprocessConfig


@pytest.fixture(scope="module")
def data_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("siim")
    return folder, miniature(folder, count=6)


def table(folder, *lines, name="train-rle.csv", header="ImageId, EncodedPixels"):
    """A table, and an empty file for the first image."""
    (folder / name).write_text("\n".join([header, *lines]) + "\n")
    (folder / "a.png").touch()
    return folder


refusal = functools.partial(refusals.refusal, siim.read)


@pytest.mark.smoke
def test_images_masks_and_labels_are_read(data_set):
    folder, masks = data_set
    records = siim.read(folder)
    assert [record.image for record in records] == list(masks)
    for record, mask in zip(records, masks.values(), strict=True):
        assert record.labels == {"Pneumothorax": float(mask.any())}
        image = decode(record.path, bit_depth=record.bit_depth)
        np.testing.assert_array_equal(read_mask(record, siim.FINDING, image.shape), mask)
    assert len(records[1].masks[siim.FINDING].texts) == 2
    assert records[0].masks[siim.FINDING].texts == records[2].masks[siim.FINDING].texts == ()
    assert {record.split for record in records} == {None}
    assert [record.view for record in records[:3]] == ["PA", "AP", "AP"]
    assert datasets.read("siim", folder) == records


def test_patients_are_salted_hashes_and_two_images_may_be_ones(data_set):
    patients = [record.patient for record in siim.read(data_set[0])]
    assert patients[0] == hashlib.sha256(b"siimpatient-0").hexdigest()[:12]
    assert len(set(patients)) == 5
    assert patients[4] == patients[5]


def test_the_later_table_and_png_files_read_the_same(tmp_path):
    masks = miniature(tmp_path, count=3, table="stage_2_train.csv", kind="png")
    (tmp_path / "masks").mkdir()
    for image in masks:  # another's masks, of the same names
        (tmp_path / "masks" / f"{image}.png").touch()
    records = siim.read(tmp_path)
    assert [record.labels["Pneumothorax"] for record in records] == [0, 1, 0]
    assert [record.patient for record in records] == list(masks)
    image = decode(records[1].path)
    np.testing.assert_array_equal(
        read_mask(records[1], siim.FINDING, image.shape), masks[records[1].image]
    )


def test_of_two_tables_the_later_is_right(tmp_path):
    table(tmp_path, "a,0 5", "b,-1")
    table(tmp_path, "a,-1", "c,7 7", name="stage_2_train.csv", header="ImageId,EncodedPixels")
    records = siim.read(tmp_path)
    labels = {record.image: record.labels["Pneumothorax"] for record in records}
    assert labels == {"a": 0, "b": 0, "c": 1}


def test_dicom_comes_before_png(tmp_path):
    table(tmp_path, "a,-1")
    (tmp_path / "x").mkdir()
    (tmp_path / "x/a.dcm").write_bytes(b"damaged")
    (record,) = siim.read(tmp_path)
    assert record.path == tmp_path / "x/a.dcm"
    assert record.patient == "a"  # the header is left to whoever decodes it
    (tmp_path / "y").mkdir()
    (tmp_path / "y/a.dcm").touch()
    assert refusal(tmp_path).endswith("too; remove one of them")


def test_an_image_that_is_not_there_keeps_its_record(tmp_path):
    records = siim.read(table(tmp_path, "a,-1", "b,3 4"))
    assert [record.path.exists() for record in records] == [True, False]


def test_masks_and_images_go_into_the_cache(data_set, tmp_path):
    folder, masks = data_set
    config = PreprocessConfig(image_size=64)
    prepared = prepare(siim.read(folder), config, cache_dir=tmp_path, masks=(siim.FINDING,))
    for at, mask in enumerate(masks.values()):
        assert abs(prepared.mask(at).mean() - mask.mean()) < 0.01
        if mask.any():
            inside = prepared.mask(at) == 1
            assert prepared[at][inside].mean() > prepared[at][~inside].mean() + 20


def test_a_png_of_another_size_does_not_fit_its_mask(tmp_path):
    masks = miniature(tmp_path, count=2, kind="png")
    record = siim.read(tmp_path)[1]
    assert masks[record.image].any()
    with pytest.raises(
        DataError, match="its mask of Pneumothorax is for 1024 x 1024 pixels, the image has 512"
    ):
        read_mask(record, siim.FINDING, (512, 512))


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["a,1 2 3"], "line 2, column 'EncodedPixels': expected pairs of gap and length, or -1"),
        (["a,-1", "b,x"], "line 3, column 'EncodedPixels': expected pairs of gap and length"),
        (
            ["a,"],
            "column 'EncodedPixels': expected pairs of gap and length, or -1, found 'nothing'",
        ),
        (["a,1048570 7"], "end at 1,048,577, beyond the 1,048,576 pixels of an image of 1024"),
        (["a,-1", "a,1 2"], "line 3, column 'EncodedPixels': expected what agrees with line 2"),
        (["a,1 2", "a,-1"], "line 3, column 'EncodedPixels': expected what agrees with line 2"),
        ([",-1"], "line 2, column 'ImageId': expected the name of an image, found 'nothing'"),
        (["../a,-1"], "line 2, column 'ImageId': expected the name of an image, found '../a'"),
        ([], "no lines below the header"),
        (["b,-1"], "names 1 images, b the first, and none is below"),
    ],
)
def test_a_malformed_table_is_named(tmp_path, lines, complaint):
    message = refusal(table(tmp_path, *lines))
    assert message.startswith(f"{tmp_path}/train-rle.csv")
    assert complaint in message


def test_a_long_cell_is_not_shown_whole(tmp_path):
    message = refusal(table(tmp_path, "a," + " ".join(["5 5"] * 2000 + ["5"])))
    assert len(message) < 500
    assert "..." in message


def test_what_is_missing_is_named(tmp_path):
    assert "holds no train-rle.csv or stage_2_train.csv" in refusal(tmp_path)
    (tmp_path / "train-rle.csv").write_text("Image,EncodedPixels\na,-1\n")
    assert "no column 'ImageId' in the header; found Image, EncodedPixels" in refusal(tmp_path)
