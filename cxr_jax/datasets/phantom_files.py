"""Drawn data sets on disk: `images/*.png`, `masks/<structure>/*.png` and a table, drawn in batches.

They lie in files like any other data set, so that they go the same way as real films. A mask has
its image's name and holds 0 and 255; an empty one has no file.
"""

import concurrent.futures
import csv
import dataclasses
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import jax
import numpy as np
from jaxtyping import Bool, Int, UInt8

from cxr_jax.datasets.table import Row, read_table
from cxr_jax.errors import DataError
from cxr_jax.pipeline.once import make_directory_once
from cxr_jax.pipeline.record import MaskFiles, Record

TABLE = "phantoms.csv"

_BATCH = 16  # measured: more at once fall out of the processor's cache


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sheet:
    """One drawn image, as its files and its line of the table hold it.

    Attributes:
      image: 8 bits.
      row: column -> cell; "image" is the name of the files.
      masks: structure -> where it is.
    """

    image: UInt8[np.ndarray, "height width"]
    row: Mapping[str, str]
    masks: Mapping[str, Bool[np.ndarray, "height width"]] = dataclasses.field(default_factory=dict)


def check_arguments(*, count: int, seed: int, image_size: int, smallest_image: int) -> None:
    """Raise a ValueError where one of what `make` is given everywhere is out of its range."""
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if image_size < smallest_image:
        raise ValueError(f"image_size must be at least {smallest_image}, got {image_size}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must lie in 0 to 2**32 - 1, got {seed}")


def make(
    data_dir: Path,
    *,
    films: Sequence[tuple[int, int]],
    draw: Callable[[Int[np.ndarray, "batch"], Int[np.ndarray, "batch"]], Any],
    describe: Callable[[int, int, Any], Sheet],
    progress: Callable[[int], object] | None = None,
) -> bool:
    """Draw a data set, unless `data_dir` is there already; whole or not at all.

    Args:
      data_dir: its name should tell all that decides the pixels.
      films: (number of the patient, number of the film), one an image, in the table's order.
      draw: draws a batch: numbers of the patients and of the films, always as many, -> arrays with
        the batch in front, in whatever tree.
      describe: number of the patient, of the film and what was drawn of it -> the sheet. All sheets
        have the same columns.
      progress: is told the number of images finished since it was last told.

    Returns:
      Whether it had to be drawn.

    Raises:
      WorkspaceError: the directory cannot be written, or the disk is full.
    """

    def fill(folder: Path) -> None:
        rows, writing = [], []
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            for sheets in _sheets(films, draw, describe):
                rows += [sheet.row for sheet in sheets]
                writing += [pool.submit(_write_images, folder, sheet) for sheet in sheets]
                if progress:
                    progress(len(sheets))
            for written in writing:
                written.result()
        with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)

    return make_directory_once(data_dir, fill)


def read(
    data_dir: Path, columns: Sequence[str], record: Callable[[Path, Row], Record]
) -> list[Record]:
    """Read a data set's table, in its order.

    Args:
      data_dir: what `make` made.
      columns: to be read, "image" and "patient" among them.
      record: the image's path and its line -> its record.

    Raises:
      DataError: the table, a column or an image is missing, or what `record` raises.
    """
    table = data_dir / TABLE
    rows = read_table(table, columns)
    if not rows:
        raise DataError(f"{table}: no images in it; remove {data_dir} to have it redrawn")
    records: dict[str, Record] = {}
    for row in rows:
        path = data_dir / "images" / row["image"]
        if not path.is_file():
            raise row.wrong("image", f"the name of a file in {path.parent}")
        if not row["patient"]:
            raise row.wrong("patient", "a patient")
        if row["image"] in records:
            raise row.wrong("image", "every image once")
        records[row["image"]] = record(path, row)
    return list(records.values())


def mask(row: Row, structure: str, *, empty: bool = False) -> MaskFiles:
    """Name the mask of an image.

    Args:
      row: the image's line of the table.
      structure: as in `Sheet.masks`.
      empty: there is nothing of the structure, and so no file.

    Raises:
      DataError: the file is missing.
    """
    if empty:
        return MaskFiles(paths=())
    path = row.path.parent / "masks" / structure / row["image"]
    if not path.is_file():
        raise row.wrong("image", f"the name of a file in {path.parent}")
    return MaskFiles(paths=(path,))


def _sheets(
    films: Sequence[tuple[int, int]],
    draw: Callable[[Int[np.ndarray, "batch"], Int[np.ndarray, "batch"]], Any],
    describe: Callable[[int, int, Any], Sheet],
) -> Iterator[list[Sheet]]:
    for start in range(0, len(films), _BATCH):
        kept = films[start : start + _BATCH]
        # The last batch is filled up with its last film: one compiled program draws them all.
        batch = np.array([*kept, *[kept[-1]] * (_BATCH - len(kept))])
        drawn = jax.device_get(draw(batch[:, 0], batch[:, 1]))
        yield [
            describe(patient, film, jax.tree.map(operator.itemgetter(i), drawn))
            for i, (patient, film) in enumerate(kept)
        ]


def _write_images(folder: Path, sheet: Sheet) -> None:
    _write_png(folder / "images" / sheet.row["image"], sheet.image)
    for structure, inside in sheet.masks.items():
        if inside.any():
            _write_png(
                folder / "masks" / structure / sheet.row["image"], 255 * inside.astype(np.uint8)
            )


def _write_png(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Through write_bytes, which raises where cv2.imwrite would only return False.
    _, encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    path.write_bytes(encoded.tobytes())
