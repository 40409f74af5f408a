"""Look at a data set before training on it: what it counts, what its files are, what is wrong.

cxr inspect --dataset=NAME --data_dir=FOLDER

Prints tables: images by finding, view, split; which findings come together; sizes, bit depths and
photometric interpretations; patients in two splits, the same pixels under two names, files that
cannot be read. --images=N decodes N images drawn at random instead of all.

What is written into --out: inspection.html with a contact sheet of each finding (figures/*.png),
unreadable.csv and duplicates.csv.
"""

import argparse
import csv
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from cxr_jax import datasets
from cxr_jax.commands import inspect_tables as tables
from cxr_jax.commands.output import file_path, new_folder, print_table, seed
from cxr_jax.commands.reader_options import add_reader_options, reader_config
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.errors import ConfigError, DataError
from cxr_jax.host_image import HostImage
from cxr_jax.pipeline.burned_in import warn_of_burned_in
from cxr_jax.pipeline.decode import DecodeConfig, decode
from cxr_jax.pipeline.facts import ImageFacts, read_all_facts
from cxr_jax.pipeline.once import writing
from cxr_jax.pipeline.record import Record
from cxr_jax.pipeline.split import torn_patients
from cxr_jax.training import console
from cxr_jax.training.config import Config
from cxr_jax.training.data import read_records

_LISTED = 5  # duplicates, leaks and unreadable files on the terminal
_SHEETS = 15  # the most frequent findings
_ACROSS, _DOWN = 6, 4  # of a contact sheet
_NAME = 18  # letters of an image's name that have room there beside its view
_SIDE = 320  # pixels kept of the longer side of an image there


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--dataset", required=True, metavar="NAME", help=", ".join(datasets.NAMES))
    parser.add_argument("--data_dir", help="its folder; drawn data sets need none")
    add_reader_options(parser)
    parser.add_argument("--images", type=int, metavar="N", help="decode so many; default all")
    parser.add_argument("--max_pixels", type=int, default=DecodeConfig().max_pixels)
    parser.add_argument("--seed", type=seed, default=0, help="of what is drawn at random")
    parser.add_argument(
        "--out",
        type=file_path,
        metavar="DIR",
        help="where to write; default inspections/<dataset>",
    )


def run(arguments: argparse.Namespace) -> int:
    """Read, count, decode, print, write; 0 whatever is found."""
    try:
        decoding = DecodeConfig(max_pixels=arguments.max_pixels)
        config = Config(
            dataset=arguments.dataset,
            data_dir=arguments.data_dir,
            reader=reader_config(arguments, ReaderConfig()),
            seed=arguments.seed,
            phantom_count=100,
        )
        if arguments.images is not None and arguments.images < 1:
            raise ValueError(f"images must be >= 1, got {arguments.images}")
    except ValueError as error:
        raise ConfigError(f"--{error}") from error
    out = new_folder(
        arguments.out or Path("inspections") / re.sub(r"[^\w.-]", "_", arguments.dataset),
        holds="inspection.html",
    )
    records = read_records(config, Path(config.cache_dir).expanduser())
    if not records:
        raise DataError(f"data set {arguments.dataset} has no images")
    counted = {
        "Images": tables.overview(records),
        "Findings": tables.labels(records),
        "Findings that come together": tables.co_occurrence(records),
        **{
            f"By {what}": tables.by(records, what)
            for what in ("view", "split", "laterality", "dataset")
            if what in ("view", "split") or any(getattr(record, what) for record in records)
        },
    }
    for title, table in counted.items():
        print_table(title, table)
    rng = np.random.default_rng(arguments.seed)
    chosen = _choose(records, arguments.images, rng)
    facts = _read(chosen, decoding)
    twins = tables.duplicates(chosen, facts)
    unreadable: tables.Table = [
        (r.image, f.error) for r, f in zip(chosen, facts, strict=True) if f.error
    ]
    found = {"Files": tables.files(facts), **_problems(records, twins, unreadable)}
    for title, table in found.items():
        print_table(title, table[: _LISTED + 1] if title != "Files" else table, of=len(table) - 1)
    _write_lists(out, twins, unreadable)
    _write_page(out, arguments.dataset, counted | found, chosen, facts, decoding, rng)
    print(f"\nwritten to {out}")
    return 0


def _choose(records: Sequence[Record], count: int | None, rng: np.random.Generator) -> list[Record]:
    order = np.sort(rng.permutation(len(records))[:count])
    return [records[at] for at in order]


def _read(records: Sequence[Record], decoding: DecodeConfig) -> list[ImageFacts]:
    with console.bar(len(records), "decoding", unit="img") as bar:
        facts = []
        for fact in read_all_facts(records, decoding):
            facts.append(fact)
            bar.update()
    return facts


def _problems(
    records: Sequence[Record], twins: Sequence[Sequence[Record]], unreadable: tables.Table
) -> dict[str, tables.Table]:
    """What a user must know before training; tables without rows where all is well."""
    return {
        "Patients in several splits": [
            ("image", "split", "image", "split"),
            *(
                (a.image, str(a.split), b.image, str(b.split))
                for a, b in torn_patients(records).values()
            ),
        ],
        "Same pixels under several names": [
            ("image", "image", "same patient", "splits"),
            *(
                (
                    a.image,
                    b.image,
                    "yes" if a.patient == b.patient else "no",
                    " and ".join(sorted({str(a.split or "-"), str(b.split or "-")})),
                )
                for a, b, *_ in twins
            ),
        ],
        "Files that cannot be read": [("image", "reason"), *unreadable],
    }


def _write_lists(out: Path, twins: Sequence[Sequence[Record]], unreadable: tables.Table) -> None:
    """unreadable.csv and duplicates.csv, whole."""
    numbered = [(number, record.image) for number, group in enumerate(twins) for record in group]
    lists: dict[str, list[tuple[object, ...]]] = {
        "unreadable.csv": [("image", "reason"), *unreadable],
        "duplicates.csv": [("group", "image"), *numbered],
    }
    with writing(out):
        for name, rows in lists.items():
            with (out / name).open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(rows)


def _write_page(
    out: Path,
    dataset: str,
    content: dict[str, tables.Table],
    records: Sequence[Record],
    facts: Sequence[ImageFacts],
    decoding: DecodeConfig,
    rng: np.random.Generator,
) -> None:
    # Imported here: Matplotlib would cost every start a second.
    from cxr_jax.reporting.page import Section, write_page
    from cxr_jax.reporting.sheets import grid

    readable = [r for r, fact in zip(records, facts, strict=True) if not fact.error]
    sections = [
        Section(title=title, table=table if len(table) > 1 else (), text=_none(table))
        for title, table in content.items()
    ]
    shown: list[Record] = []
    for finding in tables.findings(records)[:_SHEETS]:
        having = [record for record in readable if record.labels.get(finding) == 1]
        some = [having[at] for at in rng.permutation(len(having))[: _ACROSS * _DOWN]]
        if some:
            sheet = grid([titled(r, decoding) for r in some], across=_ACROSS, small=True)
            name = re.sub(r"\W+", "_", finding).strip("_").lower()
            caption = f"{len(some)} of {len(having):,} images, drawn at random"
            sections.append(Section(title=finding, figure=(name, sheet), caption=caption))
            shown += some
    page = out / "inspection.html"
    warn_of_burned_in([record.path for record in shown], page=page)
    with writing(out):
        subtitle = f"{len(records):,} images decoded"
        write_page(page, title=f"Data set {dataset}", subtitle=subtitle, sections=sections)


def _none(table: tables.Table) -> tuple[str, ...]:
    return () if len(table) > 1 else ("None.",)


def titled(record: Record, decoding: DecodeConfig) -> tuple[str, HostImage]:
    """A small picture of an image; films are too large to hold a sheet of them."""
    image = decode(record.path, decoding, bit_depth=record.bit_depth)
    scale = min(1.0, _SIDE / max(image.shape))
    size = [max(1, round(length * scale)) for length in image.shape[::-1]]
    name = record.image if len(record.image) <= _NAME else f"…{record.image[1 - _NAME :]}"
    title = " ".join(filter(None, (record.laterality, record.view, name)))
    return title, cv2.resize(image, size, interpolation=cv2.INTER_AREA)
