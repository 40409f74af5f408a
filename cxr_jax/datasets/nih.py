"""NIH ChestX-ray14: 112,120 frontal chest radiographs of 30,805 patients, 14 findings.

Get it from https://nihcc.app.box.com/v/ChestXray-NIHCC: `Data_Entry_2017_v2020.csv` (or the older
`Data_Entry_2017.csv`), `images_001.tar.gz` to `images_012.tar.gz`, and if you like
`train_val_list.txt`, `test_list.txt` and `BBox_List_2017.csv`. The folder holds these files and the
images, all in `images/` or in the folder itself, or as the archives unpack, in `images_001/images/`
and so on. Images are 8-bit PNG of 1024 x 1024 pixels, some of them RGBA.

Without the two lists the set is split by patient. Three lists that others have published are
followed too (`train_list.txt`, `val_list.txt`, `test_list.txt`, of which each line begins with an
image: https://github.com/arnoweng/CheXNet).

The labels were mined from the reports by text; the NIH claims that over 90 % are right. 4,376
images have labels of radiologists too, which `--nih_labels=expert` takes instead: fracture,
pneumothorax, airspace opacity, nodule or mass. Put `validation_labels.csv` and `test_labels.csv`
into the folder (https://cloud.google.com/healthcare-api/docs/resources/public-datasets/nih-chest),
or what torchxrayvision has for both, `google2019_nih-chest-xray-labels.csv.gz`. Without the NIH's
lists these images are split as the two files say.

Licence: no restrictions on use; the NIH asks to link to the download site, to cite the paper, and
to acknowledge the NIH Clinical Center as the data's provider.
Cite: Wang X, Peng Y, Lu L, Lu Z, Bagheri M, Summers RM. ChestX-ray8: Hospital-scale Chest X-ray
Database and Benchmarks on Weakly-Supervised Classification and Localization of Common Thorax
Diseases. CVPR 2017. For the radiologists' labels: Majkowska A, Mittal S, Steiner DF, et al. Chest
Radiograph Interpretation with Deep Learning Models: Assessment with Radiologist-adjudicated
Reference Standards and Population-adjusted Evaluation. Radiology 294(2), 421-431 (2020).
"""

from pathlib import Path

from cxr_jax.datasets import nih_expert
from cxr_jax.datasets.files import files_by_name, find_table, inside, require_table
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.datasets.table import Row, read_names, read_table
from cxr_jax.errors import DataError
from cxr_jax.pipeline.findings import canonical
from cxr_jax.pipeline.record import NO_FINDING, Box, Record

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)

_SOURCE = "https://nihcc.app.box.com/v/ChestXray-NIHCC"
_LABEL_FILES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
_LISTS = {"train_validation": "train_val_list.txt", "test": "test_list.txt"}
_OTHER_LISTS = {"train": "train_list.txt", "validation": "val_list.txt", "test": "test_list.txt"}
_BOXES = "BBox_List_2017.csv"


def read(data_dir: Path, *, nih_labels: str = "mined") -> list[Record]:
    """Read the data set's records, one for every line of its label file, in that order.

    Every finding is labelled 1 or 0, and "No Finding" too. An image that is not on disk has a
    record all the same, as long as others are: whoever decodes it decides what becomes of it.

    Args:
      data_dir: the folder described above.
      nih_labels: "mined" are those of the label file; "expert" are those of the radiologists, and
        only the images that they saw are read.

    Raises:
      ValueError: nih_labels is another word.
      DataError: the folder, the label file or all images are missing, or a line is malformed.
    """
    ReaderConfig(nih_labels=nih_labels)
    label_file = require_table(data_dir, *_LABEL_FILES, source=_SOURCE)
    rows = read_table(label_file, ("Image Index", "Finding Labels", "Patient ID", "View Position"))
    if not rows:
        raise DataError(f"{label_file}: no lines below the header; get the original file")
    lines: dict[str, int] = {}
    for row in rows:
        if not row["Image Index"]:
            raise row.wrong("Image Index", "the name of an image file")
        first = lines.setdefault(row["Image Index"], row.line)
        if first != row.line:
            raise row.wrong("Image Index", f"an image that is not in line {first} already")
    files = files_by_name(
        [data_dir / "images", *sorted(data_dir.glob("images_*/images")), data_dir]
    )
    if not files.keys() & lines.keys():
        raise DataError(
            f"{label_file}: names {len(lines):,} images, {rows[0]['Image Index']} the first, and "
            f"none is in {data_dir}/images or {data_dir}/images_*/images; unpack the archives there"
        )
    splits = _splits(data_dir, rows)
    boxes = _boxes(find_table(data_dir, _BOXES))
    if nih_labels == "expert":
        readings = nih_expert.read_labels(data_dir)
        rows = [row for row in rows if row["Image Index"] in readings]
        labels = {image: reading.labels for image, reading in readings.items()}
        splits = splits or {image: reading.split for image, reading in readings.items()}
    else:
        labels = {row["Image Index"]: _labels(row) for row in rows}
    return [
        Record(
            image=row["Image Index"],
            path=files.get(
                row["Image Index"],
                inside(data_dir / "images", row["Image Index"], row, "Image Index"),
            ),
            patient=str(row.integer("Patient ID")),
            view=_view(row),
            labels=labels[row["Image Index"]],
            bit_depth=8,
            split=splits.get(row["Image Index"]),
            boxes=tuple(boxes.get(row["Image Index"], ())),
        )
        for row in rows
    ]


def _splits(data_dir: Path, rows: list[Row]) -> dict[str, str]:
    """Image -> split, by the official lists; empty where there are none."""
    official = (data_dir / _LISTS["train_validation"]).is_file()
    lists = _OTHER_LISTS if (data_dir / "train_list.txt").is_file() and not official else _LISTS
    paths = {split: data_dir / name for split, name in lists.items()}
    present = [path.name for path in paths.values() if path.is_file()]
    if not present:
        return {}
    if len(present) < len(paths):
        raise DataError(
            f"{data_dir}: holds {present[0]} without the other of {' and '.join(lists.values())}; "
            "add it, or remove both to have the data set split by patient"
        )
    splits: dict[str, str] = {}
    for split, path in paths.items():
        for text, line in read_names(path).items():
            image = text.split()[0].split("/")[-1]
            if splits.setdefault(image, split) != split:
                raise DataError(
                    f"{path}, line {line}: {image} is in {paths[splits[image]].name} too; "
                    "get the original lists"
                )
    for row in rows:
        if row["Image Index"] not in splits:
            raise row.wrong("Image Index", f"an image of {' or '.join(lists.values())}")
    return splits


def _boxes(table: Path | None) -> dict[str, list[Box]]:
    """Image -> its boxes; empty where the file is not there."""
    boxes: dict[str, list[Box]] = {}
    if table is None:
        return boxes
    left, top, width, height = "Bbox [x", "y", "w", "h]"
    for row in read_table(table, ("Image Index", "Finding Label", left, top, width, height)):
        finding = canonical(row["Finding Label"])  # "Infiltrate" among them
        if finding not in FINDINGS:
            raise row.wrong("Finding Label", f"one of {', '.join(FINDINGS)}")
        box = Box(
            finding=finding,
            left=row.number(left),
            top=row.number(top),
            width=row.number(width),
            height=row.number(height),
        )
        boxes.setdefault(row["Image Index"], []).append(box)
    return boxes


def _view(row: Row) -> str:
    if row["View Position"] not in ("PA", "AP"):
        raise row.wrong("View Position", "PA or AP")
    return row["View Position"]


def _labels(row: Row) -> dict[str, float]:
    found = row["Finding Labels"].split("|")
    if not set(found) <= {*FINDINGS, NO_FINDING}:
        raise row.wrong("Finding Labels", f"{NO_FINDING}, or {', '.join(FINDINGS)} joined by |")
    if NO_FINDING in found and len(found) > 1:
        raise row.wrong("Finding Labels", f"{NO_FINDING} alone or findings")
    return {finding: float(finding in found) for finding in (*FINDINGS, NO_FINDING)}
