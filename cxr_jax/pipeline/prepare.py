"""Decode and preprocess every image once, and keep the result for this run and all later ones."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tqdm
from jaxtyping import Int, UInt8, UInt16

from cxr_jax import preprocess as preprocessing
from cxr_jax.errors import DataError
from cxr_jax.pipeline import decode as decoder
from cxr_jax.pipeline import masks as masking
from cxr_jax.pipeline import store
from cxr_jax.pipeline.bad_image import LEAVE_OUT, BadImageError
from cxr_jax.pipeline.decode import AS_IT_COMES, DecodeConfig, decode
from cxr_jax.pipeline.fingerprint import fingerprint
from cxr_jax.pipeline.masks import mask_files, preprocess_mask, read_mask
from cxr_jax.pipeline.once import make_directory_once
from cxr_jax.pipeline.record import Record
from cxr_jax.pipeline.store import Example, ImageStore, write_images
from cxr_jax.pipeline.threads import map_in_order, one_opencv_thread, processors
from cxr_jax.preprocess import PreprocessConfig

ON_BAD_IMAGE = ("fail", "skip")

_SKIPPED = "skipped.json"  # [[position, reason], …]
_FINGERPRINTS = "fingerprints.txt"  # one a line
_DESCRIPTION = "made_from.json"  # for people: what the folder's name is a hash of


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """Preprocessed images on disk, and the records they belong to.

    Attributes:
      images: what `prepared[i]` reads from; small, can be pickled.
      records: what is known of each image.
      kept: the position of each image among the records that `prepare` was given.
      skipped: (image, reason) of those that could not be used.
      fingerprints: of each image as it was decoded; equal only where all pixels are.
    """

    images: ImageStore
    records: tuple[Record, ...]
    kept: Int[np.ndarray, "image"]
    skipped: tuple[tuple[str, str], ...]
    fingerprints: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The folder with the images."""
        return self.images.folder

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(
        self, index: Any
    ) -> UInt8[np.ndarray, "height width 1"] | UInt16[np.ndarray, "height width 1"]:
        """Image `index` as the model gets it, before it becomes a float."""
        return self.images[index]

    @property
    def has_masks(self) -> bool:
        """Whether masks were prepared with the images."""
        return self.images.has_masks

    def mask(self, index: Any) -> UInt8[np.ndarray, "height width mask"]:
        """The masks of image `index`, 1 inside and 0 outside; there are some if `has_masks`."""
        return self.images.example(index)["mask"]


def prepare(
    records: Sequence[Record],
    config: PreprocessConfig,
    *,
    cache_dir: Path,
    on_bad_image: str = "fail",
    masks: Sequence[str] = (),
    decoding: DecodeConfig = AS_IT_COMES,
    workers: int | None = None,
    progress: bool = True,
) -> Prepared:
    """Decode and preprocess all images, unless that was done before.

    The result is a folder in `cache_dir`, named by a hash of everything it depends on: paths, sizes
    and modification times of the files, the config, the versions of preprocessing, decoder and
    layout. It is there whole or not at all, whoever is killed and however many runs start at once.

    Args:
      records: what to prepare, in this order.
      config: how.
      cache_dir: made if it is not there.
      on_bad_image: "fail" stops at the first image that cannot be used; "skip" leaves such images
        out and lists them.
      masks: of which findings or structures to prepare the masks too, placed like the
        images, in this order. Every record must have them; the empty mask is one.
      decoding: how the files are decoded.
      workers: threads; as many as there are processors if None.
      progress: whether to show a progress bar where stderr is a terminal.

    Returns:
      The images that could be used.

    Raises:
      ValueError: on_bad_image is another word.
      DataError: an image or its mask cannot be used and on_bad_image is "fail", or none can, or a
        record lacks a mask that is asked for, or the folder of an earlier run is damaged.
      WorkspaceError: cache_dir cannot be written, or the disk is full.
    """
    if on_bad_image not in ON_BAD_IMAGE:
        raise ValueError(
            f"on_bad_image must be one of {', '.join(ON_BAD_IMAGE)}, got {on_bad_image!r}"
        )
    if not records:
        raise DataError("there are no images to prepare")
    _check_masks(records, masks)
    stats = [_stat(record.path) for record in records]
    missing = [record for record, stat in zip(records, stats, strict=True) if stat is None]
    if missing and on_bad_image == "fail":
        raise BadImageError(
            missing[0].path,
            f"no such file; of {len(records):,} images {len(missing):,} are missing",
            f"add them, {LEAVE_OUT}",
        )
    description = _description(config, masks, decoding)
    kind = "radiographs-masks" if masks else "radiographs"
    name = f"{kind}-{config.image_size}-{_hash(records, stats, masks, description)}"
    folder = cache_dir.absolute() / name

    def make(partial: Path) -> None:
        skipped: list[tuple[int, str]] = []
        fingerprints: list[str] = []
        one = _Preprocess(config=config, masks=tuple(masks), decoding=decoding)
        images = _preprocessed(records, one, on_bad_image, skipped, fingerprints, workers, progress)
        dtype = np.uint8 if config.bit_depth == 8 else np.uint16
        size = config.image_size
        write_images(partial, images, size=size, dtype=dtype, masks=len(masks))
        if len(skipped) == len(records):
            raise DataError(
                f"none of the {len(records):,} images can be used; {records[0].path}, the first: "
                f"{skipped[0][1]}; check --data_dir"
            )
        (partial / _SKIPPED).write_text(json.dumps(skipped, indent=2))
        (partial / _FINGERPRINTS).write_text("".join(f"{line}\n" for line in fingerprints))
        (partial / _DESCRIPTION).write_text(json.dumps(description, indent=2))

    if not make_directory_once(folder, make):
        ImageStore(folder).check()
    skipped = json.loads((folder / _SKIPPED).read_text())
    if skipped and on_bad_image == "fail":
        position, reason = skipped[0]
        raise BadImageError(records[position].path, reason, f"get the file again, {LEAVE_OUT}")
    kept = np.setdiff1d(np.arange(len(records)), [position for position, _ in skipped])
    return Prepared(
        images=ImageStore(folder),
        records=tuple(records[position] for position in kept),
        kept=kept,
        skipped=tuple((records[position].image, reason) for position, reason in skipped),
        fingerprints=tuple((folder / _FINGERPRINTS).read_text().split()),
    )


def _check_masks(records: Sequence[Record], masks: Sequence[str]) -> None:
    for name in masks:
        without = [record for record in records if name not in record.masks]
        if without:
            raise DataError(
                f"{without[0].image}: has no mask of {name}; of {len(records):,} images "
                f"{len(without):,} have none; leave them out, or add masks (all black for images "
                "without the finding)"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Preprocess:
    """What becomes of one record."""

    config: PreprocessConfig
    masks: tuple[str, ...]
    decoding: DecodeConfig

    def __call__(self, record: Record) -> tuple[Example, str] | BadImageError:
        try:
            image = decode(record.path, self.decoding, bit_depth=record.bit_depth)
            masks = [read_mask(record, name, image.shape) for name in self.masks]
        except BadImageError as error:
            return error
        try:
            prepared = preprocessing.preprocess(image, self.config)
            pixels = fingerprint(image)
            if not masks:
                return prepared, pixels
            mirrored = preprocessing.is_mirrored(image, self.config)
            placed = [preprocess_mask(mask, self.config, mirrored=mirrored) for mask in masks]
            return (prepared, np.stack(placed, axis=-1)), pixels
        except ValueError as error:
            return BadImageError(record.path, str(error), f"change --crop, {LEAVE_OUT}")


def _preprocessed(
    records: Sequence[Record],
    one: _Preprocess,
    on_bad_image: str,
    skipped: list[tuple[int, str]],
    fingerprints: list[str],
    workers: int | None,
    progress: bool,
) -> Iterator[Example]:
    """The images in order; what is left out is appended to `skipped`, the others' fingerprints to
    theirs.
    """
    workers = workers or processors()
    with (
        one_opencv_thread(),
        tqdm.tqdm(
            total=len(records),
            desc="preparing images",
            unit="img",
            disable=None if progress else True,
        ) as bar,
    ):
        for position, result in enumerate(map_in_order(one, records, workers)):
            bar.update()
            if isinstance(result, BadImageError):
                if on_bad_image == "fail":
                    raise result
                skipped.append((position, result.reason))
            else:
                example, pixels = result
                fingerprints.append(pixels)
                yield example


def _stat(path: Path) -> tuple[int, int] | None:
    """Size and modification time, None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _description(
    config: PreprocessConfig, masks: Sequence[str], decoding: DecodeConfig
) -> dict[str, Any]:
    """What the images depend on apart from the files."""
    description = {
        "config": dataclasses.asdict(config),
        "preprocess": preprocessing.VERSION,
        "decode": decoder.VERSION,
        "decoding": dataclasses.asdict(decoding),
        "layout": store.VERSION,
        "opencv": cv2.__version__,
    }
    return description | ({"masks": [*masks, masking.VERSION]} if masks else {})


def _hash(
    records: Sequence[Record],
    stats: Sequence[tuple[int, int] | None],
    masks: Sequence[str],
    description: dict[str, Any],
) -> str:
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode())
    for record, stat in zip(records, stats, strict=True):
        line: list[Any] = [str(record.path.absolute()), record.bit_depth, stat]
        for name in masks:
            line += [repr(record.masks[name]), *map(_stat, mask_files(record.masks[name]))]
        digest.update(json.dumps(line).encode() + b"\n")
    return digest.hexdigest()[:16]
