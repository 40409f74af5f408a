"""VinDr-Mammo: 20,000 digital mammograms of 5,000 examinations, read by radiologists.

Get it from https://physionet.org/content/vindr-mammo/1.0.0/ (after registration). The folder holds
`breast-level_annotations.csv`, if you like `finding_annotations.csv`, and the images in
`images/<study_id>/<image_id>.dicom`. The official split is used. Patients are not named: an
examination counts as one.

Labels are of two kinds. BI-RADS of the breast, as `mammogram.birads_labels` reads it: "Suspicious"
(4 and 5) is the usual question, while the winner of RSNA's breast challenge took "Highly
Suspicious" (5 alone, 1.1 % of the images) for cancer; there is no biopsy. And, with the second
table, findings that were marked in the image by a box; "No Finding" then means that none was.

Licence: PhysioNet Credentialed Health Data License 1.5.0; not to be passed on.
Cite: Nguyen HT, Nguyen HQ, Pham HH, et al. VinDr-Mammo: A large-scale benchmark dataset for
computer-aided detection and diagnosis in full-field digital mammography. Scientific Data 10, 277
(2023). Goldberger A, et al. PhysioBank, PhysioToolkit, and PhysioNet. Circulation 101(23), e215
(2000).
"""

import ast
from pathlib import Path

from cxr_jax.datasets.files import find_table, inside, require_images, require_table
from cxr_jax.datasets.mammogram import birads_labels, side, view
from cxr_jax.datasets.table import Row, read_table
from cxr_jax.pipeline.record import NO_FINDING, Box, Record

FINDINGS = (
    "Mass",
    "Suspicious Calcification",
    "Asymmetry",
    "Focal Asymmetry",
    "Global Asymmetry",
    "Architectural Distortion",
    "Suspicious Lymph Node",
    "Skin Thickening",
    "Skin Retraction",
    "Nipple Retraction",
)

_TABLE, _FINDINGS = "breast-level_annotations.csv", "finding_annotations.csv"
_COLUMNS = ("study_id", "image_id", "laterality", "view_position", "breast_birads", "split")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_SPLITS = {"training": "train_validation", "test": "test"}


def read(data_dir: Path) -> list[Record]:
    """Read the data set's records, one for every line of its table of breasts, in that order.

    An image that is not on disk has a record all the same, as long as others are: whoever decodes
    it decides what becomes of it.

    Args:
      data_dir: the folder described above.

    Raises:
      DataError: the folder, the table or all images are missing, or a line is malformed.
    """
    table = require_table(data_dir, _TABLE, source="https://physionet.org/content/vindr-mammo/")
    rows = read_table(table, _COLUMNS)
    found = _findings(find_table(data_dir, _FINDINGS), {row["image_id"] for row in rows})
    records: dict[str, Record] = {}
    for row in rows:
        image, study = row["image_id"], row["study_id"]
        if not image or image in records:
            raise row.wrong("image_id", "every image once")
        if row["split"] not in _SPLITS:
            raise row.wrong("split", " or ".join(_SPLITS))
        labels = birads_labels(row, "breast_birads")
        boxes = found.get(image)
        if boxes is not None:
            marked = {box.finding for box in boxes}
            labels |= {finding: float(finding in marked) for finding in FINDINGS}
            labels[NO_FINDING] = float(not boxes)
        records[image] = Record(
            image=image,
            path=inside(data_dir, f"images/{study}/{image}.dicom", row, "image_id"),
            patient=study,
            view=view(row, "view_position"),
            laterality=side(row, "laterality"),
            labels=labels,
            split=_SPLITS[row["split"]],
            boxes=tuple(boxes or ()),
        )
    return require_images(table, list(records.values()))


def _findings(table: Path | None, images: set[str]) -> dict[str, list[Box]]:
    """Image -> its boxes, one for each of a region's categories; empty without such a table."""
    boxes: dict[str, list[Box]] = {}
    if table is None:
        return boxes
    for row in read_table(table, ("image_id", "finding_categories", *_CORNERS)):
        if row["image_id"] not in images:
            raise row.wrong("image_id", f"an image of {_TABLE}")
        of_image = boxes.setdefault(row["image_id"], [])
        categories = _categories(row)
        if categories != [NO_FINDING]:
            of_image += [_box(row, category) for category in categories]
    return boxes


def _categories(row: Row) -> list[str]:
    """A cell such as "['Mass', 'Skin Thickening']"."""
    try:
        categories = ast.literal_eval(row["finding_categories"])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        categories = None
    known = (NO_FINDING,) if categories == [NO_FINDING] else FINDINGS
    if (
        not isinstance(categories, list)
        or not categories
        or not all(c in known for c in categories)
    ):
        expected = f"['{NO_FINDING}'] or a list of {', '.join(FINDINGS)}"
        raise row.wrong("finding_categories", expected)
    return categories


def _box(row: Row, finding: str) -> Box:
    left, top, right, bottom = (row.number(column, minimum=-1e6) for column in _CORNERS)
    if right < left or bottom < top:
        raise row.wrong("xmax", "a corner that is not left of or above (xmin, ymin)")
    return Box(finding=finding, left=left, top=top, width=right - left, height=bottom - top)
