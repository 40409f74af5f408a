"""The source's recipes, number by number, and its alternatives as flags."""

import importlib
import math
from pathlib import Path

import pytest

from cxr_jax.datasets import NAMES
from experiments import cli

SHEAR = round(math.degrees(0.1), 1)  # the source's 0.1, in radians
# Flag -> default, of every experiment.
ALL = {
    "model": "densenet121",
    "image_size": 224,
    "remove_artefacts": True,
    "lr": 1 / 1000,
    "batch_size": 16,
    "optimizer": "adam",
    "label_smoothing": 0.1,
    "mixup_alpha": 0.2,
    "augment": True,
    "flip": 0.5,
}
CHEST = {
    "artefact_kind": "chest",
    "mirror_right": False,
    "class_weights": (0.90, 1.1),
    "rotation": 6.0,
    "width_shift": 0.05,
    "height_shift": 0.05,
    "shear": SHEAR,
    "zoom": 0.1,
    "brightness": 0.1,
}
RECIPES = {
    "cardiomegaly": {
        **ALL,
        **CHEST,
        "finding": "Cardiomegaly",
        "crop": (0.06, 0.06, 0.20, 0.12),
    },
    "mammography": {
        **ALL,
        "finding": "Cancer",
        "crop": (0.01, 0.01, 0.04, 0.04),
        "artefact_kind": "breast",
        "mirror_right": True,
        "class_weights": None,
        "rotation": 6.0,
        "width_shift": 0.0,
        "height_shift": 0.12,
        "shear": SHEAR,
        "zoom": 0.1,
        "brightness": 0.0,
    },
    "findings": {
        **ALL,
        **CHEST,
        "findings": ("all",),
        "crop": (0.06, 0.06, 0.20, 0.12),
        "class_weights": None,
    },
    "pneumothorax": {
        **ALL,
        **CHEST,
        "finding": "Pneumothorax",
        "crop": (0.05, 0.05, 0.05, 0.17),
        "stage": "both",
        "stage1": "segment",
    },
}
ALTERNATIVES = [
    *({"lr": lr} for lr in (1 / 200, 1 / 1000, 1 / 2000, 1 / 10000)),
    *({"optimizer": name} for name in ("adam", "rmsprop")),
    *({"class_weights": weights} for weights in (["0.9", "1.1"], ["0.95", "1.05"])),
    *({"model": f"densenet{depth}"} for depth in (121, 169, 201, 264)),
]


def experiment(name):
    return importlib.import_module(f"experiments.{name}")


def options(name):
    return {option.flag: option for option in cli.options_of(experiment(name).PRESET)}


@pytest.mark.smoke
@pytest.mark.parametrize("name", RECIPES)
def test_every_number_of_the_recipe_is_the_default_of_a_flag(name):
    defaults = {flag: option.default for flag, option in options(name).items()}
    assert {flag: defaults[flag] for flag in RECIPES[name]} == RECIPES[name]
    assert defaults["clahe_clip_limit"] > 0


@pytest.mark.parametrize("given", ALTERNATIVES, ids=str)
@pytest.mark.parametrize("name", RECIPES)
def test_the_sources_alternatives_are_flags(name, given):
    module = experiment(name)
    made = cli.make_config(module.PRESET, options(name), given, module.DATASETS)
    ((flag, value),) = given.items()
    expected = tuple(map(float, value)) if isinstance(value, list) else value
    assert getattr(made, flag) == expected


@pytest.mark.parametrize("name", RECIPES)
def test_every_data_set_gives_a_config(name):
    module = experiment(name)
    assert set(module.DATASETS) <= set(NAMES)
    for dataset in NAMES:
        given = {"dataset": dataset, "data_dir": "somewhere"}
        made = cli.make_config(module.PRESET, options(name), given, module.DATASETS)
        assert made.dataset == dataset


def test_mammography_tells_malignant_from_benign_where_every_film_has_a_lesion():
    module = experiment("mammography")
    given = {"dataset": "cbis_ddsm", "data_dir": "somewhere"}
    made = cli.make_config(module.PRESET, options("mammography"), given, module.DATASETS)
    assert (made.finding, made.negatives) == ("Malignant", "others")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_fits_on_a_screen(name):
    assert len(Path(experiment(name).__file__).read_text().splitlines()) <= 66
