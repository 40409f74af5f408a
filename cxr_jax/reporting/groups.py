"""A report's section on parts of the test split: the same numbers beside each other."""

from collections.abc import Mapping

from cxr_jax.by_finding import SplitEvaluation
from cxr_jax.reporting.page import Section

_COLUMNS = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}


def groups_section(groups: Mapping[str, SplitEvaluation], *, title: str, text: str) -> Section:
    """Set the groups beside each other, each with the findings of which it has labels.

    Args:
      groups: name -> its numbers.
      title, text: of the section.
    """
    head = ("", "finding", "number", "positive", *_COLUMNS.values(), "operating point")
    rows = [
        (
            group,
            finding,
            str(numbers.images),
            str(numbers.positives),
            *(str(numbers.estimates[name]) for name in _COLUMNS),
            f"{numbers.threshold:.3f}",
        )
        for group, split in groups.items()
        for finding, numbers in split.findings.items()
        if numbers.images
    ]
    return Section(title=title, text=[text], table=[head, *rows])
