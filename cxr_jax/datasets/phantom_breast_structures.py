"""What a mammogram shows of a breast without lesions, structure by structure.

Everything stands in the breast's coordinates: d, the distance from the film's chest-wall side
towards the nipple, and v down from the centre, in half widths of the film. Each structure returns
what it adds to the attenuation at every pixel; about 1 makes a film white.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from cxr_jax.datasets.phantom_breast_patient import VESSELS, Film, Patient
from cxr_jax.datasets.phantom_drawing import (
    Plane,
    Point,
    Scalar,
    bezier,
    ellipse,
    pixel_grid,
    pixel_size,
    polygon,
    smooth_noises,
    soft,
    strokes,
)


class Breast(NamedTuple):
    """A compressed breast on a film: the outlines, which several structures share."""

    d: Plane
    v: Plane
    edge: float  # half the blur of an outline
    mlo: Scalar  # 1 in this view, else 0
    centre: tuple[Scalar, Scalar]  # of the oval that makes the breast's front
    radii: tuple[Scalar, Scalar]
    nipple: tuple[Scalar, Scalar]
    skin: Plane  # signed distances
    pectoral: Plane


def stand(
    patient: Patient,
    film: Film,
    *,
    laterality: Int[Array, ""],
    view: Int[Array, ""],
    shape: tuple[int, int],
) -> Breast:
    """Put the breast on the detector and work out all outlines."""
    x, v = pixel_grid(shape)
    d = 1 + x * (1 - 2 * laterality)  # a right breast has its chest wall at the image's right
    v = v - film.down
    mlo = view.astype(jnp.float32)
    top = -shape[0] / min(shape) - film.down

    reach = patient.reach * film.stretch
    centre = (0.12 * reach, mlo * film.sag)
    radii = (reach - centre[0], reach * patient.roundness / film.stretch)
    oval = ellipse(jnp.maximum(d, centre[0]), v, centre=centre, radii=radii)
    nipple_level = film.nipple * radii[1]
    nipple = (
        centre[0] + radii[0] * jnp.sqrt(1 - film.nipple**2),
        centre[1] + nipple_level,
    )
    bud = ellipse(d, v, centre=(nipple[0], nipple[1]), radii=(0.045, 0.06))

    # The axillary tail: from the upper edge down to the front of the oval.
    width = jnp.minimum(patient.pectoral_width + patient.axilla, 0.75 * reach)
    slope = (0.86 * reach - width) / (centre[1] - top)
    corners: list[Point] = [
        (-1.0, top - 1),
        (width - slope, top - 1),
        (0.86 * reach, centre[1]),
        (-1.0, centre[1] + 0.3),
    ]
    tail = _join(oval, polygon(d, v, corners), blend=0.25)
    skin = _join(jnp.where(mlo > 0, tail, oval), bud, blend=0.04)

    muscle = patient.pectoral_height
    along = jnp.clip((v - top) / muscle, 0, 1)
    front = patient.pectoral_width * (1 - along) * (1 + 0.35 * along)
    pectoral = (front - d) * muscle / jnp.hypot(muscle, patient.pectoral_width)
    return Breast(
        d=d,
        v=v,
        edge=max(0.01, 0.75 * pixel_size(shape)),
        mlo=mlo,
        centre=centre,
        radii=radii,
        nipple=nipple,
        skin=skin,
        pectoral=jnp.where(mlo > 0, jnp.minimum(pectoral, skin), -1.0),
    )


def _join(one: Plane, other: Plane, *, blend: float) -> Plane:
    """Unite two signed distances with a rounded notch between them."""
    near = jnp.maximum(blend - jnp.abs(one - other), 0)
    return jnp.maximum(one, other) + near * near / (4 * blend)


def fat(breast: Breast, patient: Patient) -> Plane:
    """The compressed breast: even, thin at its rim, under a skin that is seen there."""
    rim = jnp.clip(breast.skin / 0.30, 0, 1)
    thickness = jnp.sqrt(rim * (2 - rim) + 1e-6) * soft(breast.skin, edge=breast.edge)
    skin = soft(patient.skin - jnp.abs(breast.skin - patient.skin), edge=breast.edge)
    return patient.fat * (0.12 + 0.88 * thickness) * soft(breast.skin, edge=breast.edge) + (
        0.10 * skin
    )


def nipple(breast: Breast) -> Plane:
    """The nipple in profile, and the denser tissue behind it."""
    bud = ellipse(breast.d, breast.v, centre=breast.nipple, radii=(0.05, 0.06))
    areola = ellipse(breast.d, breast.v, centre=breast.nipple, radii=(0.28, 0.16))
    inside = soft(breast.skin, edge=breast.edge)
    return inside * (0.16 * soft(bud, edge=0.02) + 0.08 * soft(areola, edge=0.14))


class Textures(NamedTuple):
    """Random planes of mean 0 and deviation about 1, the coarser first, but for `rays`."""

    clouds: Plane
    lobes: Plane
    lobules: Plane
    grains: Plane
    fine: Plane
    wavy: Plane
    fibres: Plane
    rays: Plane  # turn around the nipple, distance from it


_CELLS = (4, 8, 16, 32, 48, 5, 14)
_RAYS = 44  # cells of `rays`, of which the first few distances are used: so they are long


def draw_textures(key: PRNGKeyArray, shape: tuple[int, int]) -> Textures:
    """Draw all that is irregular in a breast."""
    return Textures(
        *smooth_noises(key, [(shape, n) for n in _CELLS] + [((6 * _RAYS, 6 * _RAYS), _RAYS)])
    )


def gland(breast: Breast, patient: Patient, textures: Textures) -> Plane:
    """Fibroglandular tissue: a cone behind the nipple, cut by fat, with ducts along it."""
    cloud = (
        0.65 * textures.clouds
        + 0.5 * textures.lobes
        + 0.25 * textures.lobules
        + 0.1 * textures.grains
    )
    d, v = breast.d - breast.centre[0], breast.v - breast.centre[1]
    forward = (d - 0.36 * breast.radii[0]) / (0.70 * breast.radii[0])
    cone = 1 - forward**2 - (v / (0.82 * breast.radii[1])) ** 2
    amount = 0.9 * cone + 0.55 * cloud + 2.2 * patient.density - 1.45
    under_skin = soft(breast.skin - 0.11, edge=0.07)
    cover = soft(amount, edge=0.8) * under_skin * soft(0.10 - breast.pectoral, edge=0.15)
    texture = 0.08 * textures.lobules + 0.08 * textures.grains + 0.06 * textures.fine
    glandular = cover * (0.26 + 0.16 * patient.density) * (1 + patient.lobules * texture)
    return glandular + 0.035 * under_skin * _radiating(breast, textures)


def _radiating(breast: Breast, textures: Textures) -> Plane:
    """Fine lines, 0 to 1, that converge on the nipple: ducts and Cooper's ligaments."""
    down, back = breast.v - breast.nipple[1], breast.nipple[0] - breast.d
    away = jnp.hypot(back, down)
    angle = jnp.arctan2(down, back + 1e-6) + 0.05 * textures.wavy
    place = [(angle / 3.6 + 0.5) * len(textures.rays), 16 * away]
    noise = jax.scipy.ndimage.map_coordinates(textures.rays, place, order=1, mode="nearest")
    ridge = jnp.clip(1 - 1.4 * jnp.abs(noise), 0, 1)
    return ridge**3 * jnp.clip(1.1 - away, 0, 1)


def vessels(breast: Breast, film: Film) -> Plane:
    """A few veins under the skin, from the chest wall forward."""
    start = jnp.linspace(-0.7, 0.7, VESSELS) * breast.radii[1] + breast.centre[1]
    bend = start + film.vessels * breast.radii[1]
    deep, front = 0.1 * breast.radii[0], breast.centre[0] + 0.72 * breast.radii[0]
    middle = jnp.full_like(start, 0.5) * front
    points = jnp.stack(
        [
            jnp.stack([jnp.full_like(start, deep), start], axis=-1),
            jnp.stack([middle, bend], axis=-1),
            jnp.stack([jnp.full_like(start, front), 0.55 * start], axis=-1),
        ],
        axis=1,
    )
    segments = jax.vmap(lambda curve: bezier(curve, segments=8))(points).reshape(-1, 2, 2)
    radii = jnp.full(len(segments), 0.010)
    plane = strokes(breast.d, breast.v, segments, radii=radii, edge=breast.edge)
    return 0.04 * plane * soft(breast.skin - 0.05, edge=0.05)


def pectoral(breast: Breast, patient: Patient, textures: Textures) -> Plane:
    """The pectoral muscle at the upper chest-wall corner of an MLO film."""
    return patient.pectoral * (1 + 0.06 * textures.fibres) * soft(breast.pectoral, edge=0.03)
