"""What a finished run writes beside its checkpoints: predictions, numbers, the report."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import Array, Key

from cxr_jax.by_finding import SplitEvaluation, SplitPredictions, choose_points, evaluate_split
from cxr_jax.evaluation import Estimate, without_nan
from cxr_jax.pipeline.burned_in import warn_of_burned_in
from cxr_jax.pipeline.decode import decode
from cxr_jax.training.config import Config
from cxr_jax.training.config_json import to_json
from cxr_jax.training.data import RunData

if TYPE_CHECKING:
    from cxr_jax.reporting.page import Section

_SAMPLES = 4  # rows of the preprocessing sheet


@dataclasses.dataclass(frozen=True, kw_only=True)
class Addition:
    """What a run reports beside its classification.

    Attributes:
      name: of its numbers in `evaluation.json`.
      numbers: as JSON has them, but NaN for null; None for none.
      summary: lines at the run's end: what, and its value.
      section: makes the report's section, when the report is written; None for none.
    """

    name: str
    numbers: Mapping[str, Any] | None
    summary: Sequence[tuple[str, str]]
    section: "Callable[[], Section] | None"


def write_results(
    folder: Path,
    config: Config,
    data: RunData,
    predictions: Mapping[str, SplitPredictions],
    validation: SplitEvaluation,
    test: SplitEvaluation,
    history: list[dict[str, Any]],
    additions: Sequence[Addition],
) -> None:
    """Write `predictions_*.csv`, `evaluation.json`, `report.html`."""
    if jax.process_index() != 0:
        return
    for name, split in predictions.items():
        split.write_csv(folder / f"predictions_{name}.csv")
    as_json = {"validation": validation.to_json(), "test": test.to_json()}
    as_json |= {more.name: without_nan(more.numbers) for more in additions}
    (folder / "evaluation.json").write_text(json.dumps(as_json, indent=2) + "\n")
    _report(folder, config, data, predictions["test"], validation, test, history, additions)


def evaluate_splits(
    predictions: Mapping[str, SplitPredictions], config: Config
) -> tuple[SplitEvaluation, SplitEvaluation]:
    """The numbers of validation and test, both at validation's operating point and temperature."""
    points = choose_points(predictions["validation"])
    validation, test = (
        evaluate_split(
            predictions[name],
            points,
            key=bootstrap_key(config),
            samples=config.bootstrap_samples,
        )
        for name in ("validation", "test")
    )
    return validation, test


def bootstrap_key(config: Config) -> Key[Array, ""]:
    """Of all of a run's intervals, so that they rest on the same draws of patients."""
    return jax.random.fold_in(jax.random.key(config.seed), 2**31 - 1)  # beyond any step's


def _report(
    folder: Path,
    config: Config,
    data: RunData,
    predictions: SplitPredictions,
    validation: SplitEvaluation,
    test: SplitEvaluation,
    history: list[dict[str, Any]],
    additions: Sequence[Addition],
) -> None:
    # Imported here: Matplotlib and scikit-learn would cost every start two seconds.
    from cxr_jax.reporting.report import Findings, write_report
    from cxr_jax.reporting.sheets import augmentation_sheet, preprocessing_sheet

    samples = _samples(data)
    shown = [data.prepared.records[i] for i in samples]
    warn_of_burned_in([record.path for record in shown], page=folder / "report.html")
    write_report(
        folder / "report.html",
        Findings(
            title=f"{_question(config)}{_stage(config)}: {network_title(config)}",
            subtitle=f"{config.experiment} on {config.dataset}, {folder.name}",
            validation=validation,
            test=test,
            predictions=predictions,
            counts=[
                ("split", "images", "patients", "images with a finding"),
                *(tuple(map(str, row)) for row in data.counts()),
            ],
            history=history,
            preprocessing=preprocessing_sheet(
                [
                    decode(record.path, config.decode, bit_depth=record.bit_depth)
                    for record in shown
                ],
                [record.image for record in shown],
                config.preprocess,
            ),
            augmentation=augmentation_sheet(
                jax.random.key(config.seed), data.prepared[samples[0]], config.augment
            ),
            skipped=data.prepared.skipped,
            config=to_json(config),
            environment=json.loads((folder / "environment.json").read_text()),
            sections=[more.section() for more in additions if more.section],
        ),
    )


def _question(config: Config) -> str:
    if config.findings:
        return ", ".join(config.findings)
    against = {"no_finding": "no finding", "others": "all others"}[config.negatives]
    return f"{config.finding} against {against}"


def _stage(config: Config) -> str:
    """What of a recipe in stages this run is."""
    if config.stages is None:
        return f", outlines of {' and '.join(config.outlines)}" if config.outlines else ""
    stage = config.stages.stage
    if stage != "1":
        return {"2": ", stage 2 (transfer learning)", "scratch": ", from scratch"}[stage]
    return f", stage 1 ({config.stages.stage1.replace('_', ' ')})"


def network_title(config: Config) -> str:
    """Network and image size, such as DenseNet-121, 224 x 224."""
    size = config.preprocess.image_size
    named = {"tiny": "tiny DenseNet"}
    network = named.get(config.model) or config.model.replace("densenet", "DenseNet-")
    return f"{network}, {size} x {size}"


def _samples(data: RunData) -> list[int]:
    """Training images with a finding and without, taking turns, of different patients and views."""
    films: dict[str, list[int]] = {}
    for i in data.indices("train"):
        films.setdefault(data.prepared.records[i].patient, []).append(i)
    train = np.array([of[at % len(of)] for at, of in enumerate(films.values())])
    is_positive = (data.labels[train] == 1).any(1)
    positive, negative = train[is_positive], train[~is_positive]
    turns = [int(i) for pair in zip(positive, negative, strict=False) for i in pair]
    return (turns or [int(i) for i in train])[:_SAMPLES]


def summary(folder: Path, test: SplitEvaluation, additions: Sequence[Addition] = ()) -> str:
    """The last lines of a run: its numbers and where to find the rest."""
    mean = "mean " if len(test.findings) > 1 else ""
    rows = [
        ("test", f"{test.images} images of {test.patients} patients, {test.positives} positive"),
        *((f"AUROC, {name}", estimate) for name, estimate in aurocs(test).items()),
        (f"{mean}AUROC", test.macro["auroc"]),
        (f"{mean}average precision", test.macro["average_precision"]),
        (f"{mean}sensitivity", test.macro["sensitivity"]),
        (f"{mean}specificity", test.macro["specificity"]),
        *(row for more in additions for row in more.summary),
        ("report", folder / "report.html"),
        ("predictions", folder / "predictions_test.csv"),
        ("checkpoints", folder / "checkpoints"),
    ]
    width = max(18, *(len(name) for name, _ in rows))
    return "\n".join(["", *(f"{name:<{width}} {value}" for name, value in rows)])


def aurocs(numbers: SplitEvaluation) -> dict[str, Estimate]:
    """The AUROC of each of several findings; nothing of one alone, whose mean says it."""
    each = {name: one.estimates["auroc"] for name, one in numbers.findings.items()}
    return each if len(each) > 1 else {}
