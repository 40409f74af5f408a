"""Which epoch is kept and when training stops, with a scripted network and validation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.by_finding import SplitPredictions
from cxr_jax.evaluation import Predictions
from cxr_jax.training.checkpoint import Progress
from cxr_jax.training.loop import Plan, RunLog, Trainer
from cxr_jax.training.parallel import Parallel
from cxr_jax.training.state import TrainState


class Kept:
    """Checkpoints that only note what was asked of them."""

    folder, last_step = "nowhere", None

    def __init__(self):
        self.best = []

    def save(self, state, iterator, progress): ...

    def save_best(self, state):
        self.best.append(int(state.step))

    def wait(self): ...


def predictions(auroc, loss):
    """Of 10 positive and 10 negative images, ranked so that the AUROC is as told."""
    right = round(auroc * 10)
    scores = np.concatenate([np.full(right, 0.9), np.full(10 - right, 0.1), np.full(10, 0.5)])
    labels = np.repeat([1.0, 0.0], 10)
    names = tuple(map(str, range(20)))
    one = Predictions(
        images=names, patients=names, labels=labels, probabilities=scores, losses=np.full(20, loss)
    )
    return SplitPredictions(findings={"Mass": one})


def train(tmp_path, script, *, patience=0, epochs=9):
    """Train two steps an epoch; epoch i validates as script[i] says."""
    scripted = iter(script)

    def step(state, batch):
        zero = jnp.float32(0)
        return (
            TrainState(
                step=state.step + 1,
                params={},
                batch_stats={},
                opt_state={},
                key=state.key,
                loss_sum=state.loss_sum + 1,
                weight_sum=state.weight_sum + 2,
            ),
            {"loss": zero, "grad_norm": zero},
        )

    def same(state):
        return state

    zero = jnp.zeros(())
    kept, progress = Kept(), Progress()
    Trainer(
        plan=Plan(epochs=epochs, steps_per_epoch=2, batch_size=4, patience=patience),
        parallel=Parallel(place=same, train_step=step, collect=same, predict=None),
        batches=iter([{}] * 100),
        validate=lambda state: predictions(*next(scripted)),
        schedule=lambda step: 0.1,
        checkpoints=kept,
        log=RunLog(tmp_path, [], step=0),
    ).train(
        TrainState(
            step=jnp.int32(0),
            params={},
            batch_stats={},
            opt_state={},
            key=jax.random.key(0),
            loss_sum=zero,
            weight_sum=zero,
        ),
        progress,
    )
    return kept, progress


@pytest.fixture(autouse=True)
def _untyped(monkeypatch):
    """The stand-ins are not what the annotations ask for."""
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)


def test_the_best_epoch_has_the_highest_auroc_then_the_lowest_loss(tmp_path):
    script = [(0.6, 1.0), (0.9, 1.0), (0.8, 0.1), (0.9, 0.5), (0.9, 0.7)]
    kept, progress = train(tmp_path, script, epochs=5)
    assert kept.best == [2, 4, 8]
    assert progress.best_epoch == 4
    assert [row["is_best"] for row in progress.history] == [True, True, False, True, False]


def test_training_stops_when_patience_ends(tmp_path):
    script = [(0.6, 1.0), (0.9, 1.0), (0.8, 1.0), (0.7, 1.0), (0.9, 1.0)]
    _, progress = train(tmp_path, script, patience=3)
    assert len(progress.history) == 5
    assert progress.waited == 3


def test_without_patience_every_epoch_is_trained(tmp_path):
    _, progress = train(tmp_path, [(0.5, 1.0)] * 9)
    assert len(progress.history) == 9


def test_the_epochs_loss_is_the_mean_of_the_epoch(tmp_path):
    _, progress = train(tmp_path, [(0.5, 1.0)] * 3, epochs=3)
    assert [row["train_loss"] for row in progress.history] == [0.5, 0.5, 0.5]
