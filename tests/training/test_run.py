"""Whole runs on phantoms, tiny: what they leave, and that nothing tells they were stopped."""

import csv
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_run import PLAIN, probabilities
from tiny_run import tiny_config as config

from cxr_jax.errors import CheckpointError, TrainingError
from cxr_jax.preprocess import PreprocessConfig
from cxr_jax.training import fit
from cxr_jax.training.workdir import locked, open_workdir


@pytest.fixture(scope="module")
def run(tmp_path_factory, cache):
    """One run, looked at by many tests."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    return fit(config(workdir, cache))


def weights(workdir: Path, step: int) -> dict[str, np.ndarray]:
    """Every array of a run's last checkpoint, by its path, through Orbax without a template."""
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as checkpointer:
        tree = checkpointer.restore(workdir.absolute() / "checkpoints/last" / str(step) / "state")
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def history(workdir: Path) -> list[dict]:
    """The rows of metrics.jsonl but for the times."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    timeless = [json.loads(line) for line in lines]
    for row in timeless:
        del row["seconds"], row["images_per_second"]
    return timeless


@pytest.mark.smoke
def test_a_run_leaves_what_the_readme_promises(run):
    names = {path.name for path in run.workdir.iterdir()}
    assert names >= {
        "config.json",
        "environment.json",
        "split.csv",
        "metrics.jsonl",
        "tensorboard",
        "checkpoints",
        "predictions_validation.csv",
        "predictions_test.csv",
        "evaluation.json",
        "report.html",
        "figures",
    }
    assert [row["epoch"] for row in run.history] == [1, 2]
    assert list((run.workdir / "tensorboard").iterdir())


def test_no_patient_is_in_two_splits(run):
    seen: dict[str, set[str]] = {}
    for row in rows(run.workdir / "split.csv"):
        seen.setdefault(row["patient"], set()).add(row["split"])
    assert {len(splits) for splits in seen.values()} == {1}
    assert set.union(*seen.values()) == {"train", "validation", "test"}


def test_predictions_are_the_test_split_in_order(run):
    predicted = rows(run.workdir / "predictions_test.csv")
    expected = [row for row in rows(run.workdir / "split.csv") if row["split"] == "test"]
    assert [(r["image"], r["patient"]) for r in predicted] == [
        (r["image"], r["patient"]) for r in expected
    ]
    assert [float(r["label"]) for r in predicted] == [float(r["label"]) for r in expected]
    assert all(0 <= float(r["probability"]) <= 1 for r in predicted)


def test_the_report_stands_alone(run):
    page = (run.workdir / "report.html").read_text()
    assert "http" not in page.replace("http-equiv", "")
    for heading in ("Result", "Training", "Preprocessing", "Augmentation", "Config", "Environment"):
        assert f"<h2>{heading}" in page
    assert "tiny DenseNet, 32 x 32" in page
    assert page.count("data:image/png;base64,") >= 3


@pytest.mark.usefixtures("unreported")
def test_the_same_config_gives_the_same_bits(run, tmp_path, cache):
    again = fit(config(tmp_path / "again", cache))
    assert history(again.workdir) == history(run.workdir)
    np.testing.assert_array_equal(probabilities(again), probabilities(run))


def test_a_run_killed_in_mid_epoch_ends_in_the_same_bits(run, tmp_path, cache):
    """Really killed, by a signal that no handler sees, and resumed in another process."""
    killed = tmp_path / "killed"
    flags = [
        "--model=tiny", "--phantom_count=64", "--phantom_size=64", "--image_size=32",
        "--crop=0,0,0,0", "--batch_size=8", "--epochs=2", "--checkpoint_every=1",
        "--bootstrap_samples=50", "--nocardiothoracic_ratio",
        f"--cache_dir={cache}", f"--workdir={killed}",
    ]  # fmt: skip
    command = [sys.executable, "-m", "experiments.cardiomegaly", *flags]
    options = {
        "env": os.environ | {"JAX_NUM_CPU_DEVICES": "8"},
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.PIPE,
    }
    steps_per_epoch, last_step = (row["step"] for row in run.history)

    def saved() -> int:
        steps = (killed / "checkpoints/last").glob("*")
        return max((int(path.name) for path in steps if path.name.isdigit()), default=0)

    process = subprocess.Popen(command, **options)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and saved() <= steps_per_epoch:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run ended before it could be killed"
    process.stderr.close()
    assert steps_per_epoch < saved() < last_step

    done = subprocess.run([*command, "--resume"], check=False, text=True, **options)
    assert done.returncode == 0, done.stderr
    expected, got = weights(run.workdir, last_step), weights(killed, last_step)
    assert expected.keys() == got.keys()
    assert any("opt_state" in name for name in expected)
    for name in expected:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)
    assert history(killed) == history(run.workdir)
    for name in ("predictions_test.csv", "predictions_validation.csv", "evaluation.json"):
        assert (killed / name).read_bytes() == (run.workdir / name).read_bytes()


def test_max_steps_stops_within_an_epoch_and_resume_goes_on(run, tmp_path, cache):
    workdir = tmp_path / "short"
    short = fit(config(workdir, cache, max_steps=3))
    assert short.history == []
    assert (workdir / "report.html").exists()
    whole = fit(config(workdir, cache, resume=True))
    assert history(whole.workdir) == history(run.workdir)


@pytest.mark.usefixtures("unreported")
def test_a_run_stopped_before_its_first_checkpoint_starts_anew(run, tmp_path, cache):
    workdir = tmp_path / "run"
    with pytest.raises(TrainingError, match="interrupted"):
        fit(config(workdir, cache), interrupted=lambda: True)
    for step in (workdir / "checkpoints/last").iterdir():
        shutil.rmtree(step)
    assert history(fit(config(workdir, cache, resume=True)).workdir) == history(run.workdir)


@pytest.mark.usefixtures("unreported")
def test_a_damaged_checkpoint_is_one_clear_error(tmp_path, cache):
    """In a process of its own, as Orbax leaves work behind there that fails at any time later."""
    workdir = tmp_path / "run"
    fit(config(workdir, cache, max_steps=2))
    for data in (workdir / "checkpoints/last/2/state").rglob("d/*"):
        data.write_bytes(data.read_bytes()[:3])
    flags = [
        "--model=tiny", "--phantom_count=64", "--phantom_size=64", "--image_size=32",
        "--batch_size=8", "--epochs=2", "--bootstrap_samples=50", "--class_weights=0.9,1.1",
        "--resume",
        f"--workdir={workdir}", f"--cache_dir={cache}",
    ]  # fmt: skip
    resume = "from cxr_jax.training import Config\nfrom experiments import cli\n"
    resume += "cli.main(Config(), datasets={})"
    done = subprocess.run(
        [sys.executable, "-c", resume, *flags], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*last/2: damaged, or not a checkpoint.*\n", done.stderr)


def test_a_run_is_not_resumed_on_other_data(run, tmp_path, cache):
    copy = tmp_path / "copy"
    shutil.copytree(run.workdir, copy)
    table = copy / "split.csv"
    table.write_text(table.read_text().replace(",1\n", ",0\n", 1))
    with pytest.raises(CheckpointError, match="other images, splits or labels"):
        fit(config(copy, cache, resume=True))
    table.unlink()
    with pytest.raises(CheckpointError, match=r"split\.csv: is missing"):
        fit(config(copy, cache, resume=True))


def test_two_processes_do_not_share_a_run(run, cache):
    with locked(run.workdir), pytest.raises(OSError, match="another process"):
        fit(config(run.workdir, cache, resume=True))


def test_a_checkpoint_of_another_config_is_refused_with_the_fields(run, cache):
    with pytest.raises(CheckpointError, match=r"lr: 0\.001 there, 0\.01 here"):
        fit(config(run.workdir, cache, resume=True, lr=0.01))
    other = PreprocessConfig(image_size=32, clahe_clip_limit=3.0)
    with pytest.raises(CheckpointError, match=r"clahe_clip_limit: 2\.0 there, 3\.0 here"):
        fit(config(run.workdir, cache, resume=True, preprocess=other))


def test_a_run_of_an_older_version_is_resumed(run, tmp_path, cache):
    """Its config lacks a field that has come since, which then has its default."""
    copy = shutil.copytree(run.workdir, tmp_path / "copy")
    saved = json.loads((copy / "config.json").read_text())
    del saved["preprocess"]["clahe_clip_limit"], saved["accumulate"]
    (copy / "config.json").write_text(json.dumps(saved))
    assert open_workdir(config(copy, cache, resume=True)) == copy


def test_a_run_is_not_written_over(run, cache):
    with pytest.raises(CheckpointError, match="holds a run already; add --resume"):
        fit(config(run.workdir, cache))


@pytest.mark.usefixtures("unreported")
def test_init_from_starts_at_the_other_runs_weights(run, tmp_path, cache):
    """One step of Adam moves no weight by more than its rate."""
    started = fit(config(tmp_path / "next", cache, init_from=str(run.workdir), max_steps=1))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=0, atol=1.01 * run.config.lr),
        started.variables["params"],
        run.variables["params"],
    )


def test_init_from_another_network_is_refused(run, tmp_path, cache):
    with pytest.raises(CheckpointError, match="with --model=tiny, this run has --model=densenet1"):
        fit(config(tmp_path / "next", cache, init_from=str(run.workdir), model="densenet121"))
    assert not (tmp_path / "next").exists()
    with pytest.raises(CheckpointError, match="no such run; expected the folder"):
        fit(config(tmp_path / "other", cache, init_from=str(tmp_path / "nowhere")))


def test_divergence_names_the_step_and_the_last_good_checkpoint(tmp_path, cache):
    with pytest.raises(TrainingError, match=r"diverged at step \d+: .*good checkpoint: .*last"):
        fit(config(
            tmp_path / "run", cache, lr=1e30, clip_norm=0.0, optimizer="sgd", schedule="constant",
            warmup=0.0, checkpoint_every=1, **PLAIN,
        ))  # fmt: skip


@pytest.mark.usefixtures("unreported")
def test_an_interrupted_run_is_saved_and_goes_on(run, tmp_path, cache):
    asked = []

    def after_three_steps() -> bool:
        asked.append(1)
        return len(asked) == 3

    workdir = tmp_path / "run"
    with pytest.raises(TrainingError, match="interrupted after step 3"):
        fit(config(workdir, cache), interrupted=after_three_steps)
    assert history(fit(config(workdir, cache, resume=True)).workdir) == history(run.workdir)


@pytest.mark.usefixtures("unreported")
def test_another_optimizer_and_pmap_train_and_resume(tmp_path, cache):
    changes = {"optimizer": "rmsprop", "parallel": "pmap", "schedule": "step", "epochs": 1}
    changes |= {"batch_size": 16}
    fit(config(tmp_path / "run", cache, max_steps=1, **changes))
    done = fit(config(tmp_path / "run", cache, resume=True, **changes))
    assert len(done.history) == 1


def test_bad_directories_are_one_clear_error(tmp_path, cache):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot be written"):
        fit(config(tmp_path / "file" / "run", cache))


SIMPLEST = PLAIN | {"label_smoothing": 0.0, "epochs": 1, "schedule": "constant", "warmup": 0.0}


def test_it_works_without_augmentation_smoothing_mixing_or_preprocessing(tmp_path, cache):
    plain = config(
        tmp_path / "run",
        cache,
        preprocess=PreprocessConfig(image_size=32, clahe_clip_limit=0.0, remove_artefacts=False),
        **SIMPLEST,
    )
    assert fit(plain).history[0]["train_loss"] > 0


def test_real_radiographs_train_and_the_report_says_how_little_they_tell(
    nih_sample, tmp_path, cache
):
    done = fit(
        config(
            tmp_path / "run",
            cache,
            dataset="nih",
            data_dir=str(nih_sample),
            **SIMPLEST,
        )
    )
    assert done.test.images == len(rows(done.workdir / "predictions_test.csv")) == 37
    interval = done.test.macro["auroc"]
    assert interval.low < interval.value < interval.high
    assert "too few" in (done.workdir / "report.html").read_text()
