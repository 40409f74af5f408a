import functools
import hashlib
import shutil

import cv2
import numpy as np
import pytest
import refusals
from dicom_files import write_dicom
from miniatures import own_folder as miniature

from cxr_jax import datasets
from cxr_jax.datasets import folder as folder_module
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.masks import read_mask
from cxr_jax.pipeline.record import MaskFiles

GREY = np.full((40, 40), 100, np.uint8)


def images(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), GREY)
    return folder


refusal = functools.partial(refusals.refusal, folder_module.read)


@pytest.mark.smoke
def test_folders_are_classes_and_masks_belong_to_images(tmp_path):
    masks = miniature(tmp_path)
    records = folder_module.read(tmp_path)
    assert {record.image for record in records} == masks.keys()
    for record in records:
        has_nodule = record.image.startswith("Nodule/")
        assert record.labels == {"Nodule": float(has_nodule), "No Finding": float(not has_nodule)}
        mask = read_mask(record, "Nodule", decode(record.path).shape)
        np.testing.assert_array_equal(mask, masks[record.image])
        assert mask.any() == has_nodule
        assert record.view == "PA"
    assert datasets.read("folder", tmp_path) == records


def test_patients_are_hashes_by_the_table_or_by_the_headers(tmp_path):
    miniature(tmp_path)
    by_table = {record.image: record.patient for record in folder_module.read(tmp_path)}
    assert by_table["Nodule/N2.dcm"] == hashlib.sha256(b"folderNodule-1").hexdigest()[:12]
    assert by_table["Nodule/N2.dcm"] == by_table["Nodule/N3.png"]
    (tmp_path / "patients.csv").unlink()
    without = {record.image: record.patient for record in folder_module.read(tmp_path)}
    assert without["Nodule/N2.dcm"] == by_table["Nodule/N2.dcm"]
    assert without["Nodule/N3.png"] == "Nodule/N3.png"


def test_dicom_headers_say_view_and_side(tmp_path):
    options = {"ViewPosition": "MLO", "ImageLaterality": "R"}
    write_dicom(tmp_path / "Cancer/IM0001", GREY, **options)  # known by its content
    (tmp_path / "Cancer/bad.dcm").write_bytes(b"")
    bad, good = folder_module.read(tmp_path)[::-1]
    assert (good.view, good.laterality) == ("MLO", "R")
    assert (bad.image, bad.patient) == ("Cancer/bad.dcm", "Cancer/bad.dcm")


def test_images_may_lie_deeper_and_names_be_shortened(tmp_path):
    images(tmp_path, "Cancer/x/a.png", "Cancer/y/a.png", "healthy/b.png", "masks/b.tif")
    images(tmp_path, "masks/Cancer/y/a.tif")
    table = "image,patient,laterality\nCancer/x/a.png,1,l\nCancer\\y\\a.png,2,RIGHT\nb.png,2,\n"
    (tmp_path / "patients.csv").write_text(table)
    one, other, third = folder_module.read(tmp_path)
    assert (one.image, one.laterality, one.masks) == ("Cancer/x/a.png", "L", {})
    assert (other.laterality, third.laterality) == ("R", "")
    assert other.patient == third.patient != one.patient
    assert other.masks == {"Cancer": MaskFiles(paths=(tmp_path / "masks/Cancer/y/a.tif",))}
    assert third.masks == {"Cancer": MaskFiles(paths=(tmp_path / "masks/b.tif",))}
    assert third.labels == {"Cancer": 0, "No Finding": 1}


def test_without_masks_nothing_is_known_of_them(tmp_path):
    records = folder_module.read(images(tmp_path, "normal/a.png", "Cancer/b.png"))
    assert [record.masks for record in records] == [{}, {}]


@pytest.mark.parametrize("name", ["normal", "NORMAL", "No_Finding", "no finding", "Healthy"])
def test_what_a_normal_folder_may_be_called(tmp_path, name):
    record = folder_module.read(images(tmp_path, f"{name}/a.png"))[0]
    assert record.labels == {"No Finding": 1}


def test_classes_without_a_normal_one_are_findings(tmp_path):
    records = folder_module.read(images(tmp_path, "Benign/a.png", "Malignant/b.png"))
    assert records[1].labels == {"Benign": 0, "Malignant": 1, "No Finding": 0}


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["image,name", "a.png,1"], "no column 'patient' in the header; found image, name"),
        (["image,patient", "a.png,1"], "lacks 1 of 2 images, normal/b.png the first"),
        (["image,patient", "c.png,1"], "line 2, column 'image': expected the name of one image"),
        (["image,patient", "a.png,1", "a.png,2"], "line 3, column 'image': expected every image o"),
        (["image,patient", "a.png,"], "line 2, column 'patient': expected a patient"),
        (["image,patient,laterality", "a.png,1,X"], "column 'laterality': expected L or R"),
    ],
)
def test_a_malformed_table_is_named(tmp_path, lines, complaint):
    images(tmp_path, "normal/a.png", "normal/b.png")
    (tmp_path / "patients.csv").write_text("\n".join(lines))
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}/patients.csv")
    assert complaint in message


def test_a_short_name_that_two_images_have_is_refused(tmp_path):
    images(tmp_path, "Cancer/a.png", "normal/a.png", "masks/a.png")
    assert f"{tmp_path}/masks/a.png: belongs to 2 images; name a mask as its" in refusal(tmp_path)
    shutil.rmtree(tmp_path / "masks")
    (tmp_path / "patients.csv").write_text("image,patient\na.png,1\n")
    assert "expected the name of one image, with its folder if others have it" in refusal(tmp_path)


def test_a_mask_of_no_image_is_refused(tmp_path):
    images(tmp_path, "Cancer/a.png", "masks/b.png")
    assert f"{tmp_path}/masks/b.png: belongs to no images" in refusal(tmp_path)


def test_what_is_missing_is_named(tmp_path):
    assert "no such folder; --data_dir names the folder of your images" in refusal(tmp_path / "x")
    assert "holds no folders with images" in refusal(tmp_path)
    images(tmp_path, "a.png", "masks/a.png")
    assert "holds no folders with images" in refusal(tmp_path)
