"""Train a classifier: `fit(config)` does everything, the pure steps are there to be taken alone."""

from cxr_jax.evaluation import evaluate
from cxr_jax.training.config import Config
from cxr_jax.training.run import Run
from cxr_jax.training.stages import fit
from cxr_jax.training.state import TrainState, create_state
from cxr_jax.training.step import Recipe, eval_step, train_step

__all__ = [
    "Config",
    "Recipe",
    "Run",
    "TrainState",
    "create_state",
    "eval_step",
    "evaluate",
    "fit",
    "train_step",
]
