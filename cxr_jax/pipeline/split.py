"""Divide images into training, validation and test, never a patient across two of them."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from cxr_jax.errors import DataError
from cxr_jax.pipeline.once import writing
from cxr_jax.pipeline.record import Record

SPLITS = ("train", "validation", "test")


def split_by_patient(
    records: Sequence[Record],
    labels: Float[np.ndarray, "image label"],
    *,
    seed: int,
    validation: float = 0.15,
    test: float = 0.2,
    inherited: Mapping[str, str] | None = None,
) -> list[str]:
    """Assign every image to a split.

    Splits that the data set prescribes are kept, and its "train_validation" is divided; without
    them all patients are. Patients are dealt out at random, those with a positive label apart from
    those without, so that the classes are as frequent in each split. Where there are few, training
    gets the first patient of a class, validation the second, test the third.

    Args:
      records: all images.
      labels: 1, 0 or NaN.
      seed: of the deal. The order of the records does not matter.
      validation: fraction of the patients to be divided, in (0, 1).
      test: likewise; not used where the data set prescribes its splits.
      inherited: patient → split, of an earlier run; such patients keep it, the others are divided.

    Returns:
      "train", "validation" or "test" for every image.

    Raises:
      ValueError: the fractions leave nothing to train on.
      DataError: a patient is in two prescribed splits, some images have a prescribed split and
        others none, a patient of the prescribed test set was inherited as another, or a split comes
        out empty.
    """
    if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
        raise ValueError(
            f"validation and test must be fractions in (0, 1), together below 1, got {validation} "
            f"and {test}"
        )
    prescribed = _prescribed(records)
    fractions = (
        {"validation": validation} if prescribed else {"validation": validation, "test": test}
    )
    inherited = inherited or {}
    _check_inherited(records, inherited)
    to_divide = sorted(
        {r.patient for r in records if r.split in (None, "train_validation")} - inherited.keys()
    )
    positive = {
        record.patient for record, row in zip(records, labels, strict=True) if np.any(row == 1)
    }
    rng = np.random.default_rng(seed)
    dealt: dict[str, str] = {}
    for group in (True, False):
        patients = [patient for patient in to_divide if (patient in positive) == group]
        order = rng.permutation(len(patients))
        names = _deal(len(patients), fractions)
        dealt |= {patients[at]: name for at, name in zip(order, names, strict=True)}
    dealt |= inherited
    splits = [dealt.get(record.patient) or str(record.split) for record in records]
    for name in SPLITS:
        if name not in splits:
            raise DataError(
                f"the {name} split has none of the {len(splits):,} images of "
                f"{len({record.patient for record in records}):,} patients; more data are needed"
                + (", or a data set without prescribed splits" if prescribed else "")
            )
    return splits


def _prescribed(records: Sequence[Record]) -> bool:
    """Whether the data set prescribes splits; checks that they make sense."""
    without = [record.image for record in records if record.split is None]
    if without and len(without) < len(records):
        raise DataError(
            f"{len(without):,} images have no prescribed split where others have, {without[0]} the "
            "first; complete the data set's lists or remove them"
        )
    first: dict[str, Record] = {}
    torn = {
        record.patient: (first[record.patient], record)
        for record in records
        if first.setdefault(record.patient, record).split != record.split
    }
    if torn:
        examples = "; ".join(
            f"{patient} ({one.image} in {one.split}, {other.image} in {other.split})"
            for patient, (one, other) in list(torn.items())[:3]
        )
        raise DataError(
            f"{len(torn):,} patients are in two prescribed splits: {examples}; correct the data "
            "set's lists or remove them"
        )
    return not without


def _check_inherited(records: Sequence[Record], inherited: Mapping[str, str]) -> None:
    seen = {r.patient for r in records if r.split == "test"} & {
        patient for patient, split in inherited.items() if split != "test"
    }
    if seen:
        raise DataError(
            f"{len(seen):,} patients of the test set were seen in training by the run that this "
            f"one starts from, {sorted(seen)[0]} the first; start from a run that left them out"
        )


def _deal(count: int, fractions: dict[str, float]) -> list[str]:
    """The splits of `count` patients, validation and test first."""
    room = count - 1  # one is for training
    names: list[str] = []
    for split, fraction in fractions.items():
        size = min(max(1, round(fraction * count)), room)
        names += [split] * size
        room -= size
    return names + ["train"] * (count - len(names))


def write_split(
    path: Path,
    records: Sequence[Record],
    splits: Sequence[str],
    labels: Float[np.ndarray, "image 1"],
) -> None:
    """Write a split as CSV: image, patient, split, label (1, 0, or empty where unknown).

    Raises:
      WorkspaceError: the file cannot be written.
    """
    with writing(path.parent), path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("image", "patient", "split", "label"))
        for record, split, label in zip(records, splits, labels[:, 0], strict=True):
            known = "" if np.isnan(label) else int(label)
            table.writerow((record.image, record.patient, split, known))


def read_split(path: Path) -> dict[str, str]:
    """Read what `write_split` wrote: patient → split; errors as of `read_split_rows`."""
    return {patient: split for _, patient, split in read_split_rows(path)}


def read_split_rows(path: Path) -> list[tuple[str, str, str]]:
    """Read what `write_split` wrote: image, patient and split of every line.

    Raises:
      DataError: the file is missing or another.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [(row["image"], row["patient"], row["split"]) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise DataError(f"{path}: cannot be read as a split: {error}") from error
