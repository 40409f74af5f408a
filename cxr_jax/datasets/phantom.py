"""The embedded data set: phantom chest radiographs, with an enlarged heart, a pneumothorax, or not.

They lie in files like any other data set, so that they go the same way as real films:
`images/*.png` (8 bits), `masks/heart`, `masks/lungs` (with the pneumothorax) and
`masks/Pneumothorax` (where there is one), and `phantoms.csv` with the columns image, patient, view
(PA, AP), cardiothoracic_ratio and pneumothorax, the share of the lung fields that it takes.
Cardiomegaly is a ratio above 0.5, Pneumothorax a share above 0.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from cxr_jax.datasets import phantom_files
from cxr_jax.datasets.phantom_chest import ChestPhantom, draw_chest
from cxr_jax.datasets.phantom_patient import VIEWS, draw_patient
from cxr_jax.datasets.table import Row
from cxr_jax.pipeline.record import NO_FINDING, Record

# Part of the directory's name: to be raised whenever a phantom comes out different.
VERSION = 3

COLUMNS = ("image", "patient", "view", "cardiothoracic_ratio", "pneumothorax")
ENLARGED_ABOVE = 0.5
SMALLEST_IMAGE = 24

_FILMS_OF_A_PATIENT = (1, 3)


def directory(cache_dir: Path, *, count: int, seed: int, image_size: int) -> Path:
    """Name the directory in which `make` should put such phantoms."""
    return cache_dir / f"phantom-v{VERSION}-{count}x{image_size}-seed{seed}"


def make(
    data_dir: Path,
    *,
    count: int,
    seed: int,
    image_size: int,
    progress: Callable[[int], object] | None = None,
) -> bool:
    """Draw the data set, unless `data_dir` is there already; whole or not at all.

    Args:
      data_dir: see `directory`, whose name tells one such data set from another.
      count: number of images, of about half as many patients with one to three each. The images
        of a smaller data set are the first ones of a larger.
      seed: draws another data set, 0 to 2**32 - 1.
      image_size: side in pixels, >= 24.
      progress: is told the number of images finished since it was last told.

    Returns:
      Whether it had to be drawn.

    Raises:
      ValueError: an argument is out of its range.
      WorkspaceError: the directory cannot be written, or the disk is full.
    """
    phantom_files.check_arguments(
        count=count, seed=seed, image_size=image_size, smallest_image=SMALLEST_IMAGE
    )

    def draw(patients: Int[np.ndarray, "film"], films: Int[np.ndarray, "film"]) -> ChestPhantom:
        return _draw_batch(jax.random.key(seed), patients, films, image_size=image_size)

    return phantom_files.make(
        data_dir, films=_films(count, seed), draw=draw, describe=_describe, progress=progress
    )


def read(data_dir: Path) -> list[Record]:
    """Read the data set's table.

    Returns:
      One record per image, in the table's order: labels Cardiomegaly, Pneumothorax and No Finding,
      masks heart, lungs and Pneumothorax, measurement cardiothoracic_ratio, no split.

    Raises:
      DataError: the table, a column, an image or a mask is missing, or a cell makes no sense.
    """
    return phantom_files.read(data_dir, COLUMNS, _record)


def _record(path: Path, row: Row) -> Record:
    if row["view"] not in VIEWS:
        raise row.wrong("view", " or ".join(VIEWS))
    ratio = row.number("cardiothoracic_ratio")
    if ratio >= 1:
        raise row.wrong("cardiothoracic_ratio", "a number below 1")
    share = row.number("pneumothorax")
    if share > 1:
        raise row.wrong("pneumothorax", "a number of at most 1")
    enlarged, collapsed = ratio > ENLARGED_ABOVE, share > 0
    return Record(
        image=row["image"],
        path=path,
        patient=row["patient"],
        view=row["view"],
        bit_depth=8,
        labels={
            "Cardiomegaly": float(enlarged),
            "Pneumothorax": float(collapsed),
            NO_FINDING: float(not (enlarged or collapsed)),
        },
        masks={
            "heart": phantom_files.mask(row, "heart"),
            "lungs": phantom_files.mask(row, "lungs"),
            "Pneumothorax": phantom_files.mask(row, "Pneumothorax", empty=not collapsed),
        },
        measurements={"cardiothoracic_ratio": ratio},
    )


def _films(count: int, seed: int) -> list[tuple[int, int]]:
    least, most = _FILMS_OF_A_PATIENT
    films_of = np.random.default_rng(seed).integers(least, most + 1, size=count)
    films = [(patient, film) for patient, n in enumerate(films_of) for film in range(n)]
    return films[:count]


def _describe(patient: int, film: int, drawn: ChestPhantom) -> phantom_files.Sheet:
    row = {
        "image": f"P{patient:05d}_{film}.png",
        "patient": f"P{patient:05d}",
        "view": VIEWS[drawn.view],
        "cardiothoracic_ratio": f"{drawn.cardiothoracic_ratio:.4f}",
        "pneumothorax": f"{np.sum(drawn.pneumothorax) / np.sum(drawn.lungs):.6f}",
    }
    masks = {
        "heart": np.asarray(drawn.heart),
        "lungs": np.asarray(drawn.lungs),
        "Pneumothorax": np.asarray(drawn.pneumothorax),
    }
    return phantom_files.Sheet(image=np.asarray(drawn.image), row=row, masks=masks)


@functools.partial(jax.jit, static_argnames="image_size")
def _draw_batch(
    key: PRNGKeyArray, patients: Int[Array, "image"], films: Int[Array, "image"], *, image_size: int
) -> ChestPhantom:
    def draw(patient: Int[Array, ""], film: Int[Array, ""]) -> ChestPhantom:
        patient_key, film_key = jax.random.split(jax.random.fold_in(key, patient))
        anatomy = draw_patient(patient_key)
        film_key = jax.random.fold_in(film_key, film)
        return draw_chest(film_key, shape=(image_size, image_size), patient=anatomy)

    return jax.vmap(draw)(patients, films)
