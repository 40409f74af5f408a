"""Let contestants take turns at the same work, and make a table of their times.

A, B, C, A, B, C, …: what disturbs the machine disturbs all alike.
"""

import concurrent.futures
import dataclasses
import importlib.metadata
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

THREADS = 2
SECONDS = 25.0  # of turns for a table
TURNS = (5, 100)  # at least, at most
PAUSE = 0.02  # seconds between two: some libraries' threads go on spinning for a while

COLUMNS = ("versions", "way", "median, ms", "least, ms", "times ours", "goal", "accessed, MB")

Way = Callable[[int], object]
"""Step → one batch, finished when it returns."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contestant:
    """A library and its ways of doing it, of which the fastest counts.

    Attributes:
      name: of the library.
      packages: whose versions are shown.
      ways: images [batch, height, width] -> by name; raises ImportError where it is not installed.
      goal: how many times as long as ours it should take at least; None for ours.
    """

    name: str
    packages: tuple[str, ...]
    ways: Callable[[np.ndarray], Mapping[str, Way]]
    goal: float | None = None

    def versions(self) -> str:
        """Such as "kornia 0.9.0, torch 2.14.1"."""
        return versions(*self.packages)


def versions(*packages: str) -> str:
    """Such as "kornia 0.9.0, torch 2.14.1"."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


def processor() -> str:
    """Name the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


@dataclasses.dataclass(frozen=True)
class Compiled:
    """A program of JAX and its batch."""

    program: Any
    batch: jax.Array

    @property
    def bytes_accessed(self) -> float:
        """Read and written by all of its operations, as the compiler counts."""
        return self.program.cost_analysis()["bytes accessed"]

    def __call__(self, step: int) -> object:
        return jax.block_until_ready(self.program(np.uint32(step), self.batch))


def compile_jax(function: Callable[..., jax.Array], images: np.ndarray) -> Mapping[str, Way]:
    """Compile a function of (step, images) into one program."""
    batch = jnp.asarray(images)
    return {"jit": Compiled(jax.jit(function).lower(np.uint32(0), batch).compile(), batch)}


def by_image(
    make: Callable[[], Callable[[np.ndarray], Any]],
    images: np.ndarray,
    set_threads: Callable[[int], object] = lambda count: None,
) -> Mapping[str, Way]:
    """A loop over the images, or a loop in each of two threads.

    Args:
      make: a pipeline of one image; one a thread, as pipelines keep state.
      set_threads: sets the number of the library's own threads.
    """
    out = np.empty_like(images)
    parts = np.array_split(np.arange(len(images)), THREADS)
    pipelines = [make() for _ in parts]
    pool = concurrent.futures.ThreadPoolExecutor(THREADS)

    def work(pipeline: Callable[[np.ndarray], Any], part: np.ndarray) -> None:
        for i in part:
            out[i] = pipeline(images[i])

    def loop(step: int) -> object:
        set_threads(THREADS)
        work(pipelines[0], np.arange(len(images)))
        return out

    def threads(step: int) -> object:
        set_threads(1)
        list(pool.map(work, pipelines, parts))
        return out

    return {"loop": loop, "loop in 2 threads": threads}


def table(title: str, contestants: Sequence[Contestant], images: np.ndarray) -> Iterator[str]:
    """Measure, and give the lines of a table in Markdown.

    Args:
      title: stands above the names.
      contestants: the first is ours.
      images: [batch, height, width].
    """
    entered: dict[str, tuple[str, str, Way]] = {}
    missing: dict[str, ImportError] = {}
    for contestant in contestants:
        try:
            ways = contestant.ways(images)
            entered[contestant.name] = contestant.versions(), *_fastest(ways)
        except ImportError as error:
            missing[contestant.name] = error
    times = take_turns({name: way for name, (_, _, way) in entered.items()})
    yield f"| {' | '.join((title, *COLUMNS))} |"
    yield "|---" * (1 + len(COLUMNS)) + "|"
    for contestant in contestants:
        name = contestant.name
        if name in missing:
            yield f"| {name} | not installed: {missing[name]}{' |' * len(COLUMNS)}"
            continue
        versions, how, way = entered[name]
        cells = (
            name,
            versions,
            how,
            f"{1e3 * statistics.median(times[name]):.1f}",
            f"{1e3 * min(times[name]):.1f}",
            _ratio(times[name], times.get(contestants[0].name)),
            "" if contestant.goal is None else f">= {contestant.goal:.2f}",
            f"{way.bytes_accessed / 1e6:.1f}" if isinstance(way, Compiled) else "",
        )
        yield f"| {' | '.join(cells)} |"


def _ratio(times: Sequence[float], ours: Sequence[float] | None) -> str:
    """Of the medians."""
    return "" if ours is None else f"{statistics.median(times) / statistics.median(ours):.2f}"


def _fastest(ways: Mapping[str, Way]) -> tuple[str, Way]:
    """The fastest of a few tries each, its name first."""

    def least(way: Way) -> float:
        way(0)
        return min(_seconds(way, step) for step in range(1, 4))

    return min(ways.items(), key=lambda item: least(item[1]))


def take_turns(ways: Mapping[str, Way]) -> dict[str, list[float]]:
    """Measure times in seconds of A, B, C, A, B, C, …"""
    for way in ways.values():
        way(0)
    times: dict[str, list[float]] = {name: [] for name in ways}
    least, most = TURNS
    end = time.perf_counter() + SECONDS
    for turn in range(1, most + 1):
        if turn > least and time.perf_counter() > end:
            break
        for name, way in ways.items():
            time.sleep(PAUSE)
            times[name].append(_seconds(way, turn))
    return times


def _seconds(way: Way, step: int) -> float:
    start = time.perf_counter()
    way(step)
    return time.perf_counter() - start
