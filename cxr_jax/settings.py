"""Describe one hyperparameter in one line: default, help, unit, choices.

The frozen config dataclasses use it for their fields, and the command line is made from it.
"""

import dataclasses
import types
import typing
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any


def setting(
    default: Any,
    help: str,
    *,
    unit: str | None = None,
    choices: Sequence[str] | None = None,
    flag: str | None = None,
) -> Any:
    """Declare a config field.

    Args:
      default: its value where nothing is said.
      help: one line for `--help`.
      unit: shown in brackets behind the help: "degrees", "fraction of width", …
      choices: the strings that are allowed.
      flag: the flag's name where it is not the field's; "" for a field without a flag.

    Returns:
      A `dataclasses.field` that carries all this as its metadata.
    """
    metadata = {"help": help, "unit": unit, "choices": choices, "flag": flag}
    return dataclasses.field(default=default, metadata=metadata)


def check_fields(config: Any) -> None:
    """Raise where a field holds what neither its annotation nor its choices know.

    Raises:
      TypeError: a value is of another type, or an item of a tuple is.
      ValueError: it is none of the choices.
    """
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value, hint = getattr(config, field.name), hints[field.name]
        if not is_a(value, hint):
            raise TypeError(f"{field.name} must be {_name(hint)}, got {value!r}")
        choices = field.metadata.get("choices")
        if choices and value not in choices:
            names = ", ".join(choice or '""' for choice in choices)
            raise ValueError(f"{field.name} must be one of {names}, got {value!r}")


def is_a(value: Any, hint: Any) -> bool:
    """Whether a value is what an annotation says; NumPy's numbers are, a bool is no number.

    Of a tuple the items count, and not how many there are.
    """
    if isinstance(hint, types.UnionType):
        return any(is_a(value, one) for one in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(is_a(v, typing.get_args(hint)[0]) for v in value)
    if hint in (int, float):
        return isinstance(value, Integral if hint is int else Real) and not isinstance(value, bool)
    return isinstance(value, hint)


def _name(hint: Any) -> str:
    names = {bool: "True or False", int: "an integer", float: "a number", str: "a text"}
    return names.get(hint) or (f"a {hint.__name__}" if isinstance(hint, type) else str(hint))
