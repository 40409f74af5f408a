"""Chest radiographs drawn from a key: what stands before the detector, added up along the ray.

`draw_chest` draws the patient and the film at random, adds up all structures, exposes the film and
burns in what does not belong to the patient: the marker and the collimator's border.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt8

from cxr_jax.datasets import phantom_pneumothorax
from cxr_jax.datasets import phantom_structures as structures
from cxr_jax.datasets.phantom_drawing import (
    Plane,
    expose,
    glyph_segments,
    pixel_grid,
    pixel_size,
    strokes,
)
from cxr_jax.datasets.phantom_patient import Film, Patient, draw_film, draw_patient


class ChestPhantom(NamedTuple):
    """A drawn radiograph and the truth about it.

    Attributes:
      image: bright bone and dark lungs, as a film is shown.
      heart: the cardiac silhouette above the diaphragm.
      lungs: what is seen of both lungs beside heart and mediastinum.
      pneumothorax: what is seen of the air between a lung and the ribs, within `lungs`; empty on
        films without.
      artefacts: what was burned in: marker and collimator border.
      cardiothoracic_ratio: widest extent of the heart / widest extent of the lungs, both measured
        across the patient's midline, that is along (cos rotation, sin rotation) in (x, y).
      thorax_width: the denominator, as a fraction of the image's shorter side.
      rotation: of the patient in the image, clockwise, radians.
      border: fraction of the image under the collimator.
      view: index into VIEWS.
      marker: index into MARKERS.
    """

    image: UInt8[Array, "height width"]
    heart: Bool[Array, "height width"]
    lungs: Bool[Array, "height width"]
    pneumothorax: Bool[Array, "height width"]
    artefacts: Bool[Array, "height width"]
    cardiothoracic_ratio: Float[Array, ""]
    thorax_width: Float[Array, ""]
    rotation: Float[Array, ""]
    border: Float[Array, ""]
    view: Int[Array, ""]
    marker: Int[Array, ""]


def draw_chest(
    key: PRNGKeyArray, *, shape: tuple[int, int], patient: Patient | None = None
) -> ChestPhantom:
    """Draw a chest radiograph; jit and vmap at will, with `shape` static.

    Args:
      key: draws the film: position, exposure, noise, devices; and the patient where none is given.
      shape: height and width in pixels. 24 is the least that shows a chest.
      patient: whom to draw, from `draw_patient`; one more for each film of the same patient.

    Returns:
      The phantom. Heart, lungs' widest part and thorax stay within the recipe's crop
      (left .06, right .06, top .20, bottom .12).
    """
    patient_key, film_key, texture_key, grain_key, pneumothorax_key = jax.random.split(key, 5)
    if patient is None:
        patient = draw_patient(patient_key)
    film = draw_film(film_key)
    chest = structures.stand(patient, film, shape)
    pneumothorax = phantom_pneumothorax.draw_pneumothorax(pneumothorax_key)
    fallen = phantom_pneumothorax.collapse(chest, patient, film, pneumothorax)
    tissue = structures.soft_tissue(chest, patient, film)
    body = jnp.clip(5 * tissue, 0, 1)
    bones = (
        structures.spine(chest)
        + structures.ribs(chest, patient)
        + structures.clavicles(chest, patient)
        + structures.scapulae(chest, patient, film)
    )
    attenuation = (
        tissue
        + patient.bone * body * bones
        + structures.lungs(texture_key, chest, film, visceral=fallen.visceral, air=fallen.air)
        + structures.vessels(chest, film, visceral=fallen.visceral)
        + phantom_pneumothorax.visceral_line(chest, pneumothorax, fallen.visceral)
        + structures.heart(chest)
        + structures.abdomen(chest, patient, film)
        + structures.devices(chest, film)
    )
    image = expose(
        grain_key,
        attenuation,
        body=body,
        brightness=film.brightness,
        contrast=film.contrast,
        noise=film.noise,
    )
    border, letter = collimator(film, shape), marker(film, shape)
    image = jnp.where(border, 0.02, jnp.maximum(image, 0.97 * letter))
    return ChestPhantom(
        image=jnp.round(255 * jnp.clip(image, 0, 1)).astype(jnp.uint8),
        heart=chest.heart > 0,
        lungs=chest.lungs > 0,
        pneumothorax=fallen.gap,
        artefacts=border | (letter > 0.1),
        cardiothoracic_ratio=chest.ratio,
        thorax_width=patient.half_width * film.zoom,
        rotation=film.rotation,
        border=border.mean(dtype=jnp.float32),
        view=film.view,
        marker=film.marker,
    )


def marker(film: Film, shape: tuple[int, int]) -> Plane:
    """Coverage of the lead letter: L beside the patient's left shoulder, or R beside the right."""
    x, y = pixel_grid(shape)
    which = jnp.maximum(film.marker - 1, 0)
    x = (x - (1 - 2 * which) * film.marker_out) / film.marker_size
    y = (y - film.marker_level) / film.marker_size
    cos, sin = jnp.cos(film.marker_tilt), jnp.sin(film.marker_tilt)
    segments = jnp.asarray(glyph_segments("LR"))[which]
    edge = 0.7 * pixel_size(shape) / film.marker_size
    radii = jnp.full(segments.shape[0], jnp.where(film.marker > 0, 0.16, -jnp.inf))
    return strokes(cos * x + sin * y, cos * y - sin * x, segments, radii=radii, edge=edge)


def collimator(film: Film, shape: tuple[int, int]) -> Bool[Array, "height width"]:
    """Where the collimator kept the rays off."""
    height, width = shape
    across, down = (jnp.arange(width) + 0.5) / width, (jnp.arange(height)[:, None] + 0.5) / height
    left, right, top, bottom = film.borders
    return (across < left) | (across > 1 - right) | (down < top) | (down > 1 - bottom)
