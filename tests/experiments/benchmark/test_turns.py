"""Tables of contestants: who is fastest, who is missing, what ours is compared to."""

import time

import jax
import numpy as np
import pytest

from experiments.benchmark import turns
from experiments.benchmark.turns import Contestant, by_image, compile_jax, table

IMAGES = np.random.default_rng(0).random((5, 8, 8), dtype=np.float32)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(turns, "SECONDS", 0.0)
    monkeypatch.setattr(turns, "PAUSE", 0.0)


def sleeping(*seconds):
    return lambda images: {f"{s:g} s": lambda step, s=s: time.sleep(s) for s in seconds}


def rows(*contestants):
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table("Work", contestants, IMAGES)
    ]


def test_the_fastest_way_counts_and_ours_is_the_measure():
    head, _, ours, theirs = rows(
        Contestant(name="ours", packages=("jax",), ways=sleeping(0.01)),
        Contestant(name="theirs", packages=("numpy",), ways=sleeping(0.08, 0.03), goal=1.5),
    )
    assert head == ["Work", *turns.COLUMNS]
    assert ours[:3] == ["ours", f"jax {jax.__version__}", "0.01 s"]
    assert ours[5:7] == ["1.00", ""]
    assert theirs[:3] == ["theirs", f"numpy {np.__version__}", "0.03 s"]
    assert theirs[6] == ">= 1.50"
    assert 1.5 < float(theirs[5]) < 6


@pytest.mark.parametrize("missing", ["ours", "theirs"])
def test_a_library_that_is_not_installed_is_named(missing):
    def absent(images):
        import no_such_library  # noqa: F401

    ways = {"ours": sleeping(0.0), "theirs": sleeping(0.0), missing: absent}
    contestants = [Contestant(name=name, packages=("jax",), ways=ways[name]) for name in ways]
    head, _, *lines = rows(*contestants)
    (line,) = [line for line in lines if line[0] == missing]
    assert line[1] == "not installed: No module named 'no_such_library'"
    assert {len(line) for line in lines} == {len(head)}


def test_a_program_is_run_on_the_batch_and_its_bytes_are_counted():
    (way,) = compile_jax(lambda step, images: images + step, IMAGES).values()
    np.testing.assert_array_equal(way(2), IMAGES + 2)
    assert way.bytes_accessed >= 2 * IMAGES.nbytes


def test_a_loop_and_two_threads_do_every_image_once():
    for way in by_image(lambda: lambda image: image + 1, IMAGES).values():
        np.testing.assert_array_equal(way(0), IMAGES + 1)
