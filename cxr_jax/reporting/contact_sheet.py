"""Many small images on one sheet, each in its own proportions."""

from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure

from cxr_jax.host_image import HostImage

ACROSS, DOWN = 6, 4
_SIDE = 320  # pixels kept of the longer side


def contact_sheet(images: Sequence[HostImage], titles: Sequence[str]) -> Figure:
    """Lay up to 24 images out in rows of six, from black to white of their dtype."""
    rows = -(-len(images) // ACROSS)
    figure = Figure(figsize=(11, 2.1 * rows), layout="constrained")
    grid = figure.subplots(rows, ACROSS, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, image, title in zip(grid.flat, images, titles, strict=False):
        axes.imshow(_small(image), cmap="gray", vmin=0, vmax=np.iinfo(image.dtype).max)
        axes.set_title(title, fontsize=7)
    return figure


def _small(image: HostImage) -> HostImage:
    scale = min(1.0, _SIDE / max(image.shape))
    size = [max(1, round(length * scale)) for length in image.shape[::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
