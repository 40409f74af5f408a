"""Data sets: files on disk → records. One module each, with `read(data_dir) -> list[Record]`.

Each module's docstring says how to get the data set, its licence and what to cite.
"""

import importlib
from pathlib import Path

from cxr_jax.pipeline.record import Record

NAMES = ("phantom", "nih", "siim", "cbis_ddsm", "folder")


def read(name: str, data_dir: Path) -> list[Record]:
    """Read a data set's records.

    Args:
      name: one of NAMES.
      data_dir: the data set's folder, as its module describes it.

    Raises:
      ValueError: name is none of NAMES.
      DataError: the folder or a file in it is missing or malformed.
    """
    if name not in NAMES:
        raise ValueError(f"dataset must be one of {', '.join(NAMES)}, got {name!r}")
    return importlib.import_module(f"cxr_jax.datasets.{name}").read(data_dir)
