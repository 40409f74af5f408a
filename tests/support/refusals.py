"""Change one cell of a miniature's table, and hear what its reader says."""

import csv

import pytest

from cxr_jax.errors import DataError


def set_cell(path, line, column, value):
    """Put a value into the table: line counts from 1, the header's; column by name."""
    lines = list(csv.reader(path.read_text().splitlines()))
    header = [name.strip() for name in lines[0]]
    lines[line - 1][header.index(column)] = value
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


def refusal(read, folder, **options):
    """The one line of a reader's refusal."""
    with pytest.raises(DataError) as error:
        read(folder, **options)
    assert "\n" not in str(error.value)
    return str(error.value)
