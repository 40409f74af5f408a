"""Find the images of a data set that a run has learnt from, which would flatter it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from cxr_jax import datasets
from cxr_jax.datasets import shares_films
from cxr_jax.errors import CxrError, DataError
from cxr_jax.pipeline.record import Record
from cxr_jax.pipeline.split import read_split_rows
from cxr_jax.training.config import Config
from cxr_jax.training.data import read_records
from cxr_jax.training.saved import SavedRun, lineage

_LEARNT_FROM = ("train", "validation")


def seen(
    saved: SavedRun, records: Sequence[Record], *, dataset: str, cache_dir: Path
) -> tuple[dict[int, str], list[str]]:
    """Tell which images belong to the training or validation data of a run, or of one before it.

    Two rules. Within one data set, images of the same patients: its patients' ids mean the same
    people (drawn data sets apart, where every seed has its own patients). And across data sets,
    where ids mean nothing, within `folder` and `csv`, and within drawn ones: files of the same
    content, whatever their names, as far as the run's own files are still where they were. Another
    copy of the same film, compressed or cropped in another way, is not found.

    Args:
      saved: the run; those that it started from (stage 1, --init_from) count too.
      records: of the data set to be evaluated.
      dataset: its name.
      cache_dir: where the run's own phantoms lie, if it was trained on such.

    Returns:
      Position → why; and warnings of what could not be told.

    Raises:
      DataError: a run's split.csv is missing or malformed.
    """
    runs, lost = lineage(saved.folder)
    found: dict[int, str] = {}
    told = [f"a run that this one started from cannot be looked into: {lost}"] if lost else []
    for folder, config in runs:
        in_run, warning = _seen_by(folder, config, records, dataset=dataset, cache_dir=cache_dir)
        found = in_run | found
        told += [warning] if warning else []
        if any(shares_films(name, dataset) for name in config.dataset.split(",")):
            told.append(
                f"{dataset} and {config.dataset}, which the run has learnt from, show the same "
                "films under other names, so that images may have been seen in training"
            )
    return dict(sorted(found.items())), told


def _seen_by(
    folder: Path, config: Config, records: Sequence[Record], *, dataset: str, cache_dir: Path
) -> tuple[dict[int, str], str]:
    """The same of one run alone; "" for no warning."""
    images, patients = _learnt_from(folder / "split.csv")
    found: dict[int, str] = {}
    names = config.dataset.split(",")
    if dataset in names and dataset not in datasets.DRAWN:
        prefix = f"{dataset}/" if len(names) > 1 else ""
        found = {
            position: f"patient {record.patient} is in {patients[prefix + record.patient]}"
            for position, record in enumerate(records)
            if prefix + record.patient in patients
        }
        if dataset not in ("folder", "csv"):
            return found, ""
    try:
        own = [r for r in read_records(config, cache_dir) if r.image in images]
    except (CxrError, OSError) as error:
        return found, (
            "whether images are among the run's own could not be told by their contents, as its "
            f"data cannot be read: {error}"
        )
    for position, twin in _same_files(records, own).items():
        found.setdefault(position, f"is {twin.image} of {images[twin.image]}")
    return found, ""


def _learnt_from(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Image → split, and patient → split, of training and validation."""
    try:
        rows = [row for row in read_split_rows(path) if row[2] in _LEARNT_FROM]
    except DataError as error:
        raise DataError(
            f"{error}; without it, it cannot be told which patients the run was trained on"
        ) from error
    return (
        {image: split for image, _, split in rows},
        {patient: split for _, patient, split in rows},
    )


def _same_files(records: Sequence[Record], own: Sequence[Record]) -> dict[int, Record]:
    """Position → the record of `own` whose file has the same bytes; only equal sizes are read."""
    by_size: dict[int, list[Record]] = {}
    for record in own:
        if (size := _size(record.path)) is not None:
            by_size.setdefault(size, []).append(record)
    digests: dict[Path, bytes] = {}
    found = {}
    for position, record in enumerate(records):
        size = _size(record.path)
        for other in by_size.get(size, []) if size is not None else []:
            same = record.path.resolve() == other.path.resolve()
            if same or _digest(record.path, digests) == _digest(other.path, digests):
                found[position] = other
                break
    return found


def _size(path: Path) -> int | None:
    """In bytes; None where there is no such file."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _digest(path: Path, known: dict[Path, bytes]) -> bytes:
    if path not in known:
        known[path] = hashlib.sha256(path.read_bytes()).digest()
    return known[path]
