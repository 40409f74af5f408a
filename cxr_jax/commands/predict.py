"""Predict images with a finished run.

cxr predict --run=RUN IMAGE... [--out=DIR]

Images are PNG, JPEG, TIFF or DICOM files, or folders of them. Each is decoded and preprocessed as
the run's own images were. What is written into DIR:

  predictions.csv, predictions.json
      probability               of the finding, as the network gives it
      calibrated_probability    the same after temperature scaling, fitted on the run's validation
                                images: the one to be read as a chance
      decision                  positive where the probability, before calibration, reaches the
                                operating point that was chosen on the validation images
  gradcam/NAME.png
      where the network's last maps speak for the finding; coarse, and no segmentation

A run of several findings has such columns of each, probability_<finding> and so on, and overlays of
the positive ones.

An image that cannot be used is named with the reason, the others are predicted all the same, and
the exit status is 1. No value of a DICOM header is written anywhere.

It is research software: nothing in it is validated for clinical use.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from cxr_jax.commands.output import add_run, comma_list, new_folder
from cxr_jax.commands.prediction import Readable, predict_images, read_image
from cxr_jax.commands.prediction_files import FORMATS, prediction_files
from cxr_jax.commands.sources import find_images
from cxr_jax.pipeline.bad_image import BadImageError
from cxr_jax.training.config import Config
from cxr_jax.training.saved import load_run
from cxr_jax.training.workdir import now, use_compilation_cache


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="an image, or a folder of them")
    add_run(parser)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where to write; default predictions/<time>"
    )
    parser.add_argument(
        "--formats",
        type=_formats,
        default=FORMATS,
        metavar="csv,json,png",
        help="what to write, all by default; without png no Grad-CAM is computed",
    )


def _formats(text: str) -> tuple[str, ...]:
    chosen = comma_list(text)
    if not chosen or not set(chosen) <= set(FORMATS):
        raise argparse.ArgumentTypeError(f"must be some of {','.join(FORMATS)}, got {text!r}")
    return chosen


def run(arguments: argparse.Namespace) -> int:
    """Predict, print a table, write files; 1 where an image could not be used."""
    saved = load_run(arguments.run)
    use_compilation_cache(Path(saved.config.cache_dir).expanduser())
    files, problems = find_images(arguments.images)
    failed: list[tuple[str, str]] = []
    for path, reason in problems:
        _fail(failed, path, reason)
    out = new_folder(arguments.out or Path("predictions") / now(), holds="predictions.*")
    width = max((len(str(file)) for file in files), default=0)
    predicted = 0
    with prediction_files(out, formats=arguments.formats, saved=saved, failed=failed) as add:
        images = _read_all(files, saved.config, failed)
        for prediction in predict_images(saved, images, with_heat="png" in arguments.formats):
            if not predicted:
                for finding, point in saved.points.items():
                    print(f"{finding}, operating point {point.threshold:.3f}")
                print(f"{'image':<{width}}  probability  calibrated  decision")
            for finding, answer in prediction.findings.items():
                print(
                    f"{prediction.image.path!s:<{width}}  {answer.probability:11.3f}"
                    f"  {answer.calibrated:10.3f}  {answer.decision}"
                    + (f"  {finding}" if len(saved.points) > 1 else ""),
                    flush=True,
                )
            add(prediction)
            predicted += 1
    print(f"written to {out}")
    if failed:
        total = predicted + len(failed)
        print(f"error: {len(failed)} of {total} could not be predicted", file=sys.stderr)
    return 1 if failed else 0


def _read_all(
    files: Sequence[Path], config: Config, failed: list[tuple[str, str]]
) -> Iterator[Readable]:
    """Read the images; what cannot be used is said and noted."""
    for file in files:
        try:
            image = read_image(file, config)
        except BadImageError as error:
            _fail(failed, file, f"{error.reason}; {error.cure}")
            continue
        for warning in image.warnings:
            print(f"warning: {file}: {warning}", file=sys.stderr, flush=True)
        yield image


def _fail(failed: list[tuple[str, str]], path: Path, reason: str) -> None:
    failed.append((str(path), reason))
    print(f"error: {path}: {reason}", file=sys.stderr, flush=True)
