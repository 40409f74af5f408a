"""The page: self-contained, and safe with whatever a file name holds."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from cxr_jax.evaluation import Estimate, Evaluation
from cxr_jax.reporting.page import Section, write_page
from cxr_jax.reporting.report import cautions


def test_figures_are_inside_the_page_and_beside_it(tmp_path):
    section = Section(title="A <b>", table=[("x", "y"), ("<1", "2")], figure=("f", Figure()))
    write_page(tmp_path / "page.html", title="T & T", subtitle="<s>", sections=[section])
    page = (tmp_path / "page.html").read_text()
    assert "T &amp; T" in page
    assert "A &lt;b&gt;" in page
    assert "<td>&lt;1</td>" in page
    assert 'src="data:image/png;base64,' in page
    assert (tmp_path / "figures/f.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        (Estimate(value=0.8, low=0.4, high=1.0), "too few to tell"),
        (Estimate(value=0.8, low=np.nan, high=np.nan, reason="few patients"), "few patients"),
        (Estimate(value=0.95, low=0.9, high=0.99), None),
    ],
)
def test_what_a_reader_must_not_overlook_is_said(estimate, expected):
    evaluation = Evaluation(
        images=9,
        patients=9,
        positives=4,
        threshold=0.5,
        temperature=1.0,
        estimates={"auroc": estimate},
        confusion={},
        loss=0.5,
    )
    said = " ".join(cautions(evaluation))
    assert expected in said if expected else said == ""
