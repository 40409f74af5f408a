"""Measure a finished run on another data set: external validation.

cxr evaluate --run=RUN --dataset=NAME --data_dir=FOLDER

Images are preprocessed as the run's own were, and called positive at the operating point that was
chosen on the run's validation images. The run's finding must be among the data set's, by name
(capitals, spaces and underscores apart), or be named by --finding; of several findings those that
the data set does not know are left out.

Images that the run has learnt from are refused: those of patients in its training or validation
split, where both are of one data set, and files of the same content. --only_new leaves them out.

What is written into --out: predictions.csv, evaluation.json, report.html with its figures.
"""

import argparse
import csv
import json
import sys
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float32

from cxr_jax import datasets
from cxr_jax.by_finding import SplitEvaluation, SplitPredictions, evaluate_split
from cxr_jax.commands.matching import label, match_findings
from cxr_jax.commands.output import add_run, comma_list, file_path, new_folder
from cxr_jax.commands.overlap import seen
from cxr_jax.commands.reader_options import add_reader_options, reader_config
from cxr_jax.errors import DataError
from cxr_jax.pipeline import loader
from cxr_jax.pipeline.once import writing
from cxr_jax.pipeline.prepare import ON_BAD_IMAGE, Prepared, prepare
from cxr_jax.pipeline.record import Record
from cxr_jax.pipeline.select import NEGATIVES
from cxr_jax.training.outputs import aurocs, network_title
from cxr_jax.training.parallel import make_predict
from cxr_jax.training.predict import predict
from cxr_jax.training.saved import SavedRun, load_run
from cxr_jax.training.workdir import use_compilation_cache

_SHOWN = 3  # of the images that are refused


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_run(parser)
    parser.add_argument("--dataset", required=True, choices=datasets.NAMES, help="the data set")
    parser.add_argument("--data_dir", required=True, type=file_path, help="its folder")
    add_reader_options(parser)
    parser.add_argument("--finding", help="its name there, where it is not the run's")
    parser.add_argument("--split", help="evaluate this prescribed split alone, such as test")
    parser.add_argument("--negatives", choices=NEGATIVES, help="default as the run")
    parser.add_argument("--views", type=comma_list, help="such as PA,AP; default as the run")
    parser.add_argument("--on_bad_image", choices=ON_BAD_IMAGE, default="fail", help="default fail")
    parser.add_argument(
        "--only_new", action="store_true", help="leave out what the run has learnt from"
    )
    parser.add_argument(
        "--out",
        type=file_path,
        metavar="DIR",
        help="where to write; default RUN/evaluations/<dataset>",
    )
    parser.add_argument("--cache_dir", type=file_path, help="default as the run")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the numbers, write them."""
    saved = load_run(arguments.run)
    config = saved.config
    cache_dir = arguments.cache_dir or Path(config.cache_dir).expanduser()
    use_compilation_cache(cache_dir)
    out = arguments.out or arguments.run / "evaluations" / arguments.dataset.replace(":", "/")
    out = new_folder(out, holds="evaluation.json")
    records = datasets.read(
        arguments.dataset,
        arguments.data_dir,
        reader_config(arguments, config.reader),
        cache_dir=cache_dir,
    )
    records = _of_split(records, arguments.split)
    matched, missing = match_findings(config, records, named=arguments.finding)
    for warning in missing:
        print(f"warning: {warning}", file=sys.stderr)
    negatives = arguments.negatives or config.negatives
    views = config.views if arguments.views is None else arguments.views
    records, labels = label(config, records, matched, negatives=negatives, views=views)
    new = _new(saved, records, arguments, cache_dir)
    prepared = prepare(
        [records[position] for position in new],
        config.preprocess,
        cache_dir=cache_dir,
        on_bad_image=arguments.on_bad_image,
        decoding=config.decode,
    )
    predictions = _predict(saved, prepared, labels[new][prepared.kept])
    evaluation = evaluate_split(
        predictions,
        saved.points,
        key=jax.random.key(config.seed),
        samples=config.bootstrap_samples,
    )
    left_out = len(records) - len(new)
    asked = {
        "run": str(saved.folder),
        "dataset": arguments.dataset,
        "finding": ", ".join(matched.values()),
        "split": arguments.split,
        "negatives": negatives,
        "views": list(views),
        "left_out_as_seen": left_out,
        "left_out_as_bad": len(prepared.skipped),
    }
    with writing(out):
        _write(out, asked, saved, predictions, evaluation, prepared)
    print(_summary(out, evaluation, asked))
    return 0


def _of_split(records: list[Record], split: str | None) -> list[Record]:
    if split is None:
        return records
    kept = [record for record in records if record.split == split]
    if not kept:
        prescribed = sorted({record.split for record in records if record.split})
        raise DataError(
            f"--split={split}: the data set prescribes "
            f"{', '.join(prescribed) or 'no splits'}; choose one of them, or leave --split out"
        )
    return kept


def _new(
    saved: SavedRun, records: list[Record], arguments: argparse.Namespace, cache_dir: Path
) -> np.ndarray:
    """Positions of the images that the run has not learnt from.

    Raises:
      DataError: there are others, which --only_new would leave out; or none is new.
    """
    found, told = seen(saved, records, dataset=arguments.dataset, cache_dir=cache_dir)
    for warning in told:
        print(f"warning: {warning}", file=sys.stderr)
    if found and not arguments.only_new:
        shown = "; ".join(f"{records[i].image} {why}" for i, why in list(found.items())[:_SHOWN])
        raise DataError(
            f"{arguments.data_dir}: the run has learnt from {len(found):,} of these "
            f"{len(records):,} images: {shown}; leave them out with --only_new, or choose a split "
            "by --split"
        )
    new = np.setdiff1d(np.arange(len(records)), list(found))
    if not new.size:
        raise DataError(f"{arguments.data_dir}: the run has learnt from all of these images")
    return new


def _predict(
    saved: SavedRun, prepared: Prepared, labels: Float32[np.ndarray, "image finding"]
) -> SplitPredictions:
    batches = loader.eval_batches(
        prepared, np.arange(len(prepared)), labels, batch_size=saved.batch_size
    )
    return predict(
        make_predict(saved.recipe),
        saved.variables,
        batches,
        prepared.records,
        findings=saved.config.asked,
    )


def _write(
    out: Path,
    asked: dict[str, object],
    saved: SavedRun,
    predictions: SplitPredictions,
    evaluation: SplitEvaluation,
    prepared: Prepared,
) -> None:
    from cxr_jax.reporting.external import write_external_report

    predictions.write_csv(out / "predictions.csv")
    if prepared.skipped:
        with (out / "skipped.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("image", "reason"), *prepared.skipped])
    write_external_report(
        out / "report.html",
        title=f"{', '.join(saved.config.asked)}: {network_title(saved.config)} of "
        f"{saved.folder.resolve().name} on {asked['dataset']}",
        asked={name: str(value) for name, value in asked.items()},
        predictions=predictions,
        evaluation=evaluation,
    )
    numbers = {**asked, "evaluation": evaluation.to_json()}
    (out / "evaluation.json").write_text(json.dumps(numbers, indent=2) + "\n")


def _summary(out: Path, evaluation: SplitEvaluation, asked: dict[str, object]) -> str:
    estimates = evaluation.macro
    points = ", ".join(f"{one.threshold:.3f}" for one in evaluation.findings.values())
    rows = {
        "data set": f"{asked['dataset']}: {evaluation.images} images of {evaluation.patients} "
        f"patients, {evaluation.positives} positive",
        "left out": f"{asked['left_out_as_seen']} that the run has learnt from, "
        f"{asked['left_out_as_bad']} that could not be used",
        **{f"AUROC, {name}": value for name, value in aurocs(evaluation).items()},
        "AUROC": estimates["auroc"],
        "average precision": estimates["average_precision"],
        "operating point": points,
        "sensitivity": estimates["sensitivity"],
        "specificity": estimates["specificity"],
        "calibration error": estimates["expected_calibration_error"],
        "after scaling": estimates["calibrated_error"],
        "report": out / "report.html",
        "predictions": out / "predictions.csv",
    }
    width = max(19, *(len(name) + 1 for name in rows))
    return "\n".join(f"{name:<{width}}{value}" for name, value in rows.items())
