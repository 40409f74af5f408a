"""MIMIC-CXR-JPG: 377,110 chest radiographs of 65,379 patients, 14 observations read from reports.

Get it from https://physionet.org/content/mimic-cxr-jpg/2.0.0/ (credentialed access). The folder
holds, as they come or unpacked, `mimic-cxr-2.0.0-metadata.csv.gz`, `mimic-cxr-2.0.0-split.csv.gz`
and one or both of `mimic-cxr-2.0.0-chexpert.csv.gz` and `mimic-cxr-2.0.0-negbio.csv.gz`, which are
the labels of two programs, and the images as `files/p10/p10000032/s50414267/<dicom_id>.jpg`.

Labels are those of the study: 1 mentioned, 0 denied, -1 uncertain, blank not mentioned; all its
images have them. A study that the labels' table lacks has only blanks. The official split is used;
without its table the set is split by patient. View "LL" and "LATERAL" are lateral films.

Licence: PhysioNet Credentialed Health Data License 1.5.0 (no redistribution).
Cite: Johnson AEW, Pollard TJ, Greenbaum NR, et al. MIMIC-CXR-JPG, a large publicly available
database of labeled chest radiographs. arXiv:1901.07042 (2019). Goldberger AL, Amaral LAN, Glass L,
et al. PhysioBank, PhysioToolkit, and PhysioNet. Circulation 101(23), e215-e220 (2000).
"""

import math
from pathlib import Path

from cxr_jax.datasets.chexpert import OBSERVATIONS, labels_of
from cxr_jax.datasets.files import find_table, inside, require_images, require_table
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.datasets.table import read_table
from cxr_jax.pipeline.findings import canonical
from cxr_jax.pipeline.record import NO_FINDING, Record

_SOURCE = "https://physionet.org/content/mimic-cxr-jpg/2.0.0/"
_TABLE = "mimic-cxr-2.0.0-{}.csv"
_SPLITS = {"train": "train", "validate": "validation", "test": "test"}
_BLANK = {canonical(name): math.nan for name in (NO_FINDING, *OBSERVATIONS)}


def read(data_dir: Path, *, labeller: str = "chexpert") -> list[Record]:
    """Read the data set's records, one for every line of its metadata, in that order.

    An image that is not on disk has a record all the same, as long as others are: whoever decodes
    it decides what becomes of it.

    Args:
      data_dir: the folder described above.
      labeller: whose labels to take, "chexpert" or "negbio".

    Raises:
      ValueError: labeller is another word.
      DataError: the folder, a table or all images are missing, or a line is malformed.
    """
    ReaderConfig(labeller=labeller)
    metadata = require_table(data_dir, _TABLE.format("metadata"), source=_SOURCE)
    labels = _labels(require_table(data_dir, _TABLE.format(labeller), source=_SOURCE))
    splits = _splits(find_table(data_dir, _TABLE.format("split")))
    records: dict[str, Record] = {}
    for row in read_table(metadata, ("dicom_id", "subject_id", "study_id", "ViewPosition")):
        image, patient, study = row["dicom_id"], row.integer("subject_id"), row.integer("study_id")
        if image in records:
            raise row.wrong("dicom_id", "an image that no line before has")
        if splits and image not in splits:
            raise row.wrong("dicom_id", f"an image of {_TABLE.format('split')}")
        name = f"files/p{str(patient)[:2]}/p{patient}/s{study}/{image}.jpg"
        records[image] = Record(
            image=image,
            path=inside(data_dir, image and name, row, "dicom_id"),
            patient=str(patient),
            view=row["ViewPosition"].upper(),
            labels=labels.get((patient, study), _BLANK),
            bit_depth=8,
            split=splits.get(image),
        )
    return require_images(metadata, list(records.values()))


def _labels(table: Path) -> dict[tuple[int, int], dict[str, float]]:
    """(Patient, study) -> labels."""
    labels: dict[tuple[int, int], dict[str, float]] = {}
    for row in read_table(table, ("subject_id", "study_id", NO_FINDING, *OBSERVATIONS)):
        study = row.integer("subject_id"), row.integer("study_id")
        if study in labels:
            raise row.wrong("study_id", "a study that no line before has")
        labels[study] = labels_of(row)
    return labels


def _splits(table: Path | None) -> dict[str, str]:
    """Image -> split; empty without a table."""
    splits: dict[str, str] = {}
    for row in read_table(table, ("dicom_id", "split")) if table else ():
        if row["split"] not in _SPLITS:
            raise row.wrong("split", " or ".join(_SPLITS))
        splits[row["dicom_id"]] = _SPLITS[row["split"]]
    return splits
