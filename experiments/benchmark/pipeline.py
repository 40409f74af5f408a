"""From files to sharded batches, beside the plain OpenCV loop: tables in Markdown.

python -m experiments.benchmark.pipeline [--data_dir=FOLDER_OF_IMAGES]

Preparation (decode, preprocess, write the cache) and the loop (decode, the same OpenCV calls, no
cache) take turns at the same files, with one thread and with two. Then what was prepared is read
back into batches on two devices, and the memory of the loader is watched over 50 epochs.
"""

import argparse
import concurrent.futures
import dataclasses
import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from cxr_jax import datasets
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.loader import train_batches
from cxr_jax.pipeline.prepare import Prepared, prepare
from cxr_jax.pipeline.record import Record
from cxr_jax.preprocess import Crop, PreprocessConfig

TURNS = 5
BATCH, SECONDS, EPOCHS = 64, 8.0, 50
CONFIG = PreprocessConfig(
    crop=Crop(left=0.06, right=0.06, top=0.2, bottom=0.12), remove_artefacts=False
)


def main() -> None:
    """Measure, and print the tables as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", type=Path, help="PNG films; drawn and enlarged where absent")
    arguments = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", 2)
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted((arguments.data_dir or _drawn(Path(folder))).rglob("*.png"))
        records = [Record(image=p.name, path=p, patient=p.name, bit_depth=8) for p in paths]
        shape = decode(paths[0]).shape
        print(f"{len(records)} films of {shape[1]} x {shape[0]}, {len(_cores())} cores\n")
        _preparation(records)
        prepared = prepare(records, CONFIG, cache_dir=Path(folder), progress=False)
        _reading(prepared)
        _memory(prepared)


def _drawn(folder: Path) -> Path:
    """Phantoms enlarged to 1024 x 1024, with grain, as films have."""
    small = datasets.draw("phantom", folder, count=96, seed=0, image_size=256) / "images"
    films = folder / "films"
    films.mkdir()
    rng = np.random.default_rng(0)
    for path in small.iterdir():
        film = cv2.resize(decode(path), (1024, 1024), interpolation=cv2.INTER_CUBIC)
        grain = film + rng.normal(0, 3, film.shape)
        cv2.imwrite(str(films / path.name), np.clip(grain, 0, 255).astype(np.uint8))
    return films


def _plain(path: Path) -> np.ndarray:
    """What a user would write with OpenCV alone."""
    film = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    film = np.ascontiguousarray(film[CONFIG.crop.kept(film.shape)])
    film = cv2.createCLAHE(CONFIG.clahe_clip_limit, CONFIG.clahe_tiles).apply(film)
    return cv2.resize(film, (CONFIG.image_size,) * 2, interpolation=cv2.INTER_AREA)


def _preparation(records: list[Record]) -> None:
    cv2.setNumThreads(1)

    def loop(threads: int) -> None:
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            list(pool.map(_plain, [record.path for record in records]))

    def ours(threads: int, config: PreprocessConfig = CONFIG) -> None:
        with tempfile.TemporaryDirectory() as cache:
            prepare(records, config, cache_dir=Path(cache), workers=threads, progress=False)

    with_removal = dataclasses.replace(CONFIG, remove_artefacts=True)
    ways: dict[str, Callable[[int], None]] = {
        "OpenCV loop, nothing written": loop,
        "cxr_jax, into the cache": ours,
        "and artefacts removed": lambda threads: ours(threads, with_removal),
    }
    print("| images/s (median of turns) | 1 thread | of the loop | 2 threads | of the loop |")
    print("|---|---|---|---|---|")
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for threads in (1, 2):
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(TURNS):
            for name, way in ways.items():
                start = time.perf_counter()
                way(threads)
                times[name].append(time.perf_counter() - start)
        for name, taken in times.items():
            rates[name].append(len(records) / statistics.median(taken))
    for name, rate in rates.items():
        shares = [r / of for r, of in zip(rate, rates["OpenCV loop, nothing written"], strict=True)]
        cells = (f"{r:.0f} | {share:.2f}" for r, share in zip(rate, shares, strict=True))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _reading(prepared: Prepared) -> None:
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    shared = NamedSharding(mesh, PartitionSpec("data"))
    print(f"\n| read back into batches of {BATCH} on two devices | images/s |\n|---|---|")
    for workers in (0, 1, 2):
        batches = train_batches(
            prepared,
            np.arange(len(prepared)),
            np.zeros((len(prepared), 1), np.float32),
            batch_size=BATCH,
            seed=0,
            workers=workers,
        )
        count = 0
        for _ in range(5):  # until it runs
            next(batches)
        start = time.perf_counter()
        while time.perf_counter() - start < SECONDS:
            batch = {
                name: jax.make_array_from_process_local_data(shared, value)
                for name, value in next(batches).items()
            }
            jax.block_until_ready(batch)
            count += BATCH
        rate = count / (time.perf_counter() - start)
        batches.close()
        del batch
        gc.collect()  # until then JAX keeps the workers' shared memory, which they would miss
        print(f"| {workers or 'no'} worker processes | {rate:,.0f} |", flush=True)


def _memory(prepared: Prepared) -> None:
    """Resident memory after each tenth epoch."""
    batches = train_batches(
        prepared,
        np.arange(len(prepared)),
        np.zeros((len(prepared), 1), np.float32),
        batch_size=BATCH,
        seed=0,
    )
    steps = len(prepared) // BATCH
    print("\n| epochs | resident, MiB |\n|---|---|")
    for epoch in range(1, EPOCHS + 1):
        for _ in range(steps):
            next(batches)
        if epoch == 1 or epoch % 10 == 0:
            print(f"| {epoch} | {_resident():.1f} |", flush=True)
    batches.close()


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _cores() -> set[int]:
    return os.sched_getaffinity(0)


if __name__ == "__main__":
    main()
