import json
import sys

import miniatures_tfds as miniatures
import numpy as np
import pytest
import refusals

from cxr_jax import datasets
from cxr_jax.datasets import tfds
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.masks import read_mask
from cxr_jax.pipeline.record import UNCERTAIN

CBIS = "curated_breast_imaging_ddsm"


def refusal(folder, name="chexpert"):
    return refusals.refusal(tfds.read, folder, name=name, cache_dir=folder / "cache")


def change(source, **values):
    """Change what dataset_info.json says; None takes it out."""
    path = source / "dataset_info.json"
    info = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in info.items() if value is not None}))


@pytest.mark.smoke
def test_films_have_their_worst_label_and_the_masks_of_all_abnormalities(tmp_path):
    truth = miniatures.original_mass(tmp_path)
    name = f"{CBIS}/original-mass"
    records = datasets.read(f"tfds:{name}", tmp_path, cache_dir=tmp_path / "cache")
    assert {record.image for record in records} == truth.keys()
    for record in records:
        mask, malignant = truth[record.image]
        assert record.labels == {"Malignant": float(malignant)}
        image = decode(record.path)
        np.testing.assert_array_equal(read_mask(record, tfds.MASK, image.shape), mask)
    first, second = records[:2]
    assert (first.patient, first.view, first.laterality) == ("P_00000tr", "CC", "L")
    assert (second.patient, second.view, second.laterality) == ("P_00000tr", "MLO", "R")
    assert [record.split for record in records] == ["train_validation"] * 5 + ["test"] * 2
    assert "tensorflow" not in sys.modules


def test_patches_keep_the_split_of_tfds(tmp_path):
    miniatures.patches(tmp_path)
    for name in (CBIS, f"{CBIS}/patches"):
        records = tfds.read(tmp_path, name=name, cache_dir=tmp_path / "cache")
        assert [record.split for record in records[::5]] == ["train", "validation", "test"]
        background, *others = (record.labels for record in records[:5])
        assert background == {"No Finding": 1, "Mass": 0, "Calcification": 0}
        assert [labels["Malignant"] for labels in others] == [0, 0, 1, 1]
        assert [labels["Mass"] for labels in others] == [0, 1, 0, 1]
        assert {record.patient for record in records[:5]} == {"1.3.train/1.3.6"}
        assert records[0].path.suffix == ".jpg"


def test_chexpert_keeps_what_is_uncertain_and_what_is_not_mentioned(tmp_path):
    miniatures.chexpert(tmp_path)
    records = tfds.read(tmp_path, name="chexpert", cache_dir=tmp_path / "cache")
    found = list(records[0].labels.items())
    assert [name for name, _ in found[:3]] == [
        "No Finding",
        "Enlarged Cardiomediastinum",
        "Cardiomegaly",
    ]
    assert "Effusion" in records[0].labels
    np.testing.assert_array_equal([label for _, label in found[:4]], [UNCERTAIN, 1, 0, np.nan])
    assert [record.view for record in records[:2]] == ["FRONTAL", "LATERAL"]
    assert records[2].patient == "patient000010"
    assert [record.split for record in records[::4]] == ["train_validation", "test"]
    assert decode(records[0].path).shape == miniatures.SHAPE


def test_images_are_unpacked_once_and_as_they_are_encoded(tmp_path):
    miniatures.patches(tmp_path)
    read = [tfds.read(tmp_path, name=CBIS, cache_dir=tmp_path / "cache") for _ in range(2)]
    assert read[0] == read[1]
    original = (tmp_path / "jpg" / "train3.jpg").read_bytes()
    assert read[0][3].path.read_bytes() == original


def test_the_newest_version_is_taken_or_the_one_that_is_named(tmp_path):
    miniatures.chexpert(tmp_path, version="3.1.0", seed=1)
    miniatures.chexpert(tmp_path, version="10.0.0", seed=2)
    cache = {"name": "chexpert", "cache_dir": tmp_path / "cache"}
    newest = tfds.read(tmp_path, **cache)[0].path
    named = [tfds.read(tmp_path / "chexpert" / v, **cache)[0].path for v in ("3.1.0", "10.0.0")]
    assert named[0] != newest == named[1]


@pytest.mark.parametrize("found", ["tfrecord", None])
def test_another_file_format_is_refused_with_the_command_that_prepares(tmp_path, found):
    source = miniatures.chexpert(tmp_path)
    change(source, fileFormat=found)
    message = refusal(tmp_path)
    assert f"{source}: its files are tfrecord, which only TensorFlow reads; " in message
    assert "tfds build chexpert --file_format=array_record --data_dir=FOLDER" in message


def test_what_is_missing_is_named(tmp_path):
    message = refusal(tmp_path, f"{CBIS}/original-calc")
    assert f"holds no {CBIS}/original-calc, which would be in {tmp_path}/{CBIS}/ori" in message
    assert f"tfds build {CBIS}/original-calc --file_format=array_record " in message
    source = miniatures.chexpert(tmp_path)
    assert f"{source}: holds chexpert/, not {CBIS}" in refusal(source, CBIS)
    change(source, splits=[])
    assert "has no split train or validation" in refusal(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": 3}'])
def test_a_damaged_description_is_refused(tmp_path, text):
    source = miniatures.chexpert(tmp_path)
    (source / "dataset_info.json").write_text(text)
    assert f"{source}: not a data set of TFDS: " in refusal(tmp_path)


def test_a_damaged_file_is_refused(tmp_path):
    source = miniatures.chexpert(tmp_path)
    shard = sorted(source.glob("*train.array_record*"))[1]
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    assert f"{source}: example " in refusal(tmp_path)
    shard.unlink()
    assert f"{source}: example " in refusal(tmp_path)
    assert not list((tmp_path / "cache").glob("*/records.json"))


def test_examples_of_other_features_are_refused(tmp_path):
    miniatures.chexpert(tmp_path, labels=3)
    assert "example 0 of train cannot be read: " in refusal(tmp_path)


def test_another_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be one of chexpert, curated_breast_imaging_ddsm, "):
        tfds.read(tmp_path, name="mnist", cache_dir=tmp_path)
    assert {f"tfds:{name}" for name in tfds._SETS} == set(datasets.TFDS)
