"""Data sets: files on disk → records. One module each, with `read(data_dir) -> list[Record]`.

Each module's docstring says how to get the data set, its licence and what to cite. Those of DRAWN
need no files: they have `directory` and `make` too. What TFDS prepared ("tfds:NAME") is read by
`tfds`.
"""

import dataclasses
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.pipeline.record import Record

DRAWN = ("phantom", "phantom_breast")
_CBIS = "tfds:curated_breast_imaging_ddsm"
TFDS = (
    "tfds:chexpert",
    _CBIS,
    *(f"{_CBIS}/{c}" for c in ("patches", "original-calc", "original-mass")),
)
NAMES = (
    *DRAWN,
    "nih",
    "chexpert",
    "mimic_cxr",
    "padchest",
    "vindr_cxr",
    "rsna_pneumonia",
    "siim",
    "cbis_ddsm",
    "inbreast",
    "vindr_mammo",
    "rsna_breast",
    "folder",
    "csv",
    *TFDS,
)

# Data sets of the same films under other names: they must not test each other.
_SAME_FILMS = (
    frozenset({"nih", "rsna_pneumonia", "siim"}),
    frozenset({"chexpert", "tfds:chexpert"}),
    frozenset({"cbis_ddsm", *(name for name in TFDS if name.startswith(_CBIS))}),
)


def shares_films(one: str, other: str) -> bool:
    """Whether two different data sets show the same films under other names.

    Either may be several with commas between.
    """
    return one != other and any(
        a == b or any({a, b} <= same for same in _SAME_FILMS)
        for a in one.split(",")
        for b in other.split(",")
    )


def read(
    name: str,
    data_dir: Path,
    config: ReaderConfig | None = None,
    *,
    cache_dir: Path = Path("~/.cache/cxr_jax"),
) -> list[Record]:
    """Read a data set's records.

    Args:
      name: one of NAMES.
      data_dir: the data set's folder, as its module describes it.
      config: options, of which a reader takes those that it knows; None for the defaults.
      cache_dir: where images that lie in other files are unpacked, once.

    Raises:
      ValueError: name is none of NAMES.
      DataError: the folder or a file in it is missing or malformed.
    """
    reader = _module(name, NAMES).read
    options = dataclasses.asdict(config or ReaderConfig())
    options |= {"name": name.partition(":")[2], "cache_dir": cache_dir.expanduser()}
    taken = inspect.signature(reader).parameters.keys() & options.keys()
    return reader(data_dir, **{option: options[option] for option in taken})


def draw(
    name: str,
    cache_dir: Path,
    *,
    count: int,
    seed: int,
    image_size: int,
    progress: Callable[[int], object] | None = None,
) -> Path:
    """Draw a data set, unless that was done before; see `make` of its module for the arguments.

    Args:
      name: one of DRAWN.
      cache_dir: where its directory lies, or shall lie.

    Returns:
      The directory, for `read`.

    Raises:
      ValueError: name is none of DRAWN, or an argument is out of its range.
      WorkspaceError: the directory cannot be written, or the disk is full.
    """
    module = _module(name, DRAWN)
    data_dir = module.directory(cache_dir, count=count, seed=seed, image_size=image_size)
    module.make(data_dir, count=count, seed=seed, image_size=image_size, progress=progress)
    return data_dir


def _module(name: str, names: tuple[str, ...]) -> ModuleType:
    if name not in names:
        raise ValueError(f"dataset must be one of {', '.join(names)}, got {name!r}")
    return importlib.import_module(f"cxr_jax.datasets.{name.partition(':')[0]}")
