"""A config's field holds what its annotation says, in every config."""

import dataclasses

import jaxtyping
import numpy as np
import pytest

from cxr_jax import models
from cxr_jax.preprocess import Crop, PreprocessConfig
from cxr_jax.settings import is_a
from cxr_jax.training.mask_config import SegmentationConfig, StagesConfig
from experiments import cardiomegaly


def within(config):
    """A config and those inside it."""
    yield config
    for field in dataclasses.fields(config):
        if dataclasses.is_dataclass(value := getattr(config, field.name)):
            yield from within(value)


ALL = dataclasses.replace(
    cardiomegaly.PRESET, segmentation=SegmentationConfig(), stages=StagesConfig()
)
SEGMENTER = models.SegmenterConfig(encoder=models.DenseNetConfig.tiny(num_classes=2))
FIELDS = [
    pytest.param(config, field.name, id=f"{type(config).__name__}.{field.name}")
    for config in (*within(ALL), *within(SEGMENTER))
    for field in dataclasses.fields(config)
]


@pytest.fixture(autouse=True)
def _as_outside_of_tests(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.mark.parametrize(("config", "name"), FIELDS)
def test_every_field_of_every_config_refuses_another_type(config, name):
    for wrong in (b"1", (b"1",)):
        with pytest.raises(TypeError, match=rf"^{name} must be .*, got .*b'1'"):
            dataclasses.replace(config, **{name: wrong})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Crop(left="0.1"), "left must be a number, got '0.1'"),
        (lambda: Crop(top=True), "top must be a number, got True"),
        (lambda: PreprocessConfig(clahe_tiles=(True, True)), r"be tuple\[int, int\], got \(True"),
        (lambda: PreprocessConfig(clahe_tiles=8), r"be tuple\[int, int\], got 8"),
        (lambda: PreprocessConfig(clahe_clip_limit="2"), "must be a number, got '2'"),
        (lambda: PreprocessConfig(image_size=2.5), "image_size must be an integer, got 2.5"),
        (lambda: PreprocessConfig(remove_artefacts=1), "must be True or False, got 1"),
        (lambda: PreprocessConfig(kind=None), "kind must be a text, got None"),
        (lambda: PreprocessConfig(crop=(0.1, 0.1)), r"crop must be a Crop, got \(0.1, 0.1\)"),
    ],
)
def test_it_is_said_what_was_expected(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (np.float32(1), float),
        (1, float),
        (np.int64(1), int),
        (None, str | None),
        ((1, 2.5), tuple[float, ...]),
        ((), tuple[str, ...]),
        (0.5, float | tuple[float, ...]),
    ],
)
def test_what_fits_is_let_through(value, hint):
    assert is_a(value, hint)
