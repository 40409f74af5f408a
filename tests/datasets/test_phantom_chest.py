import dataclasses
import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxr_jax import preprocess
from cxr_jax.datasets.phantom_chest import ChestPhantom, draw_chest
from cxr_jax.datasets.phantom_patient import (
    ENLARGED_RATIO,
    MARKERS,
    NORMAL_RATIO,
    VIEWS,
    draw_patient,
)
from cxr_jax.preprocess import Crop, PreprocessConfig, stages

SIZE = 128


@functools.cache
def filming():
    """Compiled once: 16 keys of patients, their class, keys of films -> phantoms of SIZE x SIZE."""

    def film(patient_key, enlarged, film_key):
        patient = draw_patient(patient_key)._replace(enlarged=enlarged)
        return draw_chest(film_key, shape=(SIZE, SIZE), patient=patient)

    return jax.jit(jax.vmap(film))


def join(batches: list[ChestPhantom]) -> ChestPhantom:
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *jax.device_get(batches))


@pytest.fixture(scope="module")
def phantoms() -> ChestPhantom:
    patients, films = jax.random.split(jax.random.key(1), (2, 4, 16))
    enlarged = jnp.arange(16) % 2
    return join([filming()(patients[k], enlarged, films[k]) for k in range(4)])


@pytest.fixture(scope="module")
def many() -> ChestPhantom:
    draw = jax.jit(jax.vmap(functools.partial(draw_chest, shape=(32, 32))))
    keys = jax.random.split(jax.random.key(0), 4000).reshape(8, 500)
    return join([draw(batch) for batch in keys])


def extent(mask: np.ndarray, angle: float) -> float:
    """Width of a mask in pixels along (cos angle, sin angle)."""
    rows, columns = np.nonzero(mask)
    across = np.cos(angle) * columns + np.sin(angle) * rows
    return np.ptp(across) + 1


def test_the_masks_measure_the_ratio_within_a_pixel(phantoms):
    for heart, lungs, angle, ratio, width in zip(
        phantoms.heart,
        phantoms.lungs,
        phantoms.rotation,
        phantoms.cardiothoracic_ratio,
        phantoms.thorax_width,
        strict=True,
    ):
        thorax = width * SIZE
        assert extent(heart, angle) == pytest.approx(ratio * thorax, abs=1.5)
        assert extent(lungs, angle) == pytest.approx(thorax, abs=1.5)


def test_the_class_is_seen_along_the_rows_too(phantoms):
    for heart, lungs, ratio in zip(
        phantoms.heart, phantoms.lungs, phantoms.cardiothoracic_ratio, strict=True
    ):
        assert (extent(heart, 0.0) / extent(lungs, 0.0) > 0.5) == (ratio > 0.5)


def test_half_of_the_ratios_lie_in_each_range(many):
    ratios = many.cardiothoracic_ratio
    normal = (ratios >= NORMAL_RATIO[0]) & (ratios <= NORMAL_RATIO[1])
    enlarged = (ratios >= ENLARGED_RATIO[0]) & (ratios <= ENLARGED_RATIO[1])
    assert np.all(normal | enlarged)
    assert enlarged.mean() == pytest.approx(0.5, abs=0.03)


def held_out_auroc(features: list[np.ndarray], label: np.ndarray) -> float:
    columns, half = np.stack(features, axis=1).astype(np.float64), len(label) // 2
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(columns[:half], label[:half])
    return float(roc_auc_score(label[half:], model.decision_function(columns[half:])))


def labels(many: ChestPhantom) -> dict[str, np.ndarray]:
    return {
        "Cardiomegaly": many.cardiothoracic_ratio > 0.5,
        "Pneumothorax": many.pneumothorax.any(axis=(1, 2)),
    }


@pytest.mark.parametrize("finding", ["Cardiomegaly", "Pneumothorax"])
def test_nothing_but_the_finding_tells_it(many, finding):
    images, label = many.image.astype(np.float64), labels(many)
    label, other = label.pop(finding), label.popitem()[1]
    nuisances = [
        other,
        images.mean(axis=(1, 2)),
        many.thorax_width,
        many.border,
        many.rotation,
        *(many.view == view for view in range(len(VIEWS) - 1)),
        *(many.marker == marker for marker in range(len(MARKERS) - 1)),
    ]
    assert 0.45 < held_out_auroc(nuisances, label) < 0.55


@pytest.mark.parametrize(
    "region",
    [
        pytest.param((slice(0, 8), slice(None)), id="neck and shoulders"),
        pytest.param((slice(24, None), slice(None)), id="abdomen"),
        pytest.param((slice(6, 28), slice(2, 30)), id="what the recipe keeps"),
        pytest.param((slice(None), slice(14, 18)), id="middle columns"),
    ],
)
@pytest.mark.parametrize("statistic", [np.mean, np.std])
def test_no_simple_statistic_is_a_short_cut(many, region, statistic):
    pixels = many.image[:, *region].astype(np.float64)
    for finding, label in labels(many).items():
        auroc = held_out_auroc([statistic(pixels, axis=(1, 2))], label)
        assert 0.4 < auroc < 0.6, finding


def test_the_two_findings_are_independent(many):
    enlarged, collapsed = labels(many).values()
    shares = many.pneumothorax.sum(axis=(1, 2)) / many.lungs.sum(axis=(1, 2))
    right = shares > 2 * (many.pneumothorax & (np.arange(32) >= 16)).sum(axis=(1, 2)) / (
        many.lungs.sum(axis=(1, 2))
    )
    assert collapsed.mean() == pytest.approx(0.45, abs=0.03)
    assert abs(np.corrcoef(enlarged, collapsed)[0, 1]) < 0.05
    assert right[collapsed].mean() == pytest.approx(0.5, abs=0.04)
    for about in (enlarged, many.view, many.marker > 0, many.thorax_width):
        assert abs(np.corrcoef(about[collapsed], right[collapsed])[0, 1]) < 0.08
        assert abs(np.corrcoef(about[collapsed], shares[collapsed])[0, 1]) < 0.08


def test_a_larger_heart_makes_the_film_no_brighter():
    patients, films = jax.random.split(jax.random.key(3), (2, 16))
    normal = jax.device_get(filming()(patients, jnp.zeros(16, int), films))
    enlarged = jax.device_get(filming()(patients, jnp.ones(16, int), films))
    assert np.all(enlarged.heart.sum(axis=(1, 2)) > 1.1 * normal.heart.sum(axis=(1, 2)))
    means = normal.image.mean(axis=(1, 2)), enlarged.image.mean(axis=(1, 2))
    np.testing.assert_allclose(*means, atol=1.0)


def test_a_patient_keeps_the_thorax_and_the_class_but_no_film_is_like_another():
    patient, films = jax.random.key(0), jax.random.split(jax.random.key(5), 16)
    drawn = filming()(jnp.broadcast_to(patient, 16), jnp.ones(16, int), films)
    drawn = jax.device_get(drawn)
    assert np.all(drawn.cardiothoracic_ratio > 0.5)
    assert len(set(drawn.cardiothoracic_ratio.tolist())) == 16
    assert np.ptp(drawn.thorax_width) < 0.13 * drawn.thorax_width.mean()
    assert len({image.tobytes() for image in drawn.image}) == 16
    assert set(drawn.view.tolist()) == {0, 1}


def test_heart_and_chest_lie_within_the_recipes_crop(phantoms):
    rows = slice(round(0.20 * SIZE), round(0.88 * SIZE))
    columns = slice(round(0.06 * SIZE), round(0.94 * SIZE))
    for heart, lungs in zip(phantoms.heart, phantoms.lungs, strict=True):
        assert heart.sum() == heart[rows, columns].sum()
        assert extent(lungs, 0.0) == extent(lungs[rows, columns], 0.0)


def test_lungs_are_dark_and_the_heart_is_bright_on_the_images_right(phantoms):
    for image, heart, lungs in zip(phantoms.image, phantoms.heart, phantoms.lungs, strict=True):
        assert image[heart].mean() > image[lungs].mean() + 30
        edges = np.nonzero(lungs.any(axis=0))[0][[0, -1]]
        assert np.nonzero(heart)[1].mean() > edges.mean()


def test_a_pneumothorax_is_on_one_side_and_darker_than_the_lung_beside_it(phantoms):
    films = np.flatnonzero(phantoms.pneumothorax.any(axis=(1, 2)))
    assert 20 < len(films) < 44
    near, line = np.ones((13, 13), np.uint8), np.ones((5, 5), np.uint8)
    darker = []
    for film in films:
        image, gap, lungs = (
            a[film] for a in (phantoms.image, phantoms.pneumothorax, phantoms.lungs)
        )
        assert not np.any(gap & ~lungs)
        middle = np.nonzero(lungs.any(axis=0))[0][[0, -1]].mean()
        on_the_left = np.nonzero(gap)[1] > middle
        assert on_the_left.all() or not on_the_left.any()
        lung = lungs & ~gap & ((np.arange(SIZE) > middle) == on_the_left[0])
        outside, inside = (
            here & dilated(there, near) & ~dilated(there, line)
            for here, there in ((gap, lung), (lung, gap))
        )
        if outside.any():
            darker.append(image[inside].mean() - image[outside].mean())
    assert np.mean(np.array(darker) > 0) > 0.8
    assert np.mean(darker) > 15


def test_artefact_removal_leaves_the_lungs_alone(phantoms):
    crop = Crop(left=0.05, right=0.05, top=0.05, bottom=0.17)
    config = PreprocessConfig(crop=crop, image_size=SIZE)
    painted = []
    for image, lungs in zip(phantoms.image, phantoms.lungs, strict=True):
        steps = stages(image, config)
        changed = steps["clahe"] != steps["artefacts_removed"]
        lungs = preprocess.crop(lungs.astype(np.uint8), **dataclasses.asdict(crop)) > 0
        painted.append(changed[lungs].mean())
    assert np.mean(np.array(painted) > 0.005) < 0.35


def dilated(mask: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


def test_artefacts_are_what_was_burned_in(phantoms):
    assert 0 < np.mean(phantoms.marker == 0) < 0.5
    assert {0, 1, 2} == set(phantoms.marker.tolist())
    for image, artefacts, marker, border in zip(
        phantoms.image, phantoms.artefacts, phantoms.marker, phantoms.border, strict=True
    ):
        assert artefacts.any() == bool(marker or border)
        if marker and not border:
            assert np.percentile(image[artefacts], 90) > 200
            assert (np.nonzero(artefacts)[1].mean() > SIZE / 2) == (MARKERS[marker] == "L")
        if border and not marker:
            assert artefacts.mean() == pytest.approx(border)
            assert image[artefacts].max() < 10


def test_eager_equals_compiled_and_vmapped(many):
    key = jax.random.split(jax.random.key(0), 4000)[0]
    eager = jax.device_get(draw_chest(key, shape=(32, 32)))
    for name, value in eager._asdict().items():
        compiled = getattr(many, name)[0]
        assert compiled.dtype == value.dtype, name
        if value.dtype == bool:
            assert np.mean(value != compiled) < 0.005, name
        else:  # at most one grey level
            difference = np.abs(value.astype(np.float64) - compiled)
            assert np.all(difference <= (1 if name == "image" else 1e-5)), name


def test_films_need_not_be_square():
    drawn = jax.device_get(
        jax.jit(functools.partial(draw_chest, shape=(80, 64)))(jax.random.key(2))
    )
    assert drawn.image.shape == drawn.heart.shape == drawn.artefacts.shape == (80, 64)
    thorax = drawn.thorax_width * 64
    assert extent(drawn.lungs, drawn.rotation) == pytest.approx(thorax, abs=1.5)
    width = drawn.cardiothoracic_ratio * thorax
    assert extent(drawn.heart, drawn.rotation) == pytest.approx(width, abs=1.5)
