"""What the results' sections say."""

import jax
import numpy as np
import pytest

from cxr_jax.by_finding import SplitPredictions, choose_points, evaluate_split
from cxr_jax.evaluation import Estimate, Predictions
from cxr_jax.reporting.results import cautions, result_sections


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        (Estimate(value=0.8, low=0.4, high=1.0), "too few to tell"),
        (Estimate(value=0.8, low=np.nan, high=np.nan, reason="few patients"), "few patients"),
        (Estimate(value=0.95, low=0.9, high=0.99), None),
    ],
)
def test_what_a_reader_must_not_overlook_is_said(estimate, expected):
    said = " ".join(cautions({"auroc": estimate}))
    assert expected in said if expected else said == ""


def test_a_reason_is_said_once():
    few = Estimate(value=0.5, low=0.5, high=0.5, reason="few patients")
    assert cautions({"auroc": few, "sensitivity": few}) == ["AUROC, Sensitivity: few patients."]


@pytest.fixture
def split():
    """A finding of both classes, and one of one."""
    generator = np.random.default_rng(0)
    names = tuple(map(str, range(40)))
    labels = {"Mass": generator.integers(0, 2, 40).astype(float), "Hernia": np.zeros(40)}
    return SplitPredictions(
        findings={
            name: Predictions(
                images=names,
                patients=names,
                labels=of,
                probabilities=generator.random(40),
                losses=np.ones(40),
            )
            for name, of in labels.items()
        }
    )


def sections(split):
    numbers = evaluate_split(split, choose_points(split), key=jax.random.key(0), samples=20)
    return result_sections({"test": numbers, "again": numbers}, split, chosen="by lot")


def test_several_findings_have_a_row_each_and_their_means(split):
    result, each = sections(split)
    assert result.table[0] == ("mean over findings", "test", "again")
    assert "mean over 1 of 2 findings; the others lack a class" in " ".join(result.text)
    head, mass, hernia = each.table
    assert len(head) == len(mass) == len(hernia)
    assert mass[:2] == ("Mass", "40")
    assert hernia[head.index("AUROC")] == "–"
    assert hernia[-1] == "0 positive and 40 negative images; both are needed"
    assert each.figure is not None
    titles = [axes.get_title() for axes in each.figure[1].axes]
    assert [title.split("\n")[0] for title in titles if title] == ["Mass", "Hernia"]


def test_one_finding_has_its_confusion_and_its_curves_if_there_are_any(split):
    mass, hernia = (SplitPredictions(findings={n: one}) for n, one in split.findings.items())
    assert [section.title for section in sections(mass)] == [
        "Result", "Confusion at the operating point", "Discrimination and calibration"
    ]  # fmt: skip
    assert [section.title for section in sections(hernia)] == [
        "Result", "Confusion at the operating point"
    ]  # fmt: skip
