"""The smallest run on phantoms, which many tests share, and so its compiled programs."""

from pathlib import Path

import numpy as np

from cxr_jax.augment import AugmentConfig
from cxr_jax.preprocess import PreprocessConfig
from cxr_jax.training import Config
from cxr_jax.training.run import Run

SMALL = {
    "phantom_count": 64,
    "phantom_size": 64,
    "model": "tiny",
    "batch_size": 8,
    "epochs": 2,
    "bootstrap_samples": 50,
    "preprocess": PreprocessConfig(image_size=32),
    "class_weights": (0.9, 1.1),  # then the program is that of experiments.cardiomegaly
}
PLAIN = {"augment": AugmentConfig(enabled=False), "mixup_alpha": 0.0}


def tiny_config(workdir: Path, cache: Path, **changes) -> Config:
    """Its config, with changes."""
    return Config(**{**SMALL, "workdir": str(workdir), "cache_dir": str(cache), **changes})


def probabilities(run: Run) -> np.ndarray:
    """Of the test split, [finding, image]."""
    return np.stack([one.probabilities for one in run.predictions["test"].findings.values()])
