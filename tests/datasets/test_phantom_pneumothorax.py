import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.datasets import phantom_structures as structures
from cxr_jax.datasets.phantom_drawing import pixel_size
from cxr_jax.datasets.phantom_patient import draw_film, draw_patient
from cxr_jax.datasets.phantom_pneumothorax import (
    DEPTH,
    SHARE,
    Pneumothorax,
    collapse,
    draw_pneumothorax,
    visceral_line,
)

SIZE = 192
APICAL, LATERAL = jnp.pi / 2, 0.0


@functools.partial(jax.jit, static_argnames=("present", "left"))
def fall(key, depth, direction, *, present=True, left=True):
    """Outlines of a chest, how its lungs stand after a pneumothorax, and what is drawn of that."""
    patient_key, film_key = jax.random.split(key)
    patient, film = draw_patient(patient_key), draw_film(film_key)
    chest = structures.stand(patient, film, (SIZE, SIZE))
    pneumothorax = Pneumothorax(
        present=jnp.array(present),
        left=jnp.array(left),
        depth=jnp.asarray(depth),
        direction=jnp.asarray(direction),
        tissue=jnp.array(0.2),
        line=jnp.array(0.07),
    )
    fallen = collapse(chest, patient, film, pneumothorax)
    line = visceral_line(chest, pneumothorax, fallen.visceral)
    vessels = structures.vessels(chest, film, visceral=fallen.visceral)
    return chest, fallen, line, vessels


SOME = [
    (seed, depth, direction)
    for seed in range(3)
    for depth in (DEPTH[0], 0.2, DEPTH[1])
    for direction in (LATERAL, 0.8, APICAL)
]


def test_share_sides_and_sizes_are_drawn_as_said():
    drawn = jax.vmap(draw_pneumothorax)(jax.random.split(jax.random.key(0), 4000))
    assert drawn.present.mean() == pytest.approx(SHARE, abs=0.03)
    assert drawn.left.mean() == pytest.approx(0.5, abs=0.03)
    assert drawn.depth.min() >= DEPTH[0]
    assert drawn.depth.max() <= DEPTH[1]
    numbers = np.stack([np.asarray(column, float) for column in drawn])
    off_diagonal = np.corrcoef(numbers) - np.eye(len(numbers))
    assert np.abs(off_diagonal).max() < 0.06


def test_without_one_nothing_changes():
    _, fallen, line, _ = fall(jax.random.key(0), 0.3, 0.8, present=False)
    assert not fallen.gap.any()
    assert np.all(np.asarray(fallen.air) == 1)
    assert np.all(np.asarray(fallen.visceral) == 1)
    assert np.all(np.asarray(line) == 0)


@pytest.mark.parametrize(("seed", "depth", "direction"), SOME)
def test_the_gap_lies_in_the_lung_field_of_its_side_and_holds_neither_lung_nor_vessels(
    seed, depth, direction
):
    chest, fallen, line, vessels = fall(jax.random.key(seed), depth, direction)
    gap = np.asarray(fallen.gap)
    assert gap.any()
    assert np.all(np.asarray(chest.lungs)[gap] > 0)
    assert np.all(np.asarray(chest.u)[gap] > 0)
    assert np.all(np.asarray(vessels)[np.asarray(fallen.visceral) < -chest.edge] == 0)
    seen = np.asarray(line) > 0.5 * line.max()
    assert np.all(np.abs(np.asarray(fallen.visceral)[seen]) < 2 * pixel_size((SIZE, SIZE)))
    assert np.all(np.asarray(chest.lungs)[seen] > -chest.edge)


@pytest.mark.parametrize(("seed", "depth", "direction"), SOME)
def test_the_fallen_lung_is_convex(seed, depth, direction):
    chest, fallen, _, _ = fall(jax.random.key(seed), depth, direction, left=False)
    lung = np.asarray((fallen.visceral > 0) & (chest.u < 0), np.uint8)
    lung[np.asarray(chest.diaphragm < chest.v)] = 0
    (outline, *_), _ = cv2.findContours(lung, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    # The diaphragm below it is not: it rises into the lung.
    above = outline[
        outline[:, 0, 1] < np.nonzero(lung)[0].min() + 0.6 * np.ptp(np.nonzero(lung)[0])
    ]
    hull = cv2.convexHull(above)
    outside = [-cv2.pointPolygonTest(hull, tuple(map(float, point[0])), True) for point in above]
    assert min(outside) > -4


@pytest.mark.parametrize("depth", [DEPTH[0], 0.15, 0.3])
def test_the_gap_is_as_deep_as_asked_at_the_side_wall_or_the_apex(depth):
    pixels = depth / pixel_size((SIZE, SIZE))
    _, fallen, _, _ = fall(jax.random.key(1), depth, LATERAL)
    assert np.asarray(fallen.gap).sum(axis=1).max() == pytest.approx(pixels, rel=0.25, abs=2)
    chest, fallen, _, _ = fall(jax.random.key(1), depth, APICAL)
    below_the_apex = np.asarray(fallen.gap & (jnp.abs(chest.u - 0.27) < 0.02))
    assert below_the_apex.sum(axis=0).max() == pytest.approx(pixels, rel=0.25, abs=3)


@pytest.mark.parametrize("direction", [LATERAL, 0.8, APICAL])
def test_a_deeper_one_takes_more_and_no_lung_is_lost(direction):
    areas = []
    for depth in np.linspace(*DEPTH, 6):
        chest, fallen, _, _ = fall(jax.random.key(2), depth, direction)
        field = np.asarray((chest.lungs > 0) & (chest.u > 0))
        areas.append(fallen.gap.sum())
        if areas[-1] < 0.6 * field.sum():
            assert np.asarray(fallen.air)[field].mean() == pytest.approx(1, abs=0.02)
        assert np.asarray(fallen.air).min() > 0.3
    assert np.all(np.diff(areas) > 0)
