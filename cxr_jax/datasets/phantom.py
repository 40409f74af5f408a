"""The embedded data set: phantom chest radiographs with and without an enlarged heart.

They lie in files like any other data set, so that they go the same way as real films:
`images/*.png` (8 bits) and `phantoms.csv` with the columns image, patient, view (PA, AP) and
cardiothoracic_ratio. Cardiomegaly is a ratio above 0.5.
"""

import concurrent.futures
import csv
import functools
import operator
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import jax
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from cxr_jax.datasets.phantom_chest import ChestPhantom, draw_chest
from cxr_jax.datasets.phantom_patient import VIEWS, draw_patient
from cxr_jax.datasets.table import Row, read_table
from cxr_jax.errors import DataError
from cxr_jax.pipeline.once import make_directory_once
from cxr_jax.pipeline.record import NO_FINDING, Record

# Part of the directory's name: to be raised whenever a phantom comes out different.
VERSION = 1

TABLE = "phantoms.csv"
COLUMNS = ("image", "patient", "view", "cardiothoracic_ratio")
ENLARGED_ABOVE = 0.5
SMALLEST_IMAGE = 24

_FILMS_OF_A_PATIENT = (1, 3)
_BATCH = 16  # measured: more at once fall out of the processor's cache


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
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    if image_size < SMALLEST_IMAGE:
        raise ValueError(f"image_size must be at least {SMALLEST_IMAGE}, got {image_size}")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must lie in 0 to 2**32 - 1, got {seed}")

    def fill(folder: Path) -> None:
        (folder / "images").mkdir()
        rows, writing = [], []
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            for patients, films, phantoms in _draw(count=count, seed=seed, image_size=image_size):
                names = [f"P{p:05d}_{f}.png" for p, f in zip(patients, films, strict=True)]
                for name, image in zip(names, phantoms.image, strict=True):
                    writing.append(pool.submit(_write_png, folder / "images" / name, image))
                ratios = phantoms.cardiothoracic_ratio
                for name, view, ratio in zip(names, phantoms.view, ratios, strict=True):
                    rows.append((name, name.split("_")[0], VIEWS[view], f"{ratio:.4f}"))
                if progress:
                    progress(len(names))
            for written in writing:
                written.result()
        with (folder / TABLE).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])

    return make_directory_once(data_dir, fill)


def read(data_dir: Path) -> list[Record]:
    """Read the data set's table.

    Returns:
      One record per image, in the table's order: labels Cardiomegaly and No Finding, measurement
      cardiothoracic_ratio, no split.

    Raises:
      DataError: the table, a column or an image is missing, or a cell makes no sense.
    """
    rows = read_table(data_dir / TABLE, COLUMNS)
    if not rows:
        raise DataError(
            f"{data_dir / TABLE}: no images in it; remove {data_dir} to have it redrawn"
        )
    records: dict[str, Record] = {}
    for row in rows:
        record = _record(data_dir, row)
        if record.image in records:
            raise row.wrong("image", "every image once")
        records[record.image] = record
    return list(records.values())


def _record(data_dir: Path, row: Row) -> Record:
    path = data_dir / "images" / row["image"]
    if not path.is_file():
        raise row.wrong("image", f"the name of a file in {path.parent}")
    if not row["patient"]:
        raise row.wrong("patient", "a patient")
    if row["view"] not in VIEWS:
        raise row.wrong("view", " or ".join(VIEWS))
    ratio = row.number("cardiothoracic_ratio")
    if ratio >= 1:
        raise row.wrong("cardiothoracic_ratio", "a number below 1")
    enlarged = float(ratio > ENLARGED_ABOVE)
    return Record(
        image=row["image"],
        path=path,
        patient=row["patient"],
        view=row["view"],
        bit_depth=8,
        labels={"Cardiomegaly": enlarged, NO_FINDING: 1.0 - enlarged},
        measurements={"cardiothoracic_ratio": ratio},
    )


def _draw(
    *, count: int, seed: int, image_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray, ChestPhantom]]:
    """Yield the patients' numbers, their films' numbers and the phantoms, a batch at a time."""
    least, most = _FILMS_OF_A_PATIENT
    films_of = np.random.default_rng(seed).integers(least, most + 1, size=count)
    patients = np.repeat(np.arange(count), films_of)[:count]
    films = np.concatenate([np.arange(n) for n in films_of])[:count]
    for start in range(0, count, _BATCH):
        kept = min(_BATCH, count - start)
        # The last batch is filled up with its last film: one compiled program draws them all.
        batch = np.minimum(np.arange(start, start + _BATCH), count - 1)
        phantoms = _draw_batch(
            jax.random.key(seed), patients[batch], films[batch], image_size=image_size
        )
        phantoms = jax.tree.map(operator.itemgetter(slice(kept)), jax.device_get(phantoms))
        yield patients[batch[:kept]], films[batch[:kept]], phantoms


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


def _write_png(path: Path, image: np.ndarray) -> None:
    # Through write_bytes, which raises where cv2.imwrite would only return False.
    _, encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    path.write_bytes(encoded.tobytes())
