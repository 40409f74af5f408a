"""VinDr-CXR: 18,000 PA chest radiographs; each of 15,000 was read by three radiologists.

Get it from https://www.kaggle.com/c/vinbigdata-chest-xray-abnormalities-detection (15,000 images
and 14 findings), or from https://physionet.org/content/vindr-cxr/1.0.0/ (all images, 27 findings).
The folder holds, as they come,
- Kaggle: `train.csv` and `train/<image_id>.dicom`;
- PhysioNet: `annotations/` with `image_labels_train.csv`, `image_labels_test.csv` and, if you like,
  `annotations_train.csv` and `annotations_test.csv` (boxes), and `train/` and `test/` as above.

An image's three radiologists often disagree. A finding is present (1) if any, the majority, or so
many of them marked it (`--readers`, `--reader_count`), else absent (0). "No Finding" is 1 if fewer
than that marked anything. The boxes are those of all readers, of the findings that are present. The
test images of PhysioNet have one reading, a consensus of five. A fracture of rib or clavicle is a
"Fracture" too.

The images of PhysioNet have an official split, those of Kaggle none. Nothing says who the patients
are: each image counts as one of its own.

Licence: PhysioNet Credentialed Health Data License 1.5.0, or the competition's rules.
Cite: Nguyen HQ, Lam K, Le LT, et al. VinDr-CXR: An open dataset of chest X-rays with radiologist's
annotations. Scientific Data 9, 429 (2022).
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from cxr_jax.datasets.files import files_by_name, find_table, inside, require_images, require_table
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.datasets.table import Row, read_table
from cxr_jax.pipeline.findings import canonical
from cxr_jax.pipeline.record import NO_FINDING, Box, Record

FINDINGS = (
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Consolidation",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Nodule/Mass",
    "Other lesion",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
)
"""Kaggle's classes 0 to 13; 14 is "No finding"."""

_SOURCE = (
    "https://www.kaggle.com/c/vinbigdata-chest-xray-abnormalities-detection or "
    "https://physionet.org/content/vindr-cxr/1.0.0/"
)
_READERS = 3
_NONE = "No finding"
_BOX = ("x_min", "y_min", "x_max", "y_max")
_VALUES = {"": False, "0": False, "0.0": False, "1": True, "1.0": True}
_SAME = {"Other diseases": "Other disease"}  # the two tables differ
_IMPLIED = {kind: {"Fracture"} for kind in ("Clavicle fracture", "Rib fracture")}
_OTHER = "abnormal"  # of a reader who denies "No finding" without naming one


def read(data_dir: Path, *, readers: str = "majority", reader_count: int = 3) -> list[Record]:
    """Read the data set's records, one for every image that its tables name, in their order.

    An image that is not on disk has a record all the same, as long as others are: whoever decodes
    it decides what becomes of it.

    Args:
      data_dir: the folder described above.
      readers: how many of the three must mark what is to be present: "any", "majority", "count".
      reader_count: how many with "count".

    Raises:
      ValueError: readers is another word, or reader_count is not in [1, 3].
      DataError: the folder, the tables or all images are missing, or a line is malformed.
    """
    ReaderConfig(readers=readers, reader_count=reader_count)
    needed = {"any": 1, "majority": _READERS // 2 + 1, "count": reader_count}[readers]
    home = data_dir / "annotations" if (data_dir / "annotations").is_dir() else data_dir
    first = require_table(home, "train.csv", *_LABELS.values(), source=_SOURCE)
    if first.name.startswith("train.csv"):
        marks = _from_boxes(first)
        return require_images(first, _records(data_dir / "train", marks, needed, [first], None))
    tables = {part: table for part, name in _LABELS.items() if (table := find_table(home, name))}
    records = []
    for part, table in tables.items():
        boxes = find_table(home, f"annotations_{part}.csv")
        split = _SPLITS[part] if len(tables) > 1 else None
        marks = _from_columns(table)
        records += _records(data_dir / part, marks, needed, [boxes] if boxes else [], split)
    return require_images(first, records)


_LABELS = {"train": "image_labels_train.csv", "test": "image_labels_test.csv"}
_SPLITS = {"train": "train_validation", "test": "test"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Marks:
    """What the readers of an image marked.

    Attributes:
      row: the first line that names the image.
      readers: reader -> findings; none where they saw none.
      known: what they could have marked.
    """

    row: Row
    readers: dict[str, set[str]]
    known: Sequence[str]

    def labels(self, needed: int) -> dict[str, float]:
        """1 for the findings that so many readers marked, 0 for the others."""
        votes = Counter(finding for found in self.readers.values() for finding in found)
        abnormal = sum(map(bool, self.readers.values()))
        labels = {finding: float(votes[finding] >= needed) for finding in self.known}
        return labels | {NO_FINDING: float(abnormal < needed)}


def _from_boxes(table: Path) -> dict[str, _Marks]:
    """Image -> marks, of a table with a line a box."""
    marks: dict[str, _Marks] = {}
    known = [canonical(finding) for finding in FINDINGS]
    for row in read_table(table, ("image_id", "class_name", "rad_id")):
        if not row["rad_id"]:
            raise row.wrong("rad_id", "a reader")
        new = _Marks(row=row, readers={}, known=known)
        found = marks.setdefault(row["image_id"], new).readers.setdefault(row["rad_id"], set())
        if (finding := canonical(row["class_name"])) != NO_FINDING:
            if finding not in known:
                raise row.wrong("class_name", f"{_NONE} or one of {', '.join(FINDINGS)}")
            found.add(finding)
    _check_readers(marks)
    return marks


def _from_columns(table: Path) -> dict[str, _Marks]:
    """Image -> marks, of a table with a line a reader and a column a finding."""
    rows = read_table(table, ("image_id", _NONE), optional=("rad_id",), others=True)
    columns = {
        column: {_SAME.get(column, canonical(column)), *_IMPLIED.get(column, ())}
        for column in (rows[0].position if rows else ())
        if column not in ("image_id", "rad_id", _NONE)
    }
    known = sorted(set().union(*columns.values()))
    marks: dict[str, _Marks] = {}
    for row in rows:
        new = _Marks(row=row, readers={}, known=known)
        readers = marks.setdefault(row["image_id"], new).readers
        if row["rad_id"] in readers:
            raise row.wrong("image_id", "an image that its reader has in no line before")
        for column in (*columns, _NONE):
            if row[column] not in _VALUES:
                raise row.wrong(column, "1, 0 or nothing")
        found = [names for column, names in columns.items() if _VALUES[row[column]]]
        readers[row["rad_id"]] = set().union(*found, () if _VALUES[row[_NONE]] else (_OTHER,))
    _check_readers(marks)
    return marks


def _check_readers(marks: Mapping[str, _Marks]) -> None:
    """Every image must have three readers, or a consensus, which has no reader's name."""
    for of_image in marks.values():
        consensus = set(of_image.readers) == {""}
        if not consensus and len(of_image.readers) != _READERS:
            raise of_image.row.wrong(
                "image_id", f"an image of {_READERS} readers, and it has {len(of_image.readers)}"
            )


def _records(
    folder: Path,
    marks: Mapping[str, _Marks],
    needed: int,
    tables: Sequence[Path],
    split: str | None,
) -> list[Record]:
    files = {Path(name).stem: path for name, path in files_by_name([folder]).items()}
    boxes = _boxes(tables)
    records = []
    for image, of_image in marks.items():
        expected = inside(folder, image and f"{image}.dicom", of_image.row, "image_id")
        labels = of_image.labels(min(needed, len(of_image.readers)))
        record = Record(
            image=image,
            path=files.get(image, expected),
            patient=image,
            view="PA",
            labels=labels,
            split=split,
            boxes=tuple(box for box in boxes.get(image, ()) if labels.get(box.finding) == 1),
        )
        records.append(record)
    return records


def _boxes(tables: Sequence[Path]) -> dict[str, list[Box]]:
    """Image -> the boxes of all its readers."""
    boxes: dict[str, list[Box]] = {}
    for table in tables:
        for row in read_table(table, ("image_id", "class_name", *_BOX)):
            finding = canonical(row["class_name"])
            if finding == NO_FINDING:
                continue
            left, top = row.number("x_min"), row.number("y_min")
            box = Box(
                finding=finding,
                left=left,
                top=top,
                width=row.number("x_max", minimum=left) - left,
                height=row.number("y_max", minimum=top) - top,
            )
            boxes.setdefault(row["image_id"], []).append(box)
    return boxes
