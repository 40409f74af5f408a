"""What grows in a breast, as a mammogram shows it: masses and calcifications of both sorts.

Benign: round or oval masses with a smooth border, a few coarse round calcifications. Malignant:
irregular masses with spicules, clusters of many fine calcifications of all shapes (BI-RADS Atlas,
5th edition). A mass of either sort has the same place, size and weight by chance.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from cxr_jax.datasets.phantom_breast_patient import SPICULES, Lesion
from cxr_jax.datasets.phantom_breast_structures import Breast
from cxr_jax.datasets.phantom_drawing import Plane, Scalar, ellipse, soft, strokes

_COARSE = 4  # calcifications of a benign lesion
_CALCIUM = 1.2  # attenuation


class Seen(NamedTuple):
    """A lesion on a film.

    Attributes:
      attenuation: what it adds.
      inside: signed distance to its outline, spicules left out; negative where it is absent.
    """

    attenuation: Plane
    inside: Plane


def malignant(breast: Breast, lesion: Lesion, view: Int[Array, ""]) -> Seen:
    """An irregular mass with spicules, a cluster of fine calcifications, or both."""
    x, y, length = _local(breast, lesion, view)
    radius = lesion.radius * length
    away, angle = jnp.sqrt(x * x + y * y + 1e-9), jnp.arctan2(y, x + 1e-9)
    waves = jnp.arange(3, 8)[:, None, None]
    lobes = jnp.cos(waves * angle + lesion.lobes[:, None, None]).sum(axis=0)
    mass = radius * (1 + 0.09 * lobes) - away
    shown = lesion.weight * soft(mass, edge=0.35 * radius)
    turns = jnp.arange(SPICULES) * (2 * jnp.pi / SPICULES) + lesion.spicule_turn
    rays = radius * jnp.stack([jnp.cos(turns), jnp.sin(turns)], axis=-1)
    tips = rays * lesion.spicule_length[:, None]
    radii = jnp.full(SPICULES, 0.010)
    spicules = strokes(x, y, jnp.stack([0.5 * rays, tips], axis=1), radii=radii, edge=breast.edge)
    fade = jnp.clip(1.4 - 0.40 * away / radius, 0, 1)
    shown = jnp.maximum(shown, lesion.weight * spicules * fade)

    cluster = lesion.cluster * length
    distance, angle = jnp.sqrt(lesion.grain_place[0]), 2 * jnp.pi * lesion.grain_place[1]
    places = cluster * distance * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    half = (
        0.5
        * lesion.grain_length
        * jnp.stack([jnp.cos(lesion.grain_turn), jnp.sin(lesion.grain_turn)])
    )
    segments = jnp.stack([(places - half).T, (places + half).T], axis=1)
    sizes = 0.008 + 0.008 * lesion.grain_size
    grains = _CALCIUM * strokes(x, y, segments, radii=sizes, edge=breast.edge)
    return _seen(breast, lesion, shown, mass, grains, cluster + 0.02 - away)


def benign(breast: Breast, lesion: Lesion, view: Int[Array, ""]) -> Seen:
    """A smooth round or oval mass, a few coarse round calcifications, or both."""
    x, y, length = _local(breast, lesion, view)
    radius = lesion.radius * length
    cos, sin = jnp.cos(lesion.turn), jnp.sin(lesion.turn)
    across, along = cos * x + sin * y, cos * y - sin * x
    root = jnp.sqrt(lesion.oval)
    mass = ellipse(across, along, centre=(0.0, 0.0), radii=(radius * root, radius / root))
    depth = jnp.clip(mass / radius, 0, 1)
    ball = 0.75 + 0.25 * jnp.sqrt(depth + 1e-6)
    shown = lesion.weight * ball * soft(mass, edge=breast.edge)

    inside = jnp.full_like(x, -jnp.inf)
    for n in range(_COARSE):
        turn = 2 * jnp.pi * (n + lesion.grain_place[1, n]) / _COARSE
        out = lesion.cluster * length * (0.5 + 0.9 * lesion.grain_place[0, n])
        centre = (out * jnp.cos(turn), out * jnp.sin(turn))
        size = 0.030 + 0.022 * lesion.grain_size[n]
        there = n == 0 or lesion.grain_turn[n] > jnp.pi
        grain = ellipse(x, y, centre=centre, radii=(size, size))
        inside = jnp.maximum(inside, jnp.where(there, grain, -jnp.inf))
    grains = _CALCIUM * soft(inside, edge=breast.edge)
    return _seen(breast, lesion, shown, mass, grains, inside)


def _local(breast: Breast, lesion: Lesion, view: Int[Array, ""]) -> tuple[Plane, Plane, Scalar]:
    """Coordinates around the lesion, and the length from nipple to chest wall."""
    length = breast.centre[0] + breast.radii[0]
    d = length * (1 - lesion.behind)
    t = jnp.maximum(d - breast.centre[0], 0) / breast.radii[0]
    level = lesion.level[view] * breast.radii[1] * jnp.sqrt(1 - t * t)
    return breast.d - d, breast.v - breast.centre[1] - level, length


def _seen(
    breast: Breast,
    lesion: Lesion,
    mass: Float[Array, "height width"],
    mass_inside: Plane,
    grains: Plane,
    grains_inside: Plane,
) -> Seen:
    """Leave out what this lesion has not."""
    has_mass = lesion.present * lesion.is_mass
    has_grains = lesion.present * lesion.is_calcified
    inside = jnp.maximum(
        jnp.where(has_mass > 0, mass_inside, -1.0), jnp.where(has_grains > 0, grains_inside, -1.0)
    )
    seen = lesion.contrast * soft(breast.skin, edge=breast.edge)
    return Seen(
        attenuation=seen * (has_mass * mass + has_grains * grains),
        inside=jnp.minimum(inside, breast.skin),
    )
