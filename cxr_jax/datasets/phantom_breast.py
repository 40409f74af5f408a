"""The embedded data set of mammograms: phantom breasts with and without cancer.

Most patients have four films, CC and MLO of both breasts. They lie in files like any other data
set: `images/*.png` (8 bits), `masks/Malignant/*.png` and `phantoms.csv` with the columns image,
patient, laterality (L, R), view (CC, MLO), malignant and benign (1 or 0: such a lesion is in this
breast; there may be both).
"""

import functools
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Int, PRNGKeyArray

from cxr_jax.datasets import phantom_files
from cxr_jax.datasets.phantom_breast_film import BreastPhantom, draw_mammogram
from cxr_jax.datasets.phantom_breast_patient import LATERALITIES, VIEWS, draw_patient
from cxr_jax.datasets.table import Row
from cxr_jax.pipeline.record import NO_FINDING, Record

# Part of the directory's name: to be raised whenever a phantom comes out different.
VERSION = 3

COLUMNS = ("image", "patient", "laterality", "view", "malignant", "benign")
SMALLEST_IMAGE = 32

_ASPECT = 0.75  # width by height
# Which (laterality, view) a patient has, and the share of such patients.
_L_CC, _L_MLO, _R_CC, _R_MLO = (0, 0), (0, 1), (1, 0), (1, 1)
_EXAMS = {
    (_R_CC, _L_CC, _R_MLO, _L_MLO): 0.8,
    (_R_CC, _R_MLO): 0.07,
    (_L_CC, _L_MLO): 0.07,
    (_R_MLO, _L_MLO): 0.06,
}


def directory(cache_dir: Path, *, count: int, seed: int, image_size: int) -> Path:
    """Name the directory in which `make` should put such phantoms."""
    return cache_dir / f"phantom_breast-v{VERSION}-{count}x{image_size}-seed{seed}"


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
      count: number of images, of about a quarter as many patients. The images of a smaller data
        set are the first ones of a larger.
      seed: draws another data set, 0 to 2**32 - 1.
      image_size: height in pixels, >= 32; the width is three quarters of it.
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

    return phantom_files.make(
        data_dir,
        films=_films(count, seed),
        draw=functools.partial(draw_films, jax.random.key(seed), image_size=image_size),
        describe=_describe,
        progress=progress,
    )


@functools.partial(jax.jit, static_argnames="image_size")
def draw_films(
    key: PRNGKeyArray,
    patients: Int[ArrayLike, "image"],
    films: Int[ArrayLike, "image"],
    *,
    image_size: int,
) -> BreastPhantom:
    """Draw films of a data set, with the whole truth about them.

    Args:
      key: the data set's, jax.random.key(seed).
      patients: their numbers.
      films: 2 * laterality + view of each, 0 to 3.
      image_size: see `make`.

    Returns:
      Arrays with the image in front; compiled once for each number of images and image_size.
    """
    shape = (image_size, round(_ASPECT * image_size))

    def draw(patient: Int[Array, ""], film: Int[Array, ""]) -> BreastPhantom:
        patient_key, film_key = jax.random.split(jax.random.fold_in(key, patient))
        return draw_mammogram(
            jax.random.fold_in(film_key, film),
            laterality=film // 2,
            view=film % 2,
            shape=shape,
            patient=draw_patient(patient_key),
        )

    return jax.vmap(draw)(jnp.asarray(patients), jnp.asarray(films))


def read(data_dir: Path) -> list[Record]:
    """Read the data set's table.

    Returns:
      One record per image, in the table's order, no split. Labels: Cancer (a malignant lesion is in
      this breast), Malignant (is the lesion malignant; absent where there is none) and No Finding.
      Masks, of both labels: the malignant lesion's outline.

    Raises:
      DataError: the table, a column or an image is missing, or a cell makes no sense.
    """
    return phantom_files.read(data_dir, COLUMNS, _record)


def _record(path: Path, row: Row) -> Record:
    for column, words in (("laterality", LATERALITIES), ("view", VIEWS)):
        if row[column] not in words:
            raise row.wrong(column, " or ".join(words))
    for column in ("malignant", "benign"):
        if row[column] not in ("0", "1"):
            raise row.wrong(column, "0 or 1")
    malignant, benign = float(row["malignant"]), float(row["benign"])
    labels = {"Cancer": malignant, NO_FINDING: float(not (malignant or benign))}
    if malignant or benign:
        labels["Malignant"] = malignant
    mask = phantom_files.mask(row, "Malignant", empty=not malignant)
    return Record(
        image=row["image"],
        path=path,
        patient=row["patient"],
        view=row["view"],
        laterality=row["laterality"],
        bit_depth=8,
        labels=labels,
        masks={"Cancer": mask, "Malignant": mask},
    )


def _films(count: int, seed: int) -> list[tuple[int, int]]:
    """(patient, 2 * laterality + view) of every film."""
    exams, shares = list(_EXAMS), list(_EXAMS.values())
    chosen = np.random.default_rng(seed).choice(len(exams), size=count, p=shares)
    films = [
        (patient, 2 * laterality + view)
        for patient, exam in enumerate(chosen)
        for laterality, view in exams[exam]
    ]
    return films[:count]


def _describe(patient: int, film: int, drawn: BreastPhantom) -> phantom_files.Sheet:
    laterality, view = LATERALITIES[drawn.laterality], VIEWS[drawn.view]
    row = {
        "image": f"P{patient:05d}_{laterality}_{view}.png",
        "patient": f"P{patient:05d}",
        "laterality": laterality,
        "view": view,
        "malignant": str(int(drawn.has_malignant)),
        "benign": str(int(drawn.has_benign)),
    }
    masks = {"Malignant": np.asarray(drawn.malignant)}
    return phantom_files.Sheet(image=np.asarray(drawn.image), row=row, masks=masks)
