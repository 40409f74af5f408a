"""Describe one hyperparameter in one line: default, help, unit, choices.

The frozen config dataclasses use it for their fields, and the command line is made from it.
"""

import dataclasses
from collections.abc import Sequence
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


def check_choices(config: Any) -> None:
    """Raise ValueError where a field declared with choices holds something else."""
    for field in dataclasses.fields(config):
        choices = field.metadata.get("choices")
        value = getattr(config, field.name)
        if choices and value not in choices:
            names = ", ".join(choice or '""' for choice in choices)
            raise ValueError(f"{field.name} must be one of {names}, got {value!r}")
