"""Air between lung and ribs: where it is, how the lung gives way, and the line of its pleura.

Drawn independently of patient and film, so that nothing else can tell it. Lengths are in half sides
of the film, in the patient's coordinates (see `phantom_structures`).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, PRNGKeyArray

from cxr_jax.datasets.phantom_drawing import (
    Plane,
    Range,
    Scalar,
    draw_uniform,
    pixel_size,
    smooth_minimum,
    soft,
)
from cxr_jax.datasets.phantom_patient import Film, Patient
from cxr_jax.datasets.phantom_structures import Chest, apex_height, cage_width

SHARE = 0.45  # of the films
DEPTH = (0.06, 0.5)  # between lung and ribs where it is deepest

_HILUM = (0.15, -0.02)  # s, v: towards it the lung falls together


class Pneumothorax(NamedTuple):
    """What there is of it on one film."""

    present: Bool[Array, ""]
    left: Bool[Array, ""]  # of the patient's two sides
    depth: Scalar
    direction: Scalar  # in which the lung gives way: 0 from the side wall, pi / 2 from the apex
    tissue: Scalar  # what a lung attenuates of what its volume of air would let through
    line: Scalar  # attenuation of the visceral pleura


_PNEUMOTHORAX = {
    "present": Range(0.0, 1.0),
    "left": Range(0.0, 1.0),
    "depth": Range(0.0, 1.0),
    "direction": Range(0.0, jnp.pi / 2),
    "tissue": Range(0.15, 0.27),
    "line": Range(0.06, 0.10),
}


def draw_pneumothorax(key: PRNGKeyArray) -> Pneumothorax:
    """Draw one; most are small."""
    numbers = draw_uniform(key, _PNEUMOTHORAX)
    return Pneumothorax(
        present=numbers.pop("present") < SHARE,
        left=numbers.pop("left") < 0.5,
        depth=DEPTH[0] + (DEPTH[1] - DEPTH[0]) * numbers.pop("depth") ** 1.5,
        **numbers,
    )


class Collapse(NamedTuple):
    """How the lungs stand then."""

    visceral: Plane  # signed distance to the fallen lung, 1 where none fell
    gap: Bool[Array, "height width"]  # seen between lung and ribs: the mask
    air: Plane  # in the lung fields, 1 where no lung fell


def collapse(chest: Chest, patient: Patient, film: Film, pneumothorax: Pneumothorax) -> Collapse:
    """Let the lung fall towards its hilum.

    The outline of the lung is shrunk onto the hilum, across and above it, by as much as makes
    the gap as deep as asked; so it stays convex, follows the ribs and keeps a stump at the hilum. A
    large one parts from apex and diaphragm too. No tissue is lost: what the air does not attenuate
    any more, the smaller lung does.
    """
    depth = pneumothorax.depth
    large = jnp.clip((depth - 0.25) / 0.25, 0, 1)
    across = depth * jnp.cos(pneumothorax.direction) / (patient.half_width - _HILUM[0])
    across = jnp.maximum(1 - across, 0.25)
    upward = depth * jnp.sin(pneumothorax.direction) / (patient.apex - 0.09 + _HILUM[1])
    upward = (1 - upward) * (1 - 0.35 * large)

    s = chest.s + jnp.maximum(chest.s - _HILUM[0], 0) * (1 / across - 1)
    v = chest.v + jnp.minimum(chest.v - _HILUM[1], 0) * (1 / upward - 1)
    base = 0.27 * large - 0.12  # at the diaphragm, unless it is large, there is no gap
    lung = smooth_minimum(
        smooth_minimum(
            across * (cage_width(v, patient, film) - s),
            upward * apex_height(s, v, patient),
            radius=0.04,
        ),
        chest.diaphragm - base - chest.v,
        radius=0.04,
    )
    height, width = chest.u.shape
    lung /= jnp.hypot(*jnp.gradient(lung, pixel_size((height, width)))) + 0.1

    here = pneumothorax.present & ((chest.u > 0) == pneumothorax.left)
    visceral = jnp.where(here, lung, 1.0)
    field = here & (chest.lungs > 0)
    gap = field & (visceral < 0)
    remains = 1 - gap.sum() / jnp.maximum(field.sum(), 1)
    tissue = jnp.minimum(pneumothorax.tissue / jnp.maximum(remains, 0.05), 0.7)
    tissue *= soft(visceral, edge=chest.edge)
    air = jnp.where(here, (1 - tissue) / (1 - pneumothorax.tissue), 1.0)
    return Collapse(visceral=visceral, gap=gap, air=air)


def visceral_line(chest: Chest, pneumothorax: Pneumothorax, visceral: Plane) -> Plane:
    """The pleura of the fallen lung, seen on edge; none where the lung still touches the ribs."""
    line = jnp.exp(-((visceral / (0.9 * chest.edge)) ** 2)) * soft(chest.lungs, edge=chest.edge)
    return pneumothorax.line * line * soft(chest.pleura - 0.025, edge=0.015)
