"""Divide images into training, validation and test, never a patient across two of them."""

import csv
import dataclasses
import hashlib
import itertools
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from cxr_jax.errors import DataError
from cxr_jax.pipeline.once import writing
from cxr_jax.pipeline.record import Record
from cxr_jax.pipeline.strata import rarest_finding

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fold:
    """One part of a cross-validation: fold `number`, from 1, of `count`."""

    number: int
    count: int


def parse_fold(text: str) -> Fold:
    """Read "2/5".

    Raises:
      ValueError: it is no such text, or there is no such fold.
    """
    number, slash, count = text.partition("/")
    if slash and number.isdecimal() and count.isdecimal():
        fold = Fold(number=int(number), count=int(count))
        if 1 <= fold.number <= fold.count >= 2:
            return fold
    raise ValueError(f"fold must be i/k with 1 <= i <= k and k >= 2, such as 1/5, got {text!r}")


def split_by_patient(
    records: Sequence[Record],
    labels: Float[np.ndarray, "image label"],
    *,
    seed: int,
    validation: float = 0.15,
    test: float = 0.2,
    fold: Fold | None = None,
    inherited: Mapping[str, str] | None = None,
) -> list[str]:
    """Assign every image to a split.

    Splits that the data set prescribes are kept, and its "train_validation" is divided; without
    them all patients are. Patients are dealt out at random, those of each finding (of several the
    rarest) apart from those without, and within these those of each view, so that findings and
    views are as frequent in each split. Where there are few, training gets the first patient of a
    finding, validation the second, test the third.

    Args:
      records: all images.
      labels: 1, 0 or NaN.
      seed: of the deal. The order of the records does not matter.
      validation: fraction of the patients to be divided, in (0, 1).
      test: likewise; not used where the data set prescribes its splits.
      fold: cross-validation: the patients are dealt into so many folds, of which this one is the
        test split, and of the others a fraction the validation split. Where the data set prescribes
        its splits, all but its test split is dealt, and the fold is the validation split.
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
    inherited = inherited or {}
    _check_inherited(records, inherited)
    divisible = (None, "train_validation", *(("train", "validation") if fold else ()))
    to_divide = {r.patient for r in records if r.split in divisible} - inherited.keys()
    groups = _shuffled_groups(records, labels, to_divide, np.random.default_rng(seed))
    dealt: dict[str, str] = {}
    fractions = {"validation": validation} | ({} if prescribed else {"test": test})
    if fold is not None:
        held_out = "validation" if prescribed else "test"
        numbers = itertools.cycle(range(1, fold.count + 1))
        chosen = {p for group in groups for p in group if next(numbers) == fold.number}
        dealt = dict.fromkeys(chosen, held_out)
        groups = [[p for p in group if p not in chosen] for group in groups]
        del fractions[held_out]
    for group in groups:
        dealt |= zip(group, _interleaved(_counts(len(group), fractions)), strict=True)
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


def torn_patients(records: Sequence[Record]) -> dict[str, tuple[Record, Record]]:
    """Patients that are in two prescribed splits, with an image of each."""
    first: dict[str, Record] = {}
    return {
        record.patient: (first[record.patient], record)
        for record in records
        if first.setdefault(record.patient, record).split != record.split
    }


def _prescribed(records: Sequence[Record]) -> bool:
    """Whether the data set prescribes splits; checks that they make sense."""
    without = [record.image for record in records if record.split is None]
    if without and len(without) < len(records):
        raise DataError(
            f"{len(without):,} images have no prescribed split where others have, {without[0]} the "
            "first; complete the data set's lists or remove them"
        )
    torn = torn_patients(records)
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


def _shuffled_groups(
    records: Sequence[Record],
    labels: Float[np.ndarray, "image label"],
    patients: Set[str],
    rng: np.random.Generator,
) -> list[list[str]]:
    """The patients of each finding, by the rarest they have, then those of none.

    Within a group those of one view follow on those of another, each in random order.
    """
    present: dict[str, np.ndarray] = {}
    views: dict[str, set[str]] = {}
    for record, row in zip(records, labels, strict=True):
        if record.patient in patients:
            present[record.patient] = present.get(record.patient, False) | (row == 1)
            views.setdefault(record.patient, set()).add(record.view)
    names = sorted(present)
    table = np.array([present[name] for name in names], float).reshape(-1, labels.shape[1])
    groups: dict[tuple[Any, ...], list[str]] = {}
    for name, finding in zip(names, rarest_finding(table), strict=True):
        groups.setdefault((int(finding), *sorted(views[name])), []).append(name)
    shuffled: dict[int, list[str]] = {}
    for key in sorted(groups):
        shuffled.setdefault(key[0], []).extend(rng.permutation(groups[key]).tolist())
    return list(shuffled.values())


def _counts(count: int, fractions: Mapping[str, float]) -> dict[str, int]:
    """How many of `count` patients each split gets."""
    room = count - 1  # one is for training
    counts = {}
    for split, fraction in fractions.items():
        counts[split] = max(0, min(max(1, round(fraction * count)), room))
        room -= counts[split]
    return counts | {"train": count - sum(counts.values())}


def _interleaved(counts: Mapping[str, int]) -> list[str]:
    """Each name so many times, evenly spread, so that neighbours go to different splits."""
    places = [((at + 0.5) / count, name) for name, count in counts.items() for at in range(count)]
    return [name for _, name in sorted(places)]


def write_split(
    path: Path,
    records: Sequence[Record],
    splits: Sequence[str],
    labels: Float[np.ndarray, "image finding"],
    findings: Sequence[str] = ("",),
) -> None:
    """Write a split as CSV: image, patient, split, label (1, 0, or empty where unknown).

    With several findings there is a column label_<finding> of each. Its SHA-256 goes beside it, as
    `sha256sum --check` reads it.

    Raises:
      WorkspaceError: the file cannot be written.
    """
    with writing(path.parent), path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        names = [f"label_{name}" for name in findings] if len(findings) > 1 else ["label"]
        table.writerow(("image", "patient", "split", *names))
        for record, split, row in zip(records, splits, labels, strict=True):
            shown = ("" if np.isnan(label) else f"{label:g}" for label in row)
            table.writerow((record.image, record.patient, split, *shown))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".sha256").write_text(f"{digest}  {path.name}\n")


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
