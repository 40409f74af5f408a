"""Mammograms: what does not belong to the breast goes, what does stays to the last grey level."""

import cv2
import numpy as np
import pytest

from cxr_jax.artefacts import find_artefacts, remove_artefacts
from cxr_jax.preprocess import clahe
from experiments.benchmark.artefacts import BREAST_SEED, breast_films, burned_breast_films, score

SHAPE = (400, 300)


def mammogram():
    """A left breast with a nipple, gland and soft skin, and where it is."""
    rng = np.random.default_rng(5)
    row, column = np.mgrid[: SHAPE[0], : SHAPE[1]]
    from_skin = 1 - np.hypot((row - 200) / 150, column / 170)
    nipple = 1 - np.hypot((row - 195) / 9, (column - 170) / 10)
    image = 120 * np.clip(5 * from_skin, 0, 1) ** 0.5
    texture = cv2.resize(rng.normal(size=(20, 15)), SHAPE[::-1], interpolation=cv2.INTER_CUBIC)
    image += np.clip(3 * (from_skin - 0.3), 0, 1) * (40 + 12 * texture)
    image = np.maximum(image, 90 * (nipple > 0))
    image = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.2) + 12
    image += rng.normal(0, 1.5, SHAPE)
    return np.clip(image, 0, 255).astype(np.uint8), (from_skin > 0) | (nipple > 0)


def stamp(draw):
    """What `draw` sets on an empty film."""
    ink = np.zeros(SHAPE, np.uint8)
    draw(ink)
    return ink > 0


def write(text, place, *, height=1.0):
    return stamp(lambda ink: cv2.putText(ink, text, place, 0, height, 255, 3))


def plate(left, top, right, bottom):
    return stamp(lambda ink: cv2.rectangle(ink, (left, top), (right, bottom), 255, -1))


def touched(found, breast, burned=np.False_):
    """Pixels of the breast that go, but for two beside an artefact."""
    near = cv2.dilate(np.broadcast_to(burned, SHAPE).astype(np.uint8), np.ones((5, 5)))
    return int(np.sum(found & breast & (near == 0)))


@pytest.fixture(scope="module")
def films():
    seed, count = BREAST_SEED + 1, 12  # other films than those of the published score
    return {
        "plain": list(breast_films(seed, count=count, size=384)),
        192: list(burned_breast_films(seed, count=count, size=192)),
        384: list(burned_breast_films(seed, count=count, size=384)),
    }


@pytest.mark.parametrize("equalised", [False, True], ids=["before CLAHE", "after it"])
def test_artefacts_of_phantoms_go_and_their_breasts_stay(films, equalised):
    removed, hurt = score(films["plain"], kind="breast", equalised=equalised)
    assert removed >= 0.999
    assert hurt <= 0.0001


@pytest.mark.parametrize("size", [192, 384])
@pytest.mark.parametrize("equalised", [False, True], ids=["before CLAHE", "after it"])
def test_nearly_all_that_touches_a_breast_goes(films, size, equalised):
    removed, hurt = score(films[size], kind="breast", equalised=equalised)
    assert removed >= 0.975
    assert hurt <= 0.001


@pytest.mark.parametrize("grey", [0, 110, 250], ids=["black", "grey", "white"])
@pytest.mark.parametrize("side", range(4), ids=["top", "nipple side", "bottom", "chest wall"])
def test_bands_along_any_side_go(grey, side):
    image, breast = mammogram()
    burned = np.zeros(SHAPE, bool)
    film = np.rot90(burned, side)
    film[: round(0.09 * len(film))] = True
    image[burned] = grey
    for film in (image, clahe(image)):
        found = find_artefacts(film, kind="breast")
        assert found[burned].mean() >= 0.99
        assert touched(found, breast, burned) == 0


MARKERS = {
    "plate on the rim": plate(130, 80, 190, 110),
    "plate beside the nipple": plate(184, 180, 240, 210),
    "plate in the breast": plate(40, 180, 90, 205),
    "word in the breast": write("LMLO", (40, 200)),
    "word on the rim": write("R CC", (110, 110)),
    "box on the rim": stamp(lambda ink: cv2.rectangle(ink, (120, 270), (190, 310), 255, 3)),
    "stripe across the breast": plate(100, 0, 103, 400),
}


@pytest.mark.parametrize("marker", MARKERS)
def test_markers_that_touch_the_breast_go_without_it(marker):
    image, breast = mammogram()
    image[MARKERS[marker]] = 250
    for film in (image, clahe(image)):
        found = find_artefacts(film, kind="breast")
        assert found[MARKERS[marker]].mean() >= 0.99
        assert touched(found, breast, MARKERS[marker]) <= 0.001 * breast.sum()


def test_what_touches_a_plate_and_is_darker_stays():
    image, breast = mammogram()
    label = plate(70, 176, 130, 206)
    chain = stamp(lambda ink: [cv2.circle(ink, (90, 172 - 6 * n), 4, 255, -1) for n in range(6)])
    image[chain], image[label] = 180, 250
    found = find_artefacts(image, kind="breast")
    assert found[label].mean() >= 0.99
    assert touched(found, breast, label) == 0


def test_a_faint_nipple_on_black_air_stays():
    image, _ = mammogram()
    breast = cv2.GaussianBlur(image, (0, 0), 1) > 40
    film = np.where(breast, image, 0).astype(np.uint8)
    nipple = stamp(lambda ink: cv2.circle(ink, (176, 200), 9, 255, -1)) & ~breast
    film[nipple] = 8
    assert not find_artefacts(film, kind="breast")[nipple].any()


def test_neither_of_two_breasts_goes():
    image, breast = mammogram()
    small = np.full_like(image, 12)
    small[50:350, :225] = cv2.resize(image, (225, 300), interpolation=cv2.INTER_AREA)
    where = np.zeros(SHAPE, np.uint8)
    where[50:350, :225] = cv2.resize(breast.astype(np.uint8), (225, 300))
    film = np.hstack([image, small[:, ::-1]])
    found = find_artefacts(film, kind="breast")
    assert not found[np.hstack([breast, where[:, ::-1] > 0])].any()
    assert found.mean() > 0.3


def test_an_inverted_breast_stays():
    image, breast = mammogram()
    image[write("L CC", (215, 50))] = 255
    for film in (255 - image, clahe(255 - image)):
        assert touched(find_artefacts(film, kind="breast"), breast) == 0


IN_THE_BREAST = {
    "clip": plate(60, 150, 63, 158),
    "wire": stamp(lambda ink: cv2.line(ink, (20, 260), (120, 190), 255, 1, cv2.LINE_AA)),
    "grains": stamp(
        lambda ink: [
            cv2.circle(ink, (60 + 9 * (n % 4), 200 + 2 * n), 2, 255, -1) for n in range(12)
        ]
    ),
    "calcified cyst": stamp(lambda ink: cv2.circle(ink, (80, 170), 9, 255, -1)),
    "implant": stamp(lambda ink: cv2.ellipse(ink, (20, 200), (90, 110), 0, 0, 360, 255, -1)),
}


@pytest.mark.parametrize("thing", IN_THE_BREAST)
def test_what_is_in_the_breast_stays(thing):
    image, breast = mammogram()
    image[IN_THE_BREAST[thing]] = 240
    for film in (image, clahe(image)):
        assert touched(find_artefacts(film, kind="breast"), breast) == 0


def test_metal_in_the_breast_goes_when_asked_for():
    image, _ = mammogram()
    clip = plate(60, 150, 63, 162)
    image[clip] = 250
    found = find_artefacts(image, kind="breast", devices=True)
    assert found[clip].all()


EXPOSURES = {
    "fog": lambda image: 90 + 0.6 * image,
    "dark": lambda image: 0.3 * image,
    "overexposed": lambda image: np.clip(2.0 * image.astype(float), 0, 255),
    "noise": lambda image: image + np.random.default_rng(0).normal(0, 8, image.shape),
    "extreme noise after CLAHE": lambda image: clahe(
        np.clip(image + np.random.default_rng(0).normal(0, 15, SHAPE), 0, 255).astype(np.uint8)
    ),
    "vignette": lambda image: image + np.linspace(0, 25, image.shape[1]),
}


@pytest.mark.parametrize("exposure", EXPOSURES)
def test_breasts_stay_and_letters_go_at_any_exposure(exposure):
    image, breast = mammogram()
    letters = write("L CC", (215, 50))
    image = np.clip(EXPOSURES[exposure](image), 0, 255)
    image[letters] = 255
    found = find_artefacts(np.round(image).astype(np.uint8), kind="breast")
    assert found[letters].all()
    assert touched(found, breast) == 0


def test_a_breast_that_fills_the_film_stays_and_its_marker_goes():
    image, _ = mammogram()
    image = cv2.resize(image[110:290, :120], SHAPE[::-1])
    assert not find_artefacts(image, kind="breast").any()
    label = plate(220, 20, 280, 45)
    image[label] = 255
    found = find_artefacts(image, kind="breast")
    assert found[label].all()
    assert touched(found, np.ones(SHAPE, bool), label) == 0


@pytest.mark.parametrize("grey", [0, 255])
def test_nothing_is_found_on_an_empty_film(grey):
    assert not find_artefacts(np.full(SHAPE, grey, np.uint8), kind="breast").any()


def test_small_breasts_stay():
    image, breast = mammogram()
    small = np.full_like(image, 12)
    small[130:290, :120] = cv2.resize(image, (120, 160), interpolation=cv2.INTER_AREA)
    where = np.zeros(SHAPE, bool)
    where[130:290, :120] = cv2.resize(breast.astype(np.uint8), (120, 160)) > 0
    assert touched(find_artefacts(small, kind="breast"), where) == 0


def test_bits_make_no_difference():
    image, _ = mammogram()
    image[MARKERS["plate on the rim"]] = 250
    found = find_artefacts(image, kind="breast")
    for factor in (16, 257):  # 12 bits in 16, and all 16
        deep = image.astype(np.uint16) * np.uint16(factor)
        np.testing.assert_array_equal(find_artefacts(deep, kind="breast"), found)


def test_only_what_is_found_changes():
    image, _ = mammogram()
    image[MARKERS["plate on the rim"]] = 250
    before = image.copy()
    found = find_artefacts(image, kind="breast")
    for fill in ("background", "inpaint"):
        cleaned = remove_artefacts(image, kind="breast", fill=fill)
        np.testing.assert_array_equal(cleaned[~found], before[~found])
    np.testing.assert_array_equal(image, before)


def test_a_word_on_the_breast_is_filled_with_the_breast_and_air_with_air():
    image, _ = mammogram()
    word, label = MARKERS["word in the breast"], write("L CC", (215, 50))
    burned = np.where(word | label, np.uint8(250), image)
    cleaned = remove_artefacts(burned, kind="breast").astype(int)
    assert np.abs(cleaned - image)[word].mean() < 10
    assert np.abs(cleaned - image)[label].mean() < 4
