"""What differs between kinds of question: head size, targets, loss, probability.

A task turns the label columns of a batch into targets, and logits into losses and probabilities.
Labels are 1 (present), 0 (absent) or NaN (unknown).
"""

import dataclasses
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from cxr_jax import labels as label_ops
from cxr_jax import losses


@runtime_checkable
class Task(Protocol):
    """What the training step asks of a task."""

    @property
    def num_outputs(self) -> int: ...

    def targets(
        self, label: Float[Array, "batch column"], *, smoothing: float
    ) -> tuple[Float[Array, "batch output"], Bool[Array, "batch"]]: ...

    def loss(
        self, logits: Float[Array, "batch output"], targets: Float[Array, "batch output"]
    ) -> Float[Array, "batch"]: ...

    def probability(self, logits: Float[Array, "batch output"]) -> Float[Array, "batch column"]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Binary:
    """One finding against the rest: two logits under a softmax, as in the source.

    Attributes:
      class_weights: of the loss, (normal, abnormal); None for 1, 1.
    """

    class_weights: tuple[float, ...] | None = None

    @property
    def num_outputs(self) -> int:
        return 2

    def targets(
        self, label: Float[Array, "batch 1"], *, smoothing: float
    ) -> tuple[Float[Array, "batch 2"], Bool[Array, "batch"]]:
        """Smoothed [1 - y, y], an unknown y taken as 0; and which labels are known."""
        known = ~jnp.isnan(label[:, 0])
        present = jnp.where(known, label[:, 0], 0.0)
        one_hot = jnp.stack([1.0 - present, present], axis=-1)
        return label_ops.smooth_one_hot(one_hot, smoothing=smoothing), known

    def loss(
        self, logits: Float[Array, "batch 2"], targets: Float[Array, "batch 2"]
    ) -> Float[Array, "batch"]:
        """Cross entropy of soft targets, one value an example."""
        weights = None if self.class_weights is None else jnp.asarray(self.class_weights)
        return losses.cross_entropy(logits, targets, class_weights=weights)

    def probability(self, logits: Float[Array, "batch 2"]) -> Float[Array, "batch 1"]:
        """Of the finding, in [0, 1]."""
        return jax.nn.softmax(logits.astype(jnp.float32), axis=-1)[:, 1:]
