"""What a chest radiograph shows, structure by structure.

Everything stands in the patient's coordinates: u across, to the image's right (which is the
patient's left), and v down, both from the centre of the chest, in half sides of the film. Each
structure returns what it adds to the attenuation at every pixel; about 1 makes a film white.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from cxr_jax.datasets.phantom_drawing import (
    Plane,
    Scalar,
    bezier,
    ellipse,
    pixel_grid,
    pixel_size,
    polygon,
    power,
    smooth_noise,
    soft,
    strokes,
)
from cxr_jax.datasets.phantom_patient import (
    ENLARGED_RATIO,
    NORMAL_RATIO,
    VESSELS,
    Film,
    Patient,
)


class Chest(NamedTuple):
    """A patient on a film: the outlines, which several structures share."""

    u: Plane
    v: Plane
    s: Plane  # distance from the midline
    edge: float  # half the blur of an outline
    ratio: Scalar
    cage: Plane  # half the width inside the ribs at this level
    pleura: Plane  # signed distance to the ribs' inside and the apex of the lungs' cavity
    diaphragm: Plane  # its level at this u
    lungs: Plane  # signed distances
    heart: Plane
    mediastinum: Plane


def stand(patient: Patient, film: Film, shape: tuple[int, int]) -> Chest:
    """Put the patient before the detector and work out all outlines."""
    x, y = pixel_grid(shape)
    x, y = x - film.right, y - film.down
    cos, sin = jnp.cos(film.rotation), jnp.sin(film.rotation)
    u, v = (cos * x + sin * y) / film.zoom, (cos * y - sin * x) / film.zoom
    s = jnp.abs(u)

    sulcus = patient.sulcus + film.breath
    cage = cage_width(v, patient, film)
    pleura = jnp.minimum(cage - s, apex_height(s, v, patient))
    dome = sulcus - patient.dome + soft(u, edge=0.12) * patient.dome_step
    t = s / patient.half_width - 0.45
    diaphragm = dome + jnp.where(t > 0, (sulcus - dome) * (t / 0.55) ** 2, 0.05 * (t / 0.45) ** 2)

    low, high = jnp.array([NORMAL_RATIO, ENLARGED_RATIO])[patient.enlarged]
    ratio = low + (high - low) * film.beat
    # A little above the lower of the domes, so that the widest part is seen.
    level = sulcus - patient.dome - 0.02
    heart = _heart_outline(u, v, patient, ratio, level=level)
    mediastinum = _mediastinum_outline(u, v, patient)
    lungs = jnp.minimum(pleura, diaphragm - v)
    return Chest(
        u=u,
        v=v,
        s=s,
        edge=max(0.01, 0.75 * pixel_size(shape)),
        ratio=ratio,
        cage=cage,
        pleura=pleura,
        diaphragm=diaphragm,
        lungs=jnp.minimum(lungs, -jnp.maximum(heart, mediastinum)),
        heart=jnp.minimum(heart, diaphragm - v),
        mediastinum=mediastinum,
    )


def cage_width(v: Plane, patient: Patient, film: Film) -> Plane:
    """Half the width inside the ribs at a level, widest a little above the sulcus."""
    widest = patient.sulcus + film.breath - 0.2
    rise, sink = jnp.clip((widest - v) / (widest + patient.apex), 0, 1), jnp.maximum(v - widest, 0)
    dent = jnp.minimum(power(rise, patient.cage_shape), 1)
    return patient.half_width * jnp.sqrt(1 - dent) * (1 - 0.5 * sink**2)


def apex_height(s: Plane, v: Plane, patient: Patient) -> Plane:
    """Signed distance, along v, to the round top of the lungs' cavity."""
    return v + patient.apex - 0.09 - 2 * (s - 0.27) ** 2


def _heart_outline(u: Plane, v: Plane, patient: Patient, ratio: Scalar, *, level: Scalar) -> Plane:
    """Signed distance, along u, to a heart that is widest at `level`, on both sides."""
    width = 2 * patient.half_width * ratio
    left = width * patient.left_share
    up, down = jnp.clip((level - v) / 0.47, 0, 1), jnp.clip((v - level) / 0.2, 0, 1)
    foot = jnp.sqrt(1 - down**2)
    left_border = left * (1 - 0.8 * power(up, patient.heart_slope)) * foot
    right_border = (width - left) * (1 - 0.65 * up**2) * foot
    inside = jnp.minimum(left_border - u, right_border + u)
    return jnp.minimum(inside, v - (level - 0.47))


def _mediastinum_outline(u: Plane, v: Plane, patient: Patient) -> Plane:
    """Signed distance to the great vessels: a band that widens to the neck, with two bulges."""
    neck = jnp.clip((-0.42 - v) / 0.38, 0, 1)
    band = 0.10 + 0.17 * neck**2 + 0.03 * jnp.clip(v + 0.3, 0, 1) - jnp.abs(u)
    knob = ellipse(u, v, centre=(0.07, -0.36), radii=(patient.knob, 1.4 * patient.knob))
    pulmonary = ellipse(u, v, centre=(0.08, -0.18), radii=(0.085, 0.14))
    return jnp.maximum(band, jnp.maximum(knob, pulmonary))


def soft_tissue(chest: Chest, patient: Patient, film: Film) -> Plane:
    """Skin, fat and muscle of neck, shoulders, trunk, arms and breasts."""
    trunk = patient.half_width + patient.wall
    flare = 0.6 * jnp.clip((-0.2 - chest.v) / 0.4, 0, 1) ** 2
    outline = trunk + flare + 0.05 * chest.v
    across = jnp.clip(1 - (chest.s / outline) ** 2, 0, 1)
    slope = patient.shoulder - 0.30 + 0.45 * jnp.clip(chest.s - 0.2, 0, 1)
    below = jnp.clip((chest.v - slope) / 0.25, 0, 1)
    body = jnp.sqrt(across + 1e-6) * jnp.sqrt(below + 1e-6)
    neck = jnp.sqrt(jnp.clip(1 - (chest.s / 0.26) ** 2, 0, 1) + 1e-6)
    arm = jnp.sqrt(jnp.clip(1 - ((chest.s - film.arms - 0.1) / 0.17) ** 2, 0, 1) + 1e-6)
    arm = arm * soft(chest.v - patient.shoulder - 0.12, edge=0.1)
    ahead = jnp.maximum(body, 0.75 * neck * soft(-0.65 - chest.v, edge=0.25))
    breast = ellipse(chest.s, chest.v, centre=(0.38, 0.24), radii=(0.30, 0.30))
    breast = jnp.maximum(patient.breast, 0) * jnp.sqrt(jnp.clip(4 * breast, 0, 1) + 1e-6)
    return 0.62 * jnp.maximum(ahead, 0.7 * arm) + breast


def lungs(key: PRNGKeyArray, chest: Chest, film: Film, *, visceral: Plane, air: Plane) -> Plane:
    """Air, thickest in the middle of a lung; faint behind heart and diaphragm; and the windpipe.

    Args:
      key: draws the markings.
      chest, film: as everywhere.
      visceral: signed distance to the lungs where they don't fill the chest.
      air: how much of it is in the lung fields; 1 if the lungs fill them.
    """
    inside = jnp.minimum(chest.cage - chest.s, chest.diaphragm - chest.v)
    depth = jnp.clip((chest.cage - chest.s) / 0.22, 0, 1)
    depth = 0.45 + 0.55 * depth * (2 - depth)
    lung = soft(visceral, edge=chest.edge)
    texture = smooth_noise(key, chest.u.shape, cells=18) * lung
    seen = soft(chest.lungs, edge=chest.edge) + 0.12 * soft(inside, edge=chest.edge)
    depth = lung * depth + (1 - lung) * jnp.sqrt(depth)  # so that a narrow gap is seen at the wall
    air = jnp.minimum(air * depth, 1.12)  # at most what the chest holds
    air = film.aeration * seen * (0.42 * air + 0.012 * depth * texture)
    windpipe = 0.07 * soft(0.035 - chest.s, edge=0.02) * soft(-0.30 - chest.v, edge=0.05)
    return -air - windpipe


def vessels(chest: Chest, film: Film, *, visceral: Plane) -> Plane:
    """Hila and the arteries that branch from them, as far as the lungs reach."""
    turn = jnp.linspace(-1.2, 1.4, VESSELS) + film.vessel_turn
    length = film.vessel_length[..., None]
    root = jnp.stack([jnp.full_like(turn, 0.15), -0.06 + 0.09 * turn], axis=-1)
    fork = root + length * _direction(turn)
    ends = [fork + length * _direction(turn + fork_turn) for fork_turn in film.vessel_forks]
    starts = jnp.concatenate([root, fork, fork], axis=1)
    segments = jnp.stack([starts, jnp.concatenate([fork, *ends], axis=1)], axis=2)
    segments *= jnp.array([[-1.0, 1.0], [1.0, 1.0]])[:, None, None]  # the right side, the left
    radii = jnp.tile(jnp.repeat(jnp.array([0.010, 0.006, 0.006]), VESSELS), 2)
    segments = segments.reshape(-1, 2, 2)
    plane = strokes(chest.u, chest.v, segments, radii=radii, edge=chest.edge)
    fade = jnp.clip(1 - jnp.hypot(chest.s - 0.15, chest.v + 0.05) / 0.62, 0, 1)
    hilum = soft(ellipse(chest.s, chest.v, centre=(0.15, -0.05), radii=(0.08, 0.14)), edge=0.06)
    inside = jnp.minimum(chest.lungs, visceral)
    return soft(inside, edge=chest.edge) * (0.08 * plane * fade + 0.10 * hilum)


def _direction(angle: Float[Array, "side branch"]) -> Float[Array, "side branch 2"]:
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)


def heart(chest: Chest) -> Plane:
    """Heart and great vessels, thicker than the chest wall alone."""
    thickness = jnp.sqrt(jnp.clip(chest.heart / 0.25, 0, 1) + 1e-6)
    heart = soft(chest.heart, edge=chest.edge) * (0.03 + 0.10 * thickness)
    return heart + 0.06 * soft(chest.mediastinum, edge=chest.edge)


def abdomen(chest: Chest, patient: Patient, film: Film) -> Plane:
    """Liver, spleen and bowel under the diaphragm, and the gas in the stomach."""
    under = chest.v - chest.diaphragm
    flank = patient.half_width - 0.02
    organs = soft(under, edge=chest.edge) * soft(flank - chest.s, edge=0.06)
    organs = organs * (0.26 + 0.10 * jnp.clip(under / 0.3, 0, 1))
    bubble = ellipse(chest.u, chest.v, centre=(0.32, 0.56), radii=(0.17, 0.09))
    bubble = jnp.minimum(bubble, under - 0.03)
    return organs - 0.4 * jnp.clip(film.gas, 0, 1) * soft(bubble, edge=0.02)


def spine(chest: Chest) -> Plane:
    """Vertebral bodies with their discs, pedicles and spinous processes."""
    phase = jnp.mod(chest.v / 0.12, 1.0) - 0.5
    body = soft(0.070 - chest.s, edge=0.012)
    disc = soft(jnp.abs(phase) * 0.12 - 0.045, edge=0.012)
    process = ellipse(chest.s, 0.12 * phase, centre=(0.0, 0.0), radii=(0.014, 0.035))
    pedicle = ellipse(chest.s, 0.12 * phase, centre=(0.045, -0.01), radii=(0.014, 0.022))
    knobs = soft(process, edge=0.01) + soft(pedicle, edge=0.01)
    return body * (0.11 - 0.04 * disc) + 0.04 * knobs


def ribs(chest: Chest, patient: Patient) -> Plane:
    """The pairs of ribs: behind, falling outward, and fainter in front, falling inward."""
    t = chest.s / jnp.maximum(chest.cage, 0.05)
    behind = chest.v - patient.rib_drop * (t * t - 0.25 * t)
    front = chest.v - 0.30 * jnp.maximum(1 - t, 0) - 0.02
    inside = soft(chest.cage + 0.03 - chest.s, edge=0.012)
    inside = inside * soft(0.75 + chest.v, edge=0.1) * soft(0.75 - chest.v, edge=0.2)
    bones = 0.075 * _rib_pattern(behind, patient.rib_spacing, width=0.042)
    bones = bones * soft(chest.s - 0.06, edge=0.02)
    cartilage = soft(t - 0.42, edge=0.12)
    bones += 0.045 * cartilage * _rib_pattern(front, patient.rib_spacing, width=0.05)
    margin = 0.05 * jnp.exp(-(((chest.s - chest.cage - 0.012) / 0.016) ** 2))
    return inside * bones + margin * soft(chest.v + 0.7, edge=0.05)


def _rib_pattern(v: Plane, spacing: Scalar, *, width: float) -> Plane:
    """Bands `spacing` apart: tubes, so that their borders are the densest."""
    distance = jnp.abs(jnp.mod(v / spacing, 1.0) - 0.5) * spacing
    inner = jnp.clip(distance / (width / 2), 0, 1)
    return soft(width / 2 - distance, edge=0.008) * (0.65 + 0.6 * inner**3)


def clavicles(chest: Chest, patient: Patient) -> Plane:
    """Two slender S from the breastbone up to the shoulders."""
    t = jnp.clip((chest.s - 0.07) / 0.75, -1, 2)
    line = patient.shoulder + 0.13 - 0.16 * t + 0.03 * jnp.sin(2 * jnp.pi * t)
    distance = jnp.abs(chest.v - line)
    bar = soft(0.026 - distance, edge=0.01) * (0.7 + 0.5 * jnp.clip(distance / 0.026, 0, 1) ** 3)
    return 0.11 * bar * soft(chest.s - 0.08, edge=0.02) * soft(0.85 - chest.s, edge=0.04)


def scapulae(chest: Chest, patient: Patient, film: Film) -> Plane:
    """Shoulder blades and heads of the arms: beside the lungs in PA, over them in AP."""
    x = patient.half_width + 0.07 - 0.16 * film.view
    top = patient.shoulder + 0.05
    blade = polygon(chest.s, chest.v, [(x - 0.08, top), (x + 0.30, top + 0.02), (x, top + 0.62)])
    rim = jnp.exp(-((blade / 0.015) ** 2)) * soft(blade + 0.02, edge=0.01)
    shoulder = (patient.half_width + 0.38, top + 0.02)
    head = ellipse(chest.s, chest.v, centre=shoulder, radii=(0.10, 0.11))
    return 0.03 * soft(blade, edge=0.015) + 0.04 * rim + 0.10 * soft(head, edge=0.02)


def devices(chest: Chest, film: Film) -> Plane:
    """Now and then a central venous line and a wire of an electrocardiogram."""
    line = jnp.array([[-0.45, -0.75], [-0.10, -0.72], [-0.09, -0.12]]) + film.line_bend
    wire = jnp.array([[-0.9, 0.4], [0.0, -0.3], [0.8, -0.3]]) + film.wire_bend
    segments = jnp.concatenate([bezier(line, segments=8), bezier(wire, segments=8)])
    shown = jnp.repeat(jnp.stack([film.line, film.wire]) > 0, 8)
    radii = jnp.where(shown, 0.0065, -jnp.inf)
    return 0.11 * strokes(chest.u, chest.v, segments, radii=radii, edge=chest.edge)
