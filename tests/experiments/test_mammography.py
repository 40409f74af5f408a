"""The recipe on real files' layout: CBIS-DDSM, by film, breast and case."""

import csv
import json

import numpy as np
import pytest
from miniatures import cbis_ddsm

from cxr_jax.training import fit
from experiments import cli, mammography

OPTIONS = {option.flag: option for option in cli.options_of(mammography.PRESET)}
SMALL = {
    "model": "tiny",
    "image_size": 32,
    "batch_size": 8,
    "epochs": 1,
    "bootstrap_samples": 20,
    "keep_aspect": True,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Malignant against benign, on the miniature."""
    folder = tmp_path_factory.mktemp("cbis")
    cbis_ddsm(folder, patients=16)
    given = SMALL | {
        "dataset": "cbis_ddsm",
        "data_dir": str(folder),
        "workdir": str(folder / "run"),
        "cache_dir": str(folder / "cache"),
    }
    return fit(cli.make_config(mammography.PRESET, OPTIONS, given, mammography.DATASETS))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_breasts_are_the_means_of_their_films_and_cases_the_greatest_of_their_breasts(run):
    films = rows(run.workdir / "predictions_test.csv")
    breasts = rows(run.workdir / "predictions_test_breasts.csv")
    cases = rows(run.workdir / "predictions_test_cases.csv")
    assert list(breasts[0]) == ["breast", "patient", "label", "probability"]
    assert list(cases[0]) == ["case", "patient", "label", "probability"]
    assert len(films) > len(breasts) >= len(cases) == len({film["patient"] for film in films})
    for breast in breasts:
        _, side = breast["breast"].rsplit("_", 1)
        side = {"L": "LEFT", "R": "RIGHT"}[side]
        of = [f for f in films if f["patient"] == breast["patient"] and side in f["image"]]
        mean = np.mean([float(film["probability"]) for film in of])
        assert float(breast["probability"]) == pytest.approx(mean)
        assert breast["label"] == max(film["label"] for film in of)
    for case in cases:
        of = [b for b in breasts if b["patient"] == case["case"]]
        assert float(case["probability"]) == max(float(b["probability"]) for b in of)


def test_breasts_and_cases_are_evaluated_and_reported(run):
    numbers = json.loads((run.workdir / "evaluation.json").read_text())
    count = len(rows(run.workdir / "predictions_test_breasts.csv"))
    assert numbers["breasts"]["images"] == count
    assert numbers["cases"]["images"] == numbers["cases"]["patients"]
    assert 0 <= numbers["cases"]["estimates"]["auroc"]["value"] <= 1
    page = (run.workdir / "report.html").read_text()
    assert "Breasts and cases" in page
    assert "Malignant against all others" in page
