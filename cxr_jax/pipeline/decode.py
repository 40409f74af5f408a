"""Decode a file into a radiograph: uint8 or uint16 [height, width]."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from cxr_jax.errors import DataError
from cxr_jax.host_image import HostImage
from cxr_jax.pipeline.headers import BadFileError, read_header

SMALLEST_SIDE = 32
"""Pixels; nothing smaller is a radiograph."""

LARGEST_AREA = 2**27
"""Pixels; several times the largest film scans. A file that claims more is not decoded."""

LEAVE_OUT = "or leave such images out with --on_bad_image=skip"
"""The cure of last resort for every bad image."""

_GET_AGAIN = f"get the file again, {LEAVE_OUT}"
_CONVERT = f"convert it, {LEAVE_OUT}"


class BadImageError(DataError):
    """One image cannot be used; `reason` says why, without the path and the cure."""

    def __init__(self, path: Path, reason: str, cure: str) -> None:
        super().__init__(f"{path}: {reason}; {cure}")
        self.reason = reason


def decode(path: Path, *, bit_depth: int | None = None) -> HostImage:
    """Read a PNG, JPEG or TIFF radiograph.

    RGB and RGBA files whose colour channels are equal count as grey; the alpha channel is ignored.

    Args:
      path: the file.
      bit_depth: 8 where the data set promises 8 bits a pixel, 16 likewise; None takes both.

    Returns:
      uint8 or uint16 [height, width], the file's own values.

    Raises:
      BadImageError: the file is missing, empty, truncated, damaged, no image, in colour, smaller
        than 32 pixels a side, larger than 134 million pixels, or of another depth than promised.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadImageError(path, f"cannot be read: {error.strerror}", _GET_AGAIN) from error
    try:
        header = read_header(data)
    except BadFileError as error:
        raise BadImageError(path, str(error), _GET_AGAIN) from error
    size = f"{header.width} x {header.height} pixels"
    if min(header.width, header.height) < SMALLEST_SIDE:
        raise BadImageError(path, f"{size} is too small for a radiograph", _GET_AGAIN)
    if header.width * header.height > LARGEST_AREA:
        raise BadImageError(path, f"{size} is more than the {LARGEST_AREA:,} accepted", _CONVERT)
    image = _decode_bytes(data)
    if image is None:
        raise BadImageError(path, f"OpenCV cannot decode this {header.format} file", _GET_AGAIN)
    if image.ndim == 3:
        colours = image[..., :3] if image.shape[2] > 2 else image[..., :1]
        if (colours != colours[..., :1]).any():
            raise BadImageError(path, "in colour, where a radiograph is grey", _CONVERT)
        image = np.ascontiguousarray(colours[..., 0])
    if image.dtype not in (np.uint8, np.uint16):
        reason = f"pixels are {image.dtype}, not integers of 8 or 16 bits"
        raise BadImageError(path, reason, _CONVERT)
    bits = 8 * image.itemsize
    if bit_depth not in (None, bits):
        reason = f"{bits} bits a pixel where the data set promises {bit_depth}"
        raise BadImageError(path, reason, _CONVERT)
    return image


def _decode_bytes(data: bytes) -> np.ndarray | None:
    with _opencv_silent():
        try:
            return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            return None


_silence = threading.Lock()
_silent_users = 0
_level_before = 0


@contextlib.contextmanager
def _opencv_silent() -> Iterator[None]:
    """Keep OpenCV from writing to stderr what becomes an error here; many threads at once."""
    global _silent_users, _level_before  # OpenCV's log level belongs to the process
    with _silence:
        if _silent_users == 0:
            _level_before = cv2.utils.logging.getLogLevel()
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        _silent_users += 1
    try:
        yield
    finally:
        with _silence:
            _silent_users -= 1
            if _silent_users == 0:
                cv2.utils.logging.setLogLevel(_level_before)
