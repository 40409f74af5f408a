"""One training: from files on disk to a report."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import optax

from cxr_jax import models, optim
from cxr_jax.by_finding import SplitEvaluation, SplitPredictions
from cxr_jax.errors import CxrError
from cxr_jax.pipeline import loader
from cxr_jax.pipeline.once import writing
from cxr_jax.training import console, workdir
from cxr_jax.training.breast_outputs import breasts_additions
from cxr_jax.training.checkpoint import (
    Checkpoints,
    Progress,
    check_run,
    load_best_variables,
)
from cxr_jax.training.config import Config
from cxr_jax.training.data import RunData, load_data, name_findings, write_records
from cxr_jax.training.dataset_outputs import datasets_additions
from cxr_jax.training.loop import Plan, RunLog, Trainer
from cxr_jax.training.mask_outputs import masks_addition
from cxr_jax.training.outputs import Addition, evaluate_splits, summary, write_results
from cxr_jax.training.parallel import Parallel, make_parallel
from cxr_jax.training.predict import predict
from cxr_jax.training.recipe import checked_recipe, make_optimizer
from cxr_jax.training.saved import read_config
from cxr_jax.training.start import hold_back, read_start, start_variables
from cxr_jax.training.state import TrainState, Tree, create_state
from cxr_jax.training.step import Recipe
from cxr_jax.training.transfer import check_network, check_source, fine_tuning, take_encoder

Additions = Callable[[Config, RunData, Mapping[str, SplitPredictions]], Sequence[Addition]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What a finished run leaves.

    Attributes:
      workdir: the run directory.
      config: as it was run.
      recipe: network and task, to predict with `eval_step`.
      variables: the best weights, as `models.apply` takes them.
      validation, test: the numbers of the report.
      predictions: by split.
      history: one row an epoch.
    """

    workdir: Path
    config: Config
    recipe: Recipe
    variables: Mapping[str, Tree]
    validation: SplitEvaluation
    test: SplitEvaluation
    predictions: Mapping[str, SplitPredictions]
    history: list[dict[str, Any]]


def fit_one(
    config: Config,
    *,
    interrupted: Callable[[], bool] = lambda: False,
    additions: Additions = lambda config, data, predictions: [],
) -> Run:
    """Prepare, train, evaluate and report one training, all into the run directory.

    Args:
      config: the whole of what decides the result; see `Config`. Its stage is one alone.
      interrupted: asked after each step; once true, a checkpoint is saved and TrainingError raised.
      additions: makes what is to be reported besides, from the config with the run's directory, the
        data, and the predictions of validation and test.

    Raises:
      CxrError: files, directories or checkpoints cannot be used, or training diverges; the message
        names what and the cure.
    """
    cache_dir = Path(config.cache_dir).expanduser()
    config, records = name_findings(config, cache_dir)
    config, weights = read_start(config)
    recipe = _checked_recipe(config)
    start = start_variables(weights, config, recipe)
    workdir.use_compilation_cache(cache_dir)
    workdir.warn_of_idle_gpu()
    folder = workdir.open_workdir(config)
    console.say(f"{'run':<12}{folder}")
    data = load_data(config, cache_dir, records)
    for split, images, patients, positives in data.counts():
        console.say(f"{split:<12}{images} images of {patients} patients, {positives} positive")
    with workdir.locked(folder), writing(folder):
        write_records(folder, data, resume=config.resume)
        parallel, variables, history = _train(config, folder, data, recipe, start, interrupted)
        predictions = {
            name: _predict(parallel, variables, data, name, config, keep_masks=name == "test")
            for name in ("validation", "test")
        }
        here = dataclasses.replace(config, workdir=str(folder))
        validation, test = evaluate_splits(predictions, config)
        more = [
            *datasets_additions(config, data, predictions["test"], test),
            *breasts_additions(folder, config, data, predictions, test),
            *masks_addition(folder, config, data, predictions),
        ]
        failure: CxrError | None = None
        try:
            more += additions(here, data, predictions)
        except CxrError as error:  # what was trained so far is reported all the same
            failure = error
        write_results(folder, config, data, predictions, validation, test, history, more)
    console.say(summary(folder, test, more))
    if failure is not None:
        raise failure
    return Run(
        workdir=folder,
        config=config,
        recipe=recipe,
        variables=variables,
        validation=validation,
        test=test,
        predictions=predictions,
        history=history,
    )


def _checked_recipe(config: Config) -> Recipe:
    """The recipe; refused before anything is loaded where network or machine cannot do it."""
    if config.init_from is not None:
        other = Path(config.init_from).expanduser()
        check_run(other)
        check_network(other, read_config(other / "config.json"), config)
    if not config.resume:
        check_source(config)
    return checked_recipe(config)


def _train(
    config: Config,
    folder: Path,
    data: RunData,
    recipe: Recipe,
    start: models.Variables | None,
    interrupted: Callable[[], bool],
) -> tuple[Parallel, Mapping[str, Tree], list[dict[str, Any]]]:
    """Train from the start or the last checkpoint: the compiled steps, best weights, history."""
    train = data.indices("train")
    batches = loader.train_batches(
        data.prepared,
        train,
        data.labels,
        batch_size=config.batch_size,
        seed=config.seed,
        balanced=config.sampling == "balanced",
        lend_masks=config.dims,
        workers=config.num_workers,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    plan = Plan(
        epochs=config.epochs,
        steps_per_epoch=len(train) // config.batch_size,
        batch_size=config.batch_size,
        max_steps=config.max_steps,
        checkpoint_every=config.checkpoint_every,
        patience=config.patience,
    )
    schedule = optim.schedule(
        config.schedule,
        lr=config.lr,
        total_steps=plan.total_steps,
        warmup_steps=round(config.warmup * plan.total_steps),
    )
    optimizer = make_optimizer(config, schedule)
    if config.stages is not None and config.stages.stage == "2":
        slower = fine_tuning(config.stages, recipe.model, steps_per_epoch=plan.steps_per_epoch)
        optimizer = optax.chain(optimizer, slower)
    optimizer = hold_back(optimizer, config, recipe)
    parallel = make_parallel(config.parallel, recipe, optimizer)

    def validate(state: TrainState) -> SplitPredictions:
        return _predict(parallel, state.variables, data, "validation", config)

    with contextlib.closing(Checkpoints(folder)) as checkpoints, contextlib.closing(batches):
        state, progress = _start(config, recipe, start, optimizer, checkpoints, batches)
        trainer = Trainer(
            plan=plan,
            parallel=parallel,
            batches=batches,
            validate=validate,
            schedule=schedule,
            checkpoints=checkpoints,
            log=RunLog(folder, progress.history, step=int(state.step)),
            interrupted=interrupted,
        )
        state = trainer.train(state, progress)
        return parallel, checkpoints.restore_best(state), progress.history


def _start(
    config: Config,
    recipe: Recipe,
    start: models.Variables | None,
    optimizer: optax.GradientTransformation,
    checkpoints: Checkpoints,
    batches: Any,
) -> tuple[TrainState, Progress]:
    """State and progress, fresh or as the last checkpoint has them, which positions `batches`."""
    size = config.preprocess.image_size
    shape = (size, size, recipe.model.in_channels)
    state = create_state(jax.random.key(config.seed), recipe.model, optimizer, shape)
    if start is not None:  # a decoder stays untrained
        state = dataclasses.replace(
            state,
            params={**state.params, **start["params"]},
            batch_stats={**state.batch_stats, **start["batch_stats"]},
        )
    if config.init_from is not None:
        variables = load_best_variables(Path(config.init_from).expanduser(), state.variables)
        state = dataclasses.replace(
            state, params=variables["params"], batch_stats=variables["batch_stats"]
        )
    resumed = config.resume and checkpoints.last_step is not None
    if config.stages is not None and config.stages.stage == "2" and not resumed:
        state = take_encoder(config, state)
    if config.resume:
        state, progress = checkpoints.restore(state, batches)
        console.say(f"resumed after step {int(state.step)}")
        return state, progress
    return state, Progress()


def _predict(
    parallel: Parallel,
    variables: Mapping[str, Tree],
    data: RunData,
    name: str,
    config: Config,
    *,
    keep_masks: bool = False,
) -> SplitPredictions:
    batches = loader.eval_batches(
        data.prepared,
        data.indices(name),
        data.labels,
        batch_size=config.batch_size,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    segmentation = config.segmentation if config.outlines else None
    return predict(
        parallel.predict,
        variables,
        batches,
        data.records(name),
        findings=config.asked,
        masks=config.outlines,
        rule=segmentation.rule if segmentation else None,
        keep_masks=keep_masks,
    )
