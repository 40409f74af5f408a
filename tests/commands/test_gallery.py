"""`cxr gallery`: what a recipe does to a phantom and to an image, and what is no image."""

import re

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom
from tiny_run import tiny_config

from cxr_jax.augment import AugmentConfig
from cxr_jax.commands import main
from cxr_jax.preprocess import Crop, PreprocessConfig
from cxr_jax.training.config_json import to_json
from experiments import mammography

FIGURES = ["preprocessing", "augmentations", "draws", "off"]


@pytest.fixture
def folder(tmp_path, cache):
    """Of a run that has a config, and nothing else."""

    def make(**changes):
        run = tmp_path / "run"
        run.mkdir()
        (run / "config.json").write_text(to_json(tiny_config(run, cache, **changes)))
        return run

    return make


@pytest.fixture
def png(tmp_path):
    path = tmp_path / "film <1>.png"
    pixels = np.random.default_rng(0).integers(0, 256, (80, 64), dtype=np.uint8)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return path


def gallery(out, *arguments):
    return main(["gallery", f"--out={out}", *map(str, arguments)])


def titles(out):
    return re.findall(r"<h2>(.*?)</h2>", (out / "gallery.html").read_text())


def test_phantom_and_image_are_drawn_into_one_page(tmp_path, folder, png, capsys):
    out = tmp_path / "out"
    assert gallery(out, f"--run={folder()}", png) == 0
    assert f"written to {out / 'gallery.html'}" in capsys.readouterr().out
    assert titles(out) == [
        "Preprocessing, phantom",
        "Augmentations alone, phantom",
        "Augmentations together, phantom",
        "Augmentations that are off, phantom",
        "Preprocessing, film &lt;1&gt;.png",
        "Augmentations alone, film &lt;1&gt;.png",
        "Augmentations together, film &lt;1&gt;.png",
        "Augmentations that are off, film &lt;1&gt;.png",
        "Label smoothing, ε = 0.1",
        "Mixup, λ ~ Beta(0.2, 0.2)",
        "Settings",
    ]
    page = (out / "gallery.html").read_text()
    assert "<td>film 1</td><td>0.90</td><td>0.10</td>" in page
    assert page.count('src="data:image/png;base64,') == page.count("<img") == 9
    drawn = {path.name for path in (out / "figures").iterdir()}
    assert drawn == {"mixup.png"} | {
        f"{name}_{film}.png" for name in FIGURES for film in ("phantom", "image")
    }


def test_a_recipe_for_mammograms_is_shown_on_a_breast(tmp_path, cache, monkeypatch):
    preset = tiny_config(
        tmp_path,
        cache,
        finding="Cancer",
        preprocess=PreprocessConfig(image_size=32, kind="breast", mirror_right=True),
        augment=AugmentConfig(enabled=False),
        mixup_alpha=0.0,
    )
    monkeypatch.setattr(mammography, "PRESET", preset)
    out = tmp_path / "out"
    assert gallery(out, "--recipe=mammography", "--seed=1") == 0
    assert titles(out) == ["Preprocessing, phantom", "Label smoothing, ε = 0.1", "Settings"]
    page = (out / "gallery.html").read_text()
    assert "recipe mammography, seed 1" in page
    assert "Mirrored: breasts that lie on the right. CLAHE: clip limit 2, 8 x 8 tiles." in page


def test_of_a_dicom_file_with_burned_in_text_the_page_is_warned_of(tmp_path, folder):
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    film = write_dicom(tmp_path / "film.dcm", pixels, BurnedInAnnotation="YES")
    with pytest.warns(UserWarning, match=r"gallery.html: shows 1 images whose DICOM header"):
        assert gallery(tmp_path / "out", f"--run={folder()}", film) == 0


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file"),
        (b"no image", "film.png: "),
        (
            cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes(),
            "8 x 8 pixels is too small",
        ),
        (
            cv2.imencode(".png", np.full((64, 64, 3), (0, 90, 200), np.uint8))[1].tobytes(),
            "in colour, where a radiograph is grey",
        ),
        (
            cv2.imencode(".png", np.zeros((40, 40), np.uint8))[1].tobytes(),
            "crop leaves nothing of an image of 40 x 40 pixels; give a larger image",
        ),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(tmp_path, folder, capsys, content, reason):
    nothing = Crop(left=0.5, right=0.499)
    path, out = tmp_path / "film.png", tmp_path / "out"
    if content is not None:
        path.write_bytes(content)
    run = folder(preprocess=PreprocessConfig(image_size=32, crop=nothing))
    assert gallery(out, f"--run={run}", path) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: ")
    assert reason in error
    assert "on_bad_image" not in error
    assert not out.exists()


def test_a_gallery_is_not_overwritten(tmp_path, folder, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "gallery.html").write_text("mine")
    assert gallery(out, f"--run={folder()}") == 1
    assert "gallery.html: is there already; choose another --out" in capsys.readouterr().err
    assert (out / "gallery.html").read_text() == "mine"


def test_what_is_no_run_is_refused(tmp_path, capsys):
    assert gallery(tmp_path / "out", f"--run={tmp_path / 'no'}") == 1
    assert "config.json: cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seed", ["-1", "1.5", str(2**32)])
def test_a_seed_that_is_none_ends_as_argparse_does(tmp_path, seed):
    with pytest.raises(SystemExit) as ended:
        gallery(tmp_path / "out", f"--seed={seed}")
    assert ended.value.code == 2
