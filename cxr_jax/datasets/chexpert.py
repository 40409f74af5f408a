"""CheXpert: 224,316 chest radiographs of 65,240 patients, 14 observations read from reports.

Get it from https://stanfordaimi.azurewebsites.net/datasets/8cbd9ed4-2eb9-4565-affc-111cf4f7ebe2, in
full or small. The folder is the one that holds `train.csv` and `valid.csv`, or its parent, with the
images where the archives put them:
- small: `CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg`, and full likewise;
- full, as its four archives unpack: `CheXpert-v1.0 batch 1 (validate & csv)/` with the tables and
  `valid/`, and beside it `CheXpert-v1.0 batch 2 (train 1)/patient00001/study1/view1_frontal.jpg`.
The labels of the test set are taken too where they are put beside the other tables, as `test.csv`,
with the images in `test/`.

`train.csv` was labelled by a program, 1 mentioned, 0 denied, -1 uncertain, blank not mentioned; the
234 images of `valid.csv`, and the test set, by radiologists. As in most papers, which had no test
set, the images of `valid.csv` are the test set, and validation images are taken from `train.csv`;
with `test.csv` each is what its name says. Lateral films have the view "LATERAL".

Licence: Stanford University Dataset Research Use Agreement (non-commercial, no redistribution).
Cite: Irvin J, Rajpurkar P, Ko M, et al. CheXpert: A Large Chest Radiograph Dataset with Uncertainty
Labels and Expert Comparison. AAAI 2019.
"""

import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from cxr_jax.datasets.files import find_table, inside, require_images, require_table
from cxr_jax.datasets.table import Row, read_table
from cxr_jax.pipeline.findings import canonical
from cxr_jax.pipeline.record import NO_FINDING, UNCERTAIN, Record

OBSERVATIONS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
"""The columns of labels, beside "No Finding"."""

_SOURCE = "https://stanfordaimi.azurewebsites.net"
_HOMES = ("CheXpert-v1.0-small", "CheXpert-v1.0", "CheXpert-v1.0 batch 1 (validate & csv)")
_PATIENTS = ("CheXpert-v1.0 batch * (train *)/patient*", "CheXpert-v1.0 batch 1 *)/valid/patient*")
_PATH = re.compile(r"(?:CheXpert-v1\.0[^/]*/)?((?:train|valid|test)/(patient\d+)/(.+))")
_VIEW = ("Frontal/Lateral", "AP/PA")
_VALUES = {"": math.nan, **dict.fromkeys(("-1", "-1.0"), UNCERTAIN)}
_VALUES |= {**dict.fromkeys(("1", "1.0"), 1.0), **dict.fromkeys(("0", "0.0"), 0.0)}


def read(data_dir: Path) -> list[Record]:
    """Read the data set's records, one for every line of its tables, in that order.

    Args:
      data_dir: the folder described above.

    Raises:
      DataError: the folder, the tables or all images are missing, or a line is malformed.
    """
    homes = (data_dir, *(data_dir / name for name in _HOMES))
    home = next((home for home in homes if find_table(home, *_TABLES)), data_dir)
    first = require_table(home, *_TABLES, source=_SOURCE)
    tables = {name: table for name in _COLUMNS if (table := find_table(home, name))}
    moved = {
        folder.name: folder
        for near in (home, home.parent)
        for pattern in _PATIENTS
        for folder in near.glob(pattern)
    }
    splits = _splits(tables)
    records: dict[str, Record] = {}
    for name, table in tables.items():
        required, optional = _COLUMNS[name]
        for row in read_table(table, required, optional=optional):
            record = _record(row, home, moved, splits[name])
            if records.setdefault(record.image, record) is not record:
                raise row.wrong("Path", "an image that no line before has")
    return require_images(first, list(records.values()))


_TABLES = ("train.csv", "valid.csv")
_COLUMNS = {
    **dict.fromkeys(_TABLES, (("Path", *_VIEW, NO_FINDING, *OBSERVATIONS), ())),
    "test.csv": (("Path", *OBSERVATIONS), (*_VIEW, NO_FINDING)),
}
"""Table -> the columns that it has, and those that it may have."""


def _splits(tables: Collection[str]) -> dict[str, str | None]:
    if "test.csv" in tables:
        train = "train" if "valid.csv" in tables else "train_validation"
        return {"train.csv": train, "valid.csv": "validation", "test.csv": "test"}
    if "valid.csv" in tables:
        return {"train.csv": "train_validation", "valid.csv": "test"}
    return {"train.csv": None}


def _record(row: Row, home: Path, moved: Mapping[str, Path], split: str | None) -> Record:
    match = _PATH.fullmatch(row["Path"])
    if match is None:
        raise row.wrong("Path", "a path such as CheXpert-v1.0/train/patient00001/study1/view1.jpg")
    image, patient, rest = match.groups()
    path = inside(home, image, row, "Path")
    return Record(
        image=image,
        path=moved[patient] / rest if patient in moved else path,
        patient=patient,
        view=_view(row),
        labels=labels_of(row),
        bit_depth=8,
        split=split,
    )


def _view(row: Row) -> str:
    direction = row["Frontal/Lateral"]
    if direction not in ("Frontal", "Lateral", ""):
        raise row.wrong("Frontal/Lateral", "Frontal or Lateral")
    if direction == "Lateral" or (not direction and "lateral" in row["Path"]):
        return "LATERAL"
    if row["AP/PA"] not in ("AP", "PA", "LL", "RL", ""):
        raise row.wrong("AP/PA", "AP, PA, LL, RL or nothing")
    return row["AP/PA"]


def labels_of(row: Row) -> dict[str, float]:
    """The labels of a line, by the vocabulary's names, also in the tables of `mimic_cxr`.

    Raises:
      DataError: a value is none of 1, 0, -1 and blank.
    """
    try:
        return {name: _VALUES[row[column]] for column, name in _NAMES.items()}
    except KeyError:
        column = next(column for column in _NAMES if row[column] not in _VALUES)
        raise row.wrong(column, "1.0, 0.0, -1.0 or nothing") from None


_NAMES = {column: canonical(column) for column in (NO_FINDING, *OBSERVATIONS)}
