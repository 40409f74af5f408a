"""Epochs: train, validate, remember the best, checkpoint."""

import contextlib
import dataclasses
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from tensorboardX import SummaryWriter

from cxr_jax.by_finding import SplitPredictions
from cxr_jax.errors import TrainingError
from cxr_jax.training import console
from cxr_jax.training.checkpoint import Checkpoints, Progress
from cxr_jax.training.parallel import HostBatch, Parallel
from cxr_jax.training.state import TrainState


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How long to train and how often to save.

    Attributes:
      epochs, steps_per_epoch, batch_size: the whole length.
      max_steps: stop there although the schedule goes on; None for the whole.
      checkpoint_every: steps between checkpoints within an epoch; 0 for none.
      patience: epochs to wait for a better validation AUROC; 0 for ever.
    """

    epochs: int
    steps_per_epoch: int
    batch_size: int
    max_steps: int | None = None
    checkpoint_every: int = 0
    patience: int = 0

    @property
    def total_steps(self) -> int:
        """Of the whole length, which the learning rate's schedule spans."""
        return self.epochs * self.steps_per_epoch

    @property
    def last_step(self) -> int:
        """Where training ends."""
        return min(self.total_steps, self.max_steps or self.total_steps)


class RunLog:
    """`metrics.jsonl`, a row an epoch, and `tensorboard/`, also a point a step."""

    def __init__(self, workdir: Path, history: list[dict[str, Any]], *, step: int):
        """Start at `step`: what an interrupted run logged beyond it is dropped."""
        self._path = workdir / "metrics.jsonl"
        self._path.write_text("".join(json.dumps(row) + "\n" for row in history))
        self._board = SummaryWriter(str(workdir / "tensorboard"), purge_step=step)

    def step(self, step: int, numbers: dict[str, float]) -> None:
        for name, value in numbers.items():
            self._board.add_scalar(f"step/{name}", value, step)

    def epoch(self, row: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        for name in ("train_loss", "validation_loss", "validation_auroc", "validation_dice"):
            if row.get(name) is not None:
                self._board.add_scalar(f"epoch/{name}", row[name], row["epoch"])
        self._board.flush()

    def close(self) -> None:
        self._board.close()


@dataclasses.dataclass(kw_only=True)
class Trainer:
    """What a training needs beside its state.

    Attributes:
      plan: its length.
      parallel: the compiled steps.
      batches: an endless Grain iterator; each item is one global batch's local part.
      validate: predicts the validation images.
      schedule: step → learning rate, for the log.
      checkpoints, log: where it is kept.
      interrupted: asked after each step; once true, training saves and stops.
    """

    plan: Plan
    parallel: Parallel
    batches: Iterator[HostBatch]
    validate: Callable[[TrainState], SplitPredictions]
    schedule: optax.Schedule
    checkpoints: Checkpoints
    log: RunLog
    interrupted: Callable[[], bool] = lambda: False
    _table: console.EpochTable = dataclasses.field(default_factory=console.EpochTable)

    def train(self, state: TrainState, progress: Progress) -> TrainState:
        """Train to the plan's end, or until patience ends; `progress` is kept up to date.

        Args:
          state, progress: fresh, or as restored; then `batches` is positioned to match.

        Raises:
          TrainingError: the loss is not finite, or training was interrupted. The last good
            checkpoint stays.
        """
        step = int(state.step)
        state = self.parallel.place(state)
        for row in progress.history:
            self._table.add(row)
        with contextlib.closing(self.log):
            state = self._train_epochs(state, step, progress)
        state = self.parallel.collect(state)
        if progress.best is None:  # stopped within the first epoch: these weights are all there is
            self.checkpoints.save_best(state)
        self.checkpoints.wait()
        return state

    def _train_epochs(self, state: TrainState, step: int, progress: Progress) -> TrainState:
        while step < self.plan.last_step and not self._out_of_patience(progress):
            state, step, speed = self._train_epoch(state, step, progress)
            if step % self.plan.steps_per_epoch == 0:
                state = self._end_epoch(state, step, speed, progress)
            self.checkpoints.save(self.parallel.collect(state), self.batches, progress)
        return state

    def _out_of_patience(self, progress: Progress) -> bool:
        return 0 < self.plan.patience <= progress.waited

    def _train_epoch(
        self, state: TrainState, step: int, progress: Progress
    ) -> tuple[TrainState, int, "_Speed"]:
        """Train to the end of the current epoch, or to the plan's last step."""
        plan, speed = self.plan, _Speed()
        epoch_start = step - step % plan.steps_per_epoch
        end = min(epoch_start + plan.steps_per_epoch, plan.last_step)
        pending: tuple[int, dict[str, jax.Array]] | None = None
        with console.bar(
            plan.steps_per_epoch * plan.batch_size,
            f"epoch {progress.epoch + 1}/{plan.epochs}",
            initial=(step - epoch_start) * plan.batch_size,
            unit="img",
        ) as bar:
            while step < end:
                state, metrics = self.parallel.train_step(state, next(self.batches))
                step += 1
                # Looking at the step before leaves the device busy with this one meanwhile.
                if pending is not None:
                    bar.set_postfix(self._look(*pending), refresh=False)
                pending = (step, metrics)
                bar.update(plan.batch_size)
                speed.count(plan.batch_size)
                due = plan.checkpoint_every and step % plan.checkpoint_every == 0
                stop = self.interrupted()
                if (due or stop) and step < end:
                    self._look(*pending)
                    self.checkpoints.save(self.parallel.collect(state), self.batches, progress)
                if stop and step < end:
                    self.checkpoints.wait()
                    raise TrainingError(
                        f"interrupted after step {step}; a checkpoint is in "
                        f"{self.checkpoints.folder}; --resume continues there"
                    )
            if pending is not None:
                self._look(*pending)
        speed.stop()
        return state, step, speed

    def _look(self, step: int, metrics: dict[str, jax.Array]) -> dict[str, str]:
        """Fetch a step's numbers, log them, and stop where training has diverged."""
        numbers = {name: float(value) for name, value in metrics.items()}
        if not all(math.isfinite(value) for value in numbers.values()):
            last = self.checkpoints.last_step
            kept = f"{self.checkpoints.folder / 'last' / str(last)}" if last else "none yet"
            shown = ", ".join(f"{name} {value}" for name, value in numbers.items())
            raise TrainingError(
                f"training diverged at step {step}: {shown}; last good checkpoint: {kept}; "
                "try a smaller --lr or --clip_norm"
            )
        numbers["lr"] = float(self.schedule(step - 1))
        self.log.step(step, numbers)
        return {"loss": f"{numbers['loss']:.4f}", "lr": f"{numbers['lr']:.2e}"}

    def _end_epoch(
        self, state: TrainState, step: int, speed: "_Speed", progress: Progress
    ) -> TrainState:
        """Validate, keep the best, add a row to the history, start the epoch's sums anew."""
        now = self.parallel.collect(state)
        predictions = self.validate(now)
        score, auroc, loss = predictions.score, predictions.auroc, predictions.loss
        progress.epoch += 1
        is_best = progress.best is None or _better([score, loss], progress.best)
        if is_best:
            progress.best, progress.best_epoch, progress.waited = [score, loss], progress.epoch, 0
            self.checkpoints.save_best(now)
        else:
            progress.waited += 1
        row = {
            "epoch": progress.epoch,
            "step": step,
            "train_loss": float(now.loss_sum) / max(float(now.weight_sum), 1e-12),
            "validation_loss": None if math.isnan(loss) else loss,
            "validation_auroc": None if math.isnan(auroc) else auroc,
            **({"validation_dice": score} if predictions.masks else {}),
            "lr": float(self.schedule(step - 1)),
            "is_best": is_best,
            "images_per_second": speed.images_per_second,
            "seconds": speed.seconds,
        }
        progress.history.append(row)
        self.log.epoch(row)
        self._table.add(row)
        # Two zeros: a buffer cannot be donated twice.
        loss_sum, weight_sum = jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32)
        return self.parallel.place(
            dataclasses.replace(now, loss_sum=loss_sum, weight_sum=weight_sum)
        )


def _better(new: list[float], old: list[float]) -> bool:
    """Higher score, then lower loss; the loss alone where validation lacks a class."""
    if math.isnan(new[0]) or math.isnan(old[0]):
        return new[1] < old[1]
    return (new[0], -new[1]) > (old[0], -old[1])


class _Speed:
    """Images a second, the process's first step (which compiles) left out."""

    def __init__(self) -> None:
        self._start = self._warm = time.perf_counter()
        self._images = -1
        self.seconds = self.images_per_second = 0.0

    def count(self, images: int) -> None:
        if self._images < 0:
            self._images, self._warm = 0, time.perf_counter()
        else:
            self._images += images

    def stop(self) -> None:
        now = time.perf_counter()
        self.seconds = now - self._start
        self.images_per_second = max(self._images, 0) / max(now - self._warm, 1e-9)
