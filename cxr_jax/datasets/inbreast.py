"""INbreast: 410 digital mammograms of 115 women, with lesions outlined by a radiologist.

Ask for it at https://medicalresearch.inescporto.pt/breastresearch/index.php/Get_INbreast_Database.
The folder holds `INbreast.csv` (cells with semicolons between), the images in
`AllDICOMs/<File Name>_<patient>_MG_<L|R>_<CC|ML>_ANON.dcm`, and if you like the outlines in
`AllXML/<File Name>.xml`. The table's patients are "removed", so they are read from the names of the
images; an image that is not on disk has a patient of its own. No official split.

There is no biopsy of every lesion, so labels are BI-RADS categories, as `mammogram.birads_labels`
reads them: "Suspicious" (4 to 6) is what most papers call malignant here. The mask holds all
outlines, whatever they are of; an image without a file of outlines has none, so its mask is empty.

Licence: for research, after signing the transfer agreement; not to be passed on.
Cite: Moreira IC, Amaral I, Domingues I, Cardoso A, Cardoso MJ, Cardoso JS. INbreast: toward a
full-field digital mammographic database. Academic Radiology 19(2), 236-248 (2012).
"""

import plistlib
import re
from pathlib import Path
from xml.parsers.expat import ExpatError

from cxr_jax.datasets.files import require_images, require_table
from cxr_jax.datasets.mammogram import birads_labels, side, view
from cxr_jax.datasets.table import Row, read_table
from cxr_jax.errors import DataError
from cxr_jax.pipeline.record import Mask, Polygons, Record

MASK = "Abnormality"
"""What is outlined: masses, calcifications, distortions, asymmetries."""

_COLUMNS = ("Laterality", "View", "File Name", "Bi-Rads")
_FILE = re.compile(r"(\d+)_([^_]+)_MG_[LR]_[A-Z]+_ANON\.dcm", re.IGNORECASE)
_FARTHEST = 2**15
"""Pixels; no film is as large, and OpenCV cannot fill farther."""

_Outline = tuple[tuple[float, float], ...]


def read(data_dir: Path) -> list[Record]:
    """Read the data set's records, one for every line of its table, in that order.

    Args:
      data_dir: the folder described above.

    Raises:
      DataError: the folder, the table or all images are missing, or a line or a file of outlines is
        malformed.
    """
    source = "https://medicalresearch.inescporto.pt/breastresearch"
    table = require_table(data_dir, "INbreast.csv", source=source)
    rows: dict[str, Row] = {}
    for row in read_table(table, _COLUMNS):
        name = str(row.integer("File Name"))
        if rows.setdefault(name, row) is not row:
            raise row.wrong("File Name", f"an image that is not in line {rows[name].line} already")
    files = _files(data_dir / "AllDICOMs")
    records = []
    for name, row in rows.items():
        path, patient = files.get(name, (data_dir / "AllDICOMs" / f"{name}.dcm", name))
        record = Record(
            image=name,
            path=path,
            patient=patient,
            view={"ML": "MLO"}.get(row["View"], view(row, "View")),
            laterality=side(row, "Laterality"),
            labels=birads_labels(row, "Bi-Rads"),
            masks=_masks(data_dir / "AllXML", name),
        )
        records.append(record)
    return require_images(table, records)


def _files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Image -> its file and the patient that the file's name tells."""
    files: dict[str, tuple[Path, str]] = {}
    for path in sorted(folder.glob("*")):
        if match := _FILE.fullmatch(path.name):
            other, _ = files.setdefault(match[1], (path, match[2]))
            if other != path:
                raise DataError(f"{path}: {other.name} is the same image; remove one of them")
    return files


def _masks(folder: Path, image: str) -> dict[str, Mask]:
    if not folder.is_dir():
        return {}
    path = folder / f"{image}.xml"
    return {MASK: Polygons(outlines=_outlines(path) if path.is_file() else ())}


def _outlines(path: Path) -> tuple[_Outline, ...]:
    """The regions of a property list that OsiriX wrote."""
    try:
        found = plistlib.loads(path.read_bytes(), fmt=plistlib.FMT_XML)
        regions = [region for image in found["Images"] for region in image["ROIs"]]
        outlines = [tuple(map(_point, region["Point_px"])) for region in regions]
        lost = [
            region["NumberOfPoints"]
            for region, outline in zip(regions, outlines, strict=True)
            if region["NumberOfPoints"] != len(outline)
        ]
        if lost:
            raise ValueError(f"a region lacks some of its {lost[0]} points")
    except (ExpatError, ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise DataError(
            f"{path}: cannot be read as OsiriX's list of regions: {error}; get it again"
        ) from error
    return tuple(outline for outline in outlines if outline)


def _point(text: str) -> tuple[float, float]:
    """(x, y) of "(1021.5, 733.25)"."""
    x, y = (float(number) for number in text.strip("() ").split(","))
    if not max(abs(x), abs(y)) < _FARTHEST:
        raise ValueError(f"{text} is no point of a film")
    return x, y
