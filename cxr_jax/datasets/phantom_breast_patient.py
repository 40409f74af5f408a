"""Whose breasts are taken, what grows in them, and how: every random number of a mammogram.

Only the sort of a lesion depends on whether it is malignant, so that nothing else can tell it.
Lengths are in half widths of the film, those of a breast measured from the chest wall.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from cxr_jax.datasets.phantom_drawing import Range, Scalar, draw_uniform

LATERALITIES = ("L", "R")
VIEWS = ("CC", "MLO")
MARKER_STYLES = ("none", "letters", "letters in a box", "dark letters on a plate")
EDGES = ("chest wall", "nipple side", "top", "bottom")

WITH_CANCER = 0.45  # share of the patients: in one breast
WITH_BENIGN = 0.55  # share of the breasts, whatever else is in them

SPICULES = 18
GRAINS = 28  # calcifications of a cluster; the first few are a benign lesion's coarse ones


class Lesion(NamedTuple):
    """What would be seen if the lesion is there: one place and size, in both views."""

    present: Int[Array, ""]
    is_mass: Int[Array, ""]
    is_calcified: Int[Array, ""]
    contrast: Scalar  # how much of it is seen, 0 to 1
    behind: Scalar  # distance behind the nipple, a fraction of the way to the chest wall
    level: Float[Array, "view"]  # distance from the axis, a fraction of the half height there
    radius: Scalar  # of a mass, a fraction of the way from nipple to chest wall
    weight: Scalar  # of a mass: how much denser than what surrounds it
    oval: Scalar  # longest by shortest diameter of a benign mass
    turn: Scalar  # radians
    lobes: Float[Array, "5"]  # phases of a malignant outline
    spicule_turn: Float[Array, "spicule"]
    spicule_length: Float[Array, "spicule"]  # in radii of the mass
    cluster: Scalar  # its radius, as `radius`
    grain_place: Float[Array, "2 grain"]  # distance squared and angle in the cluster
    grain_size: Float[Array, "grain"]  # 0 to 1
    grain_turn: Float[Array, "grain"]
    grain_length: Float[Array, "grain"]


class Lesions(NamedTuple):
    """What may grow in a breast."""

    malignant: Lesion
    benign: Lesion


class Patient(NamedTuple):
    """What both breasts have in common, and the lesions of each."""

    reach: Scalar  # from the chest wall to the nipple
    roundness: Scalar  # half height by reach
    density: Scalar  # 0 all fat, 1 all gland
    lobules: Scalar  # contrast of the gland's texture
    fat: Scalar  # attenuation of a breast without gland
    skin: Scalar  # thickness
    pectoral_width: Scalar  # at the upper edge of an MLO film
    pectoral_height: Scalar  # along the chest wall
    pectoral: Scalar  # attenuation
    axilla: Scalar  # width of the upper edge's breast beyond the muscle's, MLO
    lesions: Lesions  # of the left breast, of the right one


class Film(NamedTuple):
    """What changes from film to film of one patient."""

    stretch: Scalar  # of the breast under compression
    down: Scalar  # shift
    nipple: Scalar  # its level, a fraction of the half height
    sag: Scalar  # level of the widest part below the centre, MLO
    brightness: Scalar  # mean of the breast, 0 to 1
    contrast: Scalar
    noise: Scalar  # deviation of the grain
    fog: Scalar  # brightness of the empty film
    vessels: Float[Array, "vessel"]  # bend, in half heights
    marker: Int[Array, ""]  # index into MARKER_STYLES
    marker_size: Scalar  # half a letter's height
    marker_inset: Float[Array, "2"]  # from the film's outer side and from its upper or lower one
    marker_low: Int[Array, ""]  # 1 where a CC film has it at the bottom
    edge_width: Float[Array, "edge"]  # 0 where there is none; EDGES
    edge_tilt: Float[Array, "edge"]  # radians
    edge_white: Int[Array, "edge"]
    band: Scalar  # width of the band along the nipple side; none below 0
    band_inset: Scalar  # from the film's outer side
    band_brightness: Scalar


_LESION = {
    "form": Range(0.0, 1.0),
    "contrast": Range(0.55, 1.0),
    "behind": Range(0.30, 0.68),
    "level": Range(0.12, 0.58, (len(VIEWS),)),
    "radius": Range(0.10, 0.15),
    "weight": Range(0.32, 0.48),
    "oval": Range(1.0, 1.45),
    "turn": Range(0.0, 6.283),
    "lobes": Range(0.0, 6.283, (5,)),
    "spicule_turn": Range(-0.45, 0.45, (SPICULES,)),
    "spicule_length": Range(1.8, 3.0, (SPICULES,)),
    "cluster": Range(0.13, 0.18),
    "grain_place": Range(0.0, 1.0, (2, GRAINS)),
    "grain_size": Range(0.0, 1.0, (GRAINS,)),
    "grain_turn": Range(0.0, 6.283, (GRAINS,)),
    "grain_length": Range(0.0, 0.03, (GRAINS,)),
}
# Two sorts, two breasts.
_LESIONS = {name: Range(low, high, (2, 2, *shape)) for name, (low, high, shape) in _LESION.items()}
_ONLY_CALCIFIED, _ONLY_MASS = 0.3, 0.5  # shares of the lesions; the others are both

_PATIENT = {
    "cancer": Range(0.0, 1.0),
    "benign": Range(0.0, 1.0, (2,)),
    "malignant_above": Range(0.0, 1.0, (2,)),
    "reach": Range(0.98, 1.48),
    "roundness": Range(0.68, 0.80),
    "density": Range(0.0, 1.0),
    "lobules": Range(0.7, 1.3),
    "fat": Range(0.30, 0.42),
    "skin": Range(0.018, 0.03),
    "pectoral_width": Range(0.40, 0.72),
    "pectoral_height": Range(1.1, 1.7),
    "pectoral": Range(0.35, 0.55),
    "axilla": Range(0.12, 0.30),
}

VESSELS = 3
_FILM = {
    "stretch": Range(0.95, 1.05),
    "down": Range(-0.06, 0.06),
    "nipple": Range(-0.25, 0.25),
    "sag": Range(0.08, 0.24),
    "brightness": Range(0.36, 0.56),
    "contrast": Range(1.0, 1.4),
    "noise": Range(0.004, 0.02),
    "fog": Range(0.0, 0.05),
    "vessels": Range(-0.4, 0.4, (VESSELS,)),
    "style": Range(0.0, 1.0),
    "marker_size": Range(0.055, 0.085),
    "marker_inset": Range(0.10, 0.20, (2,)),
    "marker_place": Range(0.0, 1.0),
    "edge": Range(0.0, 1.0, (len(EDGES),)),
    "edge_width": Range(0.02, 0.08, (len(EDGES),)),
    "edge_tilt": Range(-0.012, 0.012, (len(EDGES),)),
    "edge_shade": Range(0.0, 1.0, (len(EDGES),)),
    "band": Range(-0.16, 0.05),
    "band_inset": Range(0.02, 0.2),
    "band_brightness": Range(0.2, 0.9),
}
_STYLES = (0.1, 0.55, 0.8)  # shares up to and with each of MARKER_STYLES
_EDGED, _WHITE = 0.25, 0.7  # shares of the sides with an edge, and of the white ones among them


def draw_patient(key: PRNGKeyArray) -> Patient:
    """Draw a patient with both breasts; WITH_CANCER of all have a malignant lesion in one."""
    numbers = draw_uniform(key, _PATIENT | _LESIONS)
    cancer = numbers.pop("cancer") / WITH_CANCER
    # Below 1/2 in the left breast, up to 1 in the right, above in none.
    malignant = jnp.stack([cancer < 0.5, (cancer >= 0.5) & (cancer < 1)])
    benign = numbers.pop("benign") < WITH_BENIGN
    drawn = {name: numbers.pop(name) for name in _LESION}
    form = drawn.pop("form")
    above = jnp.sign(numbers.pop("malignant_above") - 0.5)
    drawn["level"] *= jnp.stack([above, -above])[..., None]  # one above, one below the axis
    drawn["present"] = jnp.stack([malignant, benign]).astype(jnp.int32)
    drawn["is_mass"] = (form >= _ONLY_CALCIFIED).astype(jnp.int32)
    drawn["is_calcified"] = (form < 1 - _ONLY_MASS).astype(jnp.int32)
    lesions = Lesions(*(Lesion(**{k: v[sort] for k, v in drawn.items()}) for sort in (0, 1)))
    return Patient(lesions=lesions, **numbers)


def draw_film(key: PRNGKeyArray) -> Film:
    """Draw position, exposure and what is burned into one film."""
    numbers = draw_uniform(key, _FILM)
    numbers["edge_width"] *= numbers.pop("edge") < _EDGED
    style = numbers.pop("style")
    return Film(
        marker=jnp.sum(style >= jnp.array(_STYLES), dtype=jnp.int32),
        marker_low=(numbers.pop("marker_place") < 0.5).astype(jnp.int32),
        edge_white=(numbers.pop("edge_shade") < _WHITE).astype(jnp.int32),
        **numbers,
    )
