"""Sheets of sample images: each stage of preprocessing, and what augmentation makes of one.

Pixels are square and grey levels true: black is 0, white the greatest number of the type, or 1.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxr_jax.augment import AugmentConfig, Parameters, apply, augment, extremes
from cxr_jax.host_image import HostImage
from cxr_jax.preprocess import PreprocessConfig, stages

Titled = tuple[str, np.ndarray]
"""A title and its picture, [height, width], of an unsigned integer or of floats in [0, 1]."""

_STAGES = {"clahe": "CLAHE", "artefacts_removed": "artefacts removed"}
_ACROSS = 8  # images in a row of the report's augmentation sheet
_WIDTH = 11.0  # of a sheet, inches

_ENDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "rotation": ("rotation {:+g}°", lambda end: end.rotation),
    "height_shift": ("shift {:+g} of height", lambda end: end.shift[0]),
    "width_shift": ("shift {:+g} of width", lambda end: end.shift[1]),
    "shear": ("shear {:+g}°", lambda end: end.shear),
    "zoom": ("zoom {:g}", lambda end: end.zoom[0]),
    "flip": ("horizontal flip", lambda end: end.flip),
    "brightness": ("brightness × {:g}", lambda end: end.brightness),
    "contrast": ("contrast × {:g}", lambda end: end.contrast),
    "gamma": ("gamma {:g}", lambda end: end.gamma),
    "noise": ("noise of {:g} of white", lambda end: end.noise),
    "clahe": ("CLAHE, clip limit {:g}", lambda end: end.clahe),
    "erase": ("{:g} of the area erased", lambda end: np.prod(end.erase[2:])),
}
"""Field of an AugmentConfig → the title of a range's end, and the value in it."""

_FROM_NOTHING = ("flip", "noise", "erase")
"""Their ranges begin where nothing is changed."""


def preprocessing_sheet(
    images: Sequence[UInt[np.ndarray, "_h _w"]], names: Sequence[str], config: PreprocessConfig
) -> Figure:
    """A row an image, a column a stage, from the film to the network's input."""
    rows = [stage_pictures(image, config) for image in images]
    figure = grid([picture for row in rows for picture in row], across=len(rows[0]), small=True)
    for axes, name in zip(figure.axes[:: len(rows[0])], names, strict=True):
        axes.set_ylabel(name, fontsize=8)
    return figure


def augmentation_sheet(
    key: Key[Array, ""], image: UInt[np.ndarray, "height width 1"], config: AugmentConfig
) -> Figure:
    """Above, each transform at the end of its range; below, all together as training draws them."""
    alone = [("prepared", image[..., 0]), *(high for _, high in end_pictures(image, config))]
    empty = [None] * (-len(alone) % _ACROSS)
    drawn = drawn_pictures(key, image, config, count=_ACROSS)
    return grid([*alone, *empty, *drawn], across=_ACROSS, small=True)


def grid(pictures: Sequence[Titled | None], *, across: int, small: bool = False) -> Figure:
    """Lay pictures out in rows.

    Args:
      pictures: None leaves a place empty.
      across: how many in a row.
      small: with small titles, for many in a row.
    """
    rows = [pictures[i : i + across] for i in range(0, len(pictures), across)]
    tallest = [
        max((picture.shape[0] / picture.shape[1] for _, picture in filter(None, row)), default=1.0)
        for row in rows
    ]
    title = 0.22 if small else 0.3
    heights = [_WIDTH / across * aspect + title for aspect in tallest]
    figure = Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
    places = figure.subplots(
        len(rows), across, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for row, here in zip(rows, places, strict=True):
        for axes, picture in itertools.zip_longest(here, row):
            if picture is None:
                axes.axis("off")
            else:
                _show(axes, *picture, fontsize=8 if small else 11)
    return figure


def stage_pictures(image: HostImage, config: PreprocessConfig) -> list[Titled]:
    """Each stage with its size in pixels, as width x height."""
    return [
        (f"{_STAGES.get(stage, stage)}, {picture.shape[1]} x {picture.shape[0]}", picture)
        for stage, picture in stages(image, config).items()
    ]


def end_pictures(
    image: UInt[np.ndarray, "height width 1"], config: AugmentConfig
) -> list[tuple[Titled | None, Titled]]:
    """Each augmentation alone, at the lower and the upper end of its range.

    Returns:
      Pairs; the lower is None where it changes nothing. Ranges of 0 are left out.
    """
    unit = _unit(image)

    def picture(field: str, end: Parameters) -> Titled:
        title, value = _ENDS[field]
        if field == "shear" and config.keras == "2.1.2":
            title = title.replace("°", " radians")
        changed = _apply(unit, end, fill=config.fill, keras=config.keras)
        return title.format(value(end)).replace("-", "−"), np.asarray(changed)[..., 0]

    return [
        (None if field in _FROM_NOTHING else picture(field, low), picture(field, high))
        for field, (low, high) in extremes(config).items()
    ]


def drawn_pictures(
    key: Key[Array, ""],
    image: UInt[np.ndarray, "height width 1"],
    config: AugmentConfig,
    *,
    count: int,
) -> list[Titled]:
    """All augmentations together, as training draws them."""
    images = jnp.repeat(_unit(image)[None], count, axis=0)
    drawn = np.asarray(_augment(key, images, config))
    return [(f"draw {i + 1}", drawn[i, ..., 0]) for i in range(count)]


_apply = jax.jit(apply, static_argnames=("fill", "keras"))
_augment = jax.jit(augment, static_argnames="config")


def _unit(image: UInt[np.ndarray, "height width 1"]) -> Array:
    return jnp.asarray(image, jnp.float32) / np.iinfo(image.dtype).max


def _show(axes: Axes, title: str, picture: np.ndarray, *, fontsize: int) -> None:
    white = np.iinfo(picture.dtype).max if picture.dtype.kind == "u" else 1
    axes.imshow(picture, cmap="gray", vmin=0, vmax=white)
    axes.set_title(title, fontsize=fontsize)
    axes.set(xticks=[], yticks=[], anchor="N")
