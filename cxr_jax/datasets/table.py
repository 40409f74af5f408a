"""Read label files: CSV with a header, every complaint with file, line and column."""

import contextlib
import csv
import dataclasses
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from cxr_jax.errors import DataError


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of a table; `row[column]` is a cell's text, stripped of blanks.

    Attributes:
      path: the file.
      line: its number in the file, from 1, as editors show it; the first of several.
      cells: the texts.
      position: column -> its place in `cells`; all rows of a table share it.
    """

    path: Path
    line: int
    cells: tuple[str, ...]
    position: Mapping[str, int]

    def __getitem__(self, column: str) -> str:
        return self.cells[self.position[column]]

    def wrong(self, column: str, expected: str) -> DataError:
        """The error that says what a cell holds and what it should."""
        found = self[column] or "nothing"
        found = found if len(found) <= 80 else f"{found[:77]}..."
        return DataError(
            f"{self.path}, line {self.line}, column {column!r}: expected {expected}, "
            f"found {found!r}; correct or remove the line"
        )

    def number(self, column: str, *, minimum: float = 0) -> float:
        """The cell as a finite number.

        Raises:
          DataError: it is none, or below the minimum.
        """
        try:
            value = float(self[column])
        except ValueError:
            value = float("nan")
        if not minimum <= value < float("inf"):
            raise self.wrong(column, f"a number of at least {minimum:g}")
        return value

    def integer(self, column: str) -> int:
        """The cell as a whole number, 0 or more; "7.0", as pandas writes it, is one.

        Raises:
          DataError: it is none.
        """
        digits, _, decimals = self[column].partition(".")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 20) or decimals.strip("0"):
            raise self.wrong(column, "a whole number")
        return int(digits)


def read_table(
    path: Path,
    columns: Sequence[str],
    *,
    optional: Sequence[str] = (),
    others: bool = False,
) -> list[Row]:
    """Read the named columns of a text file with a header line.

    Commas stand between the fields, or semicolons or tabs: what the header has most of.

    A comma inside a header's name splits it, as in the data sets that have such names: ask for the
    parts. Empty lines and columns without a name are passed over.

    Args:
      path: the file, UTF-8, as it is or compressed by gzip.
      columns: the names to read; there may be others.
      optional: names to read where they are there; else their cells are "".
      others: whether to read all other columns too; `Row.position` has their names.

    Raises:
      DataError: the file cannot be read, lacks a column or has it twice, or a line has too few or
        too many fields.
    """
    try:
        with _open(path) as file:
            delimiter = max(",;\t", key=file.readline(2**16).count)
            file.seek(0)
            lines = _lines(csv.reader(file, strict=True, delimiter=delimiter))
            return list(_rows(path, lines, columns, optional, others))
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error}; save it as UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path}: not a table of text: {error}; get it again") from error


@contextlib.contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    with path.open("rb") as raw:
        is_compressed = raw.read(2) == b"\x1f\x8b"  # whatever its name is
        raw.seek(0)
        binary = gzip.GzipFile(fileobj=raw) if is_compressed else raw
        with io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:  # type: ignore[type-var]
            yield text


def _lines(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Each line that is not empty, with its number; a quoted cell may go over several."""
    number = 1
    for line in reader:
        if any(line) and any(map(str.strip, line)):
            yield number, line
        number = reader.line_num + 1  # type: ignore[attr-defined]


def _rows(
    path: Path,
    lines: Iterator[tuple[int, list[str]]],
    columns: Sequence[str],
    optional: Sequence[str],
    others: bool,
) -> Iterator[Row]:
    first = next(lines, None)
    if first is None:
        raise DataError(f"{path}: the file is empty; get it again")
    header = [name.strip() for name in first[1]]
    missing = [column for column in columns if column not in header]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(map(repr, missing))} in the header; "
            f"found {', '.join(' '.join(name.split()) for name in header if name)}; "
            "correct the header or get the original file"
        )
    wanted = dict.fromkeys((*columns, *optional, *(filter(None, header) if others else ())))
    for column in wanted:
        if header.count(column) > 1:
            raise DataError(f"{path}: two columns {column!r} in the header; remove one")
    at = [header.index(column) for column in wanted if column in header]
    absent = [column for column in wanted if column not in header]
    names = [*(column for column in wanted if column in header), *absent]
    position = {name: place for place, name in enumerate(names)}
    last, width, blanks = max(at), len(header), ("",) * len(absent)
    for number, line in lines:
        if len(line) <= last or any(map(str.strip, line[width:])):
            raise DataError(
                f"{path}, line {number}: {len(line)} fields where the header has {width}; "
                "correct or remove the line"
            )
        cells = (*[line[place].strip() for place in at], *blanks)
        yield Row(path=path, line=number, cells=cells, position=position)


def read_names(path: Path) -> dict[str, int]:
    """Read a list of names, one a line: name -> line number.

    Raises:
      DataError: the file cannot be read or is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file: {error}; get it again") from error
    return {line.strip(): number for number, line in enumerate(lines, 1) if line.strip()}
