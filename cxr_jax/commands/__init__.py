"""What one does with runs and data: `cxr COMMAND …`, one module a command.

A command's module has `add_arguments(parser)` and `run(arguments) -> exit status`; its docstring is
the text of its `--help`.
"""

import argparse
import importlib
import sys
import warnings
from collections.abc import Sequence

from absl import logging

from cxr_jax.errors import CxrError

COMMANDS = {
    "predict": "say of images what a run makes of them: probability, decision, Grad-CAM",
    "evaluate": "measure a run on another data set",
    "export": "write a run's weights for torch",
    "inspect": "count and look through a data set before training on it",
    "cost": "say what a training step costs, here or on a TPU that is not",
    "gallery": "draw each stage of preprocessing and each augmentation",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; sys.argv's where there is none.

    Returns:
      The exit status: 0, or 1 where something could not be done, which is said on stderr. Arguments
      that make no sense end the process with status 2, as argparse does.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(prog="cxr", description="Put runs of cxr_jax to use.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        described = commands.add_parser(
            name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name in argv[:1]:  # importing the others would only take time
            module = importlib.import_module(f"cxr_jax.commands.{name}")
            described.description = module.__doc__
            module.add_arguments(described)
    arguments = parser.parse_args(argv)
    logging.set_verbosity(logging.FATAL)  # Orbax logs each of its steps
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        return module.run(arguments)
    except (CxrError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return 1
