"""`cxr predict`: the run's own predictions again, and what becomes of images that are none."""

import csv
import json
import shutil

import cv2
import numpy as np
import pydicom
import pytest
from dicom_files import write_dicom

from cxr_jax.calibration import apply_temperature, fit_temperature
from cxr_jax.commands import main
from cxr_jax.commands import predict as commands_predict
from cxr_jax.commands.prediction import predict_images


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def predict(run, out, *arguments):
    return main(["predict", f"--run={run.workdir}", f"--out={out}", *map(str, arguments)])


@pytest.fixture(scope="module")
def predicted(run, films, tmp_path_factory):
    """All of the run's test images, predicted by the command."""
    out = tmp_path_factory.mktemp("out") / "predicted"
    expected = rows(run.workdir / "predictions_test.csv")
    assert predict(run, out, *(films / "images" / row["image"] for row in expected)) == 0
    return out


def test_the_runs_test_images_get_the_probabilities_that_they_had(run, films, predicted):
    expected = rows(run.workdir / "predictions_test.csv")
    got = rows(predicted / "predictions.csv")
    assert [row["image"] for row in got] == [
        str(films / "images" / row["image"]) for row in expected
    ]
    probability = np.array([float(row["probability"]) for row in got])
    np.testing.assert_allclose(
        probability, [float(row["probability"]) for row in expected], atol=1e-6
    )
    threshold = run.test.findings["Cardiomegaly"].threshold
    assert [row["decision"] for row in got] == [
        "positive" if p >= threshold else "negative" for p in probability
    ]


def test_the_calibrated_probability_is_that_of_validation(run, predicted):
    validation = rows(run.workdir / "predictions_validation.csv")
    labels, probabilities = (
        np.array([float(row[name]) for row in validation]) for name in ("label", "probability")
    )
    temperature = fit_temperature(labels, probabilities)
    evaluation = json.loads((run.workdir / "evaluation.json").read_text())
    assert evaluation["validation"]["temperature"] == pytest.approx(temperature, rel=1e-3)
    got = rows(predicted / "predictions.csv")
    np.testing.assert_allclose(
        [float(row["calibrated_probability"]) for row in got],
        apply_temperature(np.array([float(row["probability"]) for row in got]), temperature),
        rtol=1e-3,
    )


def test_json_and_overlays_go_with_the_table(run, predicted):
    table = rows(predicted / "predictions.csv")
    described = json.loads((predicted / "predictions.json").read_text())
    assert described["finding"] == "Cardiomegaly"
    assert described["operating_point"] == run.test.findings["Cardiomegaly"].threshold
    assert described["failed"] == []
    assert [str(row["probability"]) for row in described["predictions"]] == [
        row["probability"] for row in table
    ]
    overlays = [predicted / row["gradcam"] for row in table]
    assert len(set(overlays)) == len(table)
    for overlay in overlays[:2]:
        assert cv2.imread(str(overlay)).shape == (520, 900, 3)


def test_folders_are_searched_and_names_that_clash_are_told_apart(run, films, tmp_path, capsys):
    image = next((films / "images").iterdir())
    for place in ("a/x.png", "b/deep/x.png", "b/.hidden/x.png"):
        (tmp_path / "in" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, tmp_path / "in" / place)
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    film = cv2.imread(str(image), cv2.IMREAD_UNCHANGED)
    write_dicom(tmp_path / "in" / "b" / "1.2.840.1", film, ViewPosition="PA", Modality="DX")
    out = tmp_path / "out"
    assert predict(run, out, tmp_path / "in", tmp_path / "in" / "a" / "x.png") == 0
    table = rows(out / "predictions.csv")
    names = [row["image"].removeprefix(str(tmp_path / "in")) for row in table]
    assert names == ["/a/x.png", "/b/1.2.840.1", "/b/deep/x.png"]
    assert [row["gradcam"] for row in table] == [
        "gradcam/x.png", "gradcam/1.2.840.png", "gradcam/x_2.png",
    ]  # fmt: skip
    assert len({row["probability"] for row in table}) == 1
    captured = capsys.readouterr()
    assert "/b/deep/x.png" in captured.out
    assert captured.err == ""


def test_images_that_cannot_be_used_are_named_and_the_others_predicted(
    run, films, tmp_path, capsys
):
    good = next((films / "images").iterdir())
    photograph = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "photograph.png"), photograph)
    (tmp_path / "damaged.png").write_bytes(good.read_bytes()[:500])
    (tmp_path / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\1" * 300)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    cv2.imwrite(str(tmp_path / "tiny.png"), np.zeros((8, 8), np.uint8))
    reasons = {
        "missing.png": "no such file or folder",
        "empty": "a folder without images",
        "photograph.png": "in colour, where a radiograph is grey",
        "damaged.png": "truncated",
        "broken.dcm": "DICOM file",
        "text.png": "PNG",
        "tiny.png": "8 x 8 pixels is too small for a radiograph",
    }
    out = tmp_path / "out"
    assert predict(run, out, *(tmp_path / name for name in reasons), good, "--formats=json") == 1
    described = json.loads((out / "predictions.json").read_text())
    assert [row["image"] for row in described["predictions"]] == [str(good)]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(reasons) + 1
    assert lines[-1] == "error: 7 of 8 could not be predicted"
    for line, failed, (name, reason) in zip(
        lines, described["failed"], reasons.items(), strict=False
    ):
        assert line.startswith(f"error: {tmp_path / name}: ")
        assert reason in line
        assert failed["reason"] in line
    assert {path.name for path in out.iterdir()} == {"predictions.json"}


def test_a_header_that_does_not_fit_gives_a_warning_and_none_of_its_values_gets_out(
    run, films, tmp_path, capsys
):
    film = cv2.imread(str(next((films / "images").iterdir())), cv2.IMREAD_UNCHANGED)
    headers = {
        "fits": {"Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "PA"},
        "silent": {},
        "lateral": {"Modality": "CR", "ViewPosition": "LL"},
        "mammogram": {"Modality": "MG", "BodyPartExamined": "BREAST"},
        "typed": {"BodyPartExamined": "SECRETS OF DOE"},
    }
    for name, header in headers.items():
        write_dicom(tmp_path / "in" / f"{name}.dcm", film, **header)
    out = tmp_path / "out"
    assert predict(run, out, tmp_path / "in", "--formats=csv,json") == 0
    warned = {
        row["image"].split("/")[-1][:-4]: row["warnings"] for row in rows(out / "predictions.csv")
    }
    assert warned["fits"] == warned["silent"] == ""
    assert "a lateral or oblique view" in warned["lateral"]
    assert "a modality other than" in warned["mammogram"]
    assert "a body part other than the chest" in warned["mammogram"]
    assert "a body part other than the chest" in warned["typed"]
    said = capsys.readouterr()
    everything = said.out + said.err + "".join(path.read_text() for path in out.iterdir())
    for secret in ("Doe", "DOE", "4711", "19010203", "SECRETS", "BREAST"):
        assert secret not in everything
    assert f"warning: {tmp_path / 'in' / 'lateral.dcm'}: its DICOM header says" in said.err


def test_a_real_chest_film_in_dicom_is_predicted(run, tmp_path, capsys):
    film = pydicom.data.get_testdata_file("RG1_J2KR.dcm", download=False)
    assert predict(run, tmp_path / "out", film, "--formats=csv") == 0
    assert capsys.readouterr().err == ""


def test_results_are_not_written_over(run, predicted, films, capsys):
    before = (predicted / "predictions.csv").read_bytes()
    assert predict(run, predicted, films) == 1
    assert "is there already; choose another --out" in capsys.readouterr().err
    assert (predicted / "predictions.csv").read_bytes() == before


def test_a_run_that_is_none_is_one_line(run, films, tmp_path, capsys):
    def said(folder):
        assert main(["predict", f"--run={folder}", str(films)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "no such run" in said(tmp_path / "nowhere")
    copy = tmp_path / "part"
    shutil.copytree(run.workdir, copy / "stage2")
    assert f"holds several runs; name one of {copy}/stage2" in said(copy)
    (copy / "stage2" / "evaluation.json").unlink()
    assert "the run has not finished; continue it with --resume" in said(copy / "stage2")
    (copy / "stage2" / "evaluation.json").write_text("{}")
    assert "no operating point or no temperature" in said(copy / "stage2")
    (copy / "stage2" / "config.json").write_text("{")
    assert "is not a run's config" in said(copy / "stage2")


@pytest.mark.parametrize("arguments", [[], ["x.png", "--formats=svg"], ["x.png", "--formats="]])
def test_arguments_that_make_no_sense_are_refused(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "--run=somewhere", *arguments])
    assert "usage: cxr predict" in capsys.readouterr().err


def test_whoever_interrupts_keeps_what_was_predicted(run, films, tmp_path, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        yield next(predict_images(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(commands_predict, "predict_images", interrupted)
    assert predict(run, tmp_path / "out", films, "--formats=csv,json") == 1
    assert capsys.readouterr().err == "interrupted\n"
    (row,) = rows(tmp_path / "out" / "predictions.csv")
    described = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [again["image"] for again in described["predictions"]] == [row["image"]]
