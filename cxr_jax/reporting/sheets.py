"""Sheets of sample images: each stage of preprocessing, and what augmentation makes of one."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt
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
    alone = {
        "prepared": unit,
        "horizontal flip": augment.flip_horizontal(unit),
        f"width shift {config.width_shift:g}": augment.shift(unit, (0.0, config.width_shift)),
        f"height shift {config.height_shift:g}": augment.shift(unit, (config.height_shift, 0.0)),
        f"zoom {1 - config.zoom:g}": augment.zoom(unit, (1 - config.zoom, 1 - config.zoom)),
        f"shear {config.shear:g}°": augment.shear(unit, config.shear),
        f"brightness {1 + config.brightness:g}": augment.adjust_brightness(
            unit, 1 + config.brightness
        ),
        f"rotation {config.rotation:g}°": augment.rotate(unit, config.rotation),
    }
    drawn = augment.augment(key, jnp.repeat(unit[None], _ACROSS, axis=0), config)
    titles = [*alone, *(f"draw {i + 1}" for i in range(_ACROSS))]
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    for axes, picture, title in zip(
        figure.subplots(2, _ACROSS).flat, [*alone.values(), *drawn], titles, strict=True
    ):
        _show(axes, np.asarray(picture)[..., 0], title, top=1)
    return figure


def _show(axes: Axes, picture: np.ndarray, title: str, *, top: int) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=top)
    axes.set_title(title, fontsize=8)
    axes.set(xticks=[], yticks=[])
