"""What lies on a mammogram beside the breast: marker, film edges, bands of light."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from cxr_jax.datasets.phantom_breast_patient import Film
from cxr_jax.datasets.phantom_drawing import (
    Plane,
    glyph_segments,
    pixel_grid,
    pixel_size,
    soft,
    strokes,
)

_WORDS = (("LCC", "LMLO"), ("RCC", "RMLO"))  # laterality, view
_PITCH = 1.45  # from letter to letter, in widths of one


class Burned(NamedTuple):
    """What is burned into a film: its brightness where `mask` is set."""

    brightness: Plane
    mask: Bool[Array, "height width"]


def burn(
    film: Film,
    *,
    laterality: Int[Array, ""],
    view: Int[Array, ""],
    breast: Plane,
    shape: tuple[int, int],
) -> Burned:
    """Draw all artefacts of a film.

    Args:
      film: says which.
      laterality, view: what the marker says; it is readable, not mirrored, on either side.
      breast: signed distance, positive inside: bands stay away from it.
      shape: height and width in pixels.
    """
    x, y = pixel_grid(shape)
    out = 1 - x * (1 - 2 * laterality)  # distance from the film's nipple side
    half_height = shape[0] / min(shape)

    band = soft(film.band / 2 - jnp.abs(out - film.band_inset - film.band / 2), edge=0.02)
    band = band * soft(-breast - 0.12, edge=0.03) * film.band_brightness * (film.band > 0)
    letters, plate = marker(film, laterality=laterality, view=view, shape=shape)
    brightness = jnp.where(plate > letters, 0.9 * plate, jnp.maximum(band, 0.97 * letters))
    # Dark letters on a plate: the plate is burned, what it spells is not.
    mask = (band > 0.1) | (letters > 0.1) | (plate > 0.1)
    distances = (2 - out, out, y + half_height, half_height - y)
    for n, distance in enumerate(distances):
        along = x if n >= 2 else y
        edge = distance < film.edge_width[n] + film.edge_tilt[n] * along
        edge &= film.edge_width[n] > 0
        brightness = jnp.where(edge, film.edge_white[n] * 0.98, brightness)
        mask |= edge
    return Burned(brightness=brightness, mask=mask)


def marker(
    film: Film,
    *,
    laterality: Int[Array, ""],
    view: Int[Array, ""],
    shape: tuple[int, int],
) -> tuple[Plane, Plane]:
    """Coverage of bright strokes and of a plate, in the corner that the breast does not reach."""
    x, y = pixel_grid(shape)
    low = film.marker_low * (1 - view)  # an MLO film has it beside the axilla
    size = film.marker_size
    word_half = 0.5 * size * (_PITCH * (2 + view) + 1)
    inset_x, inset_y = film.marker_inset
    side = 1 - 2 * laterality
    centre_x = side * (1 - inset_x - word_half)
    centre_y = (2 * low - 1) * (shape[0] / min(shape) - inset_y - 0.8 * size)
    x, y = (x - centre_x) / size, (y - centre_y) / size

    edge = 0.7 * pixel_size(shape) / size
    segments = jnp.asarray(_word_segments())[laterality, view]
    style = film.marker
    radii = jnp.full(len(segments), jnp.where(style > 0, 0.15, -jnp.inf))
    letters = strokes(x, y, segments, radii=radii, edge=edge)
    frame = jnp.minimum(word_half / size + 0.45 - jnp.abs(x), 1.25 - jnp.abs(y))
    box = soft(0.1 - jnp.abs(frame), edge=edge) * (style == 2)
    plate = jnp.where(style == 3, soft(frame, edge=edge) - letters, 0.0)
    return jnp.where(style == 3, 0.0, jnp.maximum(letters, box)), jnp.maximum(plate, 0)


def _word_segments() -> Float[np.ndarray, "laterality view segment 2 2"]:
    """The strokes of all words around (0, 0), the last repeated in those with fewer.

    A letter is 1 wide and 1.6 high.
    """
    words = []
    for word in (word for row in _WORDS for word in row):
        segments = glyph_segments(word)
        segments[..., 0] += _PITCH * (np.arange(len(word)) - (len(word) - 1) / 2)[:, None, None]
        segments = segments.reshape(-1, 2, 2)
        words.append(segments)
    longest = max(map(len, words))
    padded = [np.concatenate([w, np.repeat(w[-1:], longest - len(w), axis=0)]) for w in words]
    return np.stack(padded).reshape(2, 2, longest, 2, 2)
