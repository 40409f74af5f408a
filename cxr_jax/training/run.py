"""`fit(config)`: from files on disk to a report, in one call."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import optax

from cxr_jax import models, optim
from cxr_jax.evaluation import Evaluation, Predictions
from cxr_jax.pipeline import loader
from cxr_jax.tasks import Binary
from cxr_jax.training import console, workdir
from cxr_jax.training.checkpoint import Checkpoints, Progress, load_best_variables
from cxr_jax.training.config import Config
from cxr_jax.training.data import RunData, load_data, write_records
from cxr_jax.training.loop import Plan, RunLog, Trainer
from cxr_jax.training.outputs import summary, write_results
from cxr_jax.training.parallel import Parallel, make_parallel
from cxr_jax.training.predict import predict
from cxr_jax.training.state import TrainState, Tree, create_state
from cxr_jax.training.step import Recipe


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
    validation: Evaluation
    test: Evaluation
    predictions: Mapping[str, Predictions]
    history: list[dict[str, Any]]


def fit(config: Config, *, interrupted: Callable[[], bool] = lambda: False) -> Run:
    """Prepare, train, evaluate and report, all into the run directory.

    Args:
      config: the whole of what decides the result; see `Config`.
      interrupted: asked after each step; once true, a checkpoint is saved and TrainingError raised.

    Raises:
      CxrError: files, directories or checkpoints cannot be used, or training diverges; the message
        names what and the cure.
    """
    cache_dir = Path(config.cache_dir).expanduser()
    workdir.use_compilation_cache(cache_dir)
    workdir.warn_of_idle_gpu()
    folder = workdir.open_workdir(config)
    console.say(f"{'run':<12}{folder}")
    data = load_data(config, cache_dir)
    write_records(folder, data, resume=config.resume)
    for split, images, patients, positives in data.counts():
        console.say(f"{split:<12}{images} images of {patients} patients, {positives} positive")

    recipe = make_recipe(config)
    plan = _plan(config, len(data.indices("train")))
    schedule = optim.schedule(
        config.schedule,
        lr=config.lr,
        total_steps=plan.total_steps,
        warmup_steps=round(config.warmup * plan.total_steps),
    )
    optimizer = optim.optimizer(
        config.optimizer,
        schedule,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm or None,
    )
    parallel = make_parallel(config.parallel, recipe, optimizer, batch_size=config.batch_size)
    checkpoints = Checkpoints(folder)
    try:
        state, progress, batches = _start(config, data, recipe, optimizer, checkpoints)

        def validate(state: TrainState) -> Predictions:
            return _predict(parallel, state.variables, data, "validation", config)

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
        variables = checkpoints.restore_best(state)
    finally:
        checkpoints.close()
    predictions = {
        name: _predict(parallel, variables, data, name, config) for name in ("validation", "test")
    }
    validation, test = write_results(folder, config, data, predictions, progress.history)
    console.say(summary(folder, test))
    return Run(
        workdir=folder,
        config=config,
        recipe=recipe,
        variables=variables,
        validation=validation,
        test=test,
        predictions=predictions,
        history=progress.history,
    )


def make_recipe(config: Config) -> Recipe:
    """The static part of the step: network, task, augmentation, smoothing, mixing."""
    task = Binary(class_weights=config.class_weights)
    model = models.by_name(config.model, num_classes=task.num_outputs, dtype=config.dtype)
    return Recipe(
        model=model,
        task=task,
        augment=config.augment,
        label_smoothing=config.label_smoothing,
        mixup_alpha=config.mixup_alpha,
    )


def _plan(config: Config, images: int) -> Plan:
    return Plan(
        epochs=config.epochs,
        steps_per_epoch=images // config.batch_size,
        batch_size=config.batch_size,
        max_steps=config.max_steps,
        checkpoint_every=config.checkpoint_every,
        patience=config.patience,
    )


def _start(
    config: Config,
    data: RunData,
    recipe: Recipe,
    optimizer: optax.GradientTransformation,
    checkpoints: Checkpoints,
) -> tuple[TrainState, Progress, Any]:
    """State, progress and training batches, fresh or as the last checkpoint has them."""
    size = config.preprocess.image_size
    state = create_state(jax.random.key(config.seed), recipe.model, optimizer, (size, size, 1))
    batches = loader.train_batches(
        data.prepared,
        data.indices("train"),
        data.labels,
        batch_size=config.batch_size,
        seed=config.seed,
        workers=config.num_workers,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    if config.resume:
        state, progress = checkpoints.restore(state, batches)
        console.say(f"resumed after step {int(state.step)}")
        return state, progress, batches
    if config.init_from is not None:
        variables = load_best_variables(Path(config.init_from), state.variables)
        state = dataclasses.replace(
            state, params=variables["params"], batch_stats=variables["batch_stats"]
        )
    return state, Progress(), batches


def _predict(
    parallel: Parallel, variables: Mapping[str, Tree], data: RunData, name: str, config: Config
) -> Predictions:
    batches = loader.eval_batches(
        data.prepared,
        data.indices(name),
        data.labels,
        batch_size=config.batch_size,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    return predict(parallel, variables, batches, data.records(name))
