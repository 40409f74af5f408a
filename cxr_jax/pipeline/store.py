"""Images of one size on disk, read at random: a TFDS data set in ArrayRecord files.

Anything that reads TFDS data sets reads the folder too: `tfds.builder_from_directory(folder)`,
split "images", features "image" and, if there are masks, "mask". TensorFlow is not needed to write
it or to read it.
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

VERSION = 2
"""Of the files' layout."""

_SIZES = "sizes.json"  # file -> bytes, written last
_SHARD_BYTES = 2**28


Example = HostImage | tuple[HostImage, UInt8[np.ndarray, "height width mask"]]
"""An image, or an image and its masks."""


def write_images(
    folder: Path,
    images: Iterable[Example],
    *,
    size: int,
    dtype: Any,
    masks: int = 0,
) -> None:
    """Write images to an empty folder, in their order, holding few of them in memory.

    Args:
      folder: exists.
      images: [size, size] each, at least one; pairs of image and masks, uint8
        [size, size, masks], if masks is not 0.
      size: side in pixels.
      dtype: of the images, np.uint8 or np.uint16.
      masks: how many an image has.

    Raises:
      OSError: the disk is full or cannot be written.
    """
    kinds = {"image": (1, np.dtype(dtype))} | (
        {"mask": (masks, np.dtype(np.uint8))} if masks else {}
    )
    example_bytes = size * size * sum(count * kind.itemsize for count, kind in kinds.values())
    # The default encoding reads four times slower than bytes.
    features = {
        name: tfds.features.Tensor(shape=(size, size, count), dtype=kind, encoding="bytes")
        for name, (count, kind) in kinds.items()
    }
    info = tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity(
            name="radiographs", version=f"{VERSION}.0.0", data_dir=str(folder), module_name=""
        ),
        features=tfds.features.FeaturesDict(features),
    )
    writer = tfds.core.SequentialWriter(
        info,
        max_examples_per_shard=max(1, _SHARD_BYTES // example_bytes),
        file_format="array_record",
    )
    remaining = iter(images)
    try:
        writer.initialize_splits(["images"])
        while chunk := list(itertools.islice(remaining, 64)):
            writer.add_examples({"images": [_features(item) for item in chunk]})
        writer.close_all()
    except RuntimeError as error:
        raise _as_os_error(error) from error
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    (folder / _SIZES).write_text(json.dumps(sizes, indent=2))


def _features(example: Example) -> dict[str, np.ndarray]:
    if isinstance(example, tuple):
        image, masks = example
        return {"image": image[..., None], "mask": masks}
    return {"image": example[..., None]}


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
        """Image `index`, an integer in [0, len); errors as of `example`."""
        return self.example(index)["image"]

    def example(self, index: Any) -> dict[str, np.ndarray]:
        """Image `index` as "image" and, if it has any, its masks as "mask", uint8 of 0 and 1.

        Raises:
          IndexError: there is no such image.
          DataError: the file is damaged.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        try:
            return self._source[int(index)]
        except RuntimeError as error:
            raise self._damaged(str(error)) from error

    @functools.cached_property
    def has_masks(self) -> bool:
        """Whether each image has its masks beside it."""
        return "mask" in self._builder.info.features

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
    def _builder(self) -> Any:
        return tfds.builder_from_directory(self.folder)

    @functools.cached_property
    def _source(self) -> Any:
        return self._builder.as_data_source(split="images")

    def _damaged(self, reason: str) -> DataError:
        return DataError(
            f"{self.folder}: the prepared images are damaged: {reason}; delete this folder, and "
            "the next run makes it again"
        )

    def __reduce__(self) -> tuple[type, tuple[Path]]:
        return type(self), (self.folder,)
