import concurrent.futures
import struct
import zlib

import cv2
import numpy as np
import pytest

from cxr_jax.errors import DataError
from cxr_jax.pipeline import decode as decode_module
from cxr_jax.pipeline.decode import DecodeConfig, decode

GREY = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8), (0, 0), 3)
COLOUR = np.dstack([GREY, GREY, np.flip(GREY, 0)])


def write(folder, image, suffix=".png"):
    path = folder / f"film{suffix}"
    path.write_bytes(encoded(image, suffix))
    return path


def encoded(image, suffix=".png"):
    return cv2.imencode(suffix, image)[1].tobytes()


def png(*, width, height, colour_type, depth=8, rows=b""):
    """A PNG file, made by hand, because OpenCV does not write every kind."""
    data = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        data += struct.pack(">I", len(body)) + kind + body + checksum
    return data


@pytest.mark.smoke
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lossless_files_come_back_exactly(tmp_path, suffix, dtype):
    image = GREY.astype(dtype) * (dtype(257) if dtype == np.uint16 else dtype(1))
    read = decode(str(write(tmp_path, image, suffix)))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, image)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_tiff_film_whose_white_is_zero_is_inverted(tmp_path, bits):
    image = (GREY.astype(np.uint32) * (2**bits - 1) // 255).astype(
        np.uint8 if bits == 8 else np.uint16
    )
    path = write(tmp_path, image, ".tif")
    black_is_zero = decode(path)
    photometric = [struct.pack("<HHIHH", 262, 3, 1, value, 0) for value in (1, 0)]
    data = path.read_bytes()
    assert photometric[0] in data
    path.write_bytes(data.replace(*photometric))
    np.testing.assert_array_equal(decode(path), np.iinfo(image.dtype).max - black_is_zero)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("progressive", [0, 1])
def test_jpeg_is_read(tmp_path, channels, progressive):
    path = tmp_path / "film.jpg"
    image = GREY if channels == 1 else np.dstack([GREY] * 3)
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])
    assert np.abs(decode(path).astype(int) - GREY).max() < 10


@pytest.mark.parametrize("channels", [3, 4])
def test_equal_channels_count_as_grey(tmp_path, channels):
    image = np.dstack([GREY] * channels)
    image[..., 3:] = 128  # alpha is ignored
    np.testing.assert_array_equal(decode(write(tmp_path, image)), GREY)


def test_grey_with_alpha_is_grey(tmp_path):
    rows = b"".join(b"\0" + bytes([row, 255]) * 40 for row in range(40))
    path = tmp_path / "film.png"
    path.write_bytes(png(width=40, height=40, colour_type=4, rows=rows))
    np.testing.assert_array_equal(decode(path), np.repeat(np.arange(40)[:, None], 40, axis=1))


def test_bytes_behind_the_image_do_not_matter(tmp_path):
    for suffix in (".png", ".tif"):
        path = write(tmp_path, GREY, suffix)
        path.write_bytes(path.read_bytes() + b"appended")
        np.testing.assert_array_equal(decode(path), GREY)


def refused(path, **promise):
    with pytest.raises(DataError) as error:
        decode(path, **promise)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "--on_bad_image=skip" in message
    assert "\n" not in message
    return message


def test_a_missing_file_is_refused(tmp_path):
    assert "No such file" in refused(tmp_path / "film.png")
    assert "directory" in refused(tmp_path)


@pytest.mark.smoke
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.98])
def test_truncated_files_are_refused_quietly(tmp_path, capfd, suffix, kept):
    path = tmp_path / f"film{suffix}"
    data = encoded(GREY, suffix)
    path.write_bytes(data[: int(kept * len(data))])
    assert "truncated" in refused(path)
    assert capfd.readouterr() == ("", "")


def test_a_jpeg_cut_behind_its_thumbnail_is_refused(tmp_path):
    data = encoded(GREY, ".jpg")
    exif = b"Exif\0\0" + encoded(GREY[:32, :32], ".jpg")
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif
    path = tmp_path / "film.jpg"
    path.write_bytes(data[:2] + segment + data[2:])
    decode(path)
    path.write_bytes(data[:2] + segment + data[2:-200])
    assert "truncated" in refused(path)


def test_a_flipped_bit_in_a_png_is_found(tmp_path, capfd):
    data = bytearray(encoded(GREY))
    data[len(data) // 2] ^= 1
    path = tmp_path / "film.png"
    path.write_bytes(data)
    assert "a checksum of its PNG chunks is wrong" in refused(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty (0 bytes)"),
        (b"\0" * 5000, "not a PNG, JPEG or TIFF image"),
        (b"<html>404 Not Found</html>", "not a PNG, JPEG or TIFF image"),
        (b"\xff\xd8\xff\xe0" + b"\0\x04ab" + b"nonsense" * 9, "a JPEG marker is missing"),
        (encoded(np.zeros((1, 1), np.uint8)), "1 x 1 pixels is too small"),
        (encoded(np.zeros((31, 500), np.uint8)), "500 x 31 pixels is too small"),
        (png(width=60000, height=60000, colour_type=0), "60000 x 60000 pixels is more than"),
        (encoded(COLOUR), "in colour"),
        (encoded(GREY.astype(np.float32), ".tif"), "pixels are float32"),
    ],
)
def test_what_is_no_radiograph_is_refused(tmp_path, capfd, data, reason):
    path = tmp_path / "film.png"
    path.write_bytes(data)
    assert reason in refused(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.smoke
def test_a_broken_promise_of_bit_depth_is_refused(tmp_path):
    path = write(tmp_path, GREY.astype(np.uint16) * 257)
    assert "16 bits a pixel where the data set promises 8; convert it" in refused(path, bit_depth=8)
    assert decode(path, bit_depth=16).dtype == np.uint16
    assert decode(write(tmp_path, GREY), bit_depth=8).dtype == np.uint8


def exif(orientation):
    return (
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">H", orientation) + bytes(6)
    )


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(1, 0), (3, 2), (6, -1), (8, 1)],
)
def test_exif_orientation_is_followed(tmp_path, suffix, orientation, turn):
    data = encoded(GREY, suffix)
    if suffix == ".png":
        body = b"eXIf" + exif(orientation)
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        data = data[:33] + chunk + data[33:]
    else:
        body = b"Exif\0\0" + exif(orientation)
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    path = tmp_path / f"film{suffix}"
    path.write_bytes(data)
    plain = decode(write(tmp_path / "..", GREY, suffix))
    np.testing.assert_array_equal(decode(path), np.rot90(plain, turn))


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_fewer_bits_in_a_16_bit_file_fill_the_whole_range(tmp_path, bits):
    image = GREY.astype(np.uint16) << (bits - 8)
    image[0, :2] = [0, 2**bits - 1]
    path = write(tmp_path, image)
    for promise in (None, bits):
        read = decode(path, bit_depth=promise)
        assert (read[0, 0], read[0, 1]) == (0, 65535)
        assert np.abs(read / 65535 - image / (2**bits - 1)).max() < 2e-5
    np.testing.assert_array_equal(decode(path, bit_depth=16), image)
    with pytest.raises(DataError, match=r"a pixel is .* than the promised 9 bits have room for"):
        decode(path, bit_depth=9)


def test_what_jpeg_makes_of_grey_is_grey(tmp_path):
    tinted = np.dstack([GREY, GREY, np.clip(GREY.astype(int) + 4, 0, 255).astype(np.uint8)])
    assert decode(write(tmp_path, tinted, ".jpg")).shape == GREY.shape
    assert "in colour" in refused(write(tmp_path, tinted, ".png"))
    assert "in colour" in refused(write(tmp_path, COLOUR, ".jpg"))


def test_the_limit_of_pixels_can_be_set(tmp_path):
    path = write(tmp_path, GREY)
    assert decode(path, DecodeConfig(max_pixels=GREY.size)).shape == GREY.shape
    message = refused(path, config=DecodeConfig(max_pixels=GREY.size - 1))
    assert "80 x 60 pixels is more than the 4,799 accepted; raise --max_pixels" in message


def test_opencvs_log_level_is_left_as_it_was(tmp_path):
    logging = cv2.utils.logging
    before = logging.getLogLevel()
    path = write(tmp_path, GREY)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: decode(path), range(200)))
    assert logging.getLogLevel() == before
    assert decode_module._opencv_silent.users == 0


def test_real_files_are_read(nih_sample):
    paths = sorted((nih_sample / "images").iterdir())
    for path in paths[:3] + paths[-3:]:
        image = decode(path, bit_depth=8)
        assert image.shape == (1024, 1024)
        np.testing.assert_array_equal(image, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
