"""The report's section on mammograms: what holds of films, of breasts and of patients."""

from collections.abc import Mapping

from cxr_jax.by_finding import SplitEvaluation
from cxr_jax.reporting.page import Section

_COLUMNS = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}


def breasts_section(levels: Mapping[str, SplitEvaluation]) -> Section:
    """Set the levels beside each other.

    Args:
      levels: "images", "breasts", "cases": the numbers of the test split at each.
    """
    head = ("", "finding", "number", "positive", *_COLUMNS.values(), "operating point")
    rows = [
        (
            level,
            finding,
            str(numbers.images),
            str(numbers.positives),
            *(str(numbers.estimates[name]) for name in _COLUMNS),
            f"{numbers.threshold:.3f}",
        )
        for level, split in levels.items()
        for finding, numbers in split.findings.items()
    ]
    return Section(
        title="Breasts and cases",
        text=[
            "A breast's probability is the mean over its films, a case's the greater of its "
            "breasts'; either is positive if any of its films is. Each level has the operating "
            "point that the validation split gives at that level. Intervals are over patients.",
        ],
        table=[head, *rows],
    )
