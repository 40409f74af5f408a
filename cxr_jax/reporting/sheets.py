"""Sheets of sample images: each stage of preprocessing, and what augmentation makes of one."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr_jax import augment
from cxr_jax.augment import AugmentConfig
from cxr_jax.preprocess import PreprocessConfig, stages

_STAGES = {"clahe": "CLAHE", "artefacts_removed": "artefacts removed"}
_ACROSS = 8  # images in a row of the augmentation sheet


def preprocessing_sheet(
    images: Sequence[UInt[np.ndarray, "_h _w"]], names: Sequence[str], config: PreprocessConfig
) -> Figure:
    """A row an image, a column a stage, from the film to the network's input."""
    rows = [stages(image, config) for image in images]
    figure = Figure(figsize=(11, 2.4 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    for axes, row, name in zip(grid, rows, names, strict=True):
        for place, (stage, picture) in zip(axes, row.items(), strict=True):
            size = f"{picture.shape[1]} x {picture.shape[0]}"
            title = f"{_STAGES.get(stage, stage)}, {size}"
            _show(place, picture, title, top=np.iinfo(picture.dtype).max)
        axes[0].set_ylabel(name, fontsize=8)
    return figure


def augmentation_sheet(
    key: Key[Array, ""], image: UInt[np.ndarray, "height width 1"], config: AugmentConfig
) -> Figure:
    """Above, each transform at the end of its range; below, all together as training draws them."""
    unit = jnp.asarray(image, jnp.float32) / np.iinfo(image.dtype).max
    alone, drawn = _augmented(key, unit, config)
    titles = [
        "prepared",
        "horizontal flip",
        f"width shift {config.width_shift:g}",
        f"height shift {config.height_shift:g}",
        f"zoom {1 - config.zoom:g}",
        f"shear {config.shear:g}°",
        f"brightness {1 + config.brightness:g}",
        f"rotation {config.rotation:g}°",
        *(f"draw {i + 1}" for i in range(_ACROSS)),
    ]
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    for axes, picture, title in zip(
        figure.subplots(2, _ACROSS).flat, [*alone, *drawn], titles, strict=True
    ):
        _show(axes, np.asarray(picture)[..., 0], title, top=1)
    return figure


@functools.partial(jax.jit, static_argnames="config")
def _augmented(
    key: Key[Array, ""], image: Float[Array, "height width 1"], config: AugmentConfig
) -> tuple[list[Array], Float[Array, "draw height width 1"]]:
    alone = [
        image,
        augment.flip_horizontal(image),
        augment.shift(image, (0.0, config.width_shift)),
        augment.shift(image, (config.height_shift, 0.0)),
        augment.zoom(image, (1 - config.zoom, 1 - config.zoom)),
        augment.shear(image, config.shear),
        augment.adjust_brightness(image, 1 + config.brightness),
        augment.rotate(image, config.rotation),
    ]
    return alone, augment.augment(key, jnp.repeat(image[None], _ACROSS, axis=0), config)


def _show(axes: Axes, picture: np.ndarray, title: str, *, top: int) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=top)
    axes.set_title(title, fontsize=8)
    axes.set(xticks=[], yticks=[])
