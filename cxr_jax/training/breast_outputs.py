"""What a run on mammograms writes of breasts and cases: predictions, numbers, a section."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import jax

from cxr_jax.aggregation import breasts_and_cases
from cxr_jax.by_finding import SplitEvaluation, SplitPredictions
from cxr_jax.training.config import Config
from cxr_jax.training.data import RunData
from cxr_jax.training.outputs import Addition, evaluate_splits

if TYPE_CHECKING:
    from cxr_jax.reporting.page import Section

_TEXT = (
    "A breast's probability is the mean over its films, a case's the greater of its breasts'; "
    "either is positive if any of its films is. Each level has the operating point that the "
    "validation split gives at that level. Intervals are over patients."
)


def breasts_additions(
    folder: Path,
    config: Config,
    data: RunData,
    predictions: Mapping[str, SplitPredictions],
    images: SplitEvaluation,
) -> list[Addition]:
    """Write `predictions_test_breasts.csv` and `…_cases.csv` where each film's side is known.

    Args:
      images: the numbers of the test films, to stand beside.
    """
    splits = {
        name: breasts_and_cases(split, [record.laterality for record in data.records(name)])
        for name, split in predictions.items()
    }
    if not all(splits.values()):
        return []
    tests = {"images": images}
    for level in ("breasts", "cases"):
        aggregated = {name: split[level] for name, split in splits.items()}
        tests[level] = evaluate_splits(aggregated, config)[1]
        if jax.process_index() == 0:
            path = folder / f"predictions_test_{level}.csv"
            aggregated["test"].write_csv(path, of=level.removesuffix("s"))

    def section() -> "Section":
        from cxr_jax.reporting.groups import groups_section

        return groups_section(tests, title="Breasts and cases", text=_TEXT)

    return [
        Addition(
            name=level,
            numbers=tests[level].to_json(),
            summary=[(f"AUROC, {level}", str(tests[level].macro["auroc"]))],
            section=section if level == "breasts" else None,
        )
        for level in ("breasts", "cases")
    ]
