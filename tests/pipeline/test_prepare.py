import dataclasses
import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds
from dicom_files import write_dicom

from cxr_jax import preprocess
from cxr_jax.datasets import nih
from cxr_jax.errors import DataError, WorkspaceError
from cxr_jax.pipeline import masks
from cxr_jax.pipeline import prepare as prepare_module
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.masks import preprocess_mask, read_mask
from cxr_jax.pipeline.prepare import prepare
from cxr_jax.pipeline.record import MaskFiles, Record, RunLengths
from cxr_jax.preprocess import Crop, PreprocessConfig

CONFIG = PreprocessConfig(image_size=32, crop=Crop(top=0.1))


def write_images(folder, count, *, dtype=np.uint8, side=48):
    """Noise as PNG files, and their records."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(count)
    records = []
    for at in range(count):
        path = folder / f"{at:05}.png"
        image = rng.integers(0, np.iinfo(dtype).max, (side, side + at % 7), dtype)
        cv2.imwrite(str(path), image)
        records.append(Record(image=path.name, path=path, patient=str(at)))
    return records


def caches(folder):
    return sorted(path for path in folder.iterdir() if path.is_dir())


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bits", [8, 16])
def test_images_are_the_preprocessed_files_in_order(tmp_path, dtype, bits):
    records = write_images(tmp_path / "images", 9, dtype=dtype)
    config = PreprocessConfig(image_size=32, crop=Crop(top=0.1), bit_depth=bits)
    prepared = prepare(records, config, cache_dir=tmp_path / "cache", workers=3)
    assert len(prepared) == 9
    assert prepared.records == tuple(records)
    np.testing.assert_array_equal(prepared.kept, np.arange(9))
    assert prepared.skipped == ()
    for at, record in enumerate(records):
        image = prepared[at]
        assert image.dtype == (np.uint8 if bits == 8 else np.uint16)
        expected = preprocess.preprocess(decode(record.path), config)
        np.testing.assert_array_equal(image[..., 0], expected)
    with pytest.raises(IndexError):
        prepared[9]


def test_the_folder_is_an_ordinary_tfds_data_set_without_tensorflow(tmp_path):
    prepared = prepare(write_images(tmp_path / "images", 3), CONFIG, cache_dir=tmp_path / "cache")
    source = tfds.builder_from_directory(prepared.path).as_data_source(split="images")
    np.testing.assert_array_equal(source[2]["image"], prepared[2])
    assert "tensorflow" not in sys.modules


def test_prepared_images_can_be_sent_to_another_process(tmp_path):
    prepared = prepare(write_images(tmp_path / "images", 3), CONFIG, cache_dir=tmp_path / "cache")
    first = prepared[0]
    assert len(pickle.dumps(prepared.images)) < 1000
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(prepared))[0], first)


def test_a_second_run_decodes_nothing(tmp_path, monkeypatch):
    records = write_images(tmp_path / "images", 3)
    first = prepare(records, CONFIG, cache_dir=tmp_path / "cache")
    monkeypatch.setattr(prepare_module, "decode", None)
    second = prepare(records, CONFIG, cache_dir=tmp_path / "cache")
    assert second.path == first.path
    np.testing.assert_array_equal(second[1], first[1])


def change_content(records):
    cv2.imwrite(str(records[1].path), np.full((48, 48), 7, np.uint8))


def change_time_only(records):
    os.utime(records[1].path, ns=(0, 12345))


@pytest.mark.parametrize("change", [change_content, change_time_only])
def test_a_changed_file_makes_another_cache(tmp_path, change):
    records = write_images(tmp_path / "images", 3)
    before = prepare(records, CONFIG, cache_dir=tmp_path / "cache").path
    change(records)
    after = prepare(records, CONFIG, cache_dir=tmp_path / "cache")
    assert after.path != before
    expected = preprocess.preprocess(decode(records[1].path), CONFIG)
    np.testing.assert_array_equal(after[1][..., 0], expected)


def test_whatever_the_images_depend_on_names_the_cache(tmp_path, monkeypatch):
    records = write_images(tmp_path / "images", 3)

    def name(records=records, config=CONFIG):
        return prepare(records, config, cache_dir=tmp_path / "cache").path.name

    names = [
        name(),
        name(records[::-1]),
        name(records[:2]),
        name(config=PreprocessConfig(image_size=32)),
        name(config=PreprocessConfig(image_size=32, crop=Crop(top=0.1), clahe_clip_limit=3.0)),
    ]
    monkeypatch.setattr(preprocess, "VERSION", preprocess.VERSION + 1)
    names.append(name())
    monkeypatch.setattr(cv2, "__version__", "another")
    names.append(name())
    assert len(set(names)) == 7


def spoil(records):
    """Four ways in which a file can be no image, one in which it is missing."""
    records[1].path.write_bytes(b"")
    records[2].path.write_bytes(b"nothing")
    data = records[3].path.read_bytes()
    records[3].path.write_bytes(data[: len(data) // 2])
    cv2.imwrite(str(records[4].path), np.zeros((1, 1), np.uint8))
    records[5].path.unlink()


@pytest.mark.smoke
def test_bad_images_are_skipped_and_listed(tmp_path):
    records = write_images(tmp_path / "images", 8)
    spoil(records)
    for _ in range(2):  # the second time from the cache
        prepared = prepare(records, CONFIG, cache_dir=tmp_path / "cache", on_bad_image="skip")
        assert [record.image for record in prepared.records] == [
            "00000.png",
            "00006.png",
            "00007.png",
        ]
        assert prepared.kept.tolist() == [0, 6, 7]
        expected = preprocess.preprocess(decode(records[7].path), CONFIG)
        np.testing.assert_array_equal(prepared[2][..., 0], expected)
        reasons = dict(prepared.skipped)
        assert reasons["00001.png"] == "the file is empty (0 bytes)"
        assert reasons["00002.png"] == "not a PNG, JPEG or TIFF image"
        assert reasons["00003.png"].startswith("the file is truncated")
        assert reasons["00004.png"] == "1 x 1 pixels is too small for a radiograph"
        assert reasons["00005.png"] == "cannot be read: No such file or directory"


def test_a_bad_image_fails_by_default_and_leaves_nothing_behind(tmp_path):
    records = write_images(tmp_path / "images", 40)
    records[20].path.write_bytes(b"nothing")
    with pytest.raises(DataError) as error:
        prepare(records, CONFIG, cache_dir=tmp_path / "cache")
    assert str(error.value) == (
        f"{records[20].path}: not a PNG, JPEG or TIFF image; get the file again, or leave such "
        "images out with --on_bad_image=skip"
    )
    assert caches(tmp_path / "cache") == []
    assert len(prepare(records, CONFIG, cache_dir=tmp_path / "cache", on_bad_image="skip")) == 39
    with pytest.raises(DataError, match="not a PNG, JPEG or TIFF image; get the file"):
        prepare(records, CONFIG, cache_dir=tmp_path / "cache")


def test_missing_images_fail_before_anything_is_decoded(tmp_path, monkeypatch):
    records = write_images(tmp_path / "images", 5)
    records[2].path.unlink()
    records[4].path.unlink()
    monkeypatch.setattr(prepare_module, "decode", None)
    with pytest.raises(DataError) as error:
        prepare(records, CONFIG, cache_dir=tmp_path / "cache")
    assert str(error.value) == (
        f"{records[2].path}: no such file; of 5 images 2 are missing; add them, or leave such "
        "images out with --on_bad_image=skip"
    )


def test_a_broken_promise_of_bit_depth_is_a_bad_image(tmp_path):
    records = write_images(tmp_path / "images", 1, dtype=np.uint16)
    promised = Record(image="a", path=records[0].path, patient="a", bit_depth=8)
    with pytest.raises(DataError, match="16 bits a pixel where the data set promises 8"):
        prepare([promised], CONFIG, cache_dir=tmp_path / "cache")


def test_nothing_left_is_an_error(tmp_path):
    records = write_images(tmp_path / "images", 2)
    for record in records:
        record.path.write_bytes(b"")
    with pytest.raises(DataError, match="none of the 2 images can be used"):
        prepare(records, CONFIG, cache_dir=tmp_path / "cache", on_bad_image="skip")
    with pytest.raises(DataError, match="there are no images to prepare"):
        prepare([], CONFIG, cache_dir=tmp_path / "cache")
    with pytest.raises(ValueError, match="on_bad_image must be one of fail, skip, got 'ignore'"):
        prepare(records, CONFIG, cache_dir=tmp_path / "cache", on_bad_image="ignore")


def truncate_shard(folder):
    (shard,) = folder.glob("*array_record*")
    os.truncate(shard, shard.stat().st_size // 2)


def remove_shard(folder):
    (shard,) = folder.glob("*array_record*")
    shard.unlink()


def remove_sizes(folder):
    (folder / "sizes.json").unlink()


@pytest.mark.parametrize("damage", [truncate_shard, remove_shard, remove_sizes])
def test_a_damaged_cache_is_named(tmp_path, damage):
    records = write_images(tmp_path / "images", 3)
    folder = prepare(records, CONFIG, cache_dir=tmp_path / "cache").path
    damage(folder)
    with pytest.raises(DataError) as error:
        prepare(records, CONFIG, cache_dir=tmp_path / "cache")
    assert str(error.value).startswith(f"{folder}: the prepared images are damaged: ")
    assert str(error.value).endswith("delete this folder, and the next run makes it again")


def test_damage_within_a_shard_is_found_on_reading(tmp_path):
    prepared = prepare(write_images(tmp_path / "images", 3), CONFIG, cache_dir=tmp_path / "cache")
    (shard,) = prepared.path.glob("*array_record*")
    data = bytearray(shard.read_bytes())
    data[200:1500] = bytes(1300)
    shard.write_bytes(data)
    with pytest.raises(DataError, match="the prepared images are damaged"):
        [prepared[at] for at in range(3)]


def test_an_unwritable_cache_is_one_clear_line(tmp_path):
    records = write_images(tmp_path / "images", 1)
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match=f"{tmp_path}/file: cannot write here"):
        prepare(records, CONFIG, cache_dir=tmp_path / "file")


def child(folder, cache, *, count, before="", after=""):
    """Another Python that prepares the images of a folder."""
    code = f"""
import pathlib
from cxr_jax.pipeline import prepare as module
from cxr_jax.pipeline.record import Record
from cxr_jax.preprocess import Crop, PreprocessConfig
paths = sorted(pathlib.Path({str(folder)!r}).iterdir())[:{count}]
records = [Record(image=path.name, path=path, patient=path.stem) for path in paths]
config = PreprocessConfig(image_size=32, crop=Crop(top=0.1))
{before}
prepared = module.prepare(records, config, cache_dir=pathlib.Path({str(cache)!r}))
{after}
"""
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


SLOW = """
import os, time
decode = module.decode
def slowly(path, *options, **promise):
    time.sleep(0.02)
    os.write(1, b"decoding\\n")
    return decode(path, *options, **promise)
module.decode = slowly
"""


def test_two_runs_at_once_decode_once_and_agree(tmp_path):
    records = write_images(tmp_path / "images", 20)
    runs = [
        child(tmp_path / "images", tmp_path / "cache", count=20, before=SLOW, after=after)
        for after in ["print('sum', sum(int(prepared[i].sum()) for i in range(20)))"] * 2
    ]
    outputs = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert sorted(output.count("decoding") for output, _ in outputs) == [0, 20]
    assert len({output.split()[-1] for output, _ in outputs}) == 1
    assert [errors for _, errors in outputs] == ["", ""]  # quiet without a terminal
    assert caches(tmp_path / "cache") == [
        prepare(records, CONFIG, cache_dir=tmp_path / "cache").path
    ]


def test_a_run_killed_half_way_leaves_the_next_one_a_clean_start(tmp_path):
    records = write_images(tmp_path / "images", 200)
    with child(tmp_path / "images", tmp_path / "cache", count=200, before=SLOW) as run:
        for _ in range(90):  # the writer has its first 64 by then
            assert run.stdout.readline() == "decoding\n"
        (partial,) = caches(tmp_path / "cache")
        assert partial.name.endswith(".partial")
        os.kill(run.pid, signal.SIGKILL)
    prepared = prepare(records, CONFIG, cache_dir=tmp_path / "cache")
    assert caches(tmp_path / "cache") == [prepared.path]
    for at in (0, 99, 199):
        expected = preprocess.preprocess(decode(records[at].path), CONFIG)
        np.testing.assert_array_equal(prepared[at][..., 0], expected)


FULL_DISK = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # a disk that fills up
"""


def test_a_disk_that_fills_up_is_one_clear_line_and_leaves_nothing(tmp_path):
    write_images(tmp_path / "images", 100)
    run = child(tmp_path / "images", tmp_path / "cache", count=100, before=FULL_DISK)
    _, errors = run.communicate(timeout=120)
    assert errors.splitlines()[-1] == (
        f"cxr_jax.errors.WorkspaceError: {tmp_path}/cache: cannot write here: File too large; "
        "free some space or choose another directory"
    )
    assert caches(tmp_path / "cache") == []


def test_opencvs_threads_are_left_as_they_were(tmp_path):
    before = cv2.getNumThreads()
    prepare(write_images(tmp_path / "images", 2), CONFIG, cache_dir=tmp_path / "cache")
    assert cv2.getNumThreads() == before


def test_what_the_cache_is_made_from_can_be_read(tmp_path):
    prepared = prepare(write_images(tmp_path / "images", 1), CONFIG, cache_dir=tmp_path / "cache")
    made_from = json.loads((prepared.path / "made_from.json").read_text())
    assert made_from["config"]["crop"]["top"] == 0.1
    assert made_from["opencv"] == cv2.__version__


def test_real_films_are_prepared(nih_sample, tmp_path):
    records = nih.read(nih_sample)[:6]
    prepared = prepare(records, PreprocessConfig(), cache_dir=tmp_path)
    assert prepared[5].shape == (224, 224, 1)
    assert prepared[5].std() > 20
    assert isinstance(prepared.path, Path)


def with_masks(records):
    """The same records; the mask of record i is a block in its corner, a third side if i is odd."""
    masked = []
    for at, record in enumerate(records):
        height, width = cv2.imread(str(record.path), cv2.IMREAD_UNCHANGED).shape
        mask = np.zeros((height, width), np.uint8)
        mask[: height // 2, : width // (3 if at % 2 else 2)] = 255
        path = record.path.with_suffix(".tif")
        cv2.imwrite(str(path), mask)
        masked.append(dataclasses.replace(record, masks={"Mass": MaskFiles(paths=(path,))}))
    return masked


@pytest.mark.smoke
def test_masks_are_prepared_beside_their_images(tmp_path):
    records = with_masks(write_images(tmp_path / "images", 9))
    prepared = prepare(records, CONFIG, cache_dir=tmp_path / "cache", masks=("Mass",))
    assert prepared.has_masks
    plain = prepare(records, CONFIG, cache_dir=tmp_path / "cache")
    assert not plain.has_masks
    assert plain.path != prepared.path
    for at, record in enumerate(records):
        np.testing.assert_array_equal(prepared[at], plain[at])
        image = decode(record.path)
        expected = preprocess_mask(read_mask(record, "Mass", image.shape), CONFIG)
        mask = prepared.mask(at)
        assert (mask.dtype, mask.shape) == (np.uint8, (32, 32, 1))
        assert 0 < mask.mean() < 0.5
        np.testing.assert_array_equal(mask[..., 0], expected)


def test_masks_are_mirrored_and_padded_as_their_images(tmp_path):
    """The lesion is the only white thing in the image, so that both must agree."""
    row, column = np.mgrid[:96, :64]
    left = np.where(np.hypot((row - 45) / 40, column / 45) < 1, 120, 0).astype(np.uint8)
    left[40:52, 20:30] = 255
    records = []
    for name, image in (("left", left), ("right", np.fliplr(left))):
        paths = [tmp_path / f"{name}.png", tmp_path / f"{name}_mask.png"]
        for path, pixels in zip(paths, (image, (image == 255).astype(np.uint8)), strict=True):
            cv2.imwrite(str(path), pixels)
        masks = {"Mass": MaskFiles(paths=(paths[1],))}
        records.append(Record(image=name, path=paths[0], patient=name, masks=masks))
    config = PreprocessConfig(
        kind="breast", mirror_right=True, keep_aspect=True, clahe_clip_limit=0.0, image_size=32
    )
    prepared = prepare(records, config, cache_dir=tmp_path / "cache", masks=("Mass",))
    np.testing.assert_array_equal(prepared[0], prepared[1])
    for at in range(2):
        np.testing.assert_array_equal(prepared.mask(at), prepared[at] > 180)
        assert prepared.mask(at).sum() == pytest.approx(12 * 10 / 9, abs=3)


def test_whatever_the_masks_depend_on_names_the_cache(tmp_path, monkeypatch):
    records = with_masks(write_images(tmp_path / "images", 3))

    def name(records=records, names=("Mass",)):
        return prepare(records, CONFIG, cache_dir=tmp_path / "cache", masks=names).path.name

    names, plain = [name()], name(names=())
    os.utime(records[1].masks["Mass"].paths[0], ns=(0, 12345))
    names.append(name())
    assert name(names=()) == plain  # images alone do not depend on masks
    for mask in (
        MaskFiles(paths=()),
        MaskFiles(paths=records[0].masks["Mass"].paths * 2),
        RunLengths(texts=("0 9",), height=48, width=48),
        RunLengths(texts=("0 8",), height=48, width=48),
    ):
        names.append(name([dataclasses.replace(records[0], masks={"Mass": mask}), *records[1:]]))
    monkeypatch.setattr(masks, "VERSION", masks.VERSION + 1)
    names.append(name())
    assert len({*names, plain}) == 8


def test_a_bad_mask_is_a_bad_image(tmp_path):
    records = with_masks(write_images(tmp_path / "images", 5))
    records[2] = dataclasses.replace(
        records[2], masks={"Mass": RunLengths(texts=(), height=1024, width=1024)}
    )
    records[3].masks["Mass"].paths[0].unlink()
    with pytest.raises(DataError) as error:
        prepare(records, CONFIG, cache_dir=tmp_path / "cache", masks=("Mass",))
    assert str(error.value).startswith(
        f"{records[2].path}: its mask of Mass is for 1024 x 1024 pixels"
    )
    prepared = prepare(
        records, CONFIG, cache_dir=tmp_path / "cache", masks=("Mass",), on_bad_image="skip"
    )
    assert prepared.kept.tolist() == [0, 1, 4]
    assert [name for name, _ in prepared.skipped] == ["00002.png", "00003.png"]
    assert "cannot be read: No such file" in prepared.skipped[1][1]


def test_images_without_a_mask_are_refused_where_masks_are_asked_for(tmp_path):
    records = write_images(tmp_path / "images", 5)
    records[:2] = with_masks(records[:2])
    with pytest.raises(DataError) as error:
        prepare(records, CONFIG, cache_dir=tmp_path / "cache", masks=("Mass",))
    assert str(error.value) == (
        "00002.png: has no mask of Mass; of 5 images 3 have none; leave them out, or add masks "
        "(all black for images without the finding)"
    )


def test_dicom_files_are_prepared_like_any_other(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 4096, (50, 60), np.uint16)
    path = write_dicom(tmp_path / "a.dcm", pixels, bits=12)
    record = Record(image="a", path=path, patient="a")
    prepared = prepare([record], CONFIG, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(prepared[0][..., 0], preprocess.preprocess(decode(path), CONFIG))
