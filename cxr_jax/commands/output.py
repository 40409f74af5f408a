"""Where a command writes."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cxr_jax.errors import WorkspaceError
from cxr_jax.pipeline.once import make_folder


def new_folder(folder: Path, *, holds: str) -> Path:
    """Make a folder for results, unless it has some already.

    Args:
      folder: may be there, with other files.
      holds: pattern of the files that show that there are results.

    Raises:
      WorkspaceError: it has results, which are not overwritten, or cannot be written.
    """
    for result in folder.glob(holds):
        raise WorkspaceError(f"{result}: is there already; choose another --out, or remove it")
    make_folder(folder)
    return folder


def comma_list(text: str) -> tuple[str, ...]:
    """The items of "PA,AP"; none of ""."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def file_path(text: str) -> Path:
    """The path of an argument; "~" is the user's home."""
    return Path(text).expanduser()


def seed(text: str) -> int:
    """The seed of an argument.

    Raises:
      argparse.ArgumentTypeError: it is none that random generators take.
    """
    if not (text.isdecimal() and int(text) < 2**32):
        raise argparse.ArgumentTypeError(f"must be an integer from 0 to 2**32 - 1, got {text!r}")
    return int(text)


def add_run(parser: argparse._ActionsContainer, *, required: bool = True) -> None:
    """Add --run."""
    parser.add_argument(
        "--run",
        type=file_path,
        required=required,
        help="folder of a finished run, such as runs/cardiomegaly/2026-11-24_16-44-20",
    )


def print_table(title: str, rows: Sequence[Sequence[str]], *, of: int | None = None) -> None:
    """Print a table under its title, its first row is the head.

    Args:
      of: how many rows there are in all, where only the first are given.
    """
    head, *body = rows
    print(f"\n{title}" + (f" ({of:,})" if of is not None and of > len(body) else ""))
    if not body:
        print("  none")
        return
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    for row in rows:
        first, *others = (
            cell.ljust(width) if at == 0 or not _is_number(body[0][at]) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  " + "  ".join([first, *others]).rstrip())


def _is_number(text: str) -> bool:
    """Whether a cell is one, with commas or without."""
    return text.replace(",", "").replace(".", "", 1).isdigit()
