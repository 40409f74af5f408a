"""Decode a file of any kind into a radiograph: uint8 or uint16 [height, width]."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from cxr_jax.host_image import HostImage
from cxr_jax.pipeline import dicom
from cxr_jax.pipeline.bad_image import (
    CONVERT,
    GET_AGAIN,
    LARGEST_AREA,
    BadImageError,
    check_size,
    read_bytes,
)
from cxr_jax.pipeline.headers import BadFileError, read_header
from cxr_jax.pipeline.shared import Shared
from cxr_jax.settings import check_fields, setting

VERSION = 3
"""To be raised when the same file comes to make another image: caches are named by it."""

_DEPTHS = (10, 12, 14, 16)  # of detectors and scanners, whose values converters leave as they are
_CHROMA = 8  # JPEG makes so many grey levels of colour out of grey


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodeConfig:
    """How files are decoded, where they leave a choice."""

    max_pixels: int = setting(
        LARGEST_AREA, "an image that claims more is a bad image, not decoded", unit="pixels"
    )
    dicom_window: int = setting(0, "which of a DICOM file's several windows or VOI LUTs, from 0")

    def __post_init__(self) -> None:
        check_fields(self)
        if self.max_pixels < 1:
            raise ValueError(f"max_pixels must be >= 1, got {self.max_pixels}")
        if self.dicom_window < 0:
            raise ValueError(f"dicom_window must be >= 0, got {self.dicom_window}")


AS_IT_COMES = DecodeConfig()


def decode(
    path: Path | str, config: DecodeConfig = AS_IT_COMES, *, bit_depth: int | None = None
) -> HostImage:
    """Read a PNG, JPEG, TIFF or DICOM radiograph.

    A file is DICOM if it says so behind its preamble, or by its name: `.dcm`, `.dicom`. Pictures
    are turned as their EXIF orientation says, and a TIFF file whose white is 0 is inverted. RGB and
    RGBA count as grey where the colour channels are equal (within 8 levels of 255 in a JPEG), of
    which the first is taken; alpha is ignored.

    Args:
      path: the file.
      config: how.
      bit_depth: bits a pixel that the data set promises, 1 to 16; None takes what comes.

    Returns:
      uint8 or uint16 [height, width], black is 0 and white the largest number of the dtype: of a
      picture of 16 bits, the largest that `bit_depth` has room for, or without it the least of 10,
      12, 14 and 16 bits that has room for all of its values.

    Raises:
      BadImageError: the file is missing, empty, truncated, damaged, no image, in colour, smaller
        than 32 pixels a side, larger than config.max_pixels, or of another depth than promised.
    """
    path = Path(path)
    data = read_bytes(path)
    white_is_zero = False
    if dicom.is_dicom(data, path):
        image = dicom.decode(data, path, window=config.dicom_window, max_pixels=config.max_pixels)
        stored = 8 * image.itemsize
    else:
        image, white_is_zero = _decode_picture(data, path, config.max_pixels)
        stored = 8 if image.dtype == np.uint8 else bit_depth or _bits(int(image.max()))
    if bit_depth is not None and (bit_depth <= 8) != (image.dtype == np.uint8):
        reason = f"{8 * image.itemsize} bits a pixel where the data set promises {bit_depth}"
        raise BadImageError(path, reason, CONVERT)
    if image.max() >= 2**stored:
        reason = f"a pixel is {image.max():,}, more than the promised {stored} bits have room for"
        raise BadImageError(path, reason, CONVERT)
    stretched = _stretch(image, stored)
    return ~stretched if white_is_zero else stretched


def _bits(brightest: int) -> int:
    return next(bits for bits in _DEPTHS if brightest < 2**bits)


def _stretch(image: HostImage, bits: int) -> HostImage:
    """From values of so many bits to the whole range of the dtype."""
    if bits == 8 * image.itemsize:
        return image
    whole = np.iinfo(image.dtype).max
    table = np.arange(2**bits, dtype=np.uint32) * whole // (2**bits - 1)
    return table.astype(image.dtype)[image]


def _decode_picture(data: bytes, path: Path, max_pixels: int) -> tuple[HostImage, bool]:
    """A PNG, JPEG or TIFF file's pixels, and whether they fall from black to white."""
    try:
        header = read_header(data)
    except BadFileError as error:
        raise BadImageError(path, str(error), GET_AGAIN) from error
    check_size(path, width=header.width, height=header.height, max_pixels=max_pixels)
    image = _decode_bytes(data)
    if image is None:
        raise BadImageError(path, f"OpenCV cannot decode this {header.format} file", GET_AGAIN)
    if image.ndim == 3:
        image = _grey(image, tolerance=_CHROMA if header.format == "JPEG" else 0, path=path)
    if image.dtype not in (np.uint8, np.uint16):
        reason = f"pixels are {image.dtype}, not integers of 8 or 16 bits"
        raise BadImageError(path, reason, CONVERT)
    # OpenCV inverts such a file of 8 bits itself.
    return image, header.white_is_zero and image.dtype == np.uint16


def _grey(image: np.ndarray, *, tolerance: int, path: Path) -> np.ndarray:
    colours = [image[..., channel] for channel in range(image.shape[2])]
    if any(cv2.norm(colours[0], colour, cv2.NORM_INF) > tolerance for colour in colours[1:]):
        raise BadImageError(path, "in colour, where a radiograph is grey", CONVERT)
    return np.ascontiguousarray(colours[0])


def _decode_bytes(data: bytes) -> np.ndarray | None:
    """Of any depth, turned by EXIF, without alpha."""
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
    with _opencv_silent():
        try:
            return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
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
