"""What phantoms are drawn with: coordinates, soft edges, strokes, glyphs, noise.

Lengths are in units of half the image's shorter side: a square image reaches from -1 to 1, x across
to the right and y down. A signed distance is positive inside of its shape.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

Plane = Float[Array, "height width"]
Scalar = Float[Array, ""]
Point = tuple[float | Scalar, float | Scalar]


def pixel_grid(shape: tuple[int, int]) -> tuple[Plane, Plane]:
    """Return x and y of all pixel centres; (0, 0) is the centre of the image."""
    height, width = shape
    half = min(shape) / 2
    y = (jnp.arange(height, dtype=jnp.float32) - (height - 1) / 2) / half
    x = (jnp.arange(width, dtype=jnp.float32) - (width - 1) / 2) / half
    return jnp.broadcast_to(x, shape), jnp.broadcast_to(y[:, None], shape)


def pixel_size(shape: tuple[int, int]) -> float:
    """Return the side of a pixel."""
    return 2 / min(shape)


class Range(NamedTuple):
    """Where random numbers lie: [low, high), one or a whole array of them."""

    low: float
    high: float
    shape: tuple[int, ...] = ()


def draw_uniform(key: PRNGKeyArray, ranges: Mapping[str, Range]) -> dict[str, Float[Array, "..."]]:
    """Draw from all ranges at once, which compiles to a small part of what single draws would."""
    ends = np.cumsum([math.prod(r.shape) for r in ranges.values()])
    pieces = jnp.split(jax.random.uniform(key, (int(ends[-1]),)), ends[:-1])
    return {
        name: r.low + (r.high - r.low) * piece.reshape(r.shape)
        for (name, r), piece in zip(ranges.items(), pieces, strict=True)
    }


def soft(distance: Float[Array, "*shape"], *, edge: float | Scalar) -> Float[Array, "*shape"]:
    """Turn a signed distance into coverage: 0 outside, 1 inside, soft over `edge` on both sides."""
    t = jnp.clip(0.5 + distance / (2 * edge), 0, 1)
    return t * t * (3 - 2 * t)


def smooth_minimum(a: Plane, b: Plane, *, radius: float) -> Plane:
    """Return the lesser of two signed distances, with the corner between them rounded off."""
    return -radius * jnp.logaddexp(-a / radius, -b / radius)


def power(base: Plane, exponent: Scalar) -> Plane:
    """Return base ** exponent for a base >= 0, in a third of the time that `**` takes on a CPU."""
    return jnp.exp(exponent * jnp.log(base + 1e-9))


def ellipse(x: Plane, y: Plane, *, centre: Point, radii: Point) -> Plane:
    """Return the signed distance to an ellipse: exact for a circle, else right near the outline."""
    u, v = (x - centre[0]) / radii[0], (y - centre[1]) / radii[1]
    return (1 - jnp.sqrt(u * u + v * v + 1e-12)) * jnp.minimum(*map(jnp.asarray, radii))


def polygon(x: Plane, y: Plane, corners: Sequence[Point]) -> Plane:
    """Return the signed distance to the sides of a convex polygon, clockwise on the screen."""
    distance = jnp.full_like(x, jnp.inf)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        dx, dy = x1 - x0, y1 - y0
        side = (dx * (y - y0) - dy * (x - x0)) / jnp.hypot(dx, dy)
        distance = jnp.minimum(distance, side)
    return distance


def strokes(
    x: Plane,
    y: Plane,
    segments: Float[Array, "segment 2 2"],
    *,
    radii: Float[Array, "segment"],
    edge: float | Scalar,
) -> Plane:
    """Return the coverage of straight strokes with round ends; none is seen of radius -inf."""

    def add(inside: Plane, stroke: tuple) -> tuple[Plane, None]:
        (start, end), radius = stroke
        along = end - start
        px, py = x - start[0], y - start[1]
        t = jnp.clip((px * along[0] + py * along[1]) / (along @ along + 1e-9), 0, 1)
        distance = jnp.sqrt((px - t * along[0]) ** 2 + (py - t * along[1]) ** 2 + 1e-12)
        return jnp.maximum(inside, radius - distance), None

    return soft(jax.lax.scan(add, jnp.full_like(x, -jnp.inf), (segments, radii))[0], edge=edge)


def bezier(points: Float[Array, "3 2"], *, segments: int) -> Float[Array, "{segments} 2 2"]:
    """Cut a quadratic Bézier curve into straight segments."""
    t = jnp.linspace(0, 1, segments + 1)[:, None]
    curve = (1 - t) ** 2 * points[0] + 2 * t * (1 - t) * points[1] + t**2 * points[2]
    return jnp.stack([curve[:-1], curve[1:]], axis=1)


def smooth_noise(key: PRNGKeyArray, shape: tuple[int, ...], *, cells: int) -> Plane:
    """Draw a random plane of mean 0 and deviation about 1 that varies over 1/cells of its side."""
    return smooth_noises(key, [(shape, cells)])[0]


def smooth_noises(
    key: PRNGKeyArray, planes: Sequence[tuple[tuple[int, ...], int]]
) -> list[Float[Array, "_ _"]]:
    """Draw several such planes, each of its (shape, cells), at the compiler's price of one."""
    ends = np.cumsum([(cells + 1) ** 2 for _, cells in planes])
    lattices = jnp.split(jax.random.normal(key, (int(ends[-1]),)), ends[:-1])
    return [
        jax.image.resize(lattice.reshape(cells + 1, cells + 1), shape, method="cubic")
        for lattice, (shape, cells) in zip(lattices, planes, strict=True)
    ]


def expose(
    key: PRNGKeyArray,
    attenuation: Plane,
    *,
    body: Plane,
    brightness: Scalar,
    contrast: Scalar,
    noise: Scalar,
) -> Plane:
    """Turn attenuation into a film of the brightness that was asked for, with its grain.

    The gain is found by Newton's method, as by an automatic exposure, so that the mean says nothing
    of what attenuates.

    Args:
      key: draws the grain.
      attenuation: >= 0; about 1 makes a film white.
      body: where the patient is, 0 to 1.
      brightness: mean of the film where the patient is, 0 to 1.
      contrast: exponent of the attenuation.
      noise: deviation of the grain where the film is white.

    Returns:
      0 to 1 but for the grain.
    """
    wanted = brightness * body.mean()
    a = power(jnp.maximum(attenuation, 0.01), contrast)
    gain = jnp.ones(())
    for _ in range(4):
        dark = jnp.exp(-gain * a)
        gain += (wanted - 1 + dark.mean()) / (a * dark).mean()
    image = 1 - jnp.exp(-gain * a)
    return image + noise * jnp.sqrt(image) * jax.random.normal(key, image.shape)


# Letters as polylines in a box 1 wide and 1.6 high around (0, 0), padded to one length.
_LETTERS = {
    "C": [
        (0.5, -0.5),
        (0.2, -0.8),
        (-0.2, -0.8),
        (-0.5, -0.5),
        (-0.5, 0.5),
        (-0.2, 0.8),
        (0.2, 0.8),
        (0.5, 0.5),
    ],
    "M": [(-0.55, 0.8), (-0.55, -0.8), (0.0, 0.3), (0.55, -0.8), (0.55, 0.8)],
    "O": [
        (-0.2, -0.8),
        (0.2, -0.8),
        (0.5, -0.5),
        (0.5, 0.5),
        (0.2, 0.8),
        (-0.2, 0.8),
        (-0.5, 0.5),
        (-0.5, -0.5),
        (-0.2, -0.8),
    ],
    "L": [(-0.5, -0.8), (-0.5, 0.8), (0.5, 0.8)],
    "R": [(-0.5, 0.8), (-0.5, -0.8), (0.2, -0.8), (0.5, -0.4), (0.2, 0.0), (-0.5, 0.0), (0.5, 0.8)],
}


def glyph_segments(letters: str) -> Float[np.ndarray, "letter segment 2 2"]:
    """Return the strokes of some letters, those of the shorter ones repeated to the same number."""
    lines = [np.array(_LETTERS[letter], np.float32) for letter in letters]
    longest = max(map(len, lines))
    lines = [np.pad(line, ((0, longest - len(line)), (0, 0)), mode="edge") for line in lines]
    return np.stack([np.stack([line[:-1], line[1:]], axis=1) for line in lines])
