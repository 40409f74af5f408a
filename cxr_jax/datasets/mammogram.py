"""What the tables of mammograms have in common: breasts, views, BI-RADS."""

import re

from cxr_jax.datasets.table import Row
from cxr_jax.pipeline.record import NO_FINDING

VIEWS = ("CC", "MLO", "ML", "LM", "LMO", "SIO", "ISO", "FB", "AT", "XCCL", "XCCM", "CV", "TAN")
"""By the abbreviations of ACR's BI-RADS and DICOM: first the two of screening."""

SUSPICIOUS, HIGHLY_SUSPICIOUS = "Suspicious", "Highly Suspicious"

_BIRADS = re.compile(r"(?:BI-?RADS )?([0-6]|4[abc])", re.IGNORECASE)


def side(row: Row, column: str) -> str:
    """The breast of a cell, "L" or "R"; the cell may spell it out.

    Raises:
      DataError: it is another word.
    """
    name = row[column].upper()
    if name not in ("L", "R", "LEFT", "RIGHT"):
        raise row.wrong(column, "L or R")
    return name[0]


def view(row: Row, column: str) -> str:
    """The view of a cell.

    Raises:
      DataError: it is none of VIEWS.
    """
    if row[column] not in VIEWS:
        raise row.wrong(column, " or ".join(VIEWS))
    return row[column]


def birads_labels(row: Row, column: str) -> dict[str, float]:
    """What a BI-RADS category ("4", "4a", "BI-RADS 4") says of a breast.

    | category | means | likelihood of cancer |
    |---|---|---|
    | 0 | incomplete: more images are needed | |
    | 1, 2 | negative; benign | 0 |
    | 3 | probably benign | up to 2 % |
    | 4a, 4b, 4c | suspicious: low, moderate, high | up to 10, 50, 95 % |
    | 5 | highly suggestive of malignancy | 95 % and more |
    | 6 | malignant, proven by biopsy | 100 % |

    "Suspicious" is 4 to 6, which most studies take for positive where there is no biopsy; "Highly
    Suspicious" is 5 and 6; "No Finding" is 1. Of category 0 nothing is known (NaN).

    Raises:
      DataError: the cell holds no category.

    Source: ACR BI-RADS Atlas, 5th edition, 2013.
    """
    match = _BIRADS.fullmatch(row[column])
    if match is None:
        raise row.wrong(column, "a BI-RADS category: 0 to 6, or 4a, 4b, 4c")
    category = int(match[1][0])
    labels = {
        SUSPICIOUS: category >= 4,
        HIGHLY_SUSPICIOUS: category >= 5,
        NO_FINDING: category == 1,
    }
    return {name: float(label) if category else float("nan") for name, label in labels.items()}
