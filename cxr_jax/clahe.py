"""CLAHE on the device: contrast limited adaptive histogram equalisation, OpenCV's to the last bit.

The image is divided into tiles. Each tile's histogram is clipped, what was cut off is spread over
all bins, and its cumulative sum is the tile's table of new grey values. A pixel's new value is
interpolated between the tables of the four tiles whose centres are nearest.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import sequential_vmap
from jaxtyping import Array, ArrayLike, Float, Int, Real, UInt

from cxr_jax.device_image import check_number
from cxr_jax.host_image import check_grey_image
from cxr_jax.settings import is_a

__all__ = ["check_settings", "clahe"]


def clahe(
    image: UInt[ArrayLike, "height width"],
    *,
    clip_limit: Real[ArrayLike, ""] = 2.0,
    tiles: tuple[int, int] = (8, 8),
) -> UInt[Array, "height width"]:
    """Equalise the histogram locally, with limited contrast (cv2.createCLAHE), on the device.

    Args:
      image: uint8 or uint16, any size. A 16-bit histogram has 65536 bins, so that the same clip
        limit gives another picture than at 8 bits.
      clip_limit: highest bin, in multiples of a flat histogram; 0 or less does not limit. It may be
        traced, as float32.
      tiles: (across, down), both positive, static.

    Returns:
      An image of the same shape and dtype.

    Raises:
      TypeError: image is neither uint8 nor uint16, or clip_limit no number.
      ValueError: it is not [height, width], has fewer pixels than tiles along an axis, or
        clip_limit is not finite.

    Equals OpenCV 5 on x86-64 bit for bit, compiled or not, for a clip_limit that is not traced. A
    traced one may be off by one pixel of a bin where float32 rounds the limit across an integer.
    Where clip_limit x pixels of a tile / bins exceeds 2^31, OpenCV's integer overflows; here
    nothing is clipped then. `vmap` takes 16-bit images one after the other, as each has tiles x
    65536 bins.
    """
    check_grey_image(image)
    image = jnp.asarray(image)
    check_settings(image.shape, clip_limit=clip_limit, tiles=tiles)
    limit: Any = clip_limit
    if not isinstance(limit, jax.core.Tracer):
        limit = float(limit)
    bins = np.iinfo(image.dtype).max + 1
    highest = _highest_count(limit, math.prod(_tile_shape(image.shape, tiles)), bins)
    equalise = partial(_equalise, tiles=(int(tiles[0]), int(tiles[1])))
    if bins > 256:
        equalise = sequential_vmap(equalise)
    return equalise(image, highest)


def check_settings(shape: tuple[int, ...], *, clip_limit: Any, tiles: tuple[int, int]) -> None:
    """Raise TypeError or ValueError unless an image [height, width] can be equalised so."""
    check_number(clip_limit, name="clip_limit")
    if np.shape(tiles) != (2,) or not all(is_a(n, int) and n > 0 for n in tiles):
        raise ValueError(f"tiles must be two positive integers, (across, down), got {tiles}")
    height, width = shape
    if tiles[0] > width or tiles[1] > height:
        raise ValueError(
            f"tiles must be no more than the image has pixels, {width} across and {height} down, "
            f"got {tiles}; take fewer tiles or a larger image"
        )


def _tile_shape(shape: tuple[int, ...], tiles: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a tile. Where one side does not divide, OpenCV adds to both."""
    (height, width), (across, down) = shape, tiles
    divides = height % down == 0 and width % across == 0
    return height // down + (not divides), width // across + (not divides)


def _highest_count(clip_limit: Any, area: int, bins: int) -> Int[Array, ""]:
    """What a bin may hold at most: all pixels of a tile where nothing is limited."""
    xp = jnp if isinstance(clip_limit, jax.core.Tracer) else np
    limited = xp.clip(clip_limit * area / bins, 1, area)
    return jnp.asarray(xp.where(clip_limit > 0, limited, area).astype(np.int32))


@partial(jax.jit, static_argnames="tiles")
def _equalise(
    image: UInt[Array, "height width"], highest: Int[Array, ""], tiles: tuple[int, int]
) -> UInt[Array, "height width"]:
    (across, down), (height, width) = tiles, image.shape
    bins = np.iinfo(image.dtype).max + 1
    tile = _tile_shape(image.shape, tiles)
    more = ((0, tile[0] * down - height), (0, tile[1] * across - width))
    padded = jnp.pad(image, more, mode="reflect")
    counts = _histograms(padded.reshape(down, tile[0], across, tile[1]), bins)
    tables = _tables(counts, highest, tile[0] * tile[1]).astype(image.dtype).reshape(-1)

    rows, row_weights = _neighbours(height, down, tile[0])
    columns, column_weights = _neighbours(width, across, tile[1])
    grey = image.astype(jnp.int32)

    def across_two(row: Array) -> Array:
        """Interpolate between the tables left and right of each pixel, in one row of tiles."""
        left, right = (
            tables.at[(row[:, None] * across + column) * bins + grey].get(mode="promise_in_bounds")
            for column in columns
        )
        return _blend(left, right, *column_weights)

    above, below = (across_two(row) for row in rows)
    blended = _blend(above, below, *(weight[:, None] for weight in row_weights))
    return jnp.round(blended).astype(image.dtype)


def _histograms(
    pixels: UInt[Array, "down height across width"], bins: int
) -> Int[Array, "tile bin"]:
    across = pixels.shape[2]
    first = bins * jnp.arange(across, dtype=jnp.int32)[:, None]

    def count(row: UInt[Array, "height across width"]) -> Int[Array, "bin"]:
        return jnp.zeros(across * bins, jnp.int32).at[first + row].add(1, mode="promise_in_bounds")

    # A row of tiles at a time: a CPU runs one scatter on one core, but several side by side.
    return jnp.stack([count(row) for row in pixels]).reshape(-1, bins)


def _tables(
    counts: Int[Array, "tile bin"], highest: Int[Array, ""], area: int
) -> Float[Array, "tile bin"]:
    """New grey values of a tile's old ones, from its clipped histogram."""
    bins = counts.shape[1]
    excess = jnp.maximum(counts - highest, 0).sum(axis=1, keepdims=True)
    share, rest = excess // bins, excess % bins
    # The rest goes to every so many-th bin. Integers would be divided one by one on a CPU; half a
    # bin keeps the quotient of floats exact.
    every = (bins // jnp.maximum(rest, 1)).astype(jnp.float32)
    place = np.arange(bins, dtype=np.float32)
    nth = jnp.floor((place + np.float32(0.5)) / every)
    one_more = (nth * every == place) & (nth < rest)
    counts = jnp.minimum(counts, highest) + share + one_more
    # OpenCV multiplies by this float32, which is not the same as dividing.
    scale = np.float32(bins - 1) / np.float32(area)
    return jnp.round(_running_sum(counts).astype(jnp.float32) * scale)


def _running_sum(counts: Int[Array, "*tile bin"]) -> Int[Array, "*tile bin"]:
    """jnp.cumsum over a power of 16, in a half (256) to a third (65536) of its time on a CPU."""
    if counts.shape[-1] == 1:
        return counts
    blocks = counts.reshape(*counts.shape[:-1], -1, 16)
    totals = blocks.sum(axis=-1)
    before = (_running_sum(totals) - totals)[..., None]
    first = np.arange(16) == 0
    return ((blocks + before * first) @ np.tri(16, dtype=np.int32).T).reshape(counts.shape)


def _neighbours(
    length: int, tiles: int, size: int
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """For each pixel of an axis the tiles before and behind it, and their weights."""
    place = np.arange(length, dtype=np.float32) * (np.float32(1) / np.float32(size))
    place -= np.float32(0.5)
    before = np.floor(place)
    weight = place - before
    index = before.astype(np.int32)
    index, behind = np.maximum(index, 0), np.minimum(index + 1, tiles - 1)
    return (
        (jnp.asarray(index), jnp.asarray(behind)),
        (jnp.asarray(np.float32(1) - weight), jnp.asarray(weight)),
    )


def _blend(a: Array, b: Array, a_weight: Array, b_weight: Array) -> Float[Array, "height width"]:
    # The maximum changes nothing, but keeps the compiler from fusing multiplication and addition
    # into one instruction, which rounds once where OpenCV rounds twice.
    return jnp.maximum(a * a_weight, -3e38) + jnp.maximum(b * b_weight, -3e38)
