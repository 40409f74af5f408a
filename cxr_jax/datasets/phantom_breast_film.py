"""Mammograms drawn from a key: what is compressed on the detector, added up along the ray.

`draw_mammogram` draws the patient and the film at random, adds up all structures, exposes the film
and burns in what does not belong to the patient: marker, film edges, bands.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt8

from cxr_jax.datasets import phantom_breast_lesions as lesions
from cxr_jax.datasets import phantom_breast_structures as structures
from cxr_jax.datasets.phantom_breast_artefacts import burn
from cxr_jax.datasets.phantom_breast_patient import Patient, draw_film, draw_patient
from cxr_jax.datasets.phantom_drawing import expose, soft


class BreastPhantom(NamedTuple):
    """A drawn mammogram and the truth about it.

    Attributes:
      image: bright gland and black surroundings, as a film is shown.
      breast: the breast with the pectoral muscle, without what artefacts cover.
      pectoral: the muscle, MLO only.
      malignant: outline of the malignant lesion, spicules left out; empty where there is none.
      benign: outlines of the benign lesion.
      artefacts: what was burned in: marker, film edges, bands.
      has_malignant, has_benign: 1 or 0; of the breast, so the same in its other view.
      density: 0 all fat, 1 all gland.
      laterality: index into LATERALITIES.
      view: index into VIEWS.
      marker: index into MARKER_STYLES.
      edges: widths of the film's edges, fractions of half its width; EDGES.
    """

    image: UInt8[Array, "height width"]
    breast: Bool[Array, "height width"]
    pectoral: Bool[Array, "height width"]
    malignant: Bool[Array, "height width"]
    benign: Bool[Array, "height width"]
    artefacts: Bool[Array, "height width"]
    has_malignant: Int[Array, ""]
    has_benign: Int[Array, ""]
    density: Float[Array, ""]
    laterality: Int[Array, ""]
    view: Int[Array, ""]
    marker: Int[Array, ""]
    edges: Float[Array, "edge"]


def draw_mammogram(
    key: PRNGKeyArray,
    *,
    laterality: Int[Array, ""],
    view: Int[Array, ""],
    shape: tuple[int, int],
    patient: Patient | None = None,
) -> BreastPhantom:
    """Draw a mammogram; jit and vmap at will, with `shape` static.

    Args:
      key: draws the film: position, exposure, noise, artefacts; and the patient if none is given.
      laterality: which breast, index into LATERALITIES. The right one has its chest wall at the
        image's right.
      view: index into VIEWS.
      shape: height and width in pixels, 4:3 for a breast that fills the film. 32 x 24 is the least
        that shows a breast.
      patient: whom to draw, from `draw_patient`; one for all films of the same patient.
    """
    patient_key, film_key, texture_key, grain_key = jax.random.split(key, 4)
    if patient is None:
        patient = draw_patient(patient_key)
    film = draw_film(film_key)
    grown = jax.tree.map(lambda both: both[laterality], patient.lesions)
    breast = structures.stand(patient, film, laterality=laterality, view=view, shape=shape)
    textures = structures.draw_textures(texture_key, shape)
    malignant = lesions.malignant(breast, grown.malignant, view)
    benign = lesions.benign(breast, grown.benign, view)
    attenuation = (
        structures.fat(breast, patient)
        + structures.gland(breast, patient, textures)
        + structures.nipple(breast)
        + structures.vessels(breast, film)
        + structures.pectoral(breast, patient, textures)
        + malignant.attenuation
        + benign.attenuation
    )
    image = expose(
        grain_key,
        attenuation,
        body=soft(breast.skin, edge=breast.edge),
        brightness=film.brightness,
        contrast=film.contrast,
        noise=film.noise,
    )
    burned = burn(film, laterality=laterality, view=view, breast=breast.skin, shape=shape)
    image = jnp.maximum(image, film.fog)
    image = jnp.where(burned.mask, burned.brightness, image)
    return BreastPhantom(
        image=jnp.round(255 * jnp.clip(image, 0, 1)).astype(jnp.uint8),
        breast=(breast.skin > 0) & ~burned.mask,
        pectoral=(breast.pectoral > 0) & ~burned.mask,
        malignant=malignant.inside > 0,
        benign=benign.inside > 0,
        artefacts=burned.mask,
        has_malignant=grown.malignant.present,
        has_benign=grown.benign.present,
        density=patient.density,
        laterality=laterality,
        view=view,
        marker=film.marker,
        edges=film.edge_width,
    )
