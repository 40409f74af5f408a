"""`cxr evaluate`: another data set, by name, without what the run has learnt from."""

import csv
import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest

import cxr_jax
from cxr_jax import commands, metrics
from cxr_jax.commands import main
from cxr_jax.commands.matching import match_finding
from cxr_jax.errors import DataError
from cxr_jax.pipeline.record import Record


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def evaluate(run, folder, out, *arguments, dataset="folder"):
    return main([
        "evaluate", f"--run={run.workdir}", f"--dataset={dataset}", f"--data_dir={folder}",
        f"--out={out}", *arguments,
    ])  # fmt: skip


def class_folders(run, films, folder, *splits):
    """The run's phantoms of these splits, as a user's own images, under other names."""
    expected = {}
    for i, row in enumerate(rows(run.workdir / "split.csv")):
        if row["split"] in splits:
            name = f"{'Cardio_Megaly' if row['label'] == '1' else 'normal'}/{i}.png"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(films / "images" / row["image"], folder / name)
            expected[name] = row["image"]
    return expected


@pytest.fixture(scope="module")
def external(run, films, tmp_path_factory):
    """The run's test images as another data set: folder, and image there → image of the run."""
    folder = tmp_path_factory.mktemp("external")
    return folder, class_folders(run, films, folder, "test")


@pytest.fixture(scope="module")
def evaluated(run, external, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluations") / "folder"
    assert evaluate(run, external[0], out, "--finding=Cardio_Megaly") == 0
    return out


def test_the_runs_test_images_in_another_data_set_give_the_runs_numbers(run, external, evaluated):
    there = {row["image"]: row for row in rows(run.workdir / "predictions_test.csv")}
    got = rows(evaluated / "predictions.csv")
    assert {row["image"] for row in got} == set(external[1])
    for row in got:
        expected = there[external[1][row["image"]]]
        assert float(row["label"]) == float(expected["label"])
        assert float(row["probability"]) == pytest.approx(float(expected["probability"]), abs=1e-6)
    numbers = json.loads((evaluated / "evaluation.json").read_text())
    auroc = numbers["evaluation"]["estimates"]["auroc"]["value"]
    labels, scores = (
        np.array([float(row[name]) for row in got]) for name in ("label", "probability")
    )
    assert auroc == pytest.approx(metrics.auroc(labels, scores))
    assert auroc == pytest.approx(run.test.findings["Cardiomegaly"].estimates["auroc"].value)
    assert numbers["evaluation"]["confusion"] == run.test.findings["Cardiomegaly"].confusion
    assert numbers["evaluation"]["threshold"] == run.test.findings["Cardiomegaly"].threshold
    assert numbers["evaluation"]["temperature"] == run.test.findings["Cardiomegaly"].temperature


def test_the_page_stands_alone_and_says_what_was_asked(evaluated):
    page = (evaluated / "report.html").read_text()
    assert "Cardio_Megaly" in page
    assert "after temperature scaling" in page
    assert "data:image/png;base64," in page


def test_files_the_run_has_learnt_from_are_refused_whatever_their_names(
    run, films, tmp_path, capsys
):
    copies = class_folders(run, films, tmp_path / "in", "validation", "test")
    out, finding = tmp_path / "out", "--finding=Cardio_Megaly"
    assert evaluate(run, tmp_path / "in", out, finding) == 1
    (line,) = capsys.readouterr().err.splitlines()
    learnt = {
        row["image"] for row in rows(run.workdir / "split.csv") if row["split"] == "validation"
    }
    assert f"the run has learnt from {len(learnt)} of these {len(copies)} images" in line
    assert "of validation; " in line
    assert "--only_new" in line
    assert evaluate(run, tmp_path / "in", out, finding, "--only_new") == 0
    kept = {copies[row["image"]] for row in rows(out / "predictions.csv")}
    assert kept == set(copies.values()) - learnt
    assert json.loads((out / "evaluation.json").read_text())["left_out_as_seen"] == len(learnt)


def test_the_runs_own_phantoms_are_refused_and_those_of_another_seed_are_not(
    run, films, tmp_path, capsys
):
    assert evaluate(run, films, tmp_path / "out", dataset="phantom") == 1
    assert "the run has learnt from" in capsys.readouterr().err
    other = tmp_path / "other"
    shutil.copytree(films, other)
    for path in (other / "images").iterdir():
        path.write_bytes(path.read_bytes() + b"\0")  # the same patients' names, other files
    assert evaluate(run, other, tmp_path / "out", dataset="phantom") == 0


def test_patients_of_the_runs_split_are_refused_within_one_data_set(
    run, external, tmp_path, capsys
):
    """As if the run had been trained on another folder, with one of these patients."""
    copy = tmp_path / "run"
    shutil.copytree(run.workdir, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(
        json.dumps(config | {"dataset": "folder", "data_dir": str(tmp_path / "gone")})
    )
    image = next(iter(external[1]))
    (copy / "split.csv").write_text(f"image,patient,split,label\nx.png,{image},train,1\n")

    class Copy:
        workdir = copy

    out, finding = tmp_path / "out", "--finding=Cardio_Megaly"
    assert evaluate(Copy, external[0], out, finding) == 1
    warning, error = capsys.readouterr().err.splitlines()
    assert warning.startswith("warning: whether images are among the run's own could not be told")
    assert f"the run has learnt from 1 of these {len(external[1])} images: {image} patient" in error
    assert evaluate(Copy, external[0], out, finding, "--only_new") == 0
    assert len(rows(out / "predictions.csv")) == len(external[1]) - 1
    (copy / "split.csv").unlink()
    assert evaluate(Copy, external[0], tmp_path / "out2", finding) == 1
    assert "split.csv: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "Cardiomegaly: none of the data set's findings has this name; the run was trained for "
             "Cardiomegaly, the data set knows Cardio_Megaly"),
        (("--finding=Hernia",), "Hernia: none of the data set's findings has this name"),
        (("--finding=cardio megaly", "--split=test"), "prescribes no splits"),
        (("--finding=cardio megaly", "--views=PA"), "no image has the view PA"),
    ],
)  # fmt: skip
def test_what_the_data_set_does_not_have_is_refused(
    run, external, tmp_path, capsys, arguments, reason
):
    assert evaluate(run, external[0], tmp_path / "out", *arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert reason in line


def test_a_damaged_image_ends_it_or_is_left_out(run, external, tmp_path, capsys):
    folder = tmp_path / "in"
    shutil.copytree(external[0], folder)
    (folder / "normal" / "damaged.png").write_bytes(b"\x89PNG")
    out, finding = tmp_path / "out", "--finding=Cardio_Megaly"
    assert evaluate(run, folder, out, finding) == 1
    assert "damaged.png" in capsys.readouterr().err
    assert evaluate(run, folder, out, finding, "--on_bad_image=skip") == 0
    assert [row["image"] for row in rows(out / "skipped.csv")] == ["normal/damaged.png"]


def test_results_are_not_written_over(run, external, evaluated, capsys):
    assert evaluate(run, external[0], evaluated, "--finding=Cardio_Megaly") == 1
    assert "is there already; choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("finding", "named", "expected"),
    [
        ("Pleural Effusion", None, "pleural_effusion"),
        ("PNEUMOTHORAX", None, "Pneumothorax"),
        ("Heart", "Pneumothorax", "Pneumothorax"),
        ("Mass", None, None),
        ("Effusion", None, "pleural_effusion"),
        ("Heart", "pleural-effusion", "pleural_effusion"),
        ("No Finding", None, None),
    ],
)
def test_findings_are_matched_by_name(finding, named, expected):
    labels = {
        "pleural_effusion": 1.0,
        "Pneumothorax": 0.0,
        "mass": 0.0,
        "MASS": 0.0,
        "No Finding": 0.0,
    }
    record = Record(image="a", path=Path("a"), patient="p", labels=labels)
    if expected is None:
        with pytest.raises(DataError, match="knows MASS, Pneumothorax, mass, pleural_effusion"):
            match_finding(finding, [record], named=named)
    else:
        assert match_finding(finding, [record], named=named) == expected


def test_help_names_every_command_and_each_has_its_own(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    for name in commands.COMMANDS:
        assert f"    {name}" in text
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        assert f"usage: cxr {name} " in capsys.readouterr().out


def test_the_console_script_is_main():
    project = tomllib.loads((Path(cxr_jax.__file__).parents[1] / "pyproject.toml").read_text())
    assert project["project"]["scripts"]["cxr"] == "cxr_jax.commands:main"
