"""Batches of prepared images, by Grain.

A batch is a dict of NumPy arrays: "image" uint8|uint16 [batch, height, width, 1], "label" float32
[batch, label] (1, 0, NaN), "weight" float32 [batch] (1, or 0 for padding) and, where the images
were prepared with masks, "mask" uint8 [batch, height, width, mask] (1 inside, 0 outside). Of
several processes each reads its own rows of every global batch, and no others.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import grain
import numpy as np
from absl import flags
from jaxtyping import Float32, Int

from cxr_jax.errors import DataError
from cxr_jax.pipeline.prepare import Prepared
from cxr_jax.pipeline.store import ImageStore
from cxr_jax.pipeline.strata import rarest_finding

Batch = dict[str, np.ndarray]

_PADDING = -1


def train_batches(
    prepared: Prepared,
    indices: Int[np.ndarray, "subset"],
    labels: Float32[np.ndarray, "image label"],
    *,
    batch_size: int,
    seed: int,
    balanced: bool = False,
    lend_masks: bool = False,
    workers: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> grain.DatasetIterator:
    """Endless batches, in a new random order each epoch; what does not fill a batch is left out.

    Args:
      prepared: the images.
      indices: which of them to train on.
      labels: a row for every image of `prepared`.
      batch_size: of the global batch; every process gets its share.
      seed: of the order. The order depends on nothing else.
      balanced: an epoch has as many images of each class: of each finding (an image of several
        belongs to the rarest) and of none. Those of rare classes are repeated, of frequent ones
        each epoch shows others.
      lend_masks: give every image whose first label is not 1 the mask of a random one whose label
        is, another one each epoch, so that there being a mask does not tell the label.
      workers: processes that read; 0 reads in threads of this one.
      process_index: which process this is, of process_count.
      process_count: how many processes share a batch.

    Returns:
      An iterator; `get_state()` and `set_state()` continue exactly behind the last batch that was
      taken, as do Grain's checkpoint handlers. Close it (`close()`) when it has workers.

    Raises:
      DataError: there are fewer images than a batch holds; or no image can lend its mask.
      ValueError: batch_size is not a positive multiple of process_count.
    """
    share = _share(batch_size, process_index, process_count)
    if len(indices) < batch_size:
        raise DataError(
            f"a batch of {batch_size:,} images is larger than the training set, which has "
            f"{len(indices):,}; lower --batch_size"
        )
    positive = labels[indices, 0] == 1
    if lend_masks and not positive.any():
        raise DataError("no training image has the finding, so that none can lend its mask")
    donors = indices[positive] if lend_masks else indices[:0]
    finding = rarest_finding(labels[indices]) if balanced else np.zeros(len(indices))
    classes = [indices[finding == value] for value in np.unique(finding)]
    order = _RandomOrder(classes, donors, batch_size, seed)
    return _read(order, prepared, labels, share, workers, with_index=False)


def eval_batches(
    prepared: Prepared,
    indices: Int[np.ndarray, "subset"],
    labels: Float32[np.ndarray, "image label"],
    *,
    batch_size: int,
    workers: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    """One pass in the order of `indices`; the last batch is filled up with images of weight 0.

    Args:
      prepared, indices, labels, batch_size, workers, process_index, process_count: as for
        `train_batches`, but there may be fewer images than a batch holds.

    Yields:
      Batches that have "index" too, int32 [batch]: positions in `prepared`, -1 for padding.

    Raises:
      ValueError: batch_size is not a positive multiple of process_count.
    """
    share = _share(batch_size, process_index, process_count)
    count = -(-len(indices) // batch_size)
    padded = np.full(count * batch_size, _PADDING)
    padded[: len(indices)] = indices
    order = np.stack([padded.reshape(count, batch_size)] * 2, axis=1)
    return _read(order, prepared, labels, share, workers, with_index=True)


def _share(batch_size: int, process_index: int, process_count: int) -> slice:
    """The rows of a global batch that are this process's."""
    if not 0 <= process_index < process_count:
        raise ValueError(f"process_index must be in [0, {process_count}), got {process_index}")
    if batch_size < 1 or batch_size % process_count:
        raise ValueError(
            f"batch_size must be a positive multiple of the {process_count} processes, got "
            f"{batch_size}"
        )
    size = batch_size // process_count
    return slice(process_index * size, (process_index + 1) * size)


class _RandomOrder:
    """Batch i of an endless series of epochs: positions of images, and of their masks.

    Grain's own shuffle and batch work image by image, and cost more than twice the reading.
    """

    def __init__(
        self, classes: Sequence[np.ndarray], donors: np.ndarray, batch_size: int, seed: int
    ) -> None:
        self._classes = classes
        self._count = sum(map(len, classes))
        self._donors = donors
        self._batch_size = batch_size
        self._seed = seed
        self._epoch: tuple[int, np.ndarray] = (-1, classes[0][None])

    def __len__(self) -> int:
        return 2**48  # endless

    def __getitem__(self, batch: Any) -> np.ndarray:
        number, place = divmod(int(batch), self._count // self._batch_size)
        epoch, order = self._epoch
        if epoch != number:
            rng = np.random.default_rng((self._seed, number))
            images = self._draw(rng)
            masks = images
            if len(self._donors):
                lent = rng.choice(self._donors, len(images))
                masks = np.where(np.isin(images, self._donors), images, lent)
            order = np.stack([images, masks])
            self._epoch = (number, order)
        return order[:, place * self._batch_size :][:, : self._batch_size]

    def _draw(self, rng: np.random.Generator) -> np.ndarray:
        """An epoch: as many of each class, all of one before any of it comes again."""
        drawn = []
        for at, members in enumerate(self._classes):
            share = (self._count + at) // len(self._classes)
            rounds = -(-share // len(members))
            drawn.append(np.concatenate([rng.permutation(members) for _ in range(rounds)])[:share])
        return rng.permutation(np.concatenate(drawn))


def _read(
    order: Any,
    prepared: Prepared,
    labels: np.ndarray,
    share: slice,
    workers: int,
    *,
    with_index: bool,
) -> grain.DatasetIterator:
    """Turn global batches of positions, read at random, into this process's share of the images."""
    read = _ReadShare(images=prepared.images, labels=labels, share=share, with_index=with_index)
    # One thread a few batches ahead hides the disk; more of them only wait for each other.
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=8)
    batches = grain.MapDataset.source(order).map(read).to_iter_dataset(options)
    if workers:
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()  # Grain's workers read flags, in notebooks and tests too
        # Images stay in Grain's shared memory: a worker stopped halfway through sending a large
        # message would leave `close()` waiting for the rest of it.
        batches = batches.mp_prefetch(
            grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2)
        )
    return iter(batches)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _ReadShare:
    """Reads a share of a batch; a class, so that it can be sent to worker processes."""

    images: ImageStore
    labels: np.ndarray
    share: slice
    with_index: bool

    def __call__(self, positions: np.ndarray) -> Batch:
        mine, masks = positions[:, self.share]
        there = np.maximum(mine, 0)  # padding shows image 0, and does not count
        batch = self._pixels(there, np.maximum(masks, 0)) | {
            "label": self.labels[there],
            "weight": (mine != _PADDING).astype(np.float32),
        }
        return batch | {"index": mine.astype(np.int32)} if self.with_index else batch

    def _pixels(self, positions: np.ndarray, masks: np.ndarray) -> Batch:
        examples = [self.images.example(position) for position in positions]
        batch = {name: np.stack([example[name] for example in examples]) for name in examples[0]}
        if "mask" in batch:
            for row in np.flatnonzero(masks != positions):
                batch["mask"][row] = self.images.example(masks[row])["mask"]
        return batch
