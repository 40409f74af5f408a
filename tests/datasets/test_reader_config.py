import dataclasses
import importlib
import inspect

import pytest

from cxr_jax import datasets
from cxr_jax.datasets.reader_config import ReaderConfig


@pytest.mark.parametrize("field", dataclasses.fields(ReaderConfig), ids=lambda field: field.name)
def test_every_option_has_a_reader_that_takes_it_with_the_same_default(field):
    taking = [
        taken[field.name] for name in datasets.NAMES if field.name in (taken := _parameters(name))
    ]
    assert taking
    assert {parameter.default for parameter in taking} == {field.default}
    assert {parameter.kind for parameter in taking} == {inspect.Parameter.KEYWORD_ONLY}


def _parameters(name):
    module = importlib.import_module(f"cxr_jax.datasets.{name.partition(':')[0]}")
    return inspect.signature(module.read).parameters


@pytest.mark.parametrize(
    ("name", "option"), [("nih", "nih_labels"), ("mimic_cxr", "labeller"), ("vindr_cxr", "readers")]
)
def test_a_reader_refuses_other_values_by_name(name, option, tmp_path):
    reader = importlib.import_module(f"cxr_jax.datasets.{name}")
    with pytest.raises(ValueError, match=f"{option} must be one of .*, got 'other'"):
        reader.read(tmp_path, **{option: "other"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"readers": "most"}, "readers must be one of any, majority, count, got 'most'"),
        ({"reader_count": 0}, r"reader_count must be in \[1, 3\], got 0"),
    ],
)
def test_other_values_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        ReaderConfig(**options)
