"""Several data sets as one: each image labelled for what its own data set labels."""

import dataclasses
import itertools
import warnings
from collections.abc import Sequence
from pathlib import Path

from cxr_jax import datasets
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.pipeline.record import Record


def read_together(
    sources: Sequence[tuple[str, Path]], config: ReaderConfig, *, cache_dir: Path
) -> list[Record]:
    """Read several data sets, one after the other.

    Images and patients are named `<data set>/<name>`, so that none are taken for those of another.
    Where two data sets are known to show the same films, a warning says so: then a patient may be
    in training by one name and in test by the other.

    Args:
      sources: name and folder of each; the names are different.
      config, cache_dir: as for `datasets.read`.

    Raises:
      ValueError, DataError: as of `datasets.read`.
    """
    for (one, _), (other, _) in itertools.combinations(sources, 2):
        if datasets.shares_films(one, other):
            warnings.warn(
                f"{one} and {other} show the same films under other names: a patient may be in "
                "training by one name and in test by the other, which flatters the result",
                stacklevel=2,
            )
    return [
        dataclasses.replace(
            record,
            image=f"{name}/{record.image}",
            patient=f"{name}/{record.patient}",
            dataset=name,
        )
        for name, folder in sources
        for record in datasets.read(name, folder, config, cache_dir=cache_dir)
    ]
