"""Flags are made from the config, and a wrong one is refused before anything is loaded."""

import dataclasses
import subprocess
import sys

import pytest

from cxr_jax.preprocess import Crop
from experiments import cardiomegaly, cli

OPTIONS = {option.flag: option for option in cli.options_of(cardiomegaly.PRESET)}


def config(**given):
    return cli.make_config(cardiomegaly.PRESET, OPTIONS, given, cardiomegaly.DATASETS)


def run(*flags):
    return subprocess.run(
        [sys.executable, "-m", "experiments.cardiomegaly", *flags],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.smoke
def test_flags_reach_every_level_of_the_config():
    made = config(
        lr=0.005,
        crop=["0.1", "0.2", "0.3", "0.4"],
        rotation=3.0,
        augment=False,
        views=["PA", "AP"],
        class_weights=["0.95", "1.05"],
        image_size=96,
    )
    assert made.lr == 0.005
    assert made.preprocess.crop == Crop(left=0.1, right=0.2, top=0.3, bottom=0.4)
    assert made.preprocess.image_size == 96
    assert made.augment.rotation == 3.0
    assert not made.augment.enabled
    assert made.views == ("PA", "AP")
    assert made.class_weights == (0.95, 1.05)


def test_nothing_given_is_the_preset_with_its_data_sets_defaults():
    assert config().preprocess.image_size == cardiomegaly.DATASETS["phantom"]["image_size"]
    assert config(dataset="nih", data_dir="somewhere") == dataclasses.replace(
        cardiomegaly.PRESET, dataset="nih", data_dir="somewhere"
    )


def test_each_of_several_data_sets_brings_its_defaults():
    assert config(dataset="nih,padchest", data_dir="a,b").on_bad_image == "skip"


def test_what_is_given_wins_over_the_data_sets_default():
    datasets = {"nih": {"finding": "Hernia", "epochs": 3, "class_weights": (0.5, 2)}}
    given = {"dataset": "nih", "data_dir": "somewhere", "epochs": 5}
    made = cli.make_config(cardiomegaly.PRESET, OPTIONS, given, datasets)
    assert (made.finding, made.epochs, made.class_weights) == ("Hernia", 5, (0.5, 2.0))
    assert cli.make_config(cardiomegaly.PRESET, OPTIONS, {}, datasets) == cardiomegaly.PRESET


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": -1.0}, r"lr must be > 0, got -1.0"),
        ({"batch_size": 15}, r"batch_size must be even where mixup pairs neighbours, got 15"),
        ({"label_smoothing": 1.0}, r"label_smoothing must be in \[0, 1\), got 1.0"),
        ({"crop": ["0.6", "0.5", "0", "0"]}, r"left \+ right must be < 1, got 0.6 \+ 0.5"),
        ({"crop": ["0.1", "0.1"]}, r"crop must be four fractions"),
        ({"crop": ["a", "b", "c", "d"]}, r"crop must be floats with commas between"),
        ({"class_weights": ["1"]}, r"class_weights must be two numbers > 0"),
        ({"dataset": "nih"}, r"dataset nih needs data_dir"),
        ({"phantom_size": 20}, r"phantom_size must be >= 32, got 20"),
        ({"schedule": "step", "warmup": 0.6}, r"warmup must be <= 0.5 with schedule step"),
        ({"lr": float("nan")}, r"lr must be > 0, got nan"),
    ],
)
def test_wrong_values_are_refused_by_name(given, message):
    with pytest.raises(ValueError, match=message):
        config(**given)


def test_help_lists_the_flags_with_units_and_defaults():
    text = " ".join(run("--help").stdout.split())
    for flag in OPTIONS:
        assert f"--{flag}" in text or f"--[no]{flag}" in text, flag
    assert "[degrees]" in text
    assert "default 0.001" in text
    assert "(default 30; on phantom 4)" in text


def test_a_wrong_flag_is_one_line_and_status_1():
    out = run("--batch_size=15")
    assert out.returncode == 1
    assert out.stderr.strip().splitlines() == [
        "error: batch_size must be even where mixup pairs neighbours, got 15; "
        "take an even one or mixup_alpha=0"
    ]


def test_a_missing_data_set_is_one_line_and_status_1(tmp_path):
    out = run(
        "--dataset=nih", f"--data_dir={tmp_path / 'nowhere'}", f"--workdir={tmp_path / 'run'}"
    )
    assert out.returncode == 1
    assert "nowhere" in out.stderr
    assert "Traceback" not in out.stderr
