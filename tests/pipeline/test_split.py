import dataclasses
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cxr_jax.datasets import nih
from cxr_jax.errors import DataError, WorkspaceError
from cxr_jax.pipeline.record import Record
from cxr_jax.pipeline.select import select
from cxr_jax.pipeline.split import SPLITS, parse_fold, read_split, split_by_patient, write_split


def patients(count, *, images=1, split=None):
    return [
        Record(
            image=f"{patient}_{image}",
            path=Path("nowhere"),
            patient=str(patient),
            split=split,
        )
        for patient in range(count)
        for image in range(images)
    ]


def column(*values):
    return np.array(values, np.float32)[:, None]


@pytest.mark.smoke
def test_no_patient_is_in_two_splits_and_classes_are_as_frequent_in_each():
    records = patients(1000, images=3)
    labels = (np.random.default_rng(0).random((3000, 1)) < 0.1).astype(np.float32)
    splits = split_by_patient(records, labels, seed=0, validation=0.15, test=0.2)
    of = {}
    for record, split in zip(records, splits, strict=True):
        assert of.setdefault(record.patient, split) == split
    counts = Counter(of.values())
    assert abs(counts["validation"] - 150) <= 1
    assert abs(counts["test"] - 200) <= 1
    sick = {r.patient for r, label in zip(records, labels[:, 0], strict=True) if label}
    for name in SPLITS:
        among = [patient in sick for patient, split in of.items() if split == name]
        assert abs(np.mean(among) - len(sick) / 1000) < 0.01


def test_the_seed_decides_and_the_order_of_the_records_does_not():
    records = patients(100)
    labels = (np.arange(100) % 3 == 0).astype(np.float32)[:, None]
    splits = split_by_patient(records, labels, seed=1)
    assert splits == split_by_patient(records, labels, seed=1)
    assert splits != split_by_patient(records, labels, seed=2)
    assert splits[::-1] == split_by_patient(records[::-1], labels[::-1], seed=1)


def test_few_patients_serve_training_first_then_validation_then_test():
    labels = column(1, 1, 1, 0, 0)
    splits = split_by_patient(patients(5), labels, seed=0)
    assert sorted(splits[:3]) == ["test", "train", "validation"]
    assert sorted(splits[3:]) == ["train", "validation"]


def test_prescribed_splits_are_kept_and_their_training_part_is_divided():
    records = patients(100, split="train_validation")
    records[80:] = patients(100, split="test")[80:]
    labels = (np.arange(100) % 2).astype(np.float32)[:, None]
    splits = split_by_patient(records, labels, seed=0, validation=0.25)
    assert splits[80:] == ["test"] * 20
    assert Counter(splits[:80]) == {"train": 60, "validation": 20}
    fixed = [patients(3, split=name)[at] for at, name in enumerate(SPLITS)]
    assert split_by_patient(fixed, column(1, 0, 1), seed=0) == list(SPLITS)


def test_a_patient_in_two_prescribed_splits_is_an_error():
    records = patients(2, split="train_validation") + patients(1, split="test")
    with pytest.raises(
        DataError, match=r"1 patients are in two .*: 0 \(0_0 in train_validation, 0"
    ):
        split_by_patient(records, column(1, 0, 1), seed=0)


def test_half_a_prescription_is_an_error():
    records = patients(2, split="test") + patients(4)[2:]
    with pytest.raises(DataError, match="2 images have no prescribed split where others have, 2_0"):
        split_by_patient(records, column(1, 0, 1, 0), seed=0)


def test_an_empty_split_is_an_error():
    with pytest.raises(DataError, match="the test split has none of the 2 images of 2 patients"):
        split_by_patient(patients(2), column(1, 1), seed=0)
    with pytest.raises(DataError, match=r"the test split .*, or a data set without prescribed"):
        split_by_patient(patients(9, split="train_validation"), column(*[1] * 9), seed=0)


@pytest.mark.parametrize("fractions", [(0.0, 0.2), (0.2, 1.0), (0.5, 0.5), (float("nan"), 0.1)])
def test_fractions_that_leave_nothing_to_train_on_are_refused(fractions):
    with pytest.raises(ValueError, match="validation and test must be fractions in"):
        split_by_patient(
            patients(9), column(*[1] * 9), seed=0, validation=fractions[0], test=fractions[1]
        )


def test_a_split_is_written_and_read(tmp_path):
    records = patients(3)
    write_split(tmp_path / "split.csv", records, SPLITS, column(1, 0, np.nan))
    assert (tmp_path / "split.csv").read_text().splitlines() == [
        "image,patient,split,label",
        "0_0,0,train,1",
        "1_0,1,validation,0",
        "2_0,2,test,",
    ]
    read = read_split(tmp_path / "split.csv")
    assert read == {"0": "train", "1": "validation", "2": "test"}
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="cannot be read as a split"):
        read_split(tmp_path / "other.csv")
    (tmp_path / "split.csv.d").touch()
    with pytest.raises(WorkspaceError, match="cannot write here"):
        write_split(tmp_path / "split.csv.d/split.csv", records, SPLITS, column(1, 0, 1))


def test_the_real_sample_splits_with_both_classes_everywhere(nih_sample):
    records, labels = select(nih.read(nih_sample), finding="Cardiomegaly")
    splits = np.array(split_by_patient(records, labels, seed=0))
    for name in SPLITS:
        assert set(labels[splits == name, 0]) == {0, 1}


def test_patients_of_an_earlier_run_keep_their_split_and_the_others_are_divided():
    records = patients(40)
    labels = column(*(at % 2 for at in range(len(records))))
    before = {"0": "test", "1": "train", "2": "validation", "99": "test"}
    splits = split_by_patient(records, labels, seed=0, inherited=before)
    of_patient = {record.patient: split for record, split in zip(records, splits, strict=True)}
    assert {name: of_patient[name] for name in ("0", "1", "2")} == {
        "0": "test", "1": "train", "2": "validation",
    }  # fmt: skip
    others = [of_patient[record.patient] for record in records if record.patient not in before]
    assert set(others) == set(SPLITS)


def test_a_test_patient_that_was_trained_on_is_refused():
    records = [
        dataclasses.replace(record, split="test" if record.patient in "12" else "train_validation")
        for record in patients(6)
    ]
    labels = column(0, 1, 0, 1, 0, 1)
    with pytest.raises(DataError, match="1 patients of the test set were seen in training"):
        split_by_patient(records, labels, seed=0, inherited={"1": "train", "2": "test"})


def folds(records, labels, count, **options):
    return [
        split_by_patient(records, labels, seed=3, fold=parse_fold(f"{i}/{count}"), **options)
        for i in range(1, count + 1)
    ]


def test_every_patient_is_tested_in_one_fold_and_classes_are_as_frequent_in_each():
    records = patients(103, images=2)
    labels = np.repeat(np.arange(103) % 5 == 0, 2).astype(np.float32)[:, None]
    splits = np.array(folds(records, labels, 5))
    np.testing.assert_array_equal((splits == "test").sum(axis=0), 1)
    for fold in splits:
        assert abs((fold == "test").sum() / 2 - 103 / 5) <= 1
        assert abs(labels[fold == "test"].sum() / 2 - 21 / 5) <= 1
        assert set(fold) == set(SPLITS)
        of = dict(zip([r.patient for r in records], fold, strict=True))
        assert [of[record.patient] for record in records] == list(fold)


def test_folds_leave_a_prescribed_test_set_alone():
    records = [
        dataclasses.replace(record, split=split)
        for record, split in zip(
            patients(30), ["train"] * 15 + ["validation"] * 5 + ["test"] * 10, strict=True
        )
    ]
    splits = np.array(folds(records, column(*[0, 1] * 15), 4))
    assert (splits[:, 20:] == "test").all()
    np.testing.assert_array_equal((splits[:, :20] == "validation").sum(axis=0), 1)


@pytest.mark.parametrize("text", ["", "1", "0/5", "6/5", "1/1", "1/x", "-1/5", "1/5/2", "1.0/5"])
def test_what_is_no_fold_is_refused(text):
    with pytest.raises(ValueError, match=r"fold must be i/k with 1 <= i <= k .* got"):
        parse_fold(text)


def test_views_are_as_frequent_in_each_split():
    records = [
        dataclasses.replace(record, view="AP" if at % 4 == 0 else "PA")
        for at, record in enumerate(patients(400))
    ]
    labels = column(*(at % 10 == 0 for at in range(400)))
    splits = np.array(split_by_patient(records, labels, seed=0))
    is_ap = np.array([record.view == "AP" for record in records])
    for name in SPLITS:
        assert abs(is_ap[splits == name].mean() - 0.25) < 0.03


def test_of_several_findings_the_rarest_are_in_each_split():
    labels = np.zeros((300, 3), np.float32)
    labels[:150, 0] = 1
    labels[140:170, 1] = 1
    labels[:6, 2] = 1
    splits = np.array(split_by_patient(patients(300), labels, seed=0))
    for name in SPLITS:
        assert labels[splits == name].any(axis=0).all()
    assert Counter(splits[:6])["train"] >= 3


def test_the_hash_beside_a_split_is_that_of_its_file(tmp_path):
    write_split(tmp_path / "split.csv", patients(3), SPLITS, column(1, 0, 1))
    digest = hashlib.sha256((tmp_path / "split.csv").read_bytes()).hexdigest()
    assert (tmp_path / "split.sha256").read_text() == f"{digest}  split.csv\n"
