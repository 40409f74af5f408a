"""The options of readers on the command line of `cxr`."""

import argparse
import dataclasses

from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.errors import ConfigError


def add_reader_options(parser: argparse.ArgumentParser) -> None:
    """Add an argument for every field of ReaderConfig."""
    for field in dataclasses.fields(ReaderConfig):
        parser.add_argument(
            f"--{field.name}",
            type=type(field.default),
            choices=field.metadata["choices"],
            help=field.metadata["help"],
        )


def reader_config(arguments: argparse.Namespace, default: ReaderConfig) -> ReaderConfig:
    """The options that are given, and the others as in `default`.

    Raises:
      ConfigError: a value is refused.
    """
    names = [field.name for field in dataclasses.fields(ReaderConfig)]
    given = {
        name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None
    }
    try:
        return dataclasses.replace(default, **given)
    except ValueError as error:
        raise ConfigError(f"--{error}") from error
