"""RSNA Pneumonia Detection Challenge: 26,684 frontal chest radiographs, 6,012 with lung opacities.

Get it from https://www.kaggle.com/c/rsna-pneumonia-detection-challenge. The folder holds
`stage_2_train_labels.csv`, `stage_2_detailed_class_info.csv` if you like, and the images as
`stage_2_train_images/<patientId>.dcm`, 8 bits, 1024 x 1024 pixels. No labels of its test images are
published.

An image whose "Target" is 1 has opacities that radiologists marked with boxes as suspicious of
pneumonia: "Pneumonia" and "Lung Opacity" are 1. Only with the table of classes it is known which of
the others are normal ("No Finding" is 1) and which are not.

The images come from NIH ChestX-ray14, so the two must not be used to test each other. Its
"patientId" names an image, and several of them may be one patient's; who that is stands in
`pneumonia-challenge-dataset-mappings_2018.json`, which the RSNA publishes beside the challenge
(https://www.rsna.org/rsnai/ai-image-challenge/rsna-pneumonia-detection-challenge-2018). Put it into
the folder; without it each image counts as a patient of its own, and one may get into training and
test.

Licence: the competition's rules (non-commercial research and education) and the terms of NIH
ChestX-ray14, whose provider, the NIH Clinical Center, is to be acknowledged.
Cite: Shih G, Wu CC, Halabi SS, et al. Augmenting the National Institutes of Health Chest Radiograph
Dataset with Expert Annotations of Possible Pneumonia. Radiology: Artificial Intelligence 1(1),
e180041 (2019).
"""

import json
from pathlib import Path

from cxr_jax.datasets.dicom_headers import read_exams
from cxr_jax.datasets.files import find_table, inside, require_images, require_table
from cxr_jax.datasets.table import Row, read_table
from cxr_jax.errors import DataError
from cxr_jax.pipeline.record import NO_FINDING, Box, Record

FINDINGS = ("Lung Opacity", "Pneumonia")
"""What a "Target" of 1 means."""

_SOURCE = "https://www.kaggle.com/c/rsna-pneumonia-detection-challenge"
_TABLE = "stage_2_train_labels.csv"
_CLASSES = "stage_2_detailed_class_info.csv"
_MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"
_BOX = ("x", "y", "width", "height")
_TARGETS = {
    "Lung Opacity": "1",
    "No Lung Opacity / Not Normal": "0",
    "Normal": "0",
}


def read(data_dir: Path) -> list[Record]:
    """Read the data set's records, one for every image that its table names, in their order.

    The view is that of the DICOM header. An image that is not on disk has a record all the same, as
    long as others are: whoever decodes it decides what becomes of it.

    Args:
      data_dir: the folder described above.

    Raises:
      DataError: the folder, the table or all images are missing, or a line is malformed.
    """
    table = require_table(data_dir, _TABLE, source=_SOURCE)
    images: dict[str, list[Row]] = {}
    for row in read_table(table, ("patientId", *_BOX, "Target")):
        of_image = images.setdefault(row["patientId"], [])
        of_image.append(row)
        _check(row, of_image[0])
    classes = _classes(find_table(data_dir, _CLASSES), images)
    patients = _patients(data_dir / _MAPPING)
    folder = data_dir / "stage_2_train_images"
    paths = {
        image: inside(folder, image and f"{image}.dcm", rows[0], "patientId")
        for image, rows in images.items()
    }
    exams = read_exams(paths, salt="rsna_pneumonia")
    records = []
    for image, rows in images.items():
        labels = dict.fromkeys(FINDINGS, float(rows[0]["Target"]))
        if classes:
            labels[NO_FINDING] = float(classes[image] == "Normal")
        record = Record(
            image=image,
            path=paths[image],
            patient=patients.get(image, image),
            view=exams[image].view if image in exams else "",
            labels=labels,
            bit_depth=8,
            boxes=tuple(_box(row) for row in rows if row["Target"] == "1"),
        )
        records.append(record)
    return require_images(table, records)


def _check(row: Row, first: Row) -> None:
    if row["Target"] not in ("0", "1"):
        raise row.wrong("Target", "0 or 1")
    if row["Target"] != first["Target"]:
        raise row.wrong("Target", f"{first['Target']}, as in line {first.line} of the same image")


def _box(row: Row) -> Box:
    left, top, width, height = (row.number(column) for column in _BOX)
    return Box(finding="Lung Opacity", left=left, top=top, width=width, height=height)


def _classes(table: Path | None, images: dict[str, list[Row]]) -> dict[str, str]:
    """Image -> class, of all images; empty without a table."""
    if table is None:
        return {}
    classes: dict[str, str] = {}
    for row in read_table(table, ("patientId", "class")):
        if row["class"] not in _TARGETS:
            raise row.wrong("class", " or ".join(_TARGETS))
        rows = images.get(row["patientId"])
        if rows and rows[0]["Target"] != _TARGETS[row["class"]]:
            target = f"a Target of {rows[0]['Target']} in line {rows[0].line} of {_TABLE}"
            raise row.wrong("class", f"a class that fits {target}")
        if classes.setdefault(row["patientId"], row["class"]) != row["class"]:
            raise row.wrong("class", f"{classes[row['patientId']]}, as in the image's first line")
    for image, of_image in images.items():
        if image not in classes:
            raise of_image[0].wrong("patientId", f"an image of {_CLASSES}")
    return classes


def _patients(path: Path) -> dict[str, str]:
    """Image -> the patient of NIH ChestX-ray14; empty without the RSNA's list."""
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_bytes())
        return {
            entry["subset_img_id"]: str(int(entry["img_id"].split("_")[0])) for entry in entries
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path}: expected a list of objects with subset_img_id and img_id "
            f"(00000001_000.png), found {error!r}; get it again"
        ) from error
