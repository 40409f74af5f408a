"""Two stages, tiny, on a miniature of SIIM-ACR: masks, transfer, and what is refused."""

import csv
import dataclasses
import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from miniatures import siim as miniature
from tiny_run import PLAIN, probabilities

from cxr_jax.commands.overlap import seen
from cxr_jax.errors import CheckpointError, DataError, TrainingError
from cxr_jax.pipeline.rle import decode_rle
from cxr_jax.preprocess import PreprocessConfig
from cxr_jax.training import Config, fit
from cxr_jax.training import stages as stages_module
from cxr_jax.training.checkpoint import Checkpoints
from cxr_jax.training.data import read_records
from cxr_jax.training.mask_config import RatioConfig, SegmentationConfig, StagesConfig
from cxr_jax.training.saved import load_run
from cxr_jax.training.transfer import inherited_splits

BASE = Config(
    experiment="pneumothorax",
    finding="Pneumothorax",
    dataset="siim",
    data_dir="",
    model="tiny",
    preprocess=PreprocessConfig(image_size=32, remove_artefacts=False),
    **PLAIN,
    batch_size=8,
    epochs=1,
    bootstrap_samples=20,
    segmentation=SegmentationConfig(decoder_width=4),
    stages=StagesConfig(),
)


@pytest.fixture(scope="module")
def siim(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("siim")
    miniature(folder, count=24, kind="png")
    return folder


@pytest.fixture
def config(siim, cache, tmp_path):
    def make(folder: str = "run", *, stages: StagesConfig | None = None, **changes) -> Config:
        places = {"data_dir": str(siim), "cache_dir": str(cache), "workdir": str(tmp_path / folder)}
        changes = {**places, **changes}
        return dataclasses.replace(BASE, stages=stages or BASE.stages, **changes)

    return make


@pytest.fixture(scope="module")
def both(siim, cache, tmp_path_factory):
    """Both stages and the comparison, looked at by many tests."""
    config = dataclasses.replace(
        BASE,
        data_dir=str(siim),
        cache_dir=str(cache),
        workdir=str(tmp_path_factory.mktemp("runs") / "whole"),
        stages=StagesConfig(compare_scratch=True, train_labels=10, unfreeze_every=1.0),
    )
    return fit(config)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_stage_1_leaves_masks_in_the_films_own_pixels(both):
    stage1 = both.workdir.parent / "stage1"
    split = {row["image"]: row for row in rows(stage1 / "split.csv")}
    test = [image for image, row in split.items() if row["split"] == "test"]
    submission = rows(stage1 / "submission.csv")
    assert [row["ImageId"] for row in submission] == test
    for row in submission:
        assert decode_rle(row["EncodedPixels"], (1024, 1024)).shape == (1024, 1024)
    dice = rows(stage1 / "masks_test.csv")
    assert [row["image"] for row in dice] == test
    assert [row["present"] for row in dice] == [split[image]["label"] for image in test]
    numbers = json.loads((stage1 / "evaluation.json").read_text())["masks"]
    mean = np.mean([float(row["dice"]) for row in dice])
    assert numbers["Pneumothorax, all images"]["value"] == pytest.approx(mean, abs=1e-5)
    page = (stage1 / "report.html").read_text()
    assert "stage 1 (segment): tiny DenseNet, 32 x 32" in page
    assert "<h2>Masks</h2>" in page


def test_stage_2_inherits_the_splits_and_hides_labels(both):
    first, second = (
        {row["image"]: row["split"] for row in rows(both.workdir.parent / name / "split.csv")}
        for name in ("stage1", "stage2")
    )
    assert list(second.values()).count("train") == 10
    unused = {image for image, split in second.items() if split == "unused"}
    assert {image: "train" if image in unused else s for image, s in second.items()} == first
    scratch = both.workdir.parent / "scratch" / "split.csv"
    assert scratch.read_bytes() == (both.workdir / "split.csv").read_bytes()


def test_the_comparison_is_reported_with_its_interval(both):
    numbers = json.loads((both.workdir / "evaluation.json").read_text())
    scratch = json.loads((both.workdir.parent / "scratch/evaluation.json").read_text())
    difference = numbers["transfer_minus_scratch"]
    assert difference["value"] == pytest.approx(
        numbers["test"]["estimates"]["auroc"]["value"]
        - scratch["test"]["estimates"]["auroc"]["value"]
    )
    assert difference["low"] <= difference["value"] <= difference["high"]
    assert "Transfer against training from scratch" in (both.workdir / "report.html").read_text()


def test_stage_2_starts_from_the_encoder_alone_and_wakes_it_slowly(both):
    """Its one step leaves all of it as stage 1 had it but the head and the running statistics."""
    params = both.variables["params"]
    before = load_run(both.workdir.parent / "stage1").variables["params"]
    jax.tree.map(np.testing.assert_array_equal, params["features"], before["features"])
    assert not np.allclose(params["classifier"]["kernel"], before["classifier"]["kernel"])
    assert "decoder" not in params


@pytest.mark.usefixtures("unreported")
def test_a_recipe_of_two_stages_is_resumed_where_it_was(both, tmp_path, siim, cache):
    """Stage 2 is gone; stage 1 is not trained again, and stage 2 comes out the same."""
    copy = tmp_path / "copy"
    shutil.copytree(both.workdir.parent, copy)
    shutil.rmtree(copy / "stage2")
    shutil.rmtree(copy / "scratch")
    config = dataclasses.replace(
        both.config,
        workdir=str(copy),
        resume=True,
        segmentation=BASE.segmentation,
        stages=dataclasses.replace(
            both.config.stages, stage="both", source=None, compare_scratch=False
        ),
    )
    before = (copy / "stage1/metrics.jsonl").read_bytes()
    again = fit(config)
    assert (copy / "stage1/metrics.jsonl").read_bytes() == before
    assert again.workdir == copy / "stage2"
    np.testing.assert_array_equal(probabilities(again), probabilities(both))


def test_masked_images_are_learnt_dimmed_and_judged_plain(config):
    run = fit(config(stages=StagesConfig(stage="1", stage1="masked_images")))
    assert run.predictions["test"].masks is None
    assert "stage 1 (masked images)" in (run.workdir / "report.html").read_text()
    assert not (run.workdir / "submission.csv").exists()


def test_stage_2_from_another_network_is_refused(both, config):
    stages = StagesConfig(stage="2", source=str(both.workdir.parent / "stage1"))
    for changes, flags in [
        ({"model": "densenet121"}, "--model=densenet121"),
        ({"growth_rate": 4}, "--model=tiny --growth_rate=4"),
    ]:
        message = f"was trained with --model=tiny, this run has {flags}$"
        with pytest.raises(CheckpointError, match=message):
            fit(config(stages=stages, **changes))


def test_stage_2_from_nothing_is_refused(config, tmp_path):
    with pytest.raises(CheckpointError, match="no such run"):
        fit(config(stages=StagesConfig(stage="2", source=str(tmp_path / "nowhere"))))
    with pytest.raises(ValueError, match="--stage=2 --from=RUN"):
        StagesConfig(stage="2")
    with pytest.raises(ValueError, match="--from makes no sense"):
        StagesConfig(stage="both", source="run")


def test_stage_1_without_masks_is_refused(config, nih_sample):
    nih = {"dataset": "nih", "data_dir": str(nih_sample)}
    for stage1 in ("segment", "masked_images"):
        with pytest.raises(DataError, match="data set nih has no masks of Pneumothorax"):
            fit(config(stages=StagesConfig(stage="1", stage1=stage1), **nih))


def test_empty_masks_are_nothing_to_learn_from(config, siim, tmp_path):
    """Labels from the folders, masks all black."""
    import cv2

    for at in range(24):
        folder = tmp_path / "own" / ("normal" if at % 2 else "Pneumothorax")
        folder.mkdir(parents=True, exist_ok=True)
        film = np.random.default_rng(at).integers(0, 255, (48, 48), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{at}.png"), film)
        if at % 2 == 0:
            (tmp_path / "own/masks").mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / f"own/masks/{at}.png"), 0 * film)
    own = {"dataset": "folder", "data_dir": str(tmp_path / "own")}
    with pytest.raises(DataError, match="training images are empty"):
        fit(config(stages=StagesConfig(stage="1"), **own))


def test_a_training_split_of_one_class_is_refused(both, config, tmp_path):
    """Inherited splits that leave training without the finding."""
    source = tmp_path / "source"
    shutil.copytree(both.workdir.parent / "stage1", source)
    table = rows(source / "split.csv")
    with (source / "split.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0])
        writer.writeheader()
        for row in table:
            writer.writerow({**row, "split": "test" if row["label"] == "1" else "train"})
    with pytest.raises(DataError, match=r"the validation split has none|0 are positive"):
        fit(config(stages=StagesConfig(stage="2", source=str(source))))


def test_a_stage_that_fails_beside_another_leaves_its_results(both, config, monkeypatch):
    """The comparison diverges; stage 2 is evaluated and reported all the same."""
    stage1 = both.workdir.parent / "stage1"
    stages = dataclasses.replace(both.config.stages, source=str(stage1), compare_scratch=True)
    original = stages_module.fit_one

    def fails(config, **more):
        if config.stages.stage == "scratch":
            raise TrainingError("training diverged at step 1")
        return original(config, **more)

    monkeypatch.setattr(stages_module, "fit_one", fails)
    with pytest.raises(TrainingError, match="diverged"):
        fit(config(stages=stages))
    (folder,) = Path(config().workdir).glob("stage2")
    assert "transfer_minus_scratch" not in json.loads((folder / "evaluation.json").read_text())
    assert (folder / "report.html").is_file()


def test_only_a_recipe_that_was_begun_is_resumed(both, config, tmp_path):
    with pytest.raises(CheckpointError, match="holds no stage1 and no stage2"):
        fit(config("typo", resume=True))
    stage1 = both.workdir.parent / "stage1"
    with pytest.raises(CheckpointError, match=f"is a run of one stage.*{stage1.parent}$"):
        fit(config(resume=True, workdir=str(stage1)))


def test_what_stage_1_learnt_from_is_known_of_stage_2(both):
    """Labels that stage 2 did not see were seen by stage 1."""
    saved = load_run(both.workdir)
    records = read_records(saved.config, Path(saved.config.cache_dir))
    found, told = seen(saved, records, dataset="siim", cache_dir=Path(saved.config.cache_dir))
    first = {row["image"]: row["split"] for row in rows(both.workdir.parent / "stage1/split.csv")}
    learnt = [at for at, record in enumerate(records) if first[record.image] != "test"]
    assert sorted(found) == learnt
    assert not told
    moved = dataclasses.replace(saved, folder=both.workdir.parent / "scratch")
    assert sorted(seen(moved, records, dataset="siim", cache_dir=Path())[0]) == learnt


def test_data_sets_of_the_same_films_are_told(both, config, nih_sample):
    stages = StagesConfig(stage="2", source=str(both.workdir.parent / "stage1"))
    asked = config(stages=stages, dataset="nih", data_dir=str(nih_sample))
    with pytest.warns(UserWarning, match="siim and nih show the same films"):
        assert inherited_splits(asked) == {}


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (SegmentationConfig, {"decoder_width": 0}, "decoder_width must be at least 1, got 0"),
        (StagesConfig, {"lr_decay": float("inf")}, "lr_decay must be >= 1, got inf"),
        (StagesConfig, {"unfreeze_every": 1e9}, "unfreeze_every must be in"),
        (StagesConfig, {"train_labels": 0}, "train_labels must be >= 1, got 0"),
        (RatioConfig, {"lr": float("inf")}, "ratio_lr must be > 0, got inf"),
        (StagesConfig, {"stage": "1", "compare_scratch": True}, "has none"),
    ],
)
def test_values_that_make_no_sense_are_refused_before_anything_is_trained(kind, values, message):
    with pytest.raises(ValueError, match=message):
        kind(**values)


def test_the_best_epoch_of_masks_is_that_of_the_best_dice(both):
    stage1 = both.workdir.parent / "stage1"
    history = [json.loads(line) for line in (stage1 / "metrics.jsonl").read_text().splitlines()]
    assert all(0 <= row["validation_dice"] <= 1 for row in history)
    assert Checkpoints(stage1).last_step == history[-1]["step"]
