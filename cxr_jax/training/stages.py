"""`fit(config)`: one training, or the several that a recipe is made of."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cxr_jax.by_finding import SplitPredictions
from cxr_jax.evaluation import Predictions, compare
from cxr_jax.training import console, workdir
from cxr_jax.training.config import Config
from cxr_jax.training.data import RunData
from cxr_jax.training.mask_config import StagesConfig
from cxr_jax.training.outputs import Addition, bootstrap_key
from cxr_jax.training.pretrained_config import PretrainedConfig
from cxr_jax.training.ratio import measure_ratio
from cxr_jax.training.run import Run, fit_one

if TYPE_CHECKING:
    from cxr_jax.reporting.page import Section

Interrupted = Callable[[], bool]


def fit(config: Config, *, interrupted: Interrupted = lambda: False) -> Run:
    """Prepare, train, evaluate and report, all into the run directory.

    A recipe in two stages leaves a run for each in its directory: `stage1`, `stage2`, and `scratch`
    where that is compared. One that measures the cardiothoracic ratio leaves the run of the network
    that outlines heart and lungs in `ratio`.

    Args:
      config: the whole of what decides the result; see `Config`.
      interrupted: asked after each step; once true, a checkpoint is saved and TrainingError raised.

    Returns:
      The last run: of two stages the second.

    Raises:
      CxrError: files, directories or checkpoints cannot be used, or training diverges; the message
        names what and the cure.
    """
    if config.stages is None:
        return _fit_with_ratio(config, interrupted)
    if config.stages.stage == "1":
        return fit_one(_stage1(config, config.stages), interrupted=interrupted)
    if config.stages.stage == "both" or config.stages.compare_scratch:
        return _fit_stages(config, config.stages, interrupted)
    return fit_one(_classifier(config), interrupted=interrupted)


def _fit_with_ratio(config: Config, interrupted: Interrupted) -> Run:
    if config.ratio is None or not config.ratio.enabled:
        return fit_one(config, interrupted=interrupted)

    def additions(run: Config, data: RunData, predictions: Mapping[str, SplitPredictions]) -> list:
        return [measure_ratio(run, data, interrupted)]

    return fit_one(config, interrupted=interrupted, additions=additions)


def _fit_stages(config: Config, stages: StagesConfig, interrupted: Interrupted) -> Run:
    """Stage 1 unless there is one to start from, stage 2, and its comparison with neither."""
    folder = workdir.parent_folder(config)

    if stages.stage == "both":
        console.say(f"stage 1, training with masks ({stages.stage1})")
        first = fit_one(
            workdir.as_part(_stage1(config, stages), folder / "stage1"), interrupted=interrupted
        )
        stages = dataclasses.replace(stages, stage="2", source=str(first.workdir))
        console.say()
    second = _classifier(dataclasses.replace(config, stages=stages))

    def additions(
        run: Config, data: RunData, predictions: Mapping[str, SplitPredictions]
    ) -> Sequence[Addition]:
        if not stages.compare_scratch:
            return []
        console.say("\nthe same from untrained weights")
        anew = dataclasses.replace(stages, stage="scratch", compare_scratch=False)
        scratch = dataclasses.replace(second, stages=anew, pretrained=PretrainedConfig())
        other = fit_one(workdir.as_part(scratch, folder / "scratch"), interrupted=interrupted)
        tests = predictions["test"].findings, other.predictions["test"].findings
        return [_comparison(config, *(of[config.finding] for of in tests))]

    console.say("stage 2, transfer learning")
    return fit_one(
        workdir.as_part(second, folder / "stage2"), interrupted=interrupted, additions=additions
    )


def _stage1(config: Config, stages: StagesConfig) -> Config:
    """Its own length, and masks to draw where it draws them."""
    config = dataclasses.replace(
        config,
        stages=dataclasses.replace(stages, stage="1", compare_scratch=False),
        epochs=stages.stage1_epochs or config.epochs,
    )
    if stages.stage1 == "masked_images" or config.segmentation is None:
        return _classifier(config)
    masks = dataclasses.replace(config.segmentation, masks=(config.finding,))
    return dataclasses.replace(config, segmentation=masks)


def _classifier(config: Config) -> Config:
    """Without masks to draw."""
    return dataclasses.replace(config, segmentation=None)


def _comparison(config: Config, transferred: Predictions, scratch: Predictions) -> Addition:
    difference = compare(
        transferred, scratch, key=bootstrap_key(config), samples=config.bootstrap_samples
    )

    def section() -> "Section":
        from cxr_jax.reporting.page import Section

        return Section(
            title="Transfer against training from scratch",
            text=[
                f"AUROC with transfer {transferred.auroc:.3f}, from untrained weights "
                f"{scratch.auroc:.3f}; difference {difference}. The interval is of the difference, "
                "from resampling patients with both predictions of each: where it holds 0, these "
                "images do not tell which is better."
            ],
        )

    return Addition(
        name="transfer_minus_scratch",
        numbers=dataclasses.asdict(difference),
        summary=[("transfer − scratch", f"AUROC {difference}")],
        section=section,
    )
