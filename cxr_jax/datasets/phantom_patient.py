"""Who stands before the detector, and how the film is taken: every random number of a phantom.

Nothing here depends on the heart's class but the heart's width, so that nothing else can tell it.
Lengths are in half sides of the film.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from cxr_jax.datasets.phantom_drawing import Range, Scalar, draw_uniform

VIEWS = ("PA", "AP")
MARKERS = ("", "L", "R")

NORMAL_RATIO = (0.38, 0.48)
ENLARGED_RATIO = (0.53, 0.64)


class Patient(NamedTuple):
    """What stays from film to film."""

    enlarged: Int[Array, ""]  # 1 where the cardiothoracic ratio is above 0.5
    half_width: Scalar  # of the thorax inside the ribs, where it is widest
    left_share: Scalar  # of the heart's width, left of the midline
    heart_slope: Scalar  # exponent of the left border: 1 straight, 2 round
    knob: Scalar  # radius of the aortic knob
    apex: Scalar  # height of the lungs' tops above the centre
    cage_shape: Scalar  # exponent of the lateral outline
    sulcus: Scalar  # depth of the costophrenic angles below the centre
    dome: Scalar  # height of the right diaphragm above its sulcus
    dome_step: Scalar  # how much lower the left dome stands
    rib_spacing: Scalar
    rib_drop: Scalar  # how far a posterior rib descends on its way outward
    bone: Scalar  # density
    wall: Scalar  # thickness of the chest wall
    shoulder: Scalar  # level of the shoulders
    breast: Scalar  # thickness; none below 0


_PATIENT = {
    "heart": Range(0.0, 1.0),
    "half_width": Range(0.57, 0.69),
    "left_share": Range(0.60, 0.67),
    "heart_slope": Range(1.5, 2.5),
    "knob": Range(0.065, 0.095),
    "apex": Range(0.80, 0.90),
    "cage_shape": Range(2.7, 3.6),
    "sulcus": Range(0.46, 0.56),
    "dome": Range(0.13, 0.22),
    "dome_step": Range(0.0, 0.06),
    "rib_spacing": Range(0.115, 0.135),
    "rib_drop": Range(0.18, 0.34),
    "bone": Range(0.7, 1.4),
    "wall": Range(0.10, 0.32),
    "shoulder": Range(-0.80, -0.62),
    "breast": Range(-0.16, 0.16),
}


class Film(NamedTuple):
    """What changes from film to film of one patient."""

    view: Int[Array, ""]  # index into VIEWS
    marker: Int[Array, ""]  # index into MARKERS
    marker_size: Scalar
    marker_out: Scalar  # distance from the midline
    marker_level: Scalar
    marker_tilt: Scalar  # radians
    borders: Float[Array, "4"]  # collimated at the left, right, top, bottom: fractions of the side
    beat: Scalar  # where the heart's width stands within its class, 0 to 1
    zoom: Scalar
    right: Scalar  # shift
    down: Scalar
    rotation: Scalar  # clockwise, radians
    breath: Scalar  # how much deeper the diaphragm stands
    brightness: Scalar  # mean of the film where the patient is, 0 to 1
    contrast: Scalar
    noise: Scalar  # deviation of the grain
    aeration: Scalar  # of the lungs
    arms: Scalar  # their distance from the midline
    gas: Scalar  # in the stomach; none below 0
    line: Scalar  # a central venous line; none below 0
    line_bend: Float[Array, "3 2"]
    wire: Scalar  # of an electrocardiogram; none below 0
    wire_bend: Float[Array, "3 2"]
    vessel_turn: Float[Array, "side branch"]
    vessel_length: Float[Array, "side branch"]
    vessel_forks: Float[Array, "2 side branch"]


VESSELS = 8  # that leave each hilum

_FILM = {
    "view": Range(0.0, 1.0),
    "letter": Range(0.0, 1.0),
    "marker_size": Range(0.05, 0.08),
    "marker_out": Range(0.76, 0.86),
    "marker_level": Range(-0.85, -0.45),
    "marker_tilt": Range(-0.2, 0.2),
    "collimated": Range(0.0, 1.0, (4,)),
    "borders": Range(0.005, 0.08, (4,)),
    "beat": Range(0.0, 1.0),
    "zoom": Range(0.95, 1.03),
    "right": Range(-0.05, 0.05),
    "down": Range(-0.05, 0.06),
    "rotation": Range(-0.06, 0.06),
    "breath": Range(-0.03, 0.03),
    "brightness": Range(0.48, 0.70),
    "contrast": Range(0.95, 1.4),
    "noise": Range(0.004, 0.022),
    "aeration": Range(0.8, 1.15),
    "arms": Range(0.95, 1.5),
    "gas": Range(-1.0, 1.0),
    "line": Range(-3.0, 1.0),
    "line_bend": Range(-0.08, 0.08, (3, 2)),
    "wire": Range(-3.0, 1.0),
    "wire_bend": Range(-0.6, 0.6, (3, 2)),
    "vessel_turn": Range(-0.35, 0.35, (2, VESSELS)),
    "vessel_length": Range(0.14, 0.30, (2, VESSELS)),
    "vessel_forks": Range(0.2, 0.7, (2, 2, VESSELS)),
}
_AP = 0.4  # share of the films in this view
_NO_MARKER, _NO_R = 0.2, 0.75  # shares of the films without a letter, and with none or an L
_COLLIMATED = 0.2  # share of the edges


def draw_patient(key: PRNGKeyArray) -> Patient:
    """Draw a patient; half of them have an enlarged heart."""
    numbers = draw_uniform(key, _PATIENT)
    enlarged = (numbers.pop("heart") < 0.5).astype(jnp.int32)
    return Patient(enlarged=enlarged, **numbers)


def draw_film(key: PRNGKeyArray) -> Film:
    """Draw view, position, exposure, marker, collimation and devices of one film."""
    numbers = draw_uniform(key, _FILM)
    view = (numbers.pop("view") < _AP).astype(jnp.int32)
    letter = numbers.pop("letter")
    marker = (letter >= _NO_MARKER).astype(jnp.int32) + (letter >= _NO_R)
    numbers["borders"] *= numbers.pop("collimated") < _COLLIMATED
    numbers["zoom"] += 0.04 * view  # AP: the chest's front is farther from the detector
    numbers["breath"] -= 0.09 * view  # AP: lying, the breath is shallow
    numbers["contrast"] -= 0.15 * view  # AP: less power, more scatter
    numbers["vessel_forks"] *= jnp.array([-1.0, 1.0])[:, None, None]  # one up, one down
    return Film(view=view, marker=marker, **numbers)
