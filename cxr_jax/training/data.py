"""A config's data: records, labels, splits, and their prepared images."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from cxr_jax import datasets
from cxr_jax.errors import CheckpointError
from cxr_jax.pipeline.prepare import Prepared, prepare
from cxr_jax.pipeline.record import Record
from cxr_jax.pipeline.select import select
from cxr_jax.pipeline.split import split_by_patient, write_split
from cxr_jax.training import console
from cxr_jax.training.config import Config

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunData:
    """The images of a run, prepared, and what is asked of each.

    Attributes:
      prepared: the images; `prepared.records[i]` describes image i.
      labels: one column, 1 or 0.
      splits: "train", "validation" or "test", one an image.
    """

    prepared: Prepared
    labels: Float[np.ndarray, "image 1"]
    splits: tuple[str, ...]

    def indices(self, split: str) -> Int[np.ndarray, "subset"]:
        """Which images are in a split."""
        return np.flatnonzero(np.asarray(self.splits) == split)

    def records(self, split: str) -> list[Record]:
        """The records of a split, in the order of `indices`."""
        return [self.prepared.records[i] for i in self.indices(split)]

    def counts(self) -> list[tuple[str, int, int, int]]:
        """(split, images, patients, positive images) of each split."""
        return [
            (
                split,
                len(self.indices(split)),
                len({record.patient for record in self.records(split)}),
                int(self.labels[self.indices(split)].sum()),
            )
            for split in SPLITS
        ]


def load_data(config: Config, cache_dir: Path) -> RunData:
    """Read, select, prepare and split.

    Raises:
      DataError: the data set cannot be used; the message names file and cure.
      WorkspaceError: the cache cannot be written.
    """
    records, labels = select(
        read_records(config, cache_dir),
        finding=config.finding,
        negatives=config.negatives,
        views=config.views,
    )
    prepared = prepare(
        records, config.preprocess, cache_dir=cache_dir, on_bad_image=config.on_bad_image
    )
    labels = labels[prepared.kept]
    splits = split_by_patient(
        prepared.records,
        labels,
        seed=config.seed,
        validation=config.validation_fraction,
        test=config.test_fraction,
    )
    return RunData(prepared=prepared, labels=labels, splits=tuple(splits))


def read_records(config: Config, cache_dir: Path) -> list[Record]:
    """All records of a config's data set, which is drawn where that is its way.

    Raises:
      DataError: the data set cannot be used; the message names file and cure.
      WorkspaceError: the cache cannot be written.
    """
    if config.data_dir is not None:
        return datasets.read(config.dataset, Path(config.data_dir).expanduser())
    with console.bar(config.phantom_count, "drawing phantoms", unit="img") as bar:
        folder = datasets.draw(
            config.dataset,
            cache_dir,
            count=config.phantom_count,
            seed=config.seed,
            image_size=config.phantom_size,
            progress=bar.update,
        )
    return datasets.read(config.dataset, folder)


def write_records(folder: Path, data: RunData, *, resume: bool) -> None:
    """Write `split.csv`, and `skipped.csv` where images were left out.

    Raises:
      CheckpointError: on resuming, the data are no longer those that the run was started with.
    """
    path = folder / "split.csv"
    if resume and path.is_file():
        now = path.with_suffix(".now")
        write_split(now, data.prepared.records, data.splits, data.labels)
        same = now.read_bytes() == path.read_bytes()
        now.unlink()
        if not same:
            raise CheckpointError(
                f"{path}: lists other images, splits or labels than {folder.name}'s data have now; "
                "restore the data set or start a new run"
            )
        return
    write_split(path, data.prepared.records, data.splits, data.labels)
    if data.prepared.skipped:
        with (folder / "skipped.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("image", "reason"), *data.prepared.skipped])
