"""What differs between kinds of question: head size, targets, loss, probability.

A task turns what a batch knows of its images into targets, and a network's outputs into losses and
probabilities. Labels are 1 (present), 0 (absent) or NaN (unknown).
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from cxr_jax import labels as label_ops
from cxr_jax import losses
from cxr_jax.settings import check_fields, setting


@runtime_checkable
class Task(Protocol):
    """What the training step asks of a task.

    `num_outputs` are the logits of the head; `uses_masks` says whether a batch must bring masks.
    Targets and outputs are trees of arrays whose first axis is the batch. Which labels are known,
    and the losses, are of the same shape: [batch], or [batch, finding] where findings are apart.
    `logit` says which of the head's logits speaks for a finding.
    """

    @property
    def num_outputs(self) -> int: ...

    @property
    def uses_masks(self) -> bool: ...

    def targets(
        self, batch: Mapping[str, Any], *, smoothing: float
    ) -> tuple[Any, Bool[Array, "batch *finding"]]: ...

    def loss(self, outputs: Any, targets: Any) -> Float[Array, "batch *finding"]: ...

    def logit(self, finding: int) -> int: ...

    def predictions(self, outputs: Any) -> dict[str, Float[Array, "batch ..."]]: ...


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

    @property
    def uses_masks(self) -> bool:
        return False

    def targets(
        self, batch: Mapping[str, Any], *, smoothing: float
    ) -> tuple[Float[Array, "batch 2"], Bool[Array, "batch"]]:
        """Smoothed [1 - y, y] of batch["label"] [batch, 1], an unknown y taken as 0; and which are
        known.
        """
        label = jnp.asarray(batch["label"])[:, 0]
        known = ~jnp.isnan(label)
        present = jnp.where(known, label, 0.0)
        one_hot = jnp.stack([1.0 - present, present], axis=-1)
        return label_ops.smooth_one_hot(one_hot, smoothing=smoothing), known

    def loss(
        self, outputs: Float[Array, "batch 2"], targets: Float[Array, "batch 2"]
    ) -> Float[Array, "batch"]:
        """Cross entropy of soft targets, one value an example."""
        weights = None if self.class_weights is None else jnp.asarray(self.class_weights)
        return losses.cross_entropy(outputs, targets, class_weights=weights)

    def logit(self, finding: int) -> int:
        """That of its being there."""
        return 1

    def predictions(self, outputs: Float[Array, "batch 2"]) -> dict[str, Float[Array, "batch 1"]]:
        """ "probability" of the finding, in [0, 1]."""
        return {"probability": jax.nn.softmax(outputs.astype(jnp.float32), axis=-1)[:, 1:]}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiLabel:
    """Several findings, each there or not by itself: a logit each under a sigmoid.

    Attributes:
      num_findings: how many.
      class_weights: of every finding's loss, (absent, present); None for 1, 1.
    """

    num_findings: int
    class_weights: tuple[float, ...] | None = None

    @property
    def num_outputs(self) -> int:
        return self.num_findings

    @property
    def uses_masks(self) -> bool:
        return False

    def targets(
        self, batch: Mapping[str, Any], *, smoothing: float
    ) -> tuple[Float[Array, "batch finding"], Bool[Array, "batch finding"]]:
        """Smoothed batch["label"], an unknown one taken as absent; and which are known."""
        label = jnp.asarray(batch["label"])
        known = ~jnp.isnan(label)
        return label_ops.smooth_binary(jnp.where(known, label, 0.0), smoothing=smoothing), known

    def loss(
        self, outputs: Float[Array, "batch finding"], targets: Float[Array, "batch finding"]
    ) -> Float[Array, "batch finding"]:
        """Cross entropy of each finding, -w₁ y log σ(z) - w₀ (1 - y) log(1 - σ(z))."""
        absent, present = self.class_weights or (1.0, 1.0)
        ratios = jnp.full(self.num_findings, present / absent)
        return absent * losses.sigmoid_cross_entropy(outputs, targets, positive_weights=ratios)

    def logit(self, finding: int) -> int:
        """Its own."""
        return finding

    def predictions(
        self, outputs: Float[Array, "batch finding"]
    ) -> dict[str, Float[Array, "batch finding"]]:
        """ "probability" of each finding, in [0, 1]."""
        return {"probability": jax.nn.sigmoid(outputs.astype(jnp.float32))}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskLoss:
    """The parts of a segmentation's loss; each is a mean over an image's masks."""

    dice: float = setting(1.0, "part of the Dice loss; 0 = none", flag="loss_dice")
    cross_entropy: float = setting(
        1.0, "part of the pixels' cross entropy; 0 = none", flag="loss_cross_entropy"
    )
    focal: float = setting(
        0.0, "part of the pixels' focal loss, gamma 2; 0 = none", flag="loss_focal"
    )
    classification: float = setting(
        0.5, "part of the image label's cross entropy; 0 = none", flag="loss_classification"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        for name, value in dataclasses.asdict(self).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be >= 0, got {value}")
        if not self.dice + self.cross_entropy + self.focal > 0:
            raise ValueError(
                "one of dice, cross_entropy and focal must be > 0, got 0 for all: without them "
                "no mask is learnt"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segmentation:
    """Masks, and the label of the whole image beside them.

    Attributes:
      label: what is asked of the image.
      mask_loss: how the parts of the loss are weighted.
    """

    label: Binary
    mask_loss: MaskLoss = MaskLoss()

    @property
    def num_outputs(self) -> int:
        return self.label.num_outputs

    @property
    def uses_masks(self) -> bool:
        return True

    def targets(
        self, batch: Mapping[str, Any], *, smoothing: float
    ) -> tuple[dict[str, Array], Bool[Array, "batch"]]:
        """The label's targets and batch["mask"] as it is: masks are not smoothed."""
        label, known = self.label.targets(batch, smoothing=smoothing)
        return {"label": label, "mask": jnp.asarray(batch["mask"], jnp.float32)}, known

    def loss(
        self, outputs: Mapping[str, Array], targets: Mapping[str, Array]
    ) -> Float[Array, "batch"]:
        """The weighted sum of the parts, one value an example."""
        parts = self.mask_loss
        logits, masks = outputs["mask"], targets["mask"]
        pixels = (1, 2, 3)
        loss = parts.classification * self.label.loss(outputs["label"], targets["label"])
        if parts.dice:
            each = jax.vmap(losses.dice_loss, in_axes=-1, out_axes=-1)(logits, masks)
            loss += parts.dice * each.mean(-1)
        if parts.cross_entropy:
            loss += parts.cross_entropy * losses.sigmoid_cross_entropy(logits, masks).mean(pixels)
        if parts.focal:
            loss += parts.focal * losses.focal_loss(logits, masks).mean(pixels)
        return loss

    def logit(self, finding: int) -> int:
        """That of the label."""
        return self.label.logit(finding)

    def predictions(self, outputs: Mapping[str, Array]) -> dict[str, Float[Array, "batch ..."]]:
        """The label's "probability", and "mask": each pixel's probability, in [0, 1]."""
        masks = jax.nn.sigmoid(outputs["mask"].astype(jnp.float32))
        return self.label.predictions(outputs["label"]) | {"mask": masks}
