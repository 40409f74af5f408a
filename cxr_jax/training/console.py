"""What a person at the terminal sees: lines, one table row an epoch, bars.

Bars are drawn where standard error is a terminal and nowhere else, so that a log file holds only
whole lines.
"""

import sys
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

# Column of the epoch table → (key of the history row, format).
COLUMNS = {
    "epoch": ("epoch", "{:d}"),
    "step": ("step", "{:d}"),
    "train loss": ("train_loss", "{:.4f}"),
    "val loss": ("validation_loss", "{:.4f}"),
    "val AUROC": ("validation_auroc", "{:.4f}"),
    "val Dice": ("validation_dice", "{:.4f}"),
    "lr": ("lr", "{:.2e}"),
    "images/s": ("images_per_second", "{:.1f}"),
    "seconds": ("seconds", "{:.0f}"),
    "best": ("is_best", "{}"),
}
_WIDTH = 11


def say(text: str = "") -> None:
    """Write a line without disturbing a bar."""
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()


def bar(total: int, description: str, *, initial: int = 0, unit: str = "it") -> tqdm:
    """A progress bar on standard error; silent where that is no terminal."""
    return tqdm(
        total=total,
        initial=initial,
        desc=description,
        unit=unit,
        leave=False,
        dynamic_ncols=True,
        disable=not sys.stderr.isatty(),
    )


class EpochTable:
    """A row an epoch, under titles that come with the first: those of the numbers it has."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[str, str]] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Write one epoch's numbers."""
        if not self._columns:
            self._columns = {title: of for title, of in COLUMNS.items() if of[0] in row}
            say("".join(title.rjust(_WIDTH) for title in self._columns))
        cells = dict(row, is_best="*" if row["is_best"] else "")
        shown = (
            "-" if cells[key] is None else layout.format(cells[key])
            for key, layout in self._columns.values()
        )
        say("".join(cell.rjust(_WIDTH) for cell in shown).rstrip())
