"""PadChest: 160,868 chest radiographs of 67,625 patients, 174 findings and 19 diagnoses.

Get it from https://bimcv.cipf.es/bimcv-projects/padchest/. The folder holds
`PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv`, as it comes (`.csv.gz`) or unpacked, and the
images (16-bit PNG), in the folders `0` to `54` that the table names ("ImageDir"), or all in one:
this folder, or `images/` in it, which may have the 55 folders too. Some files of the distribution
are missing or truncated, which the experiments leave out (`--on_bad_image=skip`).

"Labels" is a list. A finding that is in none of a report's sentences is 0; beside its own name a
label has the finding of the vocabulary that it is a kind of ("rib fracture" is a "Fracture" too).
"normal" alone is "No Finding". An image without labels, with "exclude", or with nothing but
"unchanged" or "suboptimal study" is unlabelled. 27 % of the reports were read by physicians, the
others by a network. The view is the "Projection", with L as "LATERAL". There is no official split.

Licence: PADCHEST Dataset Research Use Agreement (non-commercial, no redistribution).
Cite: Bustos A, Pertusa A, Salinas JM, de la Iglesia-Vayá M. PadChest: A large chest x-ray image
dataset with multi-label annotated reports. Medical Image Analysis 66, 101797 (2020).
"""

import re
from collections import ChainMap
from pathlib import Path

from cxr_jax.datasets.files import files_by_name, inside, require_images, require_table
from cxr_jax.datasets.table import Row, read_table
from cxr_jax.pipeline.findings import PADCHEST, canonical
from cxr_jax.pipeline.record import NO_FINDING, Record

_SOURCE = "https://bimcv.cipf.es/bimcv-projects/padchest/"
_TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
_COLUMNS = ("ImageID", "ImageDir", "PatientID", "Projection", "Labels")
_FOLDERS = [f"{home}{number}" for home in ("", "images/") for number in ("", *range(55))]

_ITEM = r"""'[^']*'|"[^"]*"|nan"""
_LIST = re.compile(rf"\[\s*(?:(?:{_ITEM})\s*(?:,\s*(?:{_ITEM})\s*)*)?\]")
_NORMAL, _EXCLUDED = "normal", "exclude"
_NO_FINDINGS = {"", "nan", "unchanged", "suboptimal study"}
_IMPLIED = {
    kind: [finding for finding, kinds in PADCHEST.items() if kind in kinds]
    for kind in {kind for kinds in PADCHEST.values() for kind in kinds}
}


def read(data_dir: Path) -> list[Record]:
    """Read the data set's records, one for every line of its table, in that order.

    An image that is not on disk has a record all the same, as long as others are: whoever decodes
    it decides what becomes of it.

    Args:
      data_dir: the folder described above.

    Raises:
      DataError: the folder, the table or all images are missing, or a line is malformed.
    """
    table = require_table(data_dir, _TABLE, source=_SOURCE)
    rows = read_table(table, _COLUMNS)
    first = {row["Labels"]: row for row in reversed(rows)}
    found = {text: _findings(row) for text, row in first.items()}
    absent = dict.fromkeys(sorted({NO_FINDING}.union(*found.values())), 0.0)
    files = files_by_name([data_dir / folder for folder in _FOLDERS])
    records: dict[str, Record] = {}
    for row in rows:
        image, findings = row["ImageID"], found[row["Labels"]]
        expected = inside(data_dir, image and f"{_folder(row)}{image}", row, "ImageID")
        record = Record(
            image=image,
            path=files.get(image, expected),
            patient=_patient(row),
            view={"L": "LATERAL"}.get(row["Projection"], row["Projection"]),
            # Nearly 200 names, nearly all absent: they are kept once.
            labels=ChainMap(dict.fromkeys(findings, 1.0), absent) if findings else {},
        )
        if records.setdefault(image, record) is not record:
            raise row.wrong("ImageID", "an image that no line before has")
    return require_images(table, list(records.values()))


def _findings(row: Row) -> frozenset[str]:
    """What a list of labels says is present; nothing if it says nothing of findings."""
    text = row["Labels"]
    if text in ("", "nan"):
        return frozenset()
    if not _LIST.fullmatch(text):
        raise row.wrong("Labels", "a list such as ['cardiomegaly', 'pleural effusion']")
    items = (item.strip("'\"").lower() for item in re.findall(_ITEM, text))
    labels = {" ".join(item.split()) for item in items} - _NO_FINDINGS
    if not labels or _EXCLUDED in labels:
        return frozenset()
    findings = labels - {_NORMAL} or {NO_FINDING}
    return frozenset(
        name for label in findings for name in (canonical(label), *_IMPLIED.get(label, ()))
    )


def _folder(row: Row) -> str:
    return f"{row.integer('ImageDir')}/" if row["ImageDir"] else ""


def _patient(row: Row) -> str:
    if not row["PatientID"]:
        raise row.wrong("PatientID", "a patient")
    return row["PatientID"]
