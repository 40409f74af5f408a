"""Read label files: CSV with a header, every complaint with file, line and column."""

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from cxr_jax.errors import DataError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table.

    Attributes:
      path: the file.
      line: its number in the file, from 1, as editors show it.
      values: column -> text, stripped of blanks.
    """

    path: Path
    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]

    def wrong(self, column: str, expected: str) -> DataError:
        """The error that says what a cell holds and what it should."""
        found = self.values[column] or "nothing"
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


def read_table(path: Path, columns: Sequence[str], *, optional: Sequence[str] = ()) -> list[Row]:
    """Read the named columns of a comma-separated file with a header line.

    A comma inside a header's name splits it, as in the data sets that have such names: ask for the
    parts. Empty lines and columns without a name are passed over.

    Args:
      path: the file, UTF-8.
      columns: the names to read; there may be others.
      optional: names to read where they are there; else their cells are "".

    Raises:
      DataError: the file cannot be read, lacks a column, or a line has too few or too many fields.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in line]) for line in reader]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: not a comma-separated text file: {error}; get it again"
        ) from error
    lines = [(number, line) for number, line in lines if any(line)]
    if not lines:
        raise DataError(f"{path}: the file is empty; get it again")
    header = lines[0][1]
    missing = [column for column in columns if column not in header]
    if missing:
        raise DataError(
            f"{path}: no column {', '.join(map(repr, missing))} in the header; "
            f"found {', '.join(name for name in header if name)}; get the original file"
        )
    present = [column for column in (*columns, *optional) if column in header]
    position = {column: header.index(column) for column in present}
    rows = []
    for number, line in lines[1:]:
        if len(line) <= max(position.values()) or any(line[len(header) :]):
            raise DataError(
                f"{path}, line {number}: {len(line)} fields where the header has {len(header)}; "
                "correct or remove the line"
            )
        values = dict.fromkeys(optional, "")
        values |= {column: line[at] for column, at in position.items()}
        rows.append(Row(path=path, line=number, values=values))
    return rows


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
