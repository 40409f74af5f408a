"""Affine matrices about the centre of an image, and the one resample that applies them.

Pixel (row, column) lies at the point (row, column). The centre of an image is ((height - 1) / 2,
(width - 1) / 2), and a matrix maps where a pixel *goes* (output) to where its value *comes from*
(input): sampling at row + 3 moves the content 3 pixels up. All of an augmentation is one matrix, so
that an image is resampled once and its mask can follow exactly.

`rotate`, `shift`, `zoom` and `shear` take one image of floats and a parameter that may be traced,
return float32, and raise what `affine` and `warp` do.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Real, Shaped

from cxr_jax.device_image import check_image, check_number, check_numbers

FILLS = ("nearest", "constant", "reflect")
# Where each generation of Keras has the centre of n pixels: n / 2 + this. "" is no Keras.
_CENTRES = {"": -0.5, "2.1.2": 0.5, "2.8": 0.5, "3": -0.5}
KERAS = tuple(_CENTRES)

Pair = tuple[Real[ArrayLike, ""], Real[ArrayLike, ""]] | Real[Array, "2"]


def affine(
    *,
    shape: tuple[int, int],
    rotation: Real[ArrayLike, ""] = 0.0,
    shift: Pair = (0.0, 0.0),
    shear: Real[ArrayLike, ""] = 0.0,
    zoom: Pair = (1.0, 1.0),
    flip: Bool[ArrayLike, ""] = False,
    keras: str = "",
) -> Float[Array, "3 3"]:
    """Compose rotation, shift, shear, zoom and horizontal flip about the centre of an image.

        C · R(θ) · T(t) · S(s) · Z(z) · C⁻¹ · F        S(s) = [[1, -sin s], [0, cos s]]

    Args:
      shape: (height, width) in pixels.
      rotation: θ in degrees; a positive one turns the content clockwise on the screen.
      shift: (down, across), fractions of height and width; the *sampling points* go down and to the
        right, so a positive shift moves the content up and to the left.
      shear: s in degrees. As Keras', it is no pure shear: the width grows by 1 / cos s too.
      zoom: (rows, columns), > 0; below 1 magnifies.
      flip: mirror left and right, after everything else.
        All parameters but shape and keras may be traced.
      keras: make the matrix of that ImageDataGenerator, errors included: of "2.1.2" and before,
        whose shear is in radians; of "2.8" and before; of "3" (2.9 and later), which takes rows
        for columns. The first two turn about a point one pixel below and to the right of the
        centre, the last one of non-square images about another point yet.

    Returns:
      The matrix from output to input (row, column, 1), float32.

    Raises:
      TypeError: a parameter is no number.
      ValueError: shape is not two sides, keras none of the above, or a parameter is infinite, not
        as many numbers as above, or a zoom that is not > 0.
    """
    if len(shape) != 2 or min(shape) < 1:
        raise ValueError(f"shape must be (height, width), both >= 1, got {shape}")
    for name, value in [("rotation", rotation), ("shear", shear), ("flip", flip)]:
        check_number(value, name=name)
    check_numbers(shift, name="shift", parts=("down", "across"), within="(-inf, inf)")
    check_numbers(zoom, name="zoom", parts=("rows", "columns"), within="(0, inf)")
    if keras not in KERAS:
        raise ValueError(f"keras must be one of {', '.join(map(repr, KERAS))}, got {keras!r}")
    height, width = shape
    row, column = height / 2 + _CENTRES[keras], width / 2 + _CENTRES[keras]
    theta, skew = jnp.radians(jnp.float32(rotation)), jnp.float32(shear)
    if keras != "2.1.2":
        skew = jnp.radians(skew)
    cos, sin = jnp.cos(theta), jnp.sin(theta)
    down, across = shift[0] * height, shift[1] * width

    # Written out rather than multiplied: a TPU multiplies matrices in bfloat16 unless it is told
    # otherwise, and that moves the edges of an image by whole pixels.
    a, b = zoom[0] * cos, zoom[1] * -jnp.sin(theta + skew)
    d, e = zoom[0] * sin, zoom[1] * jnp.cos(theta + skew)
    c = cos * down - sin * across + (1 - a) * row - b * column
    f = sin * down + cos * across + (1 - e) * column - d * row
    if keras == "3":
        (a, b, c), (d, e, f) = (e, d, f), (b, a, c)
    c, f = jnp.where(flip, c + b * (width - 1), c), jnp.where(flip, f + e * (width - 1), f)
    b, e = jnp.where(flip, -b, b), jnp.where(flip, -e, e)
    entries = [a, b, c, d, e, f, 0.0, 0.0, 1.0]
    return jnp.stack([jnp.float32(entry) for entry in entries]).reshape(3, 3)


def warp(
    image: Shaped[Array, "height width channel"],
    matrix: Float[Array, "3 3"],
    *,
    order: int = 1,
    fill: str = "nearest",
) -> Shaped[Array, "height width channel"]:
    """Resample an image at the points that a matrix maps its pixels to.

    Args:
      image: of floats, any range; with order=0 of any dtype, masks for instance.
      matrix: output to input (row, column, 1), as `affine` makes it.
      order: 1 interpolates bilinearly; 0 takes the nearest pixel, floor(x + 0.5).
      fill: what lies outside: the nearest pixel of the edge, 0 ("constant"), or the mirror image
        ("reflect": d c b a | a b c d).

    Returns:
      The image, float32 for order=1 and of its own dtype for order=0; in the range of the input,
      widened to 0 by "constant".

    Raises:
      ValueError: order or fill is none of the above, the image has another rank or no pixel, the
        matrix another shape.
      TypeError: order=1 for integers or booleans.

    Equals scipy.ndimage.affine_transform(channel, matrix, order=order, mode=fill) with float32
    coordinates: within 1e-2 grey levels of 255 on noise of 224 x 224, much less on real images.
    """
    check_image(image, floats=False)
    if np.shape(matrix) != (3, 3):
        raise ValueError(f"matrix must be [3, 3], as affine makes it, got shape {np.shape(matrix)}")
    matrix = jnp.asarray(matrix)
    if order not in (0, 1):
        raise ValueError(f"order must be 0 (nearest pixel) or 1 (bilinear), got {order!r}")
    if fill not in FILLS:
        raise ValueError(f"fill must be one of {', '.join(FILLS)}, got {fill!r}")
    if order == 1 and not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(
            f"order=1 interpolates floats, got an image of {image.dtype}; "
            "scale it to float32 in [0, 1], or use order=0 for a mask"
        )
    height, width, channels = image.shape
    i, v = _points(matrix[0], (height, width))
    j, u = _points(matrix[1], (height, width))
    outside = _outside(i, v, height) | _outside(j, u, width)
    if fill == "reflect":
        (i, v), (j, u) = _folded(i, v, height), _folded(j, u, width)
    if order == 0:
        i, j = jnp.clip(i + (v >= 0.5), 0, height - 1), jnp.clip(j + (u >= 0.5), 0, width - 1)
        warped = _pick(jnp.asarray(image).reshape(height * width, channels), i * width + j)
    else:
        rows, columns = _first_of_two(i, v, height), _first_of_two(j, u, width)
        few = height * width <= _FEW
        warped = jax.lax.platform_dependent(
            jnp.asarray(image, jnp.float32),
            rows,
            columns,
            tpu=_by_products if few else partial(_by_gathering, _four_at_once),
            default=partial(_by_gathering, _four),
        )
    if fill == "constant":
        warped = jnp.where(outside[..., None], jnp.zeros((), warped.dtype), warped)
    return warped


def flip_horizontal(
    image: Shaped[Array, "height width channel"],
) -> Shaped[Array, "height width channel"]:
    """Mirror an image of any dtype left and right. A chest then has its heart on the other side."""
    check_image(image, floats=False)
    return image[:, ::-1]


def rotate(
    image: Float[Array, "height width channel"],
    degrees: Real[ArrayLike, ""],
    *,
    fill: str = "nearest",
) -> Float[Array, "height width channel"]:
    """Turn an image about its centre; a positive angle turns it clockwise on the screen."""
    return warp(image, affine(shape=_shape(image), rotation=degrees), fill=fill)


def shift(
    image: Float[Array, "height width channel"], fractions: Pair, *, fill: str = "nearest"
) -> Float[Array, "height width channel"]:
    """Move an image by (down, across) fractions of height and width.

    As in Keras it is the sampling points that go down and right: the content goes up and left.
    """
    return warp(image, affine(shape=_shape(image), shift=fractions), fill=fill)


def zoom(
    image: Float[Array, "height width channel"], factors: Pair, *, fill: str = "nearest"
) -> Float[Array, "height width channel"]:
    """Scale an image about its centre by factors for (rows, columns), > 0; below 1 magnifies."""
    return warp(image, affine(shape=_shape(image), zoom=factors), fill=fill)


def shear(
    image: Float[Array, "height width channel"],
    degrees: Real[ArrayLike, ""],
    *,
    fill: str = "nearest",
) -> Float[Array, "height width channel"]:
    """Shear an image about its centre: columns slide along each other, width grows by 1 / cos."""
    return warp(image, affine(shape=_shape(image), shear=degrees), fill=fill)


def _shape(image: Float[Array, "height width channel"]) -> tuple[int, int]:
    check_image(image)
    return image.shape[0], image.shape[1]


# A point along one axis is a pixel's index and a fraction of [0, 1) to the next pixel.
_Indices = Int[Array, "height width"]
_Fractions = Float[Array, "height width"]
_Points = tuple[_Indices, _Fractions]


def _points(line: Float[Array, "3"], shape: tuple[int, int]) -> _Points:
    """Where the pixels come from along one axis.

    The whole part of each coefficient is summed in integers: float32 then rounds how far a pixel
    moves rather than where it lies, and a flip is exact.
    """
    row, column = jnp.arange(shape[0])[:, None], jnp.arange(shape[1])[None, :]
    whole = jnp.round(line)
    rest = line - whole
    a, b, c = whole.astype(jnp.int32)
    moved = rest[0] * row + rest[1] * column + rest[2]
    below = jnp.floor(moved)
    return a * row + b * column + c + below.astype(jnp.int32), moved - below


def _outside(i: _Indices, v: _Fractions, size: int) -> Bool[Array, "height width"]:
    """Whether a point lies before the first or beyond the last pixel's centre."""
    return (i < 0) | (i + (v > 0) > size - 1)


def _folded(i: _Indices, v: _Fractions, size: int) -> _Points:
    """Mirror points about the edges, half a pixel beyond the outer pixels' centres."""
    i = i % (2 * size)
    back = i >= size
    return jnp.where(back, 2 * size - 2 - i, i), jnp.where(back, 1 - v, v)


def _first_of_two(i: _Indices, v: _Fractions, size: int) -> _Points:
    """Move points to the nearest between two pixels of the image, the fraction in [0, 1]."""
    first = jnp.clip(i, 0, max(size - 2, 0))
    return first, jnp.clip(v + (i - first), 0, 1)


def _by_gathering(
    neighbours: Callable[[Array, _Indices], tuple[Array, ...]],
    image: Float[Array, "height width channel"],
    rows: _Points,
    columns: _Points,
) -> Float[Array, "height width channel"]:
    """Interpolate between the four pixels about each point."""
    (i, v), (j, u) = rows, columns
    first, right, below, diagonal = neighbours(image, i * image.shape[1] + j)
    v, u = v[..., None], u[..., None]
    upper = (1 - u) * first + u * right
    lower = (1 - u) * below + u * diagonal
    return (1 - v) * upper + v * lower


_FEW = 256 * 256  # pixels: the products' work grows with the square of their number


def _by_products(
    image: Float[Array, "height width channel"], rows: _Points, columns: _Points
) -> Float[Array, "height width channel"]:
    """The same on a TPU, which fetches a tile of memory for every index, but multiplies fast.

    Of the weights of an image's pixels at a point all but four are 0. Its float32 is multiplied as
    two bfloat16 each, so that values in [0, 1] are within 2e-5 of the others'.
    """
    between = jnp.einsum(
        "hwr,rck->hwck", _weights(*rows, image.shape[0]), image, precision=jax.lax.Precision.HIGH
    )
    return (between * _weights(*columns, image.shape[1])[..., None]).sum(-2)


def _weights(
    first: _Indices, fraction: _Fractions, size: int
) -> Float[Array, "height width pixel"]:
    """Weigh the pixels of an axis for every point."""
    pixel, second = jnp.arange(size), jnp.minimum(first + 1, size - 1)
    first, second, fraction = first[..., None], second[..., None], fraction[..., None]
    return (1 - fraction) * (pixel == first) + fraction * (pixel == second)


def _pick(pixels: Shaped[Array, "pixel channel"], flat: _Indices) -> Array:
    return pixels.at[flat].get(mode="promise_in_bounds")


def _steps(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """How far, in a flat image, a pixel is from itself, the one on its right, below, and both."""
    height, width, _ = shape
    right, below = int(width > 1), width if height > 1 else 0
    return 0, right, below, below + right


def _four(image: Float[Array, "height width channel"], first: _Indices) -> tuple[Array, ...]:
    """The pixels at flat indices, those on their right, below, and below those."""
    pixels = image.reshape(-1, image.shape[-1])
    return tuple(_pick(pixels, first + step) for step in _steps(image.shape))


def _four_at_once(
    image: Float[Array, "height width channel"], first: _Indices
) -> tuple[Array, ...]:
    """The same in one gather, for larger images on a TPU."""
    pixels = image.reshape(-1, image.shape[-1])
    four = jnp.stack([jnp.roll(pixels, -step, axis=0) for step in _steps(image.shape)])
    return tuple(four.at[:, first].get(mode="promise_in_bounds"))
