"""Losses, one value an example or an element: reduce them yourself.

All are computed in float32 whatever the logits' dtype, finite with finite gradients for logits of
±1e4, and linear in the targets, so that smoothing and mixing the targets commutes with the loss.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from cxr_jax.labels import smooth_one_hot


def cross_entropy(
    logits: Float[Array, "*batch class"],
    targets: Float[Array, "*batch class"],
    *,
    class_weights: Float[ArrayLike, "class"] | None = None,
) -> Float[Array, "*batch"]:
    """Cross entropy of soft targets, one value an example.

        -Σₖ wₖ qₖ log softmax(z)ₖ

    >>> import jax.numpy as jnp
    >>> cross_entropy(jnp.array([[0.0, 0.0]]), jnp.array([[0.9, 0.1]])).round(4)
    Array([0.6931], dtype=float32)

    Args:
      logits: z, unnormalised.
      targets: q, rows sum to 1 (one-hot, smoothed or mixed).
      class_weights: w, one per class; 1 where absent.

    Returns:
      Losses, >= 0, float32 whatever the logits' dtype. Reduce them yourself.

    Raises:
      ValueError: the shapes differ, or class_weights has another length.

    Equals torch.nn.functional.cross_entropy(z, q, weight=w, reduction="none") of torch 2.14, and
    without weights optax.softmax_cross_entropy. Keras' class_weight scales the example instead.
    """
    _check_same_shape(logits, targets)
    log_likelihood = targets * jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    if class_weights is not None:
        log_likelihood *= _one_each(class_weights, logits.shape[-1], "class_weights", "class")
    return -log_likelihood.sum(axis=-1)


def smoothed_cross_entropy(
    logits: Float[Array, "*batch class"],
    labels: Int[Array, "*batch"],
    *,
    smoothing: float,
    class_weights: Float[ArrayLike, "class"] | None = None,
) -> Float[Array, "*batch"]:
    """Cross entropy of integer labels that are smoothed first, one value an example.

    Args:
      logits: unnormalised.
      labels: the true class, in 0 … K - 1.
      smoothing: ε in [0, 1); the true class gets 1 - ε, each other one ε / (K - 1).
      class_weights: one per class; 1 where absent.

    Returns:
      Losses, >= 0, float32; NaN where a label is no class, so that it cannot pass unseen.

    Raises:
      ValueError: the shapes do not fit, or ε is out of its range.

    Not torch's label_smoothing, which spreads ε over all K classes.
    """
    classes = logits.shape[-1]
    if logits.shape[:-1] != labels.shape:
        raise ValueError(
            f"labels must have the logits' shape without its last axis, {logits.shape[:-1]}, "
            f"got {labels.shape}; soft targets go to cross_entropy"
        )
    valid = ((labels >= 0) & (labels < classes))[..., None]
    one_hot = jnp.where(valid, jax.nn.one_hot(labels, classes), jnp.nan)
    targets = smooth_one_hot(one_hot, smoothing=smoothing)
    return cross_entropy(logits, targets, class_weights=class_weights)


def sigmoid_cross_entropy(
    logits: Float[Array, "*batch finding"],
    targets: Float[Array, "*batch finding"],
    *,
    positive_weights: Float[ArrayLike, "finding"] | None = None,
    where: Bool[Array, "*batch finding"] | None = None,
) -> Float[Array, "*batch finding"]:
    """Cross entropy of independent findings, one value an example and finding.

        -p y log σ(z) - (1 - y) log(1 - σ(z))

    Args:
      logits: z.
      targets: y in [0, 1].
      positive_weights: p, one per finding; 1 where absent.
      where: which elements are known. The others may be NaN; they get loss and gradient 0.
        A mean over the known ones is loss.sum() / where.sum().

    Returns:
      Losses, >= 0, float32.

    Raises:
      ValueError: the shapes differ, or positive_weights has another length.

    Equals torch.nn.functional.binary_cross_entropy_with_logits(z, y, pos_weight=p,
    reduction="none") of torch 2.14, and without p optax.sigmoid_binary_cross_entropy.
    """
    _check_same_shape(logits, targets)
    logits, targets = _known(logits, targets, where)
    positive = -targets * jax.nn.log_sigmoid(logits)
    if positive_weights is not None:
        positive *= _one_each(positive_weights, logits.shape[-1], "positive_weights", "finding")
    losses = positive - (1.0 - targets) * jax.nn.log_sigmoid(-logits)
    return losses if where is None else jnp.where(where, losses, 0.0)


def focal_loss(
    logits: Float[Array, "*shape"],
    targets: Float[Array, "*shape"],
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    where: Bool[Array, "*shape"] | None = None,
) -> Float[Array, "*shape"]:
    """Focal loss of independent findings: what is well predicted counts less.

        -α y (1 - p)^γ log p - (1 - α) (1 - y) p^γ log(1 - p)        p = σ(z)

    Args:
      logits: z.
      targets: y in [0, 1].
      gamma: γ >= 0; 0 is plain cross entropy.
      alpha: α in [0, 1], the weight of the positives; without it both weights are 1.
      where: which elements are known. The others may be NaN; they get loss and gradient 0.

    Returns:
      Losses, >= 0, float32, one an element.

    Raises:
      ValueError: the shapes differ, or γ or α is out of its range.

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017. Equals
    optax.sigmoid_focal_loss for targets of 0 and 1; soft targets mix the two cases here (linear in
    y), where Optax raises a mixed probability to the power.
    """
    _check_same_shape(logits, targets)
    if not 0.0 <= gamma < float("inf"):
        raise ValueError(f"gamma must be at least 0, got {gamma!r}")
    if alpha is not None and not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha must be in [0, 1] or None, got {alpha!r}")
    logits, targets = _known(logits, targets, where)
    log_p, log_not_p = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    # Powers as exponentials of logarithms: a power of 0 has no finite gradient for γ < 1.
    positive = -targets * jnp.exp(gamma * log_not_p) * log_p
    negative = -(1.0 - targets) * jnp.exp(gamma * log_p) * log_not_p
    if alpha is not None:
        positive, negative = alpha * positive, (1.0 - alpha) * negative
    losses = positive + negative
    return losses if where is None else jnp.where(where, losses, 0.0)


def dice_loss(
    logits: Float[Array, "batch *pixels"],
    targets: Float[Array, "batch *pixels"],
    *,
    smooth: float = 1.0,
) -> Float[Array, "batch"]:
    """Soft Dice loss of masks, one value an example.

        1 - (2 Σ p y + s) / (Σ p + Σ y + s)        p = σ(z), sums over the example's pixels

    Args:
      logits: z.
      targets: y in [0, 1], the mask.
      smooth: s > 0 in pixels. It makes an empty prediction of an empty mask 0, and pulls what is
        predicted on an empty mask towards 0 with a gradient that is not lost in the sum.

    Returns:
      Losses in [0, 1), float32.

    Raises:
      ValueError: the shapes differ, or s is not positive.

    Source: Milletari et al., "V-Net", 3DV 2016, without squares in the denominator. Equals
    optax.losses.dice_loss(z, y, smooth=s / 2) of Optax 0.2.8 for one channel.
    """
    _check_same_shape(logits, targets)
    if not 0.0 < smooth < float("inf"):
        raise ValueError(f"smooth must be positive, got {smooth!r}")
    p = jax.nn.sigmoid(logits.astype(jnp.float32))
    pixels = tuple(range(1, p.ndim))
    overlap = (p * targets).sum(axis=pixels)
    size = p.sum(axis=pixels) + targets.astype(jnp.float32).sum(axis=pixels)
    return 1.0 - (2.0 * overlap + smooth) / (size + smooth)


def _known(
    logits: Float[Array, "*shape"],
    targets: Float[Array, "*shape"],
    where: Bool[Array, "*shape"] | None,
) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """In float32, with what is unknown replaced: NaN times 0 would be NaN in the gradient."""
    logits, targets = logits.astype(jnp.float32), targets.astype(jnp.float32)
    if where is None:
        return logits, targets
    return jnp.where(where, logits, 0.0), jnp.where(where, targets, 0.0)


def _check_same_shape(logits: Float[Array, "..."], targets: Float[Array, "..."]) -> None:
    if logits.shape != targets.shape:
        raise ValueError(
            f"targets must have the logits' shape {logits.shape}, got {targets.shape}; "
            "make integer labels one-hot first"
        )


def _one_each(
    weights: Float[ArrayLike, "..."], size: int, name: str, axis: str
) -> Float[Array, "size"]:
    weights = jnp.asarray(weights, jnp.float32)
    if weights.shape != (size,):
        raise ValueError(
            f"{name} must hold one weight a {axis}, shape ({size},), got {weights.shape}"
        )
    return weights
