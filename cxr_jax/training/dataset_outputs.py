"""What a run on several data sets reports of each."""

from typing import TYPE_CHECKING

import numpy as np

from cxr_jax.by_finding import SplitEvaluation, SplitPredictions, evaluate_split
from cxr_jax.training.config import Config
from cxr_jax.training.data import RunData
from cxr_jax.training.outputs import Addition, bootstrap_key

if TYPE_CHECKING:
    from cxr_jax.reporting.page import Section

_TEXT = (
    "The test images of each data set by themselves, at the run's operating points. A model that "
    "tells data sets apart is better on all together than on any of them."
)


def datasets_additions(
    config: Config, data: RunData, predictions: SplitPredictions, whole: SplitEvaluation
) -> list[Addition]:
    """The test numbers of each data set, where there are several, beside those of the whole."""
    if len(config.sources) < 2:
        return []
    of = np.array([record.dataset for record in data.records("test")])
    tests = {
        str(name): evaluate_split(
            predictions.some(np.flatnonzero(of == name)),
            whole.points,
            key=bootstrap_key(config),
            samples=config.bootstrap_samples,
        )
        for name in dict.fromkeys(of)
    }
    mean = "mean AUROC" if len(data.findings) > 1 else "AUROC"

    def section() -> "Section":
        from cxr_jax.reporting.groups import groups_section

        return groups_section(tests, title="Each data set", text=_TEXT)

    return [
        Addition(
            name="datasets",
            numbers={name: test.to_json() for name, test in tests.items()},
            summary=[(f"{mean}, {name}", str(test.macro["auroc"])) for name, test in tests.items()],
            section=section,
        )
    ]
