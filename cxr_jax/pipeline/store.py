"""Images of one size on disk, read at random: a TFDS data set in ArrayRecord files.

Anything that reads TFDS data sets reads the folder too: `tfds.builder_from_directory(folder)`,
split "images", feature "image". TensorFlow is not needed to write it or to read it.
"""

import errno
import functools
import itertools
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8, UInt16

from cxr_jax.errors import DataError
from cxr_jax.host_image import HostImage

VERSION = 1
"""Of the files' layout."""

_SIZES = "sizes.json"  # file -> bytes, written last
_SHARD_BYTES = 2**28


def write_images(folder: Path, images: Iterable[HostImage], *, size: int, dtype: Any) -> None:
    """Write images to an empty folder, in their order, holding few of them in memory.

    Args:
      folder: exists.
      images: [size, size] each, at least one.
      size: side in pixels.
      dtype: np.uint8 or np.uint16.

    Raises:
      OSError: the disk is full or cannot be written.
    """
    image_bytes = size * size * np.dtype(dtype).itemsize
    # The default encoding reads four times slower than bytes.
    feature = tfds.features.Tensor(shape=(size, size, 1), dtype=dtype, encoding="bytes")
    info = tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity(
            name="radiographs", version=f"{VERSION}.0.0", data_dir=str(folder), module_name=""
        ),
        features=tfds.features.FeaturesDict({"image": feature}),
    )
    writer = tfds.core.SequentialWriter(
        info,
        max_examples_per_shard=max(1, _SHARD_BYTES // image_bytes),
        file_format="array_record",
    )
    remaining = iter(images)
    try:
        writer.initialize_splits(["images"])
        while chunk := list(itertools.islice(remaining, 64)):
            writer.add_examples({"images": [{"image": image[..., None]} for image in chunk]})
        writer.close_all()
    except RuntimeError as error:
        raise _as_os_error(error) from error
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    (folder / _SIZES).write_text(json.dumps(sizes, indent=2))


def _as_os_error(error: RuntimeError) -> Exception:
    """What ArrayRecord reports as text: "write() failed: No space left on device; …"."""
    for code in errno.errorcode:
        if os.strerror(code) in str(error):
            return OSError(code, os.strerror(code))
    return error


class ImageStore:
    """The images in a folder that `write_images` filled; opened at first use, pickled as a path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(
        self, index: Any
    ) -> UInt8[np.ndarray, "height width 1"] | UInt16[np.ndarray, "height width 1"]:
        """Image `index`, an integer in [0, len).

        Raises:
          IndexError: there is no such image.
          DataError: the file is damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        try:
            return self._source[int(index)]["image"]
        except RuntimeError as error:
            raise self._damaged(str(error)) from error

    def check(self) -> None:
        """Raise DataError unless all files are there in full length."""
        try:
            sizes = json.loads((self.folder / _SIZES).read_text())
            for name, size in sizes.items():
                found = (self.folder / name).stat().st_size
                if found != size:
                    raise self._damaged(f"{name} has {found:,} bytes where {size:,} were written")
        except (OSError, json.JSONDecodeError) as error:
            raise self._damaged(str(error)) from error

    @functools.cached_property
    def _source(self) -> Any:
        return tfds.builder_from_directory(self.folder).as_data_source(split="images")

    def _damaged(self, reason: str) -> DataError:
        return DataError(
            f"{self.folder}: the prepared images are damaged: {reason}; delete this folder, and "
            "the next run makes it again"
        )

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        return type(self), (self.folder,)
