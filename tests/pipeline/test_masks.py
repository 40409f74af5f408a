from pathlib import Path

import cv2
import numpy as np
import pytest
from dicom_files import write_dicom

from cxr_jax.errors import DataError
from cxr_jax.pipeline.masks import mask_files, preprocess_mask, read_mask
from cxr_jax.pipeline.record import MaskFiles, Polygons, Record, RegionFiles, RunLengths
from cxr_jax.pipeline.rle import encode_rle
from cxr_jax.preprocess import Crop, PreprocessConfig, preprocess

SHAPE = (48, 60)


def block(top, bottom, left, right, shape=SHAPE):
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


ONE, OTHER = block(5, 15, 5, 20), block(10, 30, 18, 50)


def record(mask):
    return Record(
        image="film",
        path=Path("film.png"),
        patient="1",
        masks={} if mask is None else {"Mass": mask},
    )


def write(path, mask, white=255, dtype=np.uint8):
    cv2.imwrite(str(path), mask.astype(dtype) * dtype(white))
    return path


def refused(mask, shape=SHAPE):
    with pytest.raises(DataError) as error:
        read_mask(record(mask), "Mass", shape)
    message = str(error.value)
    assert message.startswith("film.png: its mask of Mass ")
    assert "--on_bad_image=skip" in message
    assert "\n" not in message
    return message


@pytest.mark.smoke
def test_run_lengths_are_united():
    texts = (encode_rle(ONE), encode_rle(OTHER))
    runs = RunLengths(texts=texts, height=48, width=60)
    np.testing.assert_array_equal(read_mask(record(runs), "Mass", SHAPE), ONE | OTHER)
    assert not read_mask(record(RunLengths(texts=(), height=48, width=60)), "Mass", SHAPE).any()
    assert mask_files(runs) == ()


def test_run_lengths_must_fit_the_image():
    runs = RunLengths(texts=("0 2881",), height=48, width=60)
    assert "run lengths end at 2,881, beyond the 2,880 pixels" in refused(runs)
    assert "is for 60 x 48 pixels, the image has 48 x 60" in refused(runs, (60, 48))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_files_are_united(tmp_path, suffix):
    paths = (write(tmp_path / f"a{suffix}", ONE), write(tmp_path / f"b{suffix}", OTHER))
    files = MaskFiles(paths=paths)
    np.testing.assert_array_equal(read_mask(record(files), "Mass", SHAPE), ONE | OTHER)
    assert not read_mask(record(MaskFiles(paths=())), "Mass", SHAPE).any()
    assert mask_files(files) == paths


@pytest.mark.parametrize(("white", "dtype"), [(1, np.uint8), (7, np.uint8), (255, np.uint16)])
def test_whatever_the_second_value_is(tmp_path, white, dtype):
    files = MaskFiles(paths=(write(tmp_path / "a.png", ONE, white, dtype),))
    np.testing.assert_array_equal(read_mask(record(files), "Mass", SHAPE), ONE)


def test_a_dicom_mask_is_read(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", ONE.astype(np.uint8) * np.uint8(255))
    np.testing.assert_array_equal(read_mask(record(MaskFiles(paths=(path,))), "Mass", SHAPE), ONE)


def test_an_empty_mask_is_empty_even_as_jpeg(tmp_path):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.full(SHAPE, 1, np.uint8))  # as a lossy decoder may leave black
    assert not read_mask(record(MaskFiles(paths=(path,))), "Mass", SHAPE).any()
    path = write(tmp_path / "a.png", ONE & False)
    assert not read_mask(record(MaskFiles(paths=(path,))), "Mass", SHAPE).any()


def test_smooth_borders_are_cut_at_the_half(tmp_path):
    grey = cv2.GaussianBlur(ONE.astype(np.uint8) * 255, (5, 5), 0)
    cv2.imwrite(str(tmp_path / "a.png"), grey)
    mask = read_mask(record(MaskFiles(paths=(tmp_path / "a.png",))), "Mass", SHAPE)
    np.testing.assert_array_equal(mask, grey > 127)


def test_a_picture_is_no_mask(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.arange(2880, dtype=np.uint8).reshape(SHAPE) % 100)
    reason = f"its mask of Mass {tmp_path}/a.png has more than two values, up to 99; convert it"
    assert reason in refused(MaskFiles(paths=(tmp_path / "a.png",)))


def test_a_mask_of_another_size_is_refused(tmp_path):
    path = write(tmp_path / "a.png", ONE)
    assert f"{path} is 60 x 48, the image has 120 x 96" in refused(
        MaskFiles(paths=(path,)), (96, 120)
    )


def test_a_missing_or_damaged_file_is_named(tmp_path):
    files = MaskFiles(paths=(tmp_path / "a.png",))
    assert f"its mask of Mass {tmp_path}/a.png: cannot be read: No such file" in refused(files)
    (tmp_path / "a.png").write_bytes(b"")
    assert "a.png: the file is empty (0 bytes); get the file again" in refused(files)


@pytest.mark.smoke
@pytest.mark.parametrize("swapped", [False, True])
def test_the_mask_is_told_from_the_crop_by_its_size(tmp_path, swapped):
    crop = tmp_path / "crop.png"
    cv2.imwrite(str(crop), np.arange(1600, dtype=np.uint16).reshape(40, 40) % 200)
    regions = [
        (crop, write(tmp_path / "a.png", ONE))[:: -1 if swapped else 1],
        (write(tmp_path / "b.png", OTHER), crop),
    ]
    files = RegionFiles(regions=tuple(regions))
    np.testing.assert_array_equal(read_mask(record(files), "Mass", SHAPE), ONE | OTHER)
    assert len(mask_files(files)) == 4


def test_a_mask_of_a_region_is_scaled_where_the_proportions_agree(tmp_path):
    large = write(tmp_path / "a.png", np.kron(ONE, np.ones((2, 2))) > 0)
    crop = tmp_path / "crop.png"
    cv2.imwrite(str(crop), np.full((50, 40), 9, np.uint8))
    files = RegionFiles(regions=((crop, large),))
    np.testing.assert_array_equal(read_mask(record(files), "Mass", SHAPE), ONE)
    assert "a.png is 120 x 96, the image has 60 x 60" in refused(files, (60, 60))
    assert "a.png is 120 x 96" in refused(RegionFiles(regions=((crop, large),)), (100, 200))


def test_outlines_are_filled_and_united():
    def corners(top, bottom, left, right):
        return ((left, top), (right - 1.0, top), (right - 1.0, bottom - 1.0), (left, bottom - 1.0))

    outlines = (corners(5.0, 15.0, 5.0, 20.0), corners(10.0, 30.0, 18.0, 50.0), ((2.4, 1.0),))
    expected = ONE | OTHER
    expected[1, 2] = True
    mask = Polygons(outlines=outlines)
    np.testing.assert_array_equal(read_mask(record(mask), "Mass", SHAPE), expected)
    assert not read_mask(record(Polygons(outlines=())), "Mass", SHAPE).any()
    assert mask_files(mask) == ()


def test_an_outline_may_reach_beyond_the_image():
    around = ((-9.0, -9.0), (99.0, -9.0), (99.0, 99.0), (-9.0, 99.0))
    assert read_mask(record(Polygons(outlines=(around,))), "Mass", SHAPE).all()


def test_a_record_without_mask_is_the_callers_mistake():
    with pytest.raises(ValueError, match="record of film must have a mask of Mass, got"):
        read_mask(record(None), "Mass", SHAPE)


@pytest.mark.smoke
def test_a_mask_stays_on_its_image():
    """What is white in the image alone is white in the mask too, after crop and resize."""
    config = PreprocessConfig(
        crop=Crop(left=0.1, top=0.25, bottom=0.05),
        clahe_clip_limit=0.0,
        remove_artefacts=False,
        image_size=37,
    )
    mask = block(60, 160, 90, 170, shape=(200, 240))
    prepared = preprocess_mask(mask, config)
    assert prepared.shape == (37, 37)
    assert set(np.unique(prepared)) == {0, 1}
    image = preprocess(mask.astype(np.uint8) * np.uint8(255), config)
    np.testing.assert_array_equal(prepared, image > 127)


def test_a_pixel_counts_if_at_least_half_of_it_is_inside():
    config = PreprocessConfig(image_size=32)
    mask = np.zeros((64, 64), bool)
    mask[0, 0] = mask[0, 4:6] = mask[0:2, 8] = mask[0:2, 12:14] = True
    assert preprocess_mask(mask, config)[0, :8].tolist() == [0, 0, 1, 0, 1, 0, 1, 0]
