"""CBIS-DDSM: 3,103 film mammograms of 1,566 patients with 3,568 abnormalities.

Get it from https://www.cancerimagingarchive.net/collection/cbis-ddsm (TCIA, DICOM) with the four
tables `{mass,calc}_case_description_{train,test}_set.csv`, or as JPEG from
https://www.kaggle.com/datasets/awsaf49/cbis-ddsm-breast-cancer-image-dataset. The folder holds the
tables, or has them in `csv/`, and the images as they come:
- TCIA: `[CBIS-DDSM/]Mass-Training_P_00001_LEFT_CC/<study>/<series>/000000.dcm`; or, as newer
  downloads name what is inside of the first folder, any `*.dcm` there;
- Kaggle: `jpeg/<series>/*.jpg`.
Some of the tables are enough, and so are the mammograms without regions.

The tables have a line an abnormality. Their columns for crop and mask are often exchanged, so the
mask is the one that has the image's size. An image is "Malignant" (1) if any abnormality on this
view of this breast is, by either kind's tables: mass and calcification tables name the same film
twice, as two images. BENIGN and BENIGN_WITHOUT_CALLBACK are 0. No image is without finding.

The official split is used. Masses and calcifications were divided separately, so some patients are
in one's training and the other's test set: all their images are in "test" here.

Licence: CC BY 3.0.
Cite: Sawyer-Lee R, Gimenez F, Hoogi A, Rubin D. Curated Breast Imaging Subset of Digital Database
for Screening Mammography (CBIS-DDSM). The Cancer Imaging Archive, 2016. Lee RS, Gimenez F, Hoogi A,
Miyake KK, Gorovoy M, Rubin DL. A curated mammography data set for use in computer-aided detection
and diagnosis research. Scientific Data 4, 170177 (2017).
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cxr_jax.datasets.files import find_table
from cxr_jax.datasets.mammogram import side
from cxr_jax.datasets.table import Row, read_table
from cxr_jax.errors import DataError
from cxr_jax.pipeline.record import Mask, Record, RegionFiles

FINDING = "Malignant"
MASK = "Abnormality"
"""What the regions outline, benign or malignant."""

_PATHOLOGIES = {"MALIGNANT": 1.0, "BENIGN": 0.0, "BENIGN_WITHOUT_CALLBACK": 0.0}
_VIEWS = ("CC", "MLO")
_IMAGE, _CROP, _MASK = "image file path", "cropped image file path", "ROI mask file path"
_SIDE, _VIEW = "left or right breast", "image view"
_COLUMNS = ("patient_id", _SIDE, _VIEW, "pathology", _IMAGE, _CROP, _MASK)


def read(data_dir: Path) -> list[Record]:
    """Read the data set's records, one for every image that its tables name, in their order.

    An image that is not on disk has a record all the same, as long as others are: whoever decodes
    it decides what becomes of it. A record has a mask if a file of one of its regions is there.

    Args:
      data_dir: the folder described above.

    Raises:
      DataError: the folder, the tables or all images are missing, or a line is malformed.
    """
    rows, test_patients = _rows(data_dir)
    malignant = {_film(row) for row in rows if row["pathology"] == "MALIGNANT"}
    images: dict[str, list[Row]] = {}
    for row in rows:
        of_image = images.setdefault(_parts(row, _IMAGE)[0], [])
        of_image.append(row)
        if _film(row) != _film(of_image[0]):
            first = f"line {of_image[0].line} of {of_image[0].path.name}"
            raise row.wrong(_IMAGE, f"an image of the same patient, breast and view as {first}")
    files = _Jpegs(data_dir / "jpeg") if (data_dir / "jpeg").is_dir() else _Dicoms(data_dir)
    records = []
    for image, of_image in images.items():
        patient, side, view = film = _film(of_image[0])
        path = _image_file(files, of_image[0])
        record = Record(
            image=image,
            path=path,
            patient=patient,
            view=view,
            laterality=side,
            labels={FINDING: float(film in malignant)},
            split="test" if patient in test_patients else "train_validation",
            masks=_regions(files, of_image, path),
        )
        records.append(record)
    if not any(record.path.is_file() for record in records):
        raise DataError(
            f"{data_dir}: its tables name {len(records):,} images, and none is there; "
            f"{records[0].path} would be the first; unpack the images there"
        )
    return records


def _rows(data_dir: Path) -> tuple[list[Row], set[str]]:
    """The lines of all tables, and the patients in a test set."""
    rows: list[Row] = []
    test_patients: set[str] = set()
    for kind in ("mass", "calc"):
        for split in ("train", "test"):
            name = f"{kind}_case_description_{split}_set.csv"
            table = find_table(data_dir / "csv", name) or find_table(data_dir, name)
            if table is not None:
                found = [_checked(row) for row in read_table(table, _COLUMNS)]
                rows += found
                test_patients |= {row["patient_id"] for row in found if split == "test"}
    if not rows:
        raise DataError(
            f"{data_dir}: holds no mass_case_description_train_set.csv with lines in it, nor one "
            "of the three tables like it, nor does its csv folder; --data_dir names what does "
            "(https://www.cancerimagingarchive.net/collection/cbis-ddsm)"
        )
    return rows, test_patients


def _checked(row: Row) -> Row:
    for column, known in ((_VIEW, _VIEWS), ("pathology", _PATHOLOGIES)):
        if row[column] not in known:
            raise row.wrong(column, " or ".join(known))
    if not row["patient_id"]:
        raise row.wrong("patient_id", "a patient")
    for column in (_IMAGE, _CROP, _MASK):
        _parts(row, column)
    return row


def _film(row: Row) -> tuple[str, str, str]:
    """Patient, side and view: what tells one film from another."""
    return row["patient_id"], side(row, _SIDE), row[_VIEW]


def _parts(row: Row, column: str) -> tuple[str, ...]:
    """The folders and the file of a path; only the image's is always there."""
    parts = PurePosixPath(row[column]).parts
    if (len(parts) < 3 and (parts or column == _IMAGE)) or {"..", "/"} & set(parts):
        raise row.wrong(
            column, "a path such as Mass-Training_P_00001_LEFT_CC/1.3.6/1.3.6/000000.dcm"
        )
    return parts


class _Dicoms:
    """TCIA's layout."""

    def __init__(self, data_dir: Path) -> None:
        below = data_dir / "CBIS-DDSM"
        self._folder = below if below.is_dir() else data_dir

    def expected(self, parts: Sequence[str]) -> Path:
        """Where the file is, by the table."""
        return self._folder.joinpath(*parts)

    def found(self, parts: Sequence[str]) -> list[Path]:
        """It, or else all that may be it."""
        path = self.expected(parts)
        return [path] if path.is_file() else sorted((self._folder / parts[0]).rglob("*.dcm"))


class _Jpegs:
    """Kaggle's layout: a folder a series, files renamed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def expected(self, parts: Sequence[str]) -> Path:
        return self._folder / parts[-2]

    def found(self, parts: Sequence[str]) -> list[Path]:
        return sorted(self.expected(parts).glob("*.jpg"))


def _image_file(files: _Dicoms | _Jpegs, row: Row) -> Path:
    parts = _parts(row, _IMAGE)
    found = files.found(parts)
    if len(found) > 1:
        raise row.wrong(_IMAGE, f"one image; {found[0]} and {found[1]} may both be it,")
    return found[0] if found else files.expected(parts)


def _regions(files: _Dicoms | _Jpegs, rows: Sequence[Row], image: Path) -> dict[str, Mask]:
    regions: list[tuple[Path, ...]] = []
    anything = False
    for row in rows:
        cells = [parts for parts in (_parts(row, _MASK), _parts(row, _CROP)) if parts]
        if not cells:
            return {}
        found = [path for parts in cells for path in files.found(parts) if path != image]
        anything |= bool(found)
        regions.append(tuple(dict.fromkeys(found or map(files.expected, cells))))
    return {MASK: RegionFiles(regions=tuple(regions))} if anything else {}
