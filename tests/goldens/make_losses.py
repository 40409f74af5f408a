"""Write losses.npz: what torch's losses are for given logits, targets and weights.

pip install torch==2.14.1 && python tests/goldens/make_losses.py
"""

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

rng = np.random.default_rng(0)
logits = rng.normal(scale=3.0, size=(8, 3)).astype(np.float32)
soft = rng.dirichlet(np.ones(3), size=8).astype(np.float32)
independent = rng.random((8, 3)).astype(np.float32)
weights = np.array([0.9, 1.1, 2.5], np.float32)
z, q, y, w = map(torch.from_numpy, (logits, soft, independent, weights))

np.savez(
    Path(__file__).with_name("losses.npz"),
    logits=logits,
    soft=soft,
    independent=independent,
    weights=weights,
    cross_entropy=functional.cross_entropy(z, q, weight=w, reduction="none"),
    sigmoid_cross_entropy=functional.binary_cross_entropy_with_logits(
        z, y, pos_weight=w, reduction="none"
    ),
    versions=f"torch {torch.__version__}, numpy {np.__version__}",
)
