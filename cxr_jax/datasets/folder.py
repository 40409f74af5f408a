"""A user's own images: one folder a class.

```
DIR/
  normal/            …images, in subfolders if you like: PNG, JPEG, TIFF, DICOM
  Cardiomegaly/      …
  masks/             optional: the image's name, with or without its folder, any suffix
  patients.csv       optional: image,patient[,view][,laterality]
```
A folder's name is its finding, by its name in `findings` where it is there; "normal", "no finding",
"healthy" and "negative" are "No Finding".
An image has the finding of its folder and none of the others.

An image is named by its path below DIR, "Cardiomegaly/a.png"; in `patients.csv` and `masks/` the
file's name is enough where no other image has it. `patients.csv` names the patient of every image,
and if you like its view (PA, CC, …) and the breast's laterality (L or R). Without it, DICOM files
say all this themselves, and any other image counts as a patient of its own: do write the table if
patients have several images, or one may get into training and test. Patients are shown as hashes.

A mask is as large as its image, 0 outside, and shows the finding of its image's folder. Images of
the other folders have the empty mask of that finding; an image of the same folder without a mask
has none.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath

from cxr_jax.datasets.mammogram import side
from cxr_jax.datasets.table import Row, read_table
from cxr_jax.errors import DataError
from cxr_jax.pipeline import dicom
from cxr_jax.pipeline.bad_image import BadImageError
from cxr_jax.pipeline.dicom import Exam
from cxr_jax.pipeline.findings import canonical
from cxr_jax.pipeline.record import NO_FINDING, Mask, MaskFiles, Record, hash_patient

_MASKS, _PATIENTS = "masks", "patients.csv"
_NOT_IMAGES = ("thumbs.db", "desktop.ini")
_SALT = "folder"

_Names = Mapping[str, list[str]]


def read(data_dir: Path) -> list[Record]:
    """Read a record for every file in the class folders, by class and name.

    Args:
      data_dir: the folder described above.

    Raises:
      DataError: there are no class folders or no images, `patients.csv` is malformed or lacks an
        image, or a mask belongs to no image.
    """
    if not data_dir.is_dir():
        raise DataError(f"{data_dir}: no such folder; --data_dir names the folder of your images")
    images = {
        path.relative_to(data_dir).as_posix(): path
        for folder in sorted(data_dir.iterdir())
        if folder.is_dir() and folder.name != _MASKS
        for path in _files(folder, data_dir)
    }
    if not images:
        raise DataError(
            f"{data_dir}: holds no folders with images; put those of each class in a folder named "
            "after it, such as normal and Cardiomegaly"
        )
    findings = {name.split("/")[0]: canonical(name.split("/")[0]) for name in images}
    exams = _exams(data_dir / _PATIENTS, images)
    masks = _masks(data_dir / _MASKS, images)
    masked = {findings[name.split("/")[0]] for name in masks} - {NO_FINDING}
    records = []
    for name, path in images.items():
        finding = findings[name.split("/")[0]]
        record = Record(
            image=name,
            path=path,
            patient=exams[name].patient or name,
            view=exams[name].view,
            laterality=exams[name].laterality,
            labels={other: float(other == finding) for other in (*findings.values(), NO_FINDING)},
            masks=_masks_of(finding, masked, masks.get(name)),
        )
        records.append(record)
    return records


def _files(folder: Path, data_dir: Path) -> Iterator[Path]:
    """Everything below a folder but what operating systems leave there."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(data_dir).parts
        is_hidden = any(part.startswith(".") for part in parts)
        if path.is_file() and not is_hidden and path.name.lower() not in _NOT_IMAGES:
            yield path


def _exams(table: Path, images: Mapping[str, Path]) -> dict[str, Exam]:
    """Image -> patient, view and laterality; by the table where there is one."""
    if not table.is_file():
        return {name: _from_header(path) for name, path in images.items()}
    names = _by_name({name: name for name in images})
    exams: dict[str, Exam] = {}
    for row in read_table(table, ("image", "patient"), optional=("view", "laterality")):
        found = names.get(row["image"].replace("\\", "/"), [])
        if len(found) != 1:
            raise row.wrong("image", "the name of one image, with its folder if others have it")
        if found[0] in exams:
            raise row.wrong("image", "every image once")
        exams[found[0]] = _from_row(row)
    missing = [name for name in images if name not in exams]
    if missing:
        raise DataError(
            f"{table}: lacks {len(missing):,} of {len(images):,} images, {missing[0]} the first; "
            "add a line for each, or remove the file"
        )
    return exams


def _from_row(row: Row) -> Exam:
    if not row["patient"]:
        raise row.wrong("patient", "a patient")
    return Exam(
        patient=hash_patient(row["patient"], salt=_SALT),
        view=row["view"].upper(),
        laterality=side(row, "laterality") if row["laterality"] else "",
    )


def _from_header(path: Path) -> Exam:
    """What a DICOM file says; a file that cannot be read is left to whoever decodes it."""
    nobody = Exam(patient="", view="", laterality="")
    try:
        return dicom.read_exam(path, salt=_SALT) if dicom.is_dicom_file(path) else nobody
    except (OSError, BadImageError):
        return nobody


def _masks_of(
    finding: str, masked: Collection[str], paths: list[Path] | None
) -> Mapping[str, Mask]:
    """Finding -> mask of an image of some finding; `paths` are its own mask files, if any."""
    if finding == NO_FINDING:
        return {other: MaskFiles(paths=tuple(paths or ())) for other in masked}
    others = {other: MaskFiles(paths=()) for other in masked if other != finding}
    return others if paths is None else {**others, finding: MaskFiles(paths=tuple(paths))}


def _masks(folder: Path, images: Mapping[str, Path]) -> dict[str, list[Path]]:
    """Image -> its masks; empty where there is no such folder."""
    masks: dict[str, list[Path]] = {}
    if not folder.is_dir():
        return masks
    names = _by_name({name: _bare(name) for name in images})
    for path in _files(folder, folder):
        found = names.get(_bare(path.relative_to(folder).as_posix()), [])
        if len(found) != 1:
            raise DataError(
                f"{path}: belongs to {len(found) or 'no'} images; name a mask as its image, with "
                "the image's folder if another image has the same name"
            )
        masks.setdefault(found[0], []).append(path)
    return masks


def _bare(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _by_name(names: Mapping[str, str]) -> _Names:
    """Name, with folders and without -> the images that have it."""
    by_name: dict[str, list[str]] = {}
    for image, name in names.items():
        for key in {name, name.split("/")[-1]}:
            by_name.setdefault(key, []).append(image)
    return by_name
