"""Where a command writes."""

import argparse
from pathlib import Path

from cxr_jax.errors import WorkspaceError
from cxr_jax.pipeline.once import writing


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
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def comma_list(text: str) -> tuple[str, ...]:
    """The items of "PA,AP"; none of ""."""
    return tuple(item.strip() for item in text.split(",") if item.strip())


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add --run."""
    parser.add_argument(
        "--run",
        type=lambda text: Path(text).expanduser(),
        required=True,
        help="folder of a finished run, such as runs/cardiomegaly/2026-11-24_16-44-20",
    )
