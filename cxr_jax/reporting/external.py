"""The page of an external validation: a run on data that it was not made from."""

from collections.abc import Mapping
from pathlib import Path

from cxr_jax.by_finding import SplitEvaluation, SplitPredictions
from cxr_jax.reporting.page import Section, write_page
from cxr_jax.reporting.results import result_sections


def write_external_report(
    path: Path,
    *,
    title: str,
    asked: Mapping[str, str],
    predictions: SplitPredictions,
    evaluation: SplitEvaluation,
) -> None:
    """Write the page and its figures.

    Args:
      asked: what was evaluated on what, for the table at the end.
      predictions, evaluation: of the other data set.
    """
    sections = result_sections(
        {"value": evaluation},
        predictions,
        chosen="on the run's own validation images",
    )
    sections.append(Section(title="What was asked", table=[("", ""), *asked.items()]))
    write_page(path, title=title, subtitle="external validation", sections=sections)
