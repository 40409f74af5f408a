import csv
import functools
import shutil

import numpy as np
import pytest
import refusals
from miniatures import CBIS_COLUMNS
from miniatures import cbis_ddsm as miniature

from cxr_jax import datasets
from cxr_jax.datasets import cbis_ddsm
from cxr_jax.errors import DataError
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.masks import read_mask
from cxr_jax.pipeline.prepare import prepare
from cxr_jax.pipeline.split import split_by_patient
from cxr_jax.preprocess import PreprocessConfig

TRAIN = "mass_case_description_train_set.csv"


@pytest.fixture(scope="module", params=["tcia", "classic", "jpeg"])
def data_set(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    return folder, miniature(folder, layout=request.param)


@pytest.fixture
def tcia(tmp_path):
    miniature(tmp_path, patients=4)
    return tmp_path


refusal = functools.partial(refusals.refusal, cbis_ddsm.read)


def change(folder, line, column, value, name=TRAIN):
    """Put another value into a table."""
    with (folder / name).open(newline="") as file:
        rows = list(csv.reader(file))
    rows[line - 1][rows[0].index(column)] = value
    with (folder / name).open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.mark.smoke
def test_every_layout_gives_the_images_labels_and_masks(data_set):
    folder, truth = data_set
    records = {record.image: record for record in cbis_ddsm.read(folder)}
    assert records.keys() == truth.keys()
    for name, (label, mask) in truth.items():
        record = records[name]
        assert record.labels == {"Malignant": label}
        image = decode(record.path)
        assert image.shape == mask.shape
        read = read_mask(record, cbis_ddsm.MASK, image.shape)
        assert (read != mask).mean() < 0.002  # JPEG blurs the border
    assert datasets.read("cbis_ddsm", folder) == list(records.values())


@pytest.mark.smoke
def test_patient_view_and_side_are_read(data_set):
    first, second, third = cbis_ddsm.read(data_set[0])[:3]
    assert (first.image, first.patient) == ("Mass-Training_P_00001_LEFT_CC", "P_00001")
    assert (first.view, second.view) == ("CC", "MLO")
    assert (first.laterality, third.patient) == ("L", "P_00002")
    assert {record.laterality for record in cbis_ddsm.read(data_set[0])} == {"L", "R"}


def test_the_worst_abnormality_of_a_film_labels_all_its_images(data_set):
    records = {record.image: record for record in cbis_ddsm.read(data_set[0])}
    assert records["Mass-Training_P_00001_LEFT_CC"].labels["Malignant"] == 1
    assert records["Calc-Training_P_00001_LEFT_CC"].labels["Malignant"] == 1  # the same film
    assert records["Mass-Training_P_00001_LEFT_MLO"].labels["Malignant"] == 0
    assert len(records["Mass-Training_P_00001_LEFT_CC"].masks[cbis_ddsm.MASK].regions) == 2


def test_a_patient_in_two_sets_is_in_the_test_set(data_set):
    records = cbis_ddsm.read(data_set[0])
    splits = {record.image: record.split for record in records}
    test = {record.patient for record in records if record.split == "test"}
    assert test == {"P_00007", "P_00008"}
    assert splits["Mass-Training_P_00007_LEFT_CC"] == splits["Calc-Test_P_00007_LEFT_CC"] == "test"
    assert splits["Mass-Training_P_00002_LEFT_CC"] == "train_validation"
    labels = np.float32([[record.labels["Malignant"]] for record in records])
    divided = split_by_patient(records, labels, seed=0)
    assert set(divided) == {"train", "validation", "test"}


def test_images_and_masks_are_prepared(data_set, tmp_path):
    folder, truth = data_set
    config = PreprocessConfig(image_size=64, kind="breast", remove_artefacts=False)
    prepared = prepare(cbis_ddsm.read(folder), config, cache_dir=tmp_path, masks=(cbis_ddsm.MASK,))
    for at, (_, mask) in enumerate(truth.values()):
        assert abs(prepared.mask(at).mean() - mask.mean()) < 0.01


def test_one_table_is_enough(tcia):
    for path in tcia.glob("*.csv"):
        if path.name != TRAIN:
            path.unlink()
    assert {record.split for record in cbis_ddsm.read(tcia)} == {"train_validation"}


def test_without_regions_there_are_no_masks(tcia):
    for folder in (tcia / "CBIS-DDSM").glob("*_[0-9]"):
        shutil.rmtree(folder)
    records = cbis_ddsm.read(tcia)
    assert not any(record.masks for record in records)
    assert all(record.path.is_file() for record in records)


def test_a_region_of_several_that_is_missing_is_found_when_it_is_read(tcia):
    shutil.rmtree(tcia / "CBIS-DDSM/Mass-Training_P_00001_LEFT_CC_2")
    record = cbis_ddsm.read(tcia)[0]
    with pytest.raises(DataError, match=r"P_00001_LEFT_CC_2/.*cannot be read: No such file"):
        read_mask(record, cbis_ddsm.MASK, decode(record.path).shape)


def test_the_mask_is_read_though_its_crop_is_damaged(tcia):
    record = cbis_ddsm.read(tcia)[1]
    shape = decode(record.path).shape
    whole = read_mask(record, cbis_ddsm.MASK, shape)
    crop = next(
        path for path in record.masks[cbis_ddsm.MASK].regions[0] if decode(path).shape != shape
    )
    crop.write_bytes(b"")
    np.testing.assert_array_equal(read_mask(record, cbis_ddsm.MASK, shape), whole)


def test_an_image_that_is_not_there_keeps_its_record(tcia):
    shutil.rmtree(tcia / "CBIS-DDSM/Mass-Training_P_00001_LEFT_CC")
    records = cbis_ddsm.read(tcia)
    assert [record.path.is_file() for record in records[:2]] == [False, True]
    assert records[0].path.name == "000000.dcm"


def test_the_folder_may_be_the_one_that_the_tables_name(tcia):
    for path in (tcia / "CBIS-DDSM").iterdir():
        path.rename(tcia / path.name)
    (tcia / "CBIS-DDSM").rmdir()
    assert all(record.path.is_file() for record in cbis_ddsm.read(tcia))


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("pathology", "UNKNOWN", "expected MALIGNANT or BENIGN or BENIGN_WITHOUT_CALLBACK, found"),
        ("left or right breast", "BOTH", "expected L or R, found 'BOTH'"),
        ("image view", "ML", "expected CC or MLO, found 'ML'"),
        ("patient_id", "", "expected a patient, found 'nothing'"),
        ("image file path", "", "expected a path such as Mass-Training_P_00001_LEFT_CC/"),
        ("image file path", "../a/b/c.dcm", "expected a path such as"),
        ("ROI mask file path", "/etc/a/b.dcm", "expected a path such as"),
        ("cropped image file path", "a.dcm", "expected a path such as"),
    ],
)
def test_a_malformed_line_is_named(tcia, column, value, complaint):
    change(tcia, 3, column, value)
    message = refusal(tcia)
    assert message.startswith(f"{tcia}/{TRAIN}, line ")
    assert f"column {column!r}: {complaint}" in message


def test_an_image_of_two_patients_is_refused(tcia):
    change(tcia, 3, "patient_id", "P_00009")
    assert f"an image of the same patient, breast and view as line 2 of {TRAIN}" in refusal(tcia)


def test_two_files_for_one_image_are_refused(tcia):
    study = tcia / "CBIS-DDSM/Mass-Training_P_00001_LEFT_CC"
    (path,) = study.rglob("*.dcm")
    shutil.copy(path, study / "a.dcm")
    path.rename(study / "b.dcm")
    message = refusal(tcia)
    assert f"expected one image; {study}/a.dcm and {study}/b.dcm may both be it" in message


def test_what_is_missing_is_named(tmp_path):
    assert "holds no mass_case_description_train_set.csv with lines in it" in refusal(tmp_path)
    header = CBIS_COLUMNS["mass"]
    (tmp_path / TRAIN).write_text(header.replace("pathology", "diagnosis"))
    assert "no column 'pathology' in the header; found patient_id, " in refusal(tmp_path)
    path = "Mass-Training_P_00001_LEFT_CC/1/1/000000.dcm"
    row = f"P_00001,3,LEFT,CC,1,mass,OVAL,SPICULATED,4,MALIGNANT,3,{path},,"
    (tmp_path / TRAIN).write_text(f"{header}\n{row}\n")
    message = refusal(tmp_path)
    assert "its tables name 1 images, and none is there; " in message
    assert path in message
