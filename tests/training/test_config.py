"""A config survives the way to JSON and back."""

import json

import pytest

from cxr_jax.augment import AugmentConfig
from cxr_jax.errors import ConfigError
from cxr_jax.models import DenseNetConfig
from cxr_jax.preprocess import Crop, PreprocessConfig
from cxr_jax.training import Config
from cxr_jax.training.config_json import from_json, to_json
from cxr_jax.training.mask_config import RatioConfig, SegmentationConfig, StagesConfig
from cxr_jax.training.recipe import checked_recipe, make_recipe
from experiments import cardiomegaly


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        cardiomegaly.PRESET,
        Config(
            dataset="nih",
            data_dir="somewhere",
            views=("PA", "AP"),
            class_weights=None,
            max_steps=3,
            preprocess=PreprocessConfig(crop=Crop(left=0.1, top=0.25), clahe_tiles=(4, 6)),
            augment=AugmentConfig(rotation=3.0, enabled=False),
        ),
    ],
)
def test_from_json_is_the_inverse_of_to_json(config):
    assert from_json(to_json(config)) == config


def test_a_field_that_is_missing_has_its_default():
    values = json.loads(to_json(Config(lr=0.5)))
    del values["patience"], values["preprocess"]["bit_depth"]
    assert from_json(json.dumps(values)) == Config(lr=0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[1]", "not the JSON of a config"),
        ('{"lr": "fast"}', "not the JSON of a config"),
        ('{"lr": -1.0}', "lr must be > 0"),
        ('{"speed": 1}', "Config has no field speed"),
        ('{"preprocess": {"crop": {"middle": 1}}}', "Crop has no field middle"),
        ('{"preprocess": 3}', "not the JSON of a config"),
    ],
)
def test_another_text_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        from_json(text)


def test_the_network_is_the_models_but_for_what_the_config_changes():
    changes = {"growth_rate": 4, "compression": 0.25, "dropout": 0.1}
    for changed in ({}, changes):
        expected = DenseNetConfig.densenet161(num_classes=2, **changed)
        assert make_recipe(Config(model="densenet161", **changed)).model == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"growth_rate": 0}, "growth_rate must be at least 1, got 0"),
        ({"compression": 1.5}, r"compression must be in \(0, 1\], got 1.5"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_a_network_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        checked_recipe(Config(**changes))


def test_findings_are_called_by_their_names_in_the_vocabulary():
    config = Config(finding="pleural effusion", findings=("cardiomegaly", "lung_opacity"))
    assert config.finding == "Effusion"
    assert config.findings == config.asked == ("Cardiomegaly", "Lung Opacity")
    assert Config(finding="Hernia").asked == ("Hernia",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"findings": ("Mass", "mass")}, "findings must be different names, or all alone"),
        ({"findings": ("all", "Mass")}, "findings must be different names, or all alone"),
        ({"negatives": "no_finding"}, "negatives=no_finding goes with one --finding, not with"),
        ({"ratio": RatioConfig()}, "cardiothoracic_ratio goes with one --finding"),
        ({"stages": StagesConfig()}, "training in stages goes with one --finding"),
        ({"segmentation": SegmentationConfig(masks=("heart",))}, "outlines goes with one"),
        ({"uncertain": "maybe"}, "uncertain must be one of ignore, zeros, ones, smooth"),
        ({"blanks": "ones"}, "blanks must be one of ignore, zeros"),
    ],
)
def test_what_makes_no_sense_with_several_findings_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Config(**{"findings": ("Mass", "Edema"), **changes})
