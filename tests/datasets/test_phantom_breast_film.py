import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cxr_jax.artefacts import remove_artefacts
from cxr_jax.breast_side import lies_right
from cxr_jax.datasets.phantom_breast import draw_films
from cxr_jax.datasets.phantom_breast_film import BreastPhantom
from cxr_jax.datasets.phantom_breast_patient import (
    LATERALITIES,
    MARKER_STYLES,
    VIEWS,
    WITH_BENIGN,
    WITH_CANCER,
)
from cxr_jax.preprocess import clahe

BATCH = 16


def draw(patients: np.ndarray, films: np.ndarray, *, seed: int, size: int) -> BreastPhantom:
    """In batches as `make` draws them, so that the program is compiled once for all tests."""
    key, batches = jax.random.key(seed), range(0, len(patients), BATCH)
    drawn = [
        jax.device_get(
            draw_films(key, patients[k : k + BATCH], films[k : k + BATCH], image_size=size)
        )
        for k in batches
    ]
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *drawn)


@pytest.fixture(scope="module")
def phantoms() -> BreastPhantom:
    """All four films of 12 patients, as large as a run draws them."""
    return draw(np.repeat(np.arange(12), 4), np.tile(np.arange(4), 12), seed=1, size=192)


@pytest.fixture(scope="module")
def many() -> BreastPhantom:
    """One film of each of 4,000 patients."""
    films = np.random.default_rng(0).integers(0, 4, size=4000)
    return draw(np.arange(4000), films, seed=0, size=48)


def held_out_auroc(features: list[np.ndarray], label: np.ndarray) -> float:
    columns, half = np.stack(features, axis=1).astype(np.float64), len(label) // 2
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(columns[:half], label[:half])
    return float(roc_auc_score(label[half:], model.decision_function(columns[half:])))


def test_nothing_but_the_lesion_tells_the_class(many):
    nuisances = [
        many.image.mean(axis=(1, 2)),
        many.breast.mean(axis=(1, 2)),
        many.pectoral.mean(axis=(1, 2)),
        many.artefacts.mean(axis=(1, 2)),
        many.density,
        many.laterality,
        many.view,
        many.has_benign,
        *many.edges.T,
        *(many.marker == style for style in range(1, len(MARKER_STYLES))),
    ]
    assert 0.45 < held_out_auroc(nuisances, many.has_malignant) < 0.55


@pytest.mark.parametrize(
    "region",
    [
        pytest.param((slice(None), slice(None)), id="the film"),
        pytest.param((slice(0, 12), slice(None)), id="the upper quarter"),
        pytest.param((slice(36, None), slice(None)), id="the lower quarter"),
        pytest.param((slice(12, 36), slice(None)), id="the middle"),
    ],
)
@pytest.mark.parametrize("statistic", [np.mean, np.std, np.max])
def test_no_simple_statistic_is_a_short_cut(many, region, statistic):
    pixels = many.image[:, *region].astype(np.float64)
    assert 0.4 < held_out_auroc([statistic(pixels, axis=(1, 2))], many.has_malignant) < 0.6


def test_lesions_are_as_frequent_as_they_should_be(many):
    malignant, benign = many.has_malignant == 1, many.has_benign == 1
    assert malignant.mean() == pytest.approx(WITH_CANCER / 2, abs=0.025)
    assert benign[malignant].mean() == pytest.approx(WITH_BENIGN, abs=0.05)
    assert benign[~malignant].mean() == pytest.approx(WITH_BENIGN, abs=0.03)


def test_a_breast_has_its_lesions_in_both_views_and_a_patient_cancer_in_one_breast(phantoms):
    for has in (phantoms.has_malignant, phantoms.has_benign):
        breasts = has.reshape(12, 2, 2)
        np.testing.assert_array_equal(breasts[..., 0], breasts[..., 1])
    cancers = phantoms.has_malignant.reshape(12, 2, 2)[..., 0].sum(axis=1)
    assert set(cancers.tolist()) == {0, 1}
    for has, masks in (
        (phantoms.has_malignant, phantoms.malignant),
        (phantoms.has_benign, phantoms.benign),
    ):
        np.testing.assert_array_equal(masks.any(axis=(1, 2)), has)


def test_lesions_lie_in_the_breast_and_are_brighter_than_the_rest(phantoms):
    for lesion in (phantoms.malignant, phantoms.benign):
        for image, breast, artefacts, inside in zip(
            phantoms.image, phantoms.breast, phantoms.artefacts, lesion, strict=True
        ):
            if inside.any():
                assert not np.any(inside & ~breast & ~artefacts)
                assert image[inside].mean() > image[breast].mean()


def test_malignant_and_benign_lesions_do_not_overlap(phantoms):
    both = (phantoms.has_malignant == 1) & (phantoms.has_benign == 1)
    assert both.any()
    overlap = (phantoms.malignant & phantoms.benign)[both].sum(axis=(1, 2))
    assert np.all(overlap < 0.25 * phantoms.malignant[both].sum(axis=(1, 2)))


def test_right_breasts_have_their_chest_wall_at_the_right_and_mlo_films_a_muscle_there(phantoms):
    columns = np.arange(phantoms.image.shape[2])
    right = (phantoms.breast.sum(axis=1) * columns).sum(axis=1) / phantoms.breast.sum(axis=(1, 2))
    is_right = phantoms.laterality == LATERALITIES.index("R")
    np.testing.assert_array_equal(right > columns.mean(), is_right)
    is_mlo = phantoms.view == VIEWS.index("MLO")
    np.testing.assert_array_equal(phantoms.pectoral.any(axis=(1, 2)), is_mlo)
    assert not np.any(phantoms.pectoral & ~phantoms.breast)
    top, rest = np.split(phantoms.pectoral[is_mlo], [48], axis=1)
    assert np.all(top.sum(axis=(1, 2)) > 48 * 10)
    assert np.all(top.mean(axis=(1, 2)) > 2 * rest.mean(axis=(1, 2)))


def test_the_side_is_seen_whatever_the_edges_and_markers(phantoms):
    for image, laterality in zip(phantoms.image, phantoms.laterality, strict=True):
        assert lies_right(image) == (LATERALITIES[laterality] == "R")
        assert lies_right(np.fliplr(image)) == (LATERALITIES[laterality] == "L")


def test_the_breast_stands_out_and_keeps_away_from_the_marker(phantoms):
    for image, breast, artefacts in zip(
        phantoms.image, phantoms.breast, phantoms.artefacts, strict=True
    ):
        empty = ~breast & ~artefacts
        assert 0.12 < breast.mean() < 0.75
        assert np.median(image[empty]) < 20 < 60 < image[breast].mean()
    no_edge = ~phantoms.edges.any(axis=1) & (phantoms.marker > 0)
    assert no_edge.any()
    for image, artefacts in zip(phantoms.image[no_edge], phantoms.artefacts[no_edge], strict=True):
        assert np.percentile(image[artefacts], 80) > 150


def test_brightness_is_the_same_with_cancer_and_without(many):
    mean = many.image.mean(axis=(1, 2))
    malignant = many.has_malignant == 1
    assert mean[malignant].mean() == pytest.approx(mean[~malignant].mean(), abs=1.5)


@pytest.mark.parametrize("before", [lambda image: image, clahe], ids=["plain", "after CLAHE"])
def test_artefacts_go_and_the_breast_stays(phantoms, before):
    removed = marked = touched = body = 0
    for image, breast, artefacts in zip(
        phantoms.image, phantoms.breast, phantoms.artefacts, strict=True
    ):
        film = before(image)
        cleaned = remove_artefacts(film, kind="breast")
        background = np.median(cleaned[~breast])
        removed += np.sum(cleaned[artefacts] <= background + 16)
        marked += artefacts.sum()
        touched += np.sum(breast & (cleaned != film))
        body += breast.sum()
    assert removed >= 0.98 * marked
    # Coarse films: what is as bright as the rim of a white edge beside it.
    assert touched <= 0.0035 * body
