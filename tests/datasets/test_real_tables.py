"""The real label tables of seven data sets, as torchxrayvision ships them: every count comes out.

`pip download --no-deps torchxrayvision==1.5.7` and unpack the wheel; CXR_JAX_REAL_TABLES names its
folder `torchxrayvision/data`. Without it these tests are skipped.
"""

import math
import os
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from cxr_jax import datasets
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.pipeline.record import NO_FINDING, UNCERTAIN


@pytest.fixture(scope="session")
def tables():
    promised = os.environ.get("CXR_JAX_REAL_TABLES")
    if not promised:
        pytest.skip("set CXR_JAX_REAL_TABLES to the folder of torchxrayvision's tables")
    return Path(promised)


@pytest.fixture
def read(tables, tmp_path):
    """Reads a data set of these tables and an empty file for one of its images."""

    def read(name, files, image, **options):
        for source, target in files.items():
            (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / target).symlink_to(tables / source)
        (tmp_path / image).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / image).touch()
        return datasets.read(name, tmp_path, ReaderConfig(**options))

    return read


def counts(records, finding):
    """Images with the finding, without it, uncertain, blank."""
    labels = Counter(str(record.labels.get(finding, math.nan)) for record in records)
    return tuple(labels[str(value)] for value in (1.0, 0.0, UNCERTAIN, math.nan))


NIH = {name: name for name in ("Data_Entry_2017_v2020.csv.gz", "BBox_List_2017.csv.gz")}


def test_nih(read):
    records = read("nih", NIH, "images/00000001_000.png")
    assert len(records) == 112_120
    assert len({record.patient for record in records}) == 30_805
    positives = {"Cardiomegaly": 2_776, "Pneumothorax": 5_302, "Hernia": 227, NO_FINDING: 60_361}
    for finding, count in positives.items():
        assert counts(records, finding) == (count, 112_120 - count, 0, 0)
    assert sum(len(record.boxes) for record in records) == 984


def test_nih_by_radiologists(read):
    expert = "google2019_nih-chest-xray-labels.csv.gz"
    records = read("nih", NIH | {expert: expert}, "00000001_000.png", nih_labels="expert")
    assert Counter(record.split for record in records) == {"train_validation": 2_414, "test": 1_962}


def test_chexpert(read):
    table = {"chexpert_train.csv.gz": "train.csv.gz"}
    records = read("chexpert", table, "train/patient00001/study1/view1_frontal.jpg")
    assert len(records) == 223_414
    assert len({record.patient for record in records}) == 64_540
    assert counts(records, "Cardiomegaly") == (27_000, 11_116, 8_087, 177_211)
    assert counts(records, "Pneumothorax") == (19_448, 56_341, 3_145, 144_480)
    assert Counter(record.view for record in records) == {
        "AP": 161_590, "PA": 29_420, "LATERAL": 32_387, "LL": 16, "RL": 1,
    }  # fmt: skip


def test_padchest(read):
    table = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
    image = "20536686640136348236148679891455886468_k6ga29.png"
    records = read("padchest", {table: table}, image)
    assert len(records) == 160_861
    assert len({record.patient for record in records}) == 67_625
    labelled = [record for record in records if record.labels]
    assert len(labelled) == 154_531
    assert {len(record.labels) for record in labelled[::500]} == {192}


@pytest.mark.parametrize(
    ("options", "cardiomegaly", "pneumothorax"),
    [
        ({"readers": "any"}, 2_300, 96),
        ({"readers": "majority"}, 1_817, 58),
        ({"readers": "count", "reader_count": 3}, 1_297, 45),
    ],
)
def test_vindr_cxr(read, options, cardiomegaly, pneumothorax):
    image = "train/50a418190bc3fb1ef1633bf9678929b3.dicom"
    records = read("vindr_cxr", {"vinbigdata-train.csv.gz": "train.csv.gz"}, image, **options)
    assert len(records) == 15_000
    assert counts(records, "Cardiomegaly")[0] == cardiomegaly
    assert counts(records, "Pneumothorax")[0] == pneumothorax


def test_rsna_pneumonia(read, tables, tmp_path):
    zipfile.ZipFile(tables / "kaggle_stage_2_train_labels.csv.zip").extractall(tmp_path)
    image = "stage_2_train_images/0004cfab-14fd-4e49-80ba-63a80b6bddd6.dcm"
    records = read("rsna_pneumonia", {}, image)
    assert counts(records, "Pneumonia") == (6_012, 20_672, 0, 0)


def test_siim(read):
    table = {"siim-pneumothorax-train-rle.csv.gz": "train-rle.csv.gz"}
    records = read("siim", table, "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm")
    assert counts(records, "Pneumothorax") == (2_669, 9_378, 0, 0)
    several = [len(record.masks["Pneumothorax"].texts) for record in records]
    assert sum(count > 1 for count in several) == 624
    assert max(several) == 10
