"""The labels that radiologists gave to images of NIH ChestX-ray14, as Google publishes them."""

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
_VALUES = {"YES": 1.0, "NO": 0.0, "HEDGE": UNCERTAIN}


def read_labels(data_dir: Path) -> dict[str, dict[str, float]]:
    """Read the labels of all images that were seen: image -> finding -> 1, 0 or uncertain.

    Where two lines of an image differ, the finding is uncertain.

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
    labels: dict[str, dict[str, float]] = {}
    for table in tables:
        for row in read_table(table, ("Image Index", *COLUMNS)):
            for column in COLUMNS:
                if row[column].upper() not in _VALUES:
                    raise row.wrong(column, " or ".join(_VALUES))
            new = {canonical(column): _VALUES[row[column].upper()] for column in COLUMNS}
            old = labels.setdefault(row["Image Index"], new)
            for finding, value in new.items():
                old[finding] = value if old[finding] == value else UNCERTAIN
    return labels
