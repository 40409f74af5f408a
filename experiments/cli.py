"""The fields of the frozen Config → absl flags → Config → run."""

import dataclasses
import signal
import sys
import types
import typing
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from absl import app, flags, logging

from cxr_jax.errors import CxrError
from cxr_jax.preprocess import Crop
from cxr_jax.training import Config, fit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Option:
    """A flag and the config field that it sets.

    Attributes:
      flag: its name on the command line.
      path: field names from the Config down, such as ("preprocess", "image_size").
      kind: bool, int, float or str of one value, or of the items of a list.
      is_list: several values with commas between.
      default: the preset's.
      help, unit, choices: as the field declares them.
    """

    flag: str
    path: tuple[str, ...]
    kind: type
    is_list: bool
    default: Any
    help: str
    unit: str | None
    choices: tuple[str, ...] | None


Datasets = Mapping[str, Mapping[str, Any]]
"""Data set -> flag -> the default that it has there."""


def main(preset: Config, *, datasets: Datasets) -> None:
    """Run an experiment from the command line; exits with status 1 where it cannot be done.

    Args:
      preset: the recipe; each of its fields with a help text becomes a flag.
      datasets: flags whose default differs on a data set, such as {"phantom": {"epochs": 4}}.
    """
    options = {option.flag: option for option in options_of(preset)}
    _define(options.values(), datasets)
    app.run(lambda arguments: _run(arguments, preset, options, datasets))


def options_of(config: Any, path: tuple[str, ...] = ()) -> Iterator[Option]:
    """The options of a config and of the configs inside it."""
    hints = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value, here = getattr(config, field.name), (*path, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, Crop):
            yield from options_of(value, here)
        elif field.metadata.get("flag") != "" and "help" in field.metadata:
            kind, is_list = _kind(hints[field.name])
            yield Option(
                flag=field.metadata["flag"] or field.name,
                path=here,
                kind=kind,
                is_list=is_list,
                default=dataclasses.astuple(value) if isinstance(value, Crop) else value,
                help=field.metadata["help"],
                unit=field.metadata["unit"],
                choices=field.metadata["choices"],
            )


def _kind(hint: Any) -> tuple[type, bool]:
    """(item type, whether a list) of int, float | None, tuple[str, ...], Crop, …"""
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not types.NoneType)
    if hint is Crop:
        return float, True
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0], True
    return hint, False


def _define(options: Any, datasets: Datasets) -> None:
    """Define the flags, unset where the command line says nothing, and let `--help` show them."""
    for option in options:
        unit = f" [{option.unit}]" if option.unit else ""
        shown = [f"default {_show(option.default)}"]
        shown += [
            f"on {dataset} {_show(defaults[option.flag])}"
            for dataset, defaults in datasets.items()
            if option.flag in defaults
        ]
        text = f"{option.help}{unit} ({'; '.join(shown)})"
        if option.is_list:
            flags.DEFINE_list(option.flag, None, text)
        elif option.choices:
            flags.DEFINE_enum(option.flag, None, list(option.choices), text)
        elif option.kind is bool:
            flags.DEFINE_boolean(option.flag, None, text)
        else:
            define = {
                int: flags.DEFINE_integer,
                float: flags.DEFINE_float,
                str: flags.DEFINE_string,
            }
            define[option.kind](option.flag, None, text)
        # Plain --help lists the key flags of the module that runs.
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[option.flag])


def _show(value: Any) -> str:
    if value in (None, (), ""):
        return "unset"
    if isinstance(value, tuple):
        return ",".join(_show(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def make_config(
    preset: Config,
    options: Mapping[str, Option],
    given: Mapping[str, Any],
    datasets: Datasets,
) -> Config:
    """The preset with the defaults of its data sets and, over them, what was given as flags.

    Raises:
      ValueError: a value is of the wrong type or outside its range.
    """
    values: dict[str, Any] = {}
    for dataset in given.get("dataset", preset.dataset).split(","):
        values |= datasets.get(dataset, {})
    values |= given
    changes: dict[str, Any] = {}
    for flag, value in values.items():
        place = changes
        for name in options[flag].path[:-1]:
            place = place.setdefault(name, {})
        place[options[flag].path[-1]] = _convert(options[flag], value)
    return _replace(preset, changes)


def _convert(option: Option, value: Any) -> Any:
    if not option.is_list:
        return value
    try:
        items = tuple(option.kind(item) for item in value)
    except ValueError as error:
        raise ValueError(
            f"{option.flag} must be {option.kind.__name__}s with commas between, "
            f"got {','.join(map(str, value))}"
        ) from error
    if option.default is not None and option.path[-1] == "crop":
        if len(items) != 4:
            raise ValueError(
                f"crop must be four fractions: left,right,top,bottom, got {len(items)} numbers"
            )
        left, right, top, bottom = items
        return Crop(left=left, right=right, top=top, bottom=bottom)
    return items


def _replace(config: Any, changes: Mapping[str, Any]) -> Any:
    """`dataclasses.replace` that goes down into the configs inside."""
    return dataclasses.replace(
        config,
        **{
            name: _replace(getattr(config, name), value) if isinstance(value, dict) else value
            for name, value in changes.items()
        },
    )


def _run(
    arguments: list[str],
    preset: Config,
    options: Mapping[str, Option],
    datasets: Datasets,
) -> None:
    logging.set_verbosity(logging.FATAL)  # Orbax logs each of its steps, and what it raises too
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        if len(arguments) > 1:
            raise ValueError(f"unexpected argument {arguments[1]!r}; flags are --name=value")
        given = {flag: flags.FLAGS[flag].value for flag in options if flags.FLAGS[flag].present}
        config = make_config(preset, options, given, datasets)
    except ValueError as error:
        _fail(error)
    _silence_abandoned_work()
    try:
        fit(config, interrupted=_on_signal())
    except (CxrError, OSError) as error:
        _fail(error)


def _on_signal() -> Any:
    """Whether Ctrl-C or a termination came; a second one ends the process at once."""
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)
        print("stopping after the next step; once more to stop at once", file=sys.stderr)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return lambda: bool(received)


def _silence_abandoned_work() -> None:
    """Keep Orbax's threads from adding a traceback each to an error that is said in one line."""
    inner, unraisable = sys.excepthook, sys.unraisablehook

    def abandoned(error: BaseException | None) -> bool:
        return isinstance(error, RuntimeError) and str(error) == "Event loop is closed"

    sys.excepthook = lambda kind, value, trace: (
        None if abandoned(value) else inner(kind, value, trace)
    )
    sys.unraisablehook = lambda what: None if abandoned(what.exc_value) else unraisable(what)


def _fail(error: Exception) -> typing.NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)
