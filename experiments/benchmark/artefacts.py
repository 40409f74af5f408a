"""How much of the burned-in is removed, and how much of the body is touched, on drawn films.

python -m experiments.benchmark.artefacts

The films below were fixed before the work on the removal began, and are not tuned on: while
working, draw others.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import cv2
import jax
import numpy as np

from cxr_jax.artefacts import find_artefacts
from cxr_jax.datasets.phantom_breast_film import draw_mammogram
from cxr_jax.datasets.phantom_chest import draw_chest
from cxr_jax.preprocess import clahe
from experiments.benchmark import burned_breast
from experiments.benchmark.burned import burn

COUNT = 200
CHEST_SEED = 20261125
BREAST_SEED = 20261126
SIZES = (192, 512, 1024)
SOFT_EDGE = 2  # pixels beside an artefact that may go with it: its edge is soft


@dataclasses.dataclass(frozen=True)
class Film:
    """A film [height, width], what is burned into it, and what must stay."""

    image: np.ndarray
    artefacts: np.ndarray
    body: np.ndarray


def chest_films(seed: int, *, count: int, size: int) -> Iterator[Film]:
    """Draw chest phantoms; all that is not burned in counts as body."""
    draw = jax.jit(lambda key: draw_chest(key, shape=(size, size)))
    for key in jax.random.split(jax.random.key(seed), count):
        phantom = jax.device_get(draw(key))
        yield Film(phantom.image, phantom.artefacts, ~phantom.artefacts)


def burned_films(seed: int, *, count: int, size: int) -> Iterator[Film]:
    """Chest phantoms that bear all sorts of artefacts, see `burned`."""
    for n, film in enumerate(chest_films(seed, count=count, size=size)):
        image, drawn, seen = burn(np.random.default_rng([seed, n]), film.image)
        yield Film(image, film.artefacts & ~drawn | seen, film.body & ~drawn)


def breast_films(seed: int, *, count: int, size: int) -> Iterator[Film]:
    """Draw mammograms [size, 3/4 size] of both sides and views; air may be replaced."""
    shape = (size, 3 * size // 4)
    draw = jax.jit(
        lambda key, side, view: draw_mammogram(key, laterality=side, view=view, shape=shape)
    )
    for n, key in enumerate(jax.random.split(jax.random.key(seed), count)):
        phantom = jax.device_get(draw(key, n % 2, n // 2 % 2))
        yield Film(phantom.image, phantom.artefacts, phantom.breast)


def burned_breast_films(seed: int, *, count: int, size: int) -> Iterator[Film]:
    """Draw mammograms that bear what touches the breast or lies on it, see `burned_breast`."""
    for n, film in enumerate(breast_films(seed, count=count, size=size)):
        image, mask = burned_breast.burn(np.random.default_rng([seed, n]), film.image, film.body)
        yield Film(image, film.artefacts | mask, film.body & ~mask)


def score(films: Iterable[Film], *, kind: str, equalised: bool) -> tuple[float, float]:
    """Fractions of the artefacts' pixels that are removed, and of the body's that are touched."""
    removed = artefacts = touched = body = 0
    kernel = np.ones((2 * SOFT_EDGE + 1,) * 2, np.uint8)
    for film in films:
        found = find_artefacts(clahe(film.image) if equalised else film.image, kind=kind)
        stays = film.body & (cv2.dilate(film.artefacts.astype(np.uint8), kernel) == 0)
        removed += np.sum(found & film.artefacts)
        artefacts += np.sum(film.artefacts)
        touched += np.sum(found & stays)
        body += np.sum(stays)
    return removed / artefacts, touched / body


FILMS: dict[tuple[str, str], tuple[int, Callable[..., Iterable[Film]]]] = {
    ("chest", "plain"): (CHEST_SEED, chest_films),
    ("chest", "burned"): (CHEST_SEED, burned_films),
    ("breast", "plain"): (BREAST_SEED, breast_films),
    ("breast", "burned"): (BREAST_SEED, burned_breast_films),
}


def main() -> None:
    print("| kind | films | size | before CLAHE: removed | touched | after: removed | touched |")
    print("|---|---|---|---|---|---|---|")
    for (kind, name), (seed, draw) in FILMS.items():
        for size in SIZES:
            films = list(draw(seed, count=COUNT, size=size))
            scores = [score(films, kind=kind, equalised=after) for after in (False, True)]
            cells = [f"{value:.4f}" for pair in scores for value in pair]
            print("|", " | ".join([kind, name, str(size), *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
