"""Grad-CAM: which places of an image speak for a finding.

Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra: Grad-CAM: Visual Explanations from Deep Networks
via Gradient-based Localization, ICCV 2017 (https://arxiv.org/abs/1610.02391).

    α_c = mean over places of ∂z / ∂A_c            of the logit z of the finding
    L   = ReLU(Σ_c α_c A_c)

on the maps A of the last norm and ReLU. As the head is linear in their mean, this is the class
activation map of its weights (Zhou et al. 2016) up to a constant factor.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt
from matplotlib.figure import Figure

from cxr_jax import models
from cxr_jax.models.densenet import DenseNet, DenseNetConfig
from cxr_jax.models.segmenter import SegmenterConfig


def grad_cam(
    config: models.NetworkConfig,
    variables: Mapping[str, Any],
    images: Float[Array, "batch height width channel"],
    *,
    class_index: int | Int[Array, ""] = 1,
) -> Float[Array, "batch height width"]:
    """Compute Grad-CAM of a DenseNet, or of a segmenter's encoder and head.

    Args:
      config: a DenseNetConfig or a SegmenterConfig.
      variables: as `models.init` makes them.
      images: standardised, as `models.apply` takes them.
      class_index: which logit; 1 is the finding of a binary task. `tasks` know them.

    Returns:
      Float32 in [0, 1], each image's own maximum 1, or 0 everywhere where nothing speaks for the
      class; bilinearly enlarged from the last maps, which are some 32 times coarser.

    Raises:
      ValueError: config is of another network.
    """
    encoder = config.encoder if isinstance(config, SegmenterConfig) else config
    if not isinstance(encoder, DenseNetConfig):
        raise ValueError(
            f"config must be of a DenseNet or a segmenter, got {type(config).__name__}"
        )
    net = DenseNet(encoder)

    def features(module: DenseNet, images: Array) -> Array:
        return module.features(images, train=False)

    def score(maps: Array) -> Array:
        return net.apply(variables, maps, method=DenseNet.head)[:, class_index].sum()

    maps = net.apply(variables, images, method=features).astype(jnp.float32)
    weights = jax.grad(score)(maps).mean((1, 2), keepdims=True)
    coarse = jax.nn.relu((weights * maps).sum(-1))
    fine = jax.image.resize(coarse, images.shape[:3], "linear")
    highest = fine.max((1, 2), keepdims=True)
    return fine / jnp.where(highest > 0, highest, 1.0)


def overlay(
    image: UInt[np.ndarray, "height width"],
    heat: Float[np.ndarray, "height width"],
    *,
    finding: str,
    title: str,
) -> Figure:
    """Show the network's input, alone and under its Grad-CAM.

    Args:
      image: uint8 or uint16, as the network gets it.
      heat: in [0, 1], as `grad_cam` gives it.
      finding: what the heat speaks for.
      title: above both.
    """
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    figure.suptitle(title, fontsize=11)
    plain, under = figure.subplots(1, 2)
    for axes, name in ((plain, "What the network gets"), (under, "Grad-CAM")):
        axes.imshow(image, cmap="gray", vmin=0, vmax=np.iinfo(image.dtype).max)
        axes.set_title(name, fontsize=10)
        axes.set(xticks=[], yticks=[])
    shown = under.imshow(heat, cmap="inferno", vmin=0, vmax=1, alpha=0.6 * np.sqrt(heat))
    bar = figure.colorbar(shown, ax=under, fraction=0.046, ticks=[0, 1])
    bar.ax.set_yticklabels(["0", "most"])
    says = (
        f"Colour: where the network's last maps raise its score of {finding}, as parts of this "
        "image's own maximum."
        if heat.max() > 0
        else f"No colour: nowhere do the network's last maps raise its score of {finding}."
    )
    figure.supxlabel(f"{says}\nCoarse, and not a segmentation of the finding.", fontsize=9)
    return figure
