"""Decode a file of any kind into a radiograph: uint8 or uint16 [height, width]."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from cxr_jax.host_image import HostImage
from cxr_jax.pipeline import dicom
from cxr_jax.pipeline.bad_image import CONVERT, GET_AGAIN, BadImageError, check_size, read_bytes
from cxr_jax.pipeline.headers import BadFileError, read_header
from cxr_jax.pipeline.shared import Shared

VERSION = 1
"""To be raised when the same file comes to make another image: caches are named by it."""


def decode(path: Path, *, bit_depth: int | None = None) -> HostImage:
    """Read a PNG, JPEG, TIFF or DICOM radiograph.

    A file is DICOM if it says so behind its preamble, or by its name: `.dcm`, `.dicom`. RGB and
    RGBA files whose colour channels are equal count as grey; the alpha channel is ignored.

    Args:
      path: the file.
      bit_depth: 8 where the data set promises 8 bits a pixel, 16 likewise; None takes both.

    Returns:
      uint8 or uint16 [height, width]: the file's own values, or what `read_dicom` makes of them.

    Raises:
      BadImageError: the file is missing, empty, truncated, damaged, no image, in colour, smaller
        than 32 pixels a side, larger than 134 million pixels, or of another depth than promised.
    """
    data = read_bytes(path)
    image = dicom.decode(data, path) if dicom.is_dicom(data, path) else _decode_picture(data, path)
    bits = 8 * image.itemsize
    if bit_depth not in (None, bits):
        reason = f"{bits} bits a pixel where the data set promises {bit_depth}"
        raise BadImageError(path, reason, CONVERT)
    return image


def _decode_picture(data: bytes, path: Path) -> HostImage:
    """PNG, JPEG, TIFF."""
    try:
        header = read_header(data)
    except BadFileError as error:
        raise BadImageError(path, str(error), GET_AGAIN) from error
    check_size(path, width=header.width, height=header.height)
    image = _decode_bytes(data)
    if image is None:
        raise BadImageError(path, f"OpenCV cannot decode this {header.format} file", GET_AGAIN)
    if image.ndim == 3:
        colours = image[..., :3] if image.shape[2] > 2 else image[..., :1]
        if (colours != colours[..., :1]).any():
            raise BadImageError(path, "in colour, where a radiograph is grey", CONVERT)
        image = np.ascontiguousarray(colours[..., 0])
    if image.dtype not in (np.uint8, np.uint16):
        reason = f"pixels are {image.dtype}, not integers of 8 or 16 bits"
        raise BadImageError(path, reason, CONVERT)
    return image


def _decode_bytes(data: bytes) -> np.ndarray | None:
    with _opencv_silent():
        try:
            return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            return None


@contextlib.contextmanager
def _log_level_silent() -> Iterator[None]:
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)


_opencv_silent = Shared(_log_level_silent)
"""Keeps OpenCV from writing to stderr what becomes an error here."""
