"""Find a data set's files below its folder."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from cxr_jax.datasets.table import Row
from cxr_jax.errors import DataError
from cxr_jax.pipeline.record import Record


def inside(data_dir: Path, text: str, row: Row, column: str) -> Path:
    """Join the data set's folder and a path that a table names, which must not leave the folder.

    Links are followed: whoever owns the folder has made them.

    Args:
      data_dir: the folder.
      text: the path, with `/` between its parts.
      row, column: the cell that it comes from.

    Raises:
      DataError: it is empty or absolute, or goes upward.
    """
    leaves = text.startswith("/") or ".." in text.split("/") or "\0" in text
    if leaves or not text.strip("./"):
        raise row.wrong(column, "the path of a file inside the data set's folder")
    return data_dir / text


def find_table(data_dir: Path, *names: str) -> Path | None:
    """The first of these files that is there, as it is named or with `.gz` behind."""
    paths = [data_dir / f"{name}{suffix}" for name in names for suffix in ("", ".gz")]
    return next(filter(Path.is_file, paths), None)


def require_table(data_dir: Path, *names: str, source: str) -> Path:
    """The same where one must be there.

    Args:
      data_dir: the data set's folder.
      names: of the files.
      source: where to get the data set.

    Raises:
      DataError: the folder or the files are missing.
    """
    if not data_dir.is_dir():
        raise DataError(f"{data_dir}: no such folder; --data_dir names the folder of the data set")
    table = find_table(data_dir, *names)
    if table is None:
        raise DataError(
            f"{data_dir}: holds no {' or '.join(names)}; --data_dir names the folder that does "
            f"({source})"
        )
    return table


def files_by_name(folders: Iterable[Path]) -> dict[str, Path]:
    """Name -> path of all that is in the folders that there are; the first that has a name wins.

    Listing a folder is much faster than asking for each of its files.
    """
    files: dict[str, Path] = {}
    for folder in filter(Path.is_dir, folders):
        for entry in os.scandir(folder):
            files.setdefault(entry.name, folder / entry.name)
    return files


def require_images(table: Path, records: Sequence[Record]) -> list[Record]:
    """The records, as long as one of their images is on disk; whoever decodes finds out which.

    Args:
      table: the file that names them.
      records: of the data set.

    Raises:
      DataError: there are none, or no image is there.
    """
    if not records:
        raise DataError(f"{table}: no lines below the header; get the original file")
    if not any(os.path.exists(record.path) for record in records):
        raise DataError(
            f"{table}: names {len(records):,} images, and none is there; {records[0].path} would "
            "be the first; unpack the images there"
        )
    return list(records)
