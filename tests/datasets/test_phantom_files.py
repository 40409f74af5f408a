"""What holds of every drawn data set."""

import functools

import pytest

from cxr_jax.datasets import phantom, phantom_breast


@pytest.mark.parametrize("module", [phantom, phantom_breast])
def test_the_directorys_name_tells_all_that_decides_the_pixels(module, tmp_path, monkeypatch):
    name = functools.partial(module.directory, tmp_path)
    names = {
        name(count=800, seed=0, image_size=192),
        name(count=801, seed=0, image_size=192),
        name(count=800, seed=1, image_size=192),
        name(count=800, seed=0, image_size=224),
    }
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    names.add(name(count=800, seed=0, image_size=192))
    assert len(names) == 5


@pytest.mark.parametrize(
    ("module", "wrong", "message"),
    [
        (phantom, {"count": 0}, "count must be at least 1, got 0"),
        (phantom, {"image_size": 16}, "image_size must be at least 24, got 16"),
        (phantom, {"seed": -1}, r"seed must lie in 0 to 2\*\*32 - 1, got -1"),
        (phantom_breast, {"count": 0}, "count must be at least 1, got 0"),
        (phantom_breast, {"image_size": 24}, "image_size must be at least 32, got 24"),
        (phantom_breast, {"seed": -1}, r"seed must lie in 0 to 2\*\*32 - 1, got -1"),
    ],
)
def test_arguments_out_of_range_are_refused(module, wrong, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        module.make(tmp_path / "new", **{"count": 4, "seed": 0, "image_size": 48, **wrong})
    assert not (tmp_path / "new").exists()
