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


def preprocessing_sheet(
    images: Sequence[UInt[np.ndarray, "_h _w"]], names: Sequence[str], config: PreprocessConfig
) -> Figure:
    """A row an image, a column a stage, from the film to the network's input."""
    rows = [stages(image, config) for image in images]
    return _sheet([list(row.values()) for row in rows], list(rows[0]), names)


def augmentation_sheet(
    key: Key[Array, ""], image: UInt[np.ndarray, "height width 1"], config: AugmentConfig
) -> Figure:
    """One image as training sees it: unchanged and in eleven random draws."""
    count = 11
    unit = image.astype(np.float32) / np.iinfo(image.dtype).max
    drawn = augment.augment(key, jnp.repeat(unit[None], count, axis=0), config)
    shown = [unit[..., 0], *np.asarray(drawn)[..., 0]]
    titles = ["prepared", *(f"draw {i}" for i in range(1, count + 1))]
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    for axes, picture, title in zip(figure.subplots(2, 6).flat, shown, titles, strict=True):
        _show(axes, picture, title, top=1.0)
    return figure


def _sheet(rows: list, titles: list[str], names: Sequence[str]) -> Figure:
    figure = Figure(figsize=(11, 2.4 * len(rows)), layout="constrained")
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    for r, (row, name) in enumerate(zip(rows, names, strict=True)):
        for axes, picture, title in zip(grid[r], row, titles, strict=True):
            size = f"{picture.shape[1]} x {picture.shape[0]}"
            _show(axes, picture, f"{title}, {size}", top=np.iinfo(picture.dtype).max)
        grid[r][0].set_ylabel(name, fontsize=8)
    return figure


def _show(axes: Axes, picture: np.ndarray, title: str, *, top: int | float) -> None:
    axes.imshow(picture, cmap="gray", vmin=0, vmax=top)
    axes.set_title(title, fontsize=8)
    axes.set(xticks=[], yticks=[])
