"""A config's data: records, labels, splits, and their prepared images."""

import csv
import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from cxr_jax import datasets
from cxr_jax.datasets.together import read_together
from cxr_jax.errors import CheckpointError, DataError
from cxr_jax.pipeline.leaks import without_leaks
from cxr_jax.pipeline.prepare import Prepared, prepare
from cxr_jax.pipeline.record import Record
from cxr_jax.pipeline.select import ALL, findings_of, select, select_findings
from cxr_jax.pipeline.split import SPLITS, parse_fold, split_by_patient, write_split
from cxr_jax.pipeline.uncertain import settle
from cxr_jax.training import console
from cxr_jax.training.config import Config
from cxr_jax.training.transfer import inherited_splits


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunData:
    """The images of a run, prepared, and what is asked of each.

    Attributes:
      prepared: the images; `prepared.records[i]` describes image i.
      findings: what is asked.
      labels: a column a finding: 1, 0 or NaN; in training also between, for what is uncertain.
      splits: "train", "validation", "test" or "unused", one an image.
    """

    prepared: Prepared
    findings: tuple[str, ...]
    labels: Float[np.ndarray, "image finding"]
    splits: tuple[str, ...]

    def indices(self, split: str) -> Int[np.ndarray, "subset"]:
        """Which images are in a split."""
        return np.flatnonzero(np.asarray(self.splits) == split)

    def records(self, split: str) -> list[Record]:
        """The records of a split, in the order of `indices`."""
        return [self.prepared.records[i] for i in self.indices(split)]

    def counts(self) -> list[tuple[str, int, int, int]]:
        """(split, images, patients, images with a finding) of each split."""
        return [
            (
                split,
                len(self.indices(split)),
                len({record.patient for record in self.records(split)}),
                int((self.labels[self.indices(split)] == 1).any(1).sum()),
            )
            for split in (*SPLITS, "unused")
            if split in SPLITS or split in self.splits
        ]


def load_data(config: Config, cache_dir: Path, records: Sequence[Record] | None = None) -> RunData:
    """Read, select, prepare and split.

    Args:
      records: of the data sets, where they have been read before.

    Raises:
      DataError: the data set cannot be used; the message names file and cure.
      WorkspaceError: the cache cannot be written.
    """
    everything = records or read_records(config, cache_dir)
    records, labels = _select(config, everything)
    _warn_of_idle_sets(config, everything, records)
    masks = config.outlines or ((config.finding,) if config.dims else ())
    _check_masks(config, records, masks)
    prepared = prepare(
        records,
        config.preprocess,
        cache_dir=cache_dir,
        on_bad_image=config.on_bad_image,
        masks=masks,
        decoding=config.decode,
    )
    labels = labels[prepared.kept]
    splits = _split(config, prepared.records, labels)
    splits = without_leaks(prepared.records, splits, prepared.fingerprints, on_leak=config.on_leak)
    if config.stages is not None and config.stages.stage in ("2", "scratch"):
        splits = _hide_labels(splits, config.stages.train_labels, seed=config.seed)
    labels, splits = _settle(config, labels, splits)
    data = RunData(prepared=prepared, findings=config.asked, labels=labels, splits=tuple(splits))
    _check_classes(data)
    return data


def name_findings(config: Config, cache_dir: Path) -> tuple[Config, list[Record] | None]:
    """The config with "all" findings called by their names, and the records if it took them.

    Raises:
      DataError, WorkspaceError: as of `load_data`.
    """
    if config.findings != ALL:
        return config, None
    records = read_records(config, cache_dir)
    found = findings_of(records, views=config.views, blanks=config.blanks)
    return dataclasses.replace(config, findings=found), records


def _select(
    config: Config, records: Sequence[Record]
) -> tuple[list[Record], Float[np.ndarray, "image finding"]]:
    if config.findings:
        return select_findings(
            records, findings=config.findings, views=config.views, blanks=config.blanks
        )
    return select(
        records,
        finding=config.finding,
        negatives=config.negatives,
        views=config.views,
        blanks=config.blanks,
        keep_uncertain=config.uncertain != "ignore",
    )


def _warn_of_idle_sets(
    config: Config, everything: Sequence[Record], kept: Sequence[Record]
) -> None:
    idle = {record.dataset for record in everything} - {record.dataset for record in kept}
    if idle:
        views = f" in the views {', '.join(config.views)}" if config.views else ""
        warnings.warn(
            f"no image of {', '.join(sorted(idle))} has a label of {', '.join(config.asked)}"
            f"{views}, so that it takes no part",
            stacklevel=3,
        )


def _split(
    config: Config, records: Sequence[Record], labels: Float[np.ndarray, "image finding"]
) -> list[str]:
    """Divide each data set by itself, as some prescribe their splits and others do not."""
    inherited = inherited_splits(config)
    of = np.array([record.dataset for record in records])
    splits = np.full(len(records), "", object)
    for dataset in dict.fromkeys(of):
        at = np.flatnonzero(of == dataset)
        splits[at] = split_by_patient(
            [records[int(i)] for i in at],
            labels[at],
            seed=config.seed,
            validation=config.validation_fraction,
            test=config.test_fraction,
            fold=parse_fold(config.fold) if config.fold else None,
            inherited=inherited,
        )
    return splits.tolist()


def _settle(
    config: Config, labels: Float[np.ndarray, "image finding"], splits: Sequence[str]
) -> tuple[Float[np.ndarray, "image finding"], list[str]]:
    """Uncertain labels by the policy in training, else unknown; without a label left "unused"."""
    is_train = np.asarray(splits)[:, None] == "train"
    settled = np.where(
        is_train,
        settle(labels, policy=config.uncertain, seed=config.seed),
        settle(labels, policy="ignore", seed=config.seed),
    )
    pairs = zip(splits, settled, strict=True)
    return settled, ["unused" if np.isnan(row).all() else split for split, row in pairs]


def _check_masks(config: Config, records: Sequence[Record], masks: Sequence[str]) -> None:
    for name in masks:
        if not any(name in record.masks for record in records):
            known = sorted({mask for record in records for mask in record.masks})
            raise DataError(
                f"data set {config.dataset} has no masks of {name}, which training with masks "
                f"needs (masks it has: {', '.join(known) or 'none'}). Train stage 1 on another "
                "data set and continue here with --stage=2 --from=RUN, or take --stage=scratch, "
                "which needs image labels alone"
            )


def _hide_labels(splits: Sequence[str], count: int | None, *, seed: int) -> list[str]:
    """Leave so many random images in training; the others of it become "unused"."""
    train = np.flatnonzero(np.asarray(splits) == "train")
    if count is None or count >= len(train):
        return list(splits)
    hidden = set(np.random.default_rng(seed).permutation(train)[count:].tolist())
    return ["unused" if i in hidden else split for i, split in enumerate(splits)]


def _check_classes(data: RunData) -> None:
    """Refuse to train on one class, and on masks that are all empty."""
    train = data.indices("train")
    labels = data.labels[train]
    present, absent = (labels == 1).sum(0), (labels == 0).sum(0)
    lacking = [
        f"{finding} ({with_it:,} with it, {without:,} without)"
        for finding, with_it, without in zip(data.findings, present, absent, strict=True)
        if not (with_it and without)
    ]
    if len(lacking) == len(data.findings):
        raise DataError(
            f"the {len(train):,} training images lack a class of {', '.join(lacking)}; both "
            "classes are needed: more data, another --seed, or other splits"
        )
    if lacking:
        warnings.warn(
            f"the training images lack a class of {', '.join(lacking)}: this cannot be learnt",
            stacklevel=2,
        )
    if data.prepared.has_masks and not any(data.prepared.mask(i).any() for i in train):
        raise DataError(
            f"the masks of all {len(train):,} training images are empty, so that there is nothing "
            "to learn from them; check the masks"
        )


def read_records(config: Config, cache_dir: Path) -> list[Record]:
    """All records of a config's data sets; one is drawn where that is its way.

    Raises:
      DataError: the data set cannot be used; the message names file and cure.
      WorkspaceError: the cache cannot be written.
    """
    if len(config.sources) > 1:
        return read_together(config.sources, config.reader, cache_dir=cache_dir)
    if config.sources:
        name, data_dir = config.sources[0]
        return datasets.read(name, data_dir, config.reader, cache_dir=cache_dir)
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
        write_split(now, data.prepared.records, data.splits, data.labels, data.findings)
        same = now.read_bytes() == path.read_bytes()
        now.unlink()
        if not same:
            raise CheckpointError(
                f"{path}: lists other images, splits or labels than {folder.name}'s data have now; "
                "restore the data set or start a new run"
            )
        return
    write_split(path, data.prepared.records, data.splits, data.labels, data.findings)
    if data.prepared.skipped:
        with (folder / "skipped.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("image", "reason"), *data.prepared.skipped])
