"""The labels that radiologists gave to images of NIH ChestX-ray14, as Google publishes them."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from cxr_jax.datasets.files import find_table
from cxr_jax.datasets.table import read_table
from cxr_jax.errors import DataError
from cxr_jax.pipeline.findings import canonical
from cxr_jax.pipeline.record import UNCERTAIN

COLUMNS = ("Fracture", "Pneumothorax", "Airspace opacity", "Nodule or mass")
"""As the files name the findings."""

_PARTS = ("validation_labels.csv", "test_labels.csv")
_PLACES = ("{}", "four_findings_expert_labels_{}", "four_findings_expert_labels/{}")
_WHOLE = "google2019_nih-chest-xray-labels.csv"
_SPLITS = {"val": "train_validation", "test": "test"}
_VALUES = {"YES": 1.0, "NO": 0.0, "HEDGE": UNCERTAIN}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """What the radiologists said of an image.

    Attributes:
      labels: finding -> 1, 0 or uncertain.
      split: "train_validation" or "test": Google's own division of these images.
    """

    labels: Mapping[str, float]
    split: str


def read_labels(data_dir: Path) -> dict[str, Reading]:
    """Read the labels of all images that were seen: image -> reading.

    Args:
      data_dir: the folder that holds the files, under one of the names that they go by.

    Raises:
      DataError: there are none, or a line is malformed.
    """
    whole = find_table(data_dir, _WHOLE)
    parts = (find_table(data_dir, *(place.format(part) for place in _PLACES)) for part in _PARTS)
    tables = [whole] if whole else [part for part in parts if part]
    if not tables:
        raise DataError(
            f"{data_dir}: holds no {', '.join(_PARTS)} or {_WHOLE}, which --nih_labels=expert "
            "needs; see cxr_jax.datasets.nih for where to get them"
        )
    readings: dict[str, Reading] = {}
    for table in tables:
        for row in read_table(table, ("Image Index", *COLUMNS), optional=("Set Id",)):
            part = row["Set Id"] or ("test" if "test_labels" in table.name else "val")
            if part not in _SPLITS:
                raise row.wrong("Set Id", " or ".join(_SPLITS))
            for column in COLUMNS:
                if row[column] not in _VALUES:
                    raise row.wrong(column, " or ".join(_VALUES))
            labels = {canonical(column): _VALUES[row[column]] for column in COLUMNS}
            new = Reading(labels=labels, split=_SPLITS[part])
            if readings.setdefault(row["Image Index"], new) != new:
                raise row.wrong("Image Index", "an image that no line before has otherwise")
    return readings
