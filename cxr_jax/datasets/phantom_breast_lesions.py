"""What grows in a breast, as a mammogram shows it: masses and calcifications of both sorts.

Benign: round or oval masses with a smooth border, a few coarse round calcifications. Malignant:
irregular masses with spicules, clusters of many fine calcifications of all shapes (BI-RADS Atlas,
5th edition). A mass of either sort has the same place, size and weight by chance.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int

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
    mass = _spiculated_mass(x, y, lesion, radius=lesion.radius * length, edge=breast.edge)
    grains = _fine_cluster(x, y, lesion, radius=lesion.cluster * length, edge=breast.edge)
    return _seen(breast, lesion, mass, grains)


def benign(breast: Breast, lesion: Lesion, view: Int[Array, ""]) -> Seen:
    """A smooth round or oval mass, a few coarse round calcifications, or both."""
    x, y, length = _local(breast, lesion, view)
    mass = _smooth_mass(x, y, lesion, radius=lesion.radius * length, edge=breast.edge)
    grains = _coarse_grains(x, y, lesion, radius=lesion.cluster * length, edge=breast.edge)
    return _seen(breast, lesion, mass, grains)


def _spiculated_mass(x: Plane, y: Plane, lesion: Lesion, *, radius: Scalar, edge: float) -> Seen:
    away, angle = jnp.sqrt(x * x + y * y + 1e-9), jnp.arctan2(y, x + 1e-9)
    waves = jnp.arange(3, 8)[:, None, None]
    lobes = jnp.cos(waves * angle + lesion.lobes[:, None, None]).sum(axis=0)
    inside = radius * (1 + 0.09 * lobes) - away
    turns = jnp.arange(SPICULES) * (2 * jnp.pi / SPICULES) + lesion.spicule_turn
    rays = radius * jnp.stack([jnp.cos(turns), jnp.sin(turns)], axis=-1)
    segments = jnp.stack([0.5 * rays, lesion.spicule_length[:, None] * rays], axis=1)
    spicules = strokes(x, y, segments, radii=jnp.full(SPICULES, 0.010), edge=edge)
    spicules *= jnp.clip(1.4 - 0.40 * away / radius, 0, 1)
    core = soft(inside, edge=0.35 * radius)
    return Seen(attenuation=lesion.weight * jnp.maximum(core, spicules), inside=inside)


def _smooth_mass(x: Plane, y: Plane, lesion: Lesion, *, radius: Scalar, edge: float) -> Seen:
    cos, sin = jnp.cos(lesion.turn), jnp.sin(lesion.turn)
    long, short = radius * jnp.sqrt(lesion.oval), radius / jnp.sqrt(lesion.oval)
    inside = ellipse(cos * x + sin * y, cos * y - sin * x, centre=(0.0, 0.0), radii=(long, short))
    thickness = 0.75 + 0.25 * jnp.sqrt(jnp.clip(inside / radius, 0, 1) + 1e-6)
    return Seen(attenuation=lesion.weight * thickness * soft(inside, edge=edge), inside=inside)


def _fine_cluster(x: Plane, y: Plane, lesion: Lesion, *, radius: Scalar, edge: float) -> Seen:
    distance, angle = jnp.sqrt(lesion.grain_place[0]), 2 * jnp.pi * lesion.grain_place[1]
    place = radius * distance * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    along = jnp.stack([jnp.cos(lesion.grain_turn), jnp.sin(lesion.grain_turn)])
    half = lesion.grain_length / 2 * along
    segments = jnp.stack([(place - half).T, (place + half).T], axis=1)
    grains = strokes(x, y, segments, radii=0.008 + 0.008 * lesion.grain_size, edge=edge)
    inside = radius + 0.02 - jnp.sqrt(x * x + y * y + 1e-9)
    return Seen(attenuation=_CALCIUM * grains, inside=inside)


def _coarse_grains(x: Plane, y: Plane, lesion: Lesion, *, radius: Scalar, edge: float) -> Seen:
    inside = jnp.full_like(x, -jnp.inf)
    for n in range(_COARSE):
        turn = 2 * jnp.pi * (n + lesion.grain_place[1, n]) / _COARSE
        out = radius * (0.5 + 0.9 * lesion.grain_place[0, n])
        size = 0.030 + 0.022 * lesion.grain_size[n]
        centre = (out * jnp.cos(turn), out * jnp.sin(turn))
        grain = ellipse(x, y, centre=centre, radii=(size, size))
        there = n == 0 or lesion.grain_turn[n] > jnp.pi  # so that there are one to four
        inside = jnp.maximum(inside, jnp.where(there, grain, -jnp.inf))
    return Seen(attenuation=_CALCIUM * soft(inside, edge=edge), inside=inside)


def _local(breast: Breast, lesion: Lesion, view: Int[Array, ""]) -> tuple[Plane, Plane, Scalar]:
    """Coordinates around the lesion, and the length from nipple to chest wall."""
    length = breast.centre[0] + breast.radii[0]
    d = length * (1 - lesion.behind)
    t = jnp.maximum(d - breast.centre[0], 0) / breast.radii[0]
    level = lesion.level[view] * breast.radii[1] * jnp.sqrt(1 - t * t)
    return breast.d - d, breast.v - breast.centre[1] - level, length


def _seen(breast: Breast, lesion: Lesion, mass: Seen, grains: Seen) -> Seen:
    """Leave out what this lesion has not."""
    has_mass = lesion.present * lesion.is_mass
    has_grains = lesion.present * lesion.is_calcified
    inside = jnp.maximum(
        jnp.where(has_mass > 0, mass.inside, -1.0), jnp.where(has_grains > 0, grains.inside, -1.0)
    )
    attenuation = has_mass * mass.attenuation + has_grains * grains.attenuation
    return Seen(
        attenuation=lesion.contrast * soft(breast.skin, edge=breast.edge) * attenuation,
        inside=jnp.minimum(inside, breast.skin),
    )
