"""A user's own images, described by one CSV file.

```
path,patient,view,laterality,split,Cardiomegaly,Effusion,mask_Effusion
a/1.png,p1,PA,,train,1,0,
a/2.dcm,p2,AP,,test,,-1,masks/2.png
```
The data directory is the file's folder, where it holds no other CSV file, or the file itself.
Columns:
- `path` (or `image`): of the image, PNG, JPEG, TIFF or DICOM, below the folder; required;
- `patient`: whoever shares it never gets into two splits, shown as a hash; required;
- `view`: PA, AP, CC, MLO, …; `laterality`: of a breast, L or R; optional, and so may be cells;
- `split`: train, validation or test, of all images or of none;
- `mask_<finding>`: the path of a mask as large as its image, 0 outside;
- `rle_<finding>`: the same as run lengths, as `pipeline.rle` describes them;
- every other column is a finding, by its name in `findings` where it is there: 1 (present), 0
  (absent), -1 (uncertain), or nothing (unknown). "No Finding" may be one.

Several masks of an image have `|` between. Where a mask's cell is empty the mask is unknown, except
that an image labelled 0 has the empty mask; for run lengths that is "-1" too.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from cxr_jax.datasets.files import inside, require_images
from cxr_jax.datasets.mammogram import side
from cxr_jax.datasets.table import Row, read_table
from cxr_jax.errors import DataError
from cxr_jax.pipeline.findings import canonical
from cxr_jax.pipeline.record import UNCERTAIN, Mask, MaskFiles, Record, RunLengths, hash_patient
from cxr_jax.pipeline.rle import parse_rle

_PATHS = ("path", "image")
_OPTIONAL = ("view", "laterality", "split")
_MASK, _RLE = "mask_", "rle_"
_SPLITS = {"": None, "train": "train", "validation": "validation", "valid": "validation"}
_SPLITS |= {"val": "validation", "test": "test"}
_LABELS = (0.0, 1.0, UNCERTAIN)
_ANY_SHAPE = (2**20, 2**20)


def read(data_dir: Path) -> list[Record]:
    """Read a record for every line, in that order.

    An image that is not on disk has a record all the same, as long as others are: whoever decodes
    it decides what becomes of it.

    Args:
      data_dir: the folder or the file described above.

    Raises:
      DataError: there is no such file, or not one alone, or it is malformed, or no image is there.
    """
    table = _table(data_dir)
    rows = read_table(table, ("patient",), optional=_OPTIONAL, others=True)
    if not rows:
        raise DataError(f"{table}: no lines below the header; add a line for each image")
    names = list(rows[0].position)
    path_column = _path_column(table, names)
    masks = _by_finding(
        table, {n: n.split("_", 1)[1] for n in names if n.startswith((_MASK, _RLE))}
    )
    ours = {"patient", path_column, *_OPTIONAL}
    findings = _by_finding(table, {n: n for n in names if n not in ours | set(masks.values())})
    if not findings:
        raise DataError(f"{table}: no column is a finding, such as Cardiomegaly; add one")
    records: dict[str, Record] = {}
    for row in rows:
        image = PurePosixPath(row[path_column].replace("\\", "/")).as_posix()
        path = inside(table.parent, image, row, path_column)
        if image in records:
            raise row.wrong(path_column, "every image once")
        if not row["patient"]:
            raise row.wrong("patient", "a patient")
        if row["split"].lower() not in _SPLITS:
            raise row.wrong("split", "train, validation, test or nothing")
        labels = {finding: _label(row, column) for finding, column in findings.items()}
        records[image] = Record(
            image=image,
            path=path,
            patient=hash_patient(row["patient"], salt="csv"),
            view=row["view"].upper(),
            laterality=side(row, "laterality") if row["laterality"] else "",
            labels=labels,
            split=_SPLITS[row["split"].lower()],
            masks=_masks(row, masks, labels),
        )
    return require_images(table, list(records.values()))


def _table(data_dir: Path) -> Path:
    if data_dir.is_file():
        return data_dir
    found = sorted([*data_dir.glob("*.csv"), *data_dir.glob("*.csv.gz")])
    if len(found) != 1:
        raise DataError(
            f"{data_dir}: holds {len(found) or 'no'} CSV files where one is expected; --data_dir "
            "names its folder, or the file itself"
        )
    return found[0]


def _path_column(table: Path, names: Iterable[str]) -> str:
    present = [name for name in names if name in _PATHS]
    if len(present) != 1:
        raise DataError(
            f"{table}: expected one column path (or image), found {len(present) or 'none'}"
        )
    return present[0]


def _by_finding(table: Path, names: Mapping[str, str]) -> dict[str, str]:
    """Finding -> column, of column -> its name for the finding."""
    columns: dict[str, str] = {}
    for column, name in names.items():
        if (other := columns.setdefault(canonical(name), column)) != column:
            raise DataError(
                f"{table}: columns {other!r} and {column!r} are of the same finding; remove one"
            )
    return columns


def _label(row: Row, column: str) -> float:
    if not row[column]:
        return float("nan")
    try:
        label = float(row[column])
    except ValueError:
        label = float("nan")
    if label not in _LABELS:
        raise row.wrong(column, "1, 0, -1 or nothing, as in every column that is a finding")
    return label


def _masks(row: Row, columns: Mapping[str, str], labels: Mapping[str, float]) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    for finding, column in columns.items():
        texts = [text.strip() for text in row[column].split("|") if text.strip()]
        if texts or labels.get(finding) == 0:
            read = _files if column.startswith(_MASK) else _runs
            masks[finding] = read(row, column, texts)
    return masks


def _files(row: Row, column: str, texts: Iterable[str]) -> MaskFiles:
    return MaskFiles(paths=tuple(inside(row.path.parent, text, row, column) for text in texts))


def _runs(row: Row, column: str, texts: Iterable[str]) -> RunLengths:
    for text in texts:
        try:
            parse_rle(text, _ANY_SHAPE)  # of the image, which is not known here
        except ValueError as error:
            raise row.wrong(column, f"pairs of gap and length, or -1 ({error})") from error
    return RunLengths(texts=tuple(texts))
