"""RSNA breast cancer detection: 54,706 screening mammograms of 11,913 women, 486 with cancer.

Get it from https://www.kaggle.com/competitions/rsna-breast-cancer-detection. The folder holds
`train.csv` and the images in `train_images/<patient_id>/<image_id>.dcm`. The test set is not
public, so patients are divided by chance.

"Cancer" (1) is proven by biopsy, and belongs to the breast: all images of a breast have the same
label. An image without may show benign findings. Beside CC and MLO there are a few of the views AT,
LM, ML and LMO; `--views=CC,MLO` leaves them out. One in 47 images has a cancer, so a class-balanced
choice of examples helps.

Licence: the competition's rules (non-commercial research and education).
Cite: Carr C, Kitamura F, Partridge G, et al. RSNA Screening Mammography Breast Cancer Detection.
Kaggle, 2022.
"""

from pathlib import Path

from cxr_jax.datasets.files import require_images, require_table
from cxr_jax.datasets.mammogram import side, view
from cxr_jax.datasets.table import Row, read_table
from cxr_jax.pipeline.record import Record

FINDING = "Cancer"

_COLUMNS = ("patient_id", "image_id", "laterality", "view", "cancer")


def read(data_dir: Path) -> list[Record]:
    """Read the data set's records, one for every line of its table, in that order.

    An image that is not on disk has a record all the same, as long as others are: whoever decodes
    it decides what becomes of it.

    Args:
      data_dir: the folder described above.

    Raises:
      DataError: the folder, the table or all images are missing, or a line is malformed.
    """
    source = "https://www.kaggle.com/competitions/rsna-breast-cancer-detection"
    table = require_table(data_dir, "train.csv", source=source)
    records: dict[str, Record] = {}
    breasts: dict[tuple[str, str], Row] = {}
    for row in read_table(table, _COLUMNS):
        patient, image = str(row.integer("patient_id")), str(row.integer("image_id"))
        if image in records:
            raise row.wrong("image_id", "every image once")
        if row["cancer"] not in ("0", "1"):
            raise row.wrong("cancer", "0 or 1")
        laterality = side(row, "laterality")
        first = breasts.setdefault((patient, laterality), row)
        if row["cancer"] != first["cancer"]:
            raise row.wrong("cancer", f"what line {first.line} says of the same breast")
        records[image] = Record(
            image=image,
            path=data_dir / "train_images" / patient / f"{image}.dcm",
            patient=patient,
            view=view(row, "view"),
            laterality=laterality,
            labels={FINDING: float(row["cancer"])},
        )
    return require_images(table, list(records.values()))
