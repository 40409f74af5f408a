"""Whole runs on several findings: what they leave, and what is done with them afterwards."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as reference
from tiny_run import PLAIN, probabilities, tiny_config

from cxr_jax import datasets
from cxr_jax.commands import main
from cxr_jax.errors import DataError
from cxr_jax.pipeline.record import UNCERTAIN
from cxr_jax.training import data as data_module
from cxr_jax.training import fit
from cxr_jax.training.data import load_data, name_findings
from cxr_jax.training.saved import load_run

FINDINGS = ("Cardiomegaly", "Pneumothorax")
ALL = PLAIN | {"findings": ("all",)}


@pytest.fixture(scope="module")
def run(tmp_path_factory, cache):
    return fit(tiny_config(tmp_path_factory.mktemp("runs") / "whole", cache, **ALL))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_numbers_and_columns_of_each_finding(run):
    numbers = json.loads((run.workdir / "evaluation.json").read_text())["test"]
    assert tuple(numbers["findings"]) == FINDINGS
    table = rows(run.workdir / "predictions_test.csv")
    scores = []
    for finding in FINDINGS:
        labels, predicted = (
            np.array([float(row[f"{what}_{finding}"]) for row in table])
            for what in ("label", "probability")
        )
        scores.append(reference.roc_auc_score(labels, predicted))
        auroc = numbers["findings"][finding]["estimates"]["auroc"]["value"]
        assert auroc == pytest.approx(scores[-1])
    assert numbers["macro"]["auroc"]["value"] == pytest.approx(np.mean(scores))
    assert set(rows(run.workdir / "split.csv")[0]) == {
        "image", "patient", "split", "label_Cardiomegaly", "label_Pneumothorax"
    }  # fmt: skip
    assert json.loads((run.workdir / "config.json").read_text())["findings"] == list(FINDINGS)


def test_the_report_has_a_row_and_a_curve_of_each_finding(run):
    page = (run.workdir / "report.html").read_text()
    assert "<h2>Each finding</h2>" in page
    assert "<td>Pneumothorax</td>" in page
    assert (run.workdir / "figures" / "roc.png").is_file()


def test_the_best_epoch_has_the_highest_mean_auroc(run):
    best = [row for row in run.history if row["is_best"]][-1]
    assert best["validation_auroc"] == max(row["validation_auroc"] for row in run.history)
    validation = run.predictions["validation"]
    assert best["validation_auroc"] == pytest.approx(
        np.mean([one.auroc for one in validation.findings.values()])
    )


@pytest.mark.usefixtures("unreported")
def test_a_resumed_run_ends_in_the_same_bits(run, tmp_path, cache):
    fit(tiny_config(tmp_path / "again", cache, **ALL, max_steps=5))
    again = fit(tiny_config(tmp_path / "again", cache, **ALL, resume=True))
    np.testing.assert_array_equal(probabilities(again), probabilities(run))


def test_images_are_predicted_with_an_answer_a_finding(run, cache, tmp_path, capsys):
    films = datasets.draw("phantom", cache, count=64, seed=0, image_size=64)
    there = {row["image"]: row for row in rows(run.workdir / "predictions_test.csv")}
    images = [str(films / "images" / name) for name in list(there)[:3]]
    out = tmp_path / "out"
    assert main(["predict", f"--run={run.workdir}", f"--out={out}", *images]) == 0
    points = load_run(run.workdir).points
    for row in rows(out / "predictions.csv"):
        expected = there[Path(row["image"]).name]
        for finding in FINDINGS:
            probability = float(row[f"probability_{finding}"])
            assert probability == pytest.approx(float(expected[f"probability_{finding}"]), abs=1e-6)
            positive = probability >= points[finding].threshold
            assert row[f"decision_{finding}"] == ("positive" if positive else "negative")
            overlay = row[f"gradcam_{finding}"]
            assert bool(overlay) == positive
            assert not overlay or (out / overlay).is_file()
    described = json.loads((out / "predictions.json").read_text())
    assert tuple(described["findings"]) == FINDINGS
    assert "Pneumothorax, operating point" in capsys.readouterr().out


def test_what_another_data_set_does_not_label_is_not_evaluated(run, cache, tmp_path, capsys):
    films = datasets.draw("phantom", cache, count=32, seed=5, image_size=64)
    for name in ("Pneumothorax", "normal"):
        (tmp_path / "in" / name).mkdir(parents=True)
    for row in rows(films / "phantoms.csv"):
        folder = "Pneumothorax" if float(row["pneumothorax"]) else "normal"
        shutil.copy(films / "images" / row["image"], tmp_path / "in" / folder)
    arguments = [f"--run={run.workdir}", "--dataset=folder", f"--data_dir={tmp_path / 'in'}"]
    assert main(["evaluate", *arguments, f"--out={tmp_path / 'out'}"]) == 0
    said = capsys.readouterr()
    assert "warning: Cardiomegaly: none of the data set's findings has this name" in said.err
    assert "AUROC, Cardiomegaly not defined" in said.out
    numbers = json.loads((tmp_path / "out" / "evaluation.json").read_text())["evaluation"]
    assert numbers["findings"]["Cardiomegaly"]["images"] == 0
    assert numbers["findings"]["Pneumothorax"]["images"] == 32
    assert numbers["macro"]["auroc"]["value"] == pytest.approx(
        numbers["findings"]["Pneumothorax"]["estimates"]["auroc"]["value"]
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"uncertain": "ones"}, {1.0}),
        ({"uncertain": "ignore"}, set()),
        ({"findings": FINDINGS, "uncertain": "zeros"}, {0.0}),
    ],
)
def test_uncertain_labels_count_in_training_alone(monkeypatch, cache, tmp_path, changes, expected):
    config = tiny_config(tmp_path, cache, **changes)

    def unsure(config, cache_dir):
        """As if the reports of every third film said perhaps, and nothing of the other finding."""
        records = data_module.datasets.read("phantom", films)
        for record in records[::3]:
            record.labels.update({"Cardiomegaly": UNCERTAIN, "Pneumothorax": float("nan")})
        doubted.update(record.image for record in records[::3])
        return records

    films = datasets.draw("phantom", cache, count=64, seed=0, image_size=64)
    doubted: set[str] = set()
    monkeypatch.setattr(data_module, "read_records", unsure)
    data = load_data(config, cache)
    settled = {
        split: {
            float(data.labels[at, 0])
            for at in data.indices(split)
            if data.prepared.records[at].image in doubted and not np.isnan(data.labels[at, 0])
        }
        for split in ("train", "validation", "test")
    }
    assert settled == {"train": expected, "validation": set(), "test": set()}
    assert not np.isnan(data.labels[data.indices("train")]).all(1).any()


def test_a_finding_without_both_classes_in_training_is_said(monkeypatch, cache, tmp_path):
    def all_enlarged(config, cache_dir):
        records = data_module.datasets.read("phantom", films)
        for record in records:
            record.labels.update({"Cardiomegaly": 1.0})
        return records

    films = datasets.draw("phantom", cache, count=64, seed=0, image_size=64)
    monkeypatch.setattr(data_module, "read_records", all_enlarged)
    with pytest.warns(UserWarning, match=r"lack a class of Cardiomegaly \(\d+ with it, 0 without"):
        load_data(tiny_config(tmp_path, cache, findings=FINDINGS), cache)
    named, records = name_findings(tiny_config(tmp_path, cache, findings=("all",)), cache)
    assert named.findings == ("Pneumothorax",)
    with monkeypatch.context() as once:
        once.delattr(data_module, "read_records")  # what was read once is not read again
        assert load_data(named, cache, records).findings == named.findings
    with pytest.raises(DataError, match="no image is labelled for 'Hernia'; this data set knows"):
        load_data(tiny_config(tmp_path, cache, findings=("Hernia",)), cache)
