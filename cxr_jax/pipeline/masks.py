"""Read the mask of an image, however its data set keeps it, and prepare it as the image is."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from cxr_jax.pipeline.bad_image import CONVERT, GET_AGAIN, BadImageError
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.record import Mask, MaskFiles, Polygons, Record, RegionFiles, RunLengths
from cxr_jax.pipeline.rle import decode_rle
from cxr_jax.placement import place
from cxr_jax.preprocess import PreprocessConfig

VERSION = 1
"""To be raised when the same files come to make another mask: caches are named by it."""

_ASPECT_TOLERANCE = 0.05

_BoolImage = Bool[np.ndarray, "height width"]


def read_mask(
    record: Record, name: str, shape: tuple[int, int]
) -> Bool[np.ndarray, "height width"]:
    """Read one of an image's masks.

    Mask files hold two values, 0 outside; or they shade off to their type's brightest value, as
    JPEG does, and half of it is the border. A mask of another size than its image is an error;
    except in data sets where that is known to occur (`RegionFiles`, for CBIS-DDSM): there it is
    scaled to the image if both have the same proportions within 5 %.

    Args:
      record: of the image.
      name: the finding or structure, a key of record.masks.
      shape: (height, width) of the decoded image.

    Returns:
      [height, width], True inside.

    Raises:
      BadImageError: the mask does not fit the image, or its file cannot be used.
      ValueError: the record has no such mask.
    """
    try:
        match record.masks.get(name):
            case RunLengths() as runs:
                return _from_runs(runs, shape)
            case MaskFiles(paths=paths):
                return _union((_of_shape(path, shape) for path in paths), shape)
            case RegionFiles(regions=regions):
                return _union((_region(paths, shape) for paths in regions), shape)
            case Polygons(outlines=outlines):
                return _filled(outlines, shape)
    except _BadMaskError as error:
        raise BadImageError(record.path, f"its mask of {name} {error}", error.cure) from error
    raise ValueError(
        f"record of {record.image} must have a mask of {name}, got {sorted(record.masks)}"
    )


def mask_files(mask: Mask) -> tuple[Path, ...]:
    """All files that a mask may be read from."""
    match mask:
        case MaskFiles():
            return mask.paths
        case RegionFiles():
            return tuple(path for paths in mask.regions for path in paths)
    return ()


def preprocess_mask(
    mask: Bool[np.ndarray, "_height _width"], config: PreprocessConfig, *, mirrored: bool = False
) -> UInt8[np.ndarray, "height width"]:
    """Crop, mirror, pad and resize a mask as `preprocess` does its image.

    Args:
      mask: of the film's size.
      config: as for the image.
      mirrored: whether the image is, see `preprocess.is_mirrored`.

    Returns:
      [image_size, image_size]; 1 where at least half of a pixel's area is inside, else 0.
    """
    white = place(mask.astype(np.uint8) * np.uint8(255), config, mirrored=mirrored)
    return (white >= 128).astype(np.uint8)


class _BadMaskError(Exception):
    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(reason)
        self.cure = cure


def _from_runs(runs: RunLengths, shape: tuple[int, int]) -> _BoolImage:
    if (runs.height, runs.width) not in (shape, (None, None)):
        raise _BadMaskError(f"is for {runs.width} x {runs.height} pixels, {_has(shape)}", CONVERT)
    mask = np.zeros(shape, bool)
    for text in runs.texts:
        try:
            mask |= decode_rle(text, shape)
        except ValueError as error:
            raise _BadMaskError(f"cannot be read: {error}", GET_AGAIN) from error
    return mask


def _filled(
    outlines: Iterable[Sequence[tuple[float, float]]], shape: tuple[int, int]
) -> _BoolImage:
    mask = np.zeros(shape, np.uint8)
    for outline in outlines:
        cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    return mask == 1


def _union(masks: Iterable[_BoolImage], shape: tuple[int, int]) -> _BoolImage:
    union = np.zeros(shape, bool)
    for mask in masks:
        union |= mask
    return union


def _of_shape(path: Path, shape: tuple[int, int]) -> _BoolImage:
    mask = _decode(path)
    if mask.shape != shape:
        raise _BadMaskError(f"{path} is {mask.shape[1]} x {mask.shape[0]}, {_has(shape)}", CONVERT)
    return _binary(mask, path)


def _region(paths: tuple[Path, ...], shape: tuple[int, int]) -> _BoolImage:
    """Tell the mask from the crop by its size."""
    found, errors = [], []
    for path in paths:
        try:
            image = _decode(path)
        except _BadMaskError as error:
            errors.append(error)
            continue
        if image.shape == shape:
            return _binary(image, path)
        found.append((path, image))
    if errors:
        raise errors[0]
    path, image = max(found, key=lambda item: item[1].size)
    height, width = image.shape
    ratio = (width / height) / (shape[1] / shape[0])
    if abs(ratio - 1) > _ASPECT_TOLERANCE:
        raise _BadMaskError(f"{path} is {width} x {height}, {_has(shape)}", CONVERT)
    mask = _binary(image, path).astype(np.uint8)
    scaled = cv2.resize(mask, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    return scaled == 1


def _decode(path: Path) -> np.ndarray:
    try:
        return decode(path)
    except BadImageError as error:
        raise _BadMaskError(f"{path}: {error.reason}", GET_AGAIN) from error


def _binary(image: np.ndarray, path: Path) -> _BoolImage:
    brightest, white = image.max(), np.iinfo(image.dtype).max
    is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    if not is_jpeg and ((image == 0) | (image == brightest)).all():
        return image > 0
    if not is_jpeg and brightest < white:
        raise _BadMaskError(f"{path} has more than two values, up to {brightest}", CONVERT)
    return image > white // 2


def _has(shape: tuple[int, int]) -> str:
    return f"the image has {shape[1]} x {shape[0]}"
