"""A config as JSON, as a run directory keeps it, and what two of them disagree in."""

import dataclasses
import json
import typing
from typing import Any

from cxr_jax.training.config import Config

# Free to differ between a checkpoint and its resumption: they change no result. (The number of
# loader processes is not among them: the loader's saved position depends on it.)
MACHINE_FIELDS = (
    "workdir",
    "cache_dir",
    "data_dir",
    "resume",
    "max_steps",
    "checkpoint_every",
    # Of what is trained beside a run, which has a config of its own.
    "ratio.enabled",
    "ratio.model",
    "ratio.epochs",
    "ratio.lr",
    "stages.compare_scratch",
    "stages.source",  # the same run by another path
)


def to_json(config: Config) -> str:
    """The config as JSON, one field a line."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str) -> Config:
    """The config that `to_json` wrote; what it lacks, as an older version's may, has its default.

    Raises:
      ValueError: it is no such JSON, has fields that are not known, or values that are refused.
    """
    try:
        return _from_dict(Config, json.loads(text))
    except (TypeError, AttributeError) as error:  # a number in the place of a text, and the like
        raise ValueError(f"not the JSON of a config: {error}") from error


def _from_dict(kind: Any, values: dict[str, Any]) -> Any:
    """A config dataclass, and those inside it, of what `dataclasses.asdict` made of them."""
    hints = typing.get_type_hints(kind)
    unknown = values.keys() - hints.keys()
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")
    return kind(**{name: _from_json(hints[name], value) for name, value in values.items()})


def _from_json(hint: Any, value: Any) -> Any:
    """A field's value: a config may be missing (None), and JSON knows lists instead of tuples."""
    kinds = [kind for kind in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(kind)]
    if kinds and value is not None:
        return _from_dict(kinds[0], value)
    return tuple(value) if isinstance(value, list) else value


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """{"preprocess.crop.left": 0.06, …} of a config or of its JSON: lists as tuples."""
    if dataclasses.is_dataclass(value):
        value = dataclasses.asdict(value)  # type: ignore[arg-type]
    if isinstance(value, dict):
        return {
            name: leaf
            for key, child in value.items()
            for name, leaf in flatten(child, f"{prefix}.{key}" if prefix else key).items()
        }
    return {prefix: tuple(value) if isinstance(value, list) else value}


def differences(config: Config, saved: Config) -> list[str]:
    """What a saved config and another disagree in, such as "lr: 0.001 there, 0.01 here"."""
    here, there = flatten(config), flatten(saved)
    return [
        f"{name}: {there.get(name, 'absent')} there, {here.get(name, 'absent')} here"
        for name in sorted({*here, *there} - set(MACHINE_FIELDS))
        if here.get(name, "absent") != there.get(name, "absent")
    ]
