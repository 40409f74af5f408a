"""SIIM-ACR Pneumothorax: 12,047 frontal chest radiographs, 2,669 with pneumothorax and its masks.

Get it from https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation (its images come from NIH
ChestX-ray14, so the two must not be used to test each other). The folder holds `train-rle.csv` or
`stage_2_train.csv` or both, and anywhere below it the images, `<ImageId>.dcm` as in
`dicom-images-train/<study>/<series>/`, or `<ImageId>.png` of the same 1024 x 1024 pixels; folders
whose name begins with "mask" are passed over. Where both tables name an image, the later one,
of stage 2, is right. Images are 8 bits. No official split is published with labels.

The masks are run lengths as `rle` describes them; all masks of an image are united. An image
without is free of pneumothorax, not of other findings, so its "No Finding" is unknown.

Licence: the competition's rules (non-commercial research and education) and the terms of NIH
ChestX-ray14, whose provider, the NIH Clinical Center, is to be acknowledged.
Cite: Society for Imaging Informatics in Medicine, American College of Radiology, Society of
Thoracic Radiology. SIIM-ACR Pneumothorax Segmentation. Kaggle, 2019. Filice RW, Stein A, Wu CC, et
al. Crowdsourcing pneumothorax annotations using machine learning annotations on the NIH chest X-ray
dataset. Journal of Digital Imaging 33, 490-496 (2020).
"""

import os
from collections.abc import Mapping
from pathlib import Path

from cxr_jax.datasets.dicom_headers import read_exams
from cxr_jax.datasets.files import find_table, require_table
from cxr_jax.datasets.table import Row, read_table
from cxr_jax.errors import DataError
from cxr_jax.pipeline import dicom
from cxr_jax.pipeline.dicom import Exam
from cxr_jax.pipeline.record import Record, RunLengths
from cxr_jax.pipeline.rle import decode_rle, encode_rle, parse_rle

__all__ = ["FINDING", "decode_rle", "encode_rle", "read"]

FINDING = "Pneumothorax"
SIDE = 1024
"""Pixels, of the images and so of the masks."""

_SOURCE = "https://www.kaggle.com/c/siim-acr-pneumothorax-segmentation"
_TABLES = ("train-rle.csv", "stage_2_train.csv")


def read(data_dir: Path) -> list[Record]:
    """Read the data set's records, one for every image that its tables name, in their order.

    A patient is the hashed PatientID of the DICOM file, and each image its own where there is none.
    An image that is not on disk has a record all the same, as long as others are: whoever decodes
    it decides what becomes of it.

    Args:
      data_dir: the folder described above.

    Raises:
      DataError: the folder, the tables or all images are missing, or a line is malformed.
    """
    rows = _rows(data_dir)
    files = _files(data_dir, rows)
    first = next(iter(rows.values()))[0]
    if not files:
        raise DataError(
            f"{first.path}: names {len(rows):,} images, {first['ImageId']} the first, and none is "
            f"below {data_dir} as .dcm or .png; unpack them there"
        )
    dicoms = {image: path for image, path in files.items() if path.suffix.lower() in dicom.SUFFIXES}
    exams = read_exams(dicoms, salt="siim")
    nobody = Exam(patient="", view="", laterality="")
    records = []
    for image, masks in rows.items():
        exam = exams.get(image, nobody)
        texts = tuple(row["EncodedPixels"] for row in masks if row["EncodedPixels"] != "-1")
        record = Record(
            image=image,
            path=files.get(image, data_dir / "dicom-images-train" / f"{image}.dcm"),
            patient=exam.patient or image,
            view=exam.view,
            labels={FINDING: float(bool(texts))},
            bit_depth=8,
            masks={FINDING: RunLengths(texts=texts, height=SIDE, width=SIDE)},
        )
        records.append(record)
    return records


def _rows(data_dir: Path) -> dict[str, list[Row]]:
    """Image -> its lines, of the later table that names it."""
    require_table(data_dir, *_TABLES, source=_SOURCE)
    tables = [table for name in _TABLES if (table := find_table(data_dir, name))]
    rows: dict[str, list[Row]] = {}
    for table in tables:
        lines: dict[str, list[Row]] = {}
        for row in read_table(table, ("ImageId", "EncodedPixels")):
            lines.setdefault(row["ImageId"], []).append(row)
            _check(row, lines[row["ImageId"]][0])
        rows |= lines
    if not rows:
        raise DataError(f"{tables[0]}: no lines below the header; get the original file")
    return rows


def _check(row: Row, first: Row) -> None:
    """Refuse a line that makes no sense, alone or beside the image's first."""
    if not row["ImageId"] or Path(row["ImageId"]).name != row["ImageId"]:
        raise row.wrong("ImageId", "the name of an image")
    try:
        runs = parse_rle(row["EncodedPixels"], (SIDE, SIDE))
    except ValueError as error:
        raise row.wrong("EncodedPixels", f"pairs of gap and length, or -1 ({error})") from error
    if not runs and row["EncodedPixels"] != "-1":
        raise row.wrong("EncodedPixels", "pairs of gap and length, or -1")
    if (row["EncodedPixels"] == "-1") != (first["EncodedPixels"] == "-1"):
        expected = f"what agrees with line {first.line} (an image has masks or -1)"
        raise row.wrong("EncodedPixels", expected)


def _files(data_dir: Path, images: Mapping[str, object]) -> dict[str, Path]:
    """Image -> its file; DICOM before PNG."""
    dicoms: dict[str, Path] = {}
    pngs: dict[str, Path] = {}
    kinds = {".dcm": dicoms, ".dicom": dicoms, ".png": pngs}
    for folder, folders, names in os.walk(data_dir, followlinks=True):
        folders[:] = [name for name in folders if not name.lower().startswith(("mask", "."))]
        for path in (Path(folder, name) for name in names):
            kind = kinds.get(path.suffix.lower())
            if kind is None or path.stem not in images:
                continue
            other = kind.setdefault(path.stem, path)
            if other != path:
                raise DataError(f"{path}: is in {other.parent} too; remove one of them")
    return {**pngs, **dicoms}
