import itertools
import subprocess
import sys

import grain
import numpy as np
import orbax.checkpoint as ocp
import pytest

from cxr_jax.errors import DataError
from cxr_jax.pipeline import store
from cxr_jax.pipeline.loader import eval_batches, train_batches
from cxr_jax.pipeline.prepare import Prepared
from cxr_jax.pipeline.store import ImageStore

COUNT = 41
LABELS = np.stack([np.arange(COUNT) % 2, np.arange(COUNT)], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """41 images; every pixel of image i is i."""
    folder = tmp_path_factory.mktemp("prepared")
    images = (np.full((32, 32), at, np.uint8) for at in range(COUNT))
    store.write_images(folder, images, size=32, dtype=np.uint8)
    return Prepared(images=ImageStore(folder), records=(), kept=np.arange(COUNT), skipped=())


def positions(batch):
    """Which images are in a batch, by their pixels."""
    assert (batch["image"] == batch["image"][:, :1, :1]).all()
    return batch["image"][:, 0, 0, 0].tolist()


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.smoke
def test_an_epoch_shows_every_image_once_and_the_next_in_another_order(prepared):
    indices = np.arange(1, COUNT)
    batches = train_batches(prepared, indices, LABELS, batch_size=8, seed=0)
    epochs = [[next(batches) for _ in range(5)] for _ in range(3)]
    orders = [[at for batch in epoch for at in positions(batch)] for epoch in epochs]
    for order in orders:
        assert sorted(order) == indices.tolist()
    assert orders[0] != orders[1] != orders[2]
    batch = epochs[0][0]
    assert batch.keys() == {"image", "label", "weight"}
    assert batch["image"].shape == (8, 32, 32, 1)
    assert batch["image"].dtype == np.uint8
    np.testing.assert_array_equal(batch["label"], LABELS[positions(batch)])
    assert batch["label"].dtype == np.float32
    np.testing.assert_array_equal(batch["weight"], np.ones(8, np.float32))


@pytest.mark.smoke
def test_masks_come_with_their_images(tmp_path):
    pairs = (
        (np.full((8, 8), at, np.uint8), np.full((8, 8, 1), at % 2, np.uint8)) for at in range(9)
    )
    store.write_images(tmp_path, pairs, size=8, dtype=np.uint8, masks=1)
    masked = Prepared(images=ImageStore(tmp_path), records=(), kept=np.arange(9), skipped=())
    training = train_batches(masked, np.arange(9), LABELS, batch_size=4, seed=0)
    batches = [next(training), *eval_batches(masked, np.arange(9), LABELS, batch_size=4)]
    assert batches[0].keys() == {"image", "mask", "label", "weight"}
    for batch in batches:
        assert (batch["mask"].dtype, batch["mask"].shape) == (np.uint8, (4, 8, 8, 1))
        np.testing.assert_array_equal(batch["mask"], batch["image"] % 2)


def test_what_does_not_fill_a_batch_is_left_out_by_chance(prepared):
    batches = train_batches(prepared, np.arange(10), LABELS, batch_size=8, seed=0)
    shown = [positions(next(batches)) for _ in range(20)]
    assert all(len(set(batch)) == 8 for batch in shown)
    assert {image for batch in shown for image in batch} == set(range(10))


def test_balanced_epochs_have_as_many_of_each_class_and_use_all_images(prepared):
    labels = np.zeros((COUNT, 1), np.float32)
    labels[:3] = 1
    batches = train_batches(prepared, np.arange(20), labels, batch_size=10, seed=0, balanced=True)
    epochs = [positions(next(batches)) + positions(next(batches)) for _ in range(6)]
    for epoch in epochs:
        assert sum(image < 3 for image in epoch) == 10
        assert {0, 1, 2} <= set(epoch)
        assert len({image for image in epoch if image >= 3}) == 10  # none of them twice
    assert {image for epoch in epochs for image in epoch} == set(range(20))


def test_the_seed_decides(prepared):
    def first(seed):
        return positions(
            next(train_batches(prepared, np.arange(COUNT), LABELS, batch_size=8, seed=seed))
        )

    assert first(3) == first(3)
    assert first(3) != first(4)


@pytest.mark.parametrize("workers", [0, 2])
def test_resuming_in_mid_epoch_goes_on_exactly(prepared, workers):
    def start(workers):
        return train_batches(
            prepared, np.arange(COUNT), LABELS, batch_size=8, seed=5, workers=workers
        )

    batches, plain = start(workers), start(0)
    for _ in range(7):  # the second epoch has begun
        assert_same(next(batches), next(plain))
    state = batches.get_state()
    batches.close()
    resumed = start(workers)
    resumed.set_state(state)
    for _ in range(9):
        assert_same(next(resumed), next(plain))
    resumed.close()


def test_a_checkpoint_resumes_exactly(prepared, tmp_path):
    def start():
        return train_batches(prepared, np.arange(COUNT), LABELS, batch_size=8, seed=5)

    batches, resumed = start(), start()
    for _ in range(7):
        next(batches)
    with ocp.CheckpointManager(tmp_path) as manager:
        manager.save(7, args=ocp.args.Composite(data=grain.checkpoint.CheckpointSave(batches)))
        next(batches)  # what comes after the save is not in it
    with ocp.CheckpointManager(tmp_path) as manager:
        data = grain.checkpoint.CheckpointRestore(resumed)
        manager.restore(7, args=ocp.args.Composite(data=data))
    next(resumed)
    for _ in range(9):
        assert_same(next(resumed), next(batches))


@pytest.mark.parametrize("batches", [train_batches, eval_batches])
def test_processes_share_every_batch(prepared, batches):
    def read(**share):
        extra = {"seed": 2} if batches is train_batches else {}
        return batches(prepared, np.arange(COUNT), LABELS, batch_size=8, **extra, **share)

    whole = read()
    parts = [read(process_index=process, process_count=4) for process in range(4)]
    for batch, *shares in itertools.islice(zip(whole, *parts, strict=True), 6):
        joined = {name: np.concatenate([share[name] for share in shares]) for name in batch}
        assert_same(joined, batch)


def test_each_process_reads_only_its_share(prepared, monkeypatch):
    read = []
    example = ImageStore.example
    monkeypatch.setattr(
        ImageStore, "example", lambda self, at: read.append(at) or example(self, at)
    )
    batches = eval_batches(
        prepared, np.arange(40), LABELS, batch_size=8, process_index=1, process_count=2
    )
    assert len(list(batches)) == 5
    assert sorted(read) == [at for at in range(40) if at % 8 >= 4]


@pytest.mark.smoke
def test_evaluation_is_one_pass_in_order_with_a_padded_end(prepared):
    indices = np.array([5, 3, 40, 8, 1])
    batches = list(eval_batches(prepared, indices, LABELS, batch_size=4))
    assert positions(batches[0]) == [5, 3, 40, 8]
    np.testing.assert_array_equal(batches[0]["index"], [5, 3, 40, 8])
    np.testing.assert_array_equal(batches[0]["weight"], [1, 1, 1, 1])
    np.testing.assert_array_equal(batches[1]["index"], np.int32([1, -1, -1, -1]))
    np.testing.assert_array_equal(batches[1]["weight"], np.float32([1, 0, 0, 0]))
    np.testing.assert_array_equal(batches[1]["label"][0], LABELS[1])
    for batch in batches:
        assert batch["image"].shape == (4, 32, 32, 1)
        assert batch["label"].shape == (4, 2)
        assert batch["index"].dtype == np.int32
    assert list(eval_batches(prepared, indices[:0], LABELS, batch_size=4)) == []


def test_a_batch_larger_than_the_training_set_is_refused(prepared):
    with pytest.raises(DataError) as error:
        train_batches(prepared, np.arange(7), LABELS, batch_size=8, seed=0)
    assert str(error.value) == (
        "a batch of 8 images is larger than the training set, which has 7; lower --batch_size"
    )
    batches = train_batches(prepared, np.arange(8), LABELS, batch_size=8, seed=0)
    assert sorted(positions(next(batches))) == list(range(8))


@pytest.mark.parametrize(
    ("share", "message"),
    [
        ({"batch_size": 9, "process_count": 2}, "a positive multiple of the 2 processes, got 9"),
        ({"batch_size": 0}, "a positive multiple of the 1 processes, got 0"),
        ({"process_index": 2, "process_count": 2}, "process_index must be in [0, 2), got 2"),
    ],
)
def test_a_batch_that_cannot_be_shared_is_refused(prepared, share, message):
    with pytest.raises(ValueError) as error:
        eval_batches(prepared, np.arange(9), LABELS, **{"batch_size": 8, **share})
    assert message in str(error.value)


def test_damaged_images_are_named_wherever_they_are_read(prepared, tmp_path):
    images = (np.full((32, 32), at, np.uint8) for at in range(9))
    store.write_images(tmp_path, images, size=32, dtype=np.uint8)
    (shard,) = tmp_path.glob("*array_record*")
    data = bytearray(shard.read_bytes())
    data[200:900] = bytes(700)
    shard.write_bytes(data)
    damaged = Prepared(images=ImageStore(tmp_path), records=(), kept=np.arange(9), skipped=())
    for workers in (0, 1):
        batches = eval_batches(damaged, np.arange(9), LABELS, batch_size=3, workers=workers)
        with pytest.raises(DataError, match=f"{tmp_path}: the prepared images are damaged"):
            list(batches)
        batches.close()


def test_a_script_that_never_parses_flags_can_use_workers(prepared):
    code = f"""
import numpy as np
from pathlib import Path
from cxr_jax.pipeline.loader import train_batches
from cxr_jax.pipeline.prepare import Prepared
from cxr_jax.pipeline.store import ImageStore
if __name__ == "__main__":
    images = ImageStore(Path({str(prepared.path)!r}))
    prepared = Prepared(images=images, records=(), kept=np.arange({COUNT}), skipped=())
    labels = np.zeros(({COUNT}, 1), np.float32)
    batches = train_batches(prepared, np.arange({COUNT}), labels, batch_size=8, seed=0, workers=2)
    print(next(batches)["image"].shape)
    batches.close()
    del batches
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "(8, 32, 32, 1)\n", "")


def test_images_without_the_finding_borrow_the_mask_of_one_with_it(tmp_path):
    """Every mask holds its image's number; labels say which images may lend theirs."""
    numbers = (np.full((8, 8), at, np.uint8) for at in range(20))
    store.write_images(
        tmp_path, ((image, image[..., None]) for image in numbers), size=8, dtype=np.uint8, masks=1
    )
    masked = Prepared(images=ImageStore(tmp_path), records=(), kept=np.arange(20), skipped=())
    labels = (np.arange(20) % 4 == 0).astype(np.float32)[:, None]
    chosen = np.arange(2, 20)  # image 0 has the finding, and is not in training

    def epochs(seed):
        batches = train_batches(masked, chosen, labels, batch_size=6, seed=seed, lend_masks=True)
        return [next(batches) for _ in range(60)]

    lent = []
    for batch in epochs(0):
        image, mask = batch["image"][:, 0, 0, 0], batch["mask"][:, 0, 0, 0]
        has = batch["label"][:, 0] == 1
        np.testing.assert_array_equal(mask[has], image[has])
        lent += mask[~has].tolist()
    assert set(lent) == {4, 8, 12, 16}
    assert max(np.bincount(lent)) < 2 * len(lent) / 4  # by chance, and not always the same
    for one, other in zip(epochs(0), epochs(0), strict=True):
        np.testing.assert_array_equal(one["mask"], other["mask"])
    with pytest.raises(DataError, match="none can lend its mask"):
        train_batches(masked, chosen[:2], labels, batch_size=2, seed=0, lend_masks=True)
