"""Files of weights that are damaged, or made to harm: each is refused, at once, in one line."""

import json
import os
import struct
import zipfile

import jax
import numpy as np
import pytest

from cxr_jax.errors import CheckpointError
from cxr_jax.models import DenseNetConfig, init
from cxr_jax.models.pretrained import load, save
from cxr_jax.models.safetensors import write_safetensors
from cxr_jax.models.weights import read_weights

TINY = DenseNetConfig.tiny(num_classes=2)


def refusal(path):
    with pytest.raises(CheckpointError) as error:
        read_weights(path).config(mean=0.5, std=0.25)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 400 + len(str(path))
    return message


@pytest.fixture
def tiny(tmp_path):
    """Write TINY's weights, changed, with metadata."""

    def write(changes=None, metadata=None):
        path = tmp_path / "w.safetensors"
        save(path, TINY, init(jax.random.key(0), TINY, (32, 32, 1)))
        tensors = dict(read_weights(path).tensors) | (changes or {})
        texts = {name: json.dumps(value) for name, value in (metadata or {}).items()}
        write_safetensors(path, tensors, texts)
        return path

    return write


def zipped(path, pickle, storage=b""):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", pickle)
        archive.writestr("w/data/0", storage)
    return path


def tensors(count, shape, numel, *, strides=None, offset=0, view=b""):
    """The pickle of so many tensors over one storage."""

    def integers(*values):
        return b"".join(b"\x8a\x10" + n.to_bytes(16, "little", signed=True) for n in values)

    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" + b"0X\3\0\0\0cpu"
    entries = b""
    for i in range(count):
        name = f"features.x{i}".encode()
        entries += b"X" + struct.pack("<I", len(name)) + name
        entries += (
            b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + integers(numel) + view + b"tQ"
        )
        entries += integers(offset) + b"(" + integers(*shape) + b"t("
        entries += integers(*(strides or [1] * len(shape))) + b"t\x89}tR"
    return b"\x80\2}(" + entries + b"u."


def test_strides_and_offsets_are_followed(tmp_path):
    """Of a tensor in its storage, and of a storage in another, as old torch wrote it."""
    view = b"(X\1\0\0\0" + b"vK\1K\13t"  # from number 1 on
    pickle = tensors(1, (2, 3), 12, strides=(1, 4), offset=1, view=view)
    path = zipped(tmp_path / "w.pth", pickle, np.arange(12, dtype="<f4").tobytes())
    found = read_weights(path).tensors["features.x0"]
    np.testing.assert_array_equal(found, [[2, 6, 10], [3, 7, 11]])


def test_a_value_whose_text_would_never_end_is_refused_at_once(tmp_path):
    """Pairs of pairs of pairs, as the kind of a persistent id and as the name of a storage."""
    endless = b")" + b"2\x86" * 200
    refusal(zipped(tmp_path / "kind.pth", b"\x80\2(" + endless + b"NNNNtQ."))
    one = tensors(1, (1,), 1).replace(b"X\1\0\0\0" + b"0", endless)
    refusal(zipped(tmp_path / "name.pth", one, b"\0" * 4))


@pytest.mark.parametrize("shape", [(2**100,), (2**100, 0), (10**6, 10**6)])
def test_a_shape_that_is_beyond_the_file_is_refused(shape, tmp_path):
    refusal(zipped(tmp_path / "w.pth", tensors(1, shape, 4), b"\0" * 16))


def test_tensors_that_share_their_numbers_do_not_fill_the_memory(tmp_path):
    path = zipped(tmp_path / "w.pth", tensors(1000, (5000,), 5000), b"\0" * 20_000)
    assert "its tensors have 5000000 numbers, more than its" in refusal(path)
    entry = {"dtype": "F16", "shape": [5000], "data_offsets": [0, 10_000]}
    header = json.dumps({f"x{i}": entry for i in range(1000)}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 10_000)
    assert "its tensors have 5000000 numbers, more than its" in refusal(path)


@pytest.mark.parametrize("field", [slice(20, 28), slice(42, 46)])
def test_an_archive_that_lies_of_sizes_and_places_is_called_damaged(field, tmp_path):
    path = zipped(tmp_path / "w.pth", b"}.")
    content = bytearray(path.read_bytes())
    entry = content.find(b"PK\1\2")
    size = field.stop - field.start
    content[entry + field.start : entry + field.stop] = b"\xf0\xff\xff\x7f" * (size // 4)
    path.write_bytes(content)
    assert "the zip archive is damaged or cut short" in refusal(path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "w.pth")
    assert "it is a directory or a device" in refusal(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("classifier.bias", (1,), "has shape (1,), but (2,) belongs to classifier.weight"),
        ("classifier.bias", (3,), "has shape (3,), but (2,) belongs to classifier.weight"),
        ("classifier.weight", (), "has shape (), expected 2 axes"),
        ("features.conv0.weight", (16,), "has shape (16,), expected 4 axes"),
        ("features.denseblock1.denselayer1.conv2.weight", (0, 1, 3, 3), "axes of at least 1"),
    ],
)
def test_a_shape_that_nothing_could_be_made_of_is_named(name, shape, message, tiny):
    found = refusal(tiny({name: np.zeros(shape, np.float32)}))
    assert found.split(": ", 1)[1].startswith(name)
    assert message in found


def test_a_variance_below_zero_is_refused(tiny):
    name = "features.norm0.running_var"
    message = refusal(tiny({name: np.linspace(-1, 14, 16, dtype=np.float32)}))
    assert f"{name} of shape (16,) has 1 values below 0" in message


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"mean": "0.5"}, "its metadata mean must be a JSON list of numbers, got '\"0.5\"'"),
        ({"std": ["x"]}, "its metadata std must be a JSON list of numbers"),
        ({"labels": [1, 2]}, "its metadata labels must be a JSON list of texts, got '[1, 2]'"),
        ({"mean": [0.4, 0.5, 0.6]}, "tells a mean of (0.4, 0.5, 0.6), but features.conv0.weight"),
        ({"mean": [0.5], "std": [0.0]}, "tells a std of (0.0,), but"),
    ],
)
def test_metadata_that_mean_nothing_are_named(metadata, message, tiny):
    assert message in refusal(tiny(metadata=metadata))


@pytest.mark.parametrize("compression", [0.3, 0.5, 0.77, 1.0])
def test_the_compression_is_told_from_all_transitions(compression, tmp_path):
    sizes = {"block_sizes": (2, 3, 1), "growth_rate": 6, "stem_features": 10}
    config = DenseNetConfig(num_classes=2, compression=compression, **sizes)
    path = tmp_path / "w.safetensors"
    save(path, config, init(jax.random.key(0), config, (32, 32, 1)))
    found = read_weights(path).config()
    load(path, found)
    assert found.compression == pytest.approx(compression, abs=0.02)


def test_transitions_that_contradict_each_other_are_refused(tiny):
    path = tiny({"features.transition1.conv.weight": np.ones((1, 32, 1, 1), np.float32)})
    with pytest.raises(CheckpointError, match="as its transitions do: 1 of 32, 16 of 32"):
        read_weights(path).config(mean=0.5, std=0.25)


def test_a_block_of_an_unknown_name_is_listed(tiny):
    path = tiny({"features.denseblocX.denselayer1.norm1.weight": np.ones(3, np.float32)})
    config = read_weights(path).config(mean=0.5, std=0.25)
    assert config == TINY
    with pytest.raises(CheckpointError, match=r"1 unused \(features.denseblocX.denselayer1"):
        load(path, config)


def test_outputs_without_names_are_taken_in_order_with_a_warning(tiny):
    with pytest.warns(UserWarning, match=r"does not name its 2 outputs; .* for A, B, in this"):
        load(tiny(), TINY, labels=("A", "B"))


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net"])
def test_the_state_dict_of_a_checkpoint_is_found(key, tmp_path):
    path, checkpoint = tmp_path / "w.pth", tmp_path / "checkpoint.pth"
    save(path, TINY, init(jax.random.key(0), TINY, (32, 32, 1)))

    def wrap(name, content):
        name_of = b"X" + struct.pack("<I", len(key)) + key.encode()
        if not name.endswith("data.pkl"):
            return content
        return b"\x80\2}X\5\0\0\0epochK\1s" + name_of + content[2:-1] + b"s."

    rewritten(path, checkpoint, wrap)
    equal_tensors(checkpoint, path)


@pytest.mark.parametrize("module", ["pathlib", "pathlib._local"])
def test_a_path_beside_the_weights_is_passed_over_as_any_python_names_it(module, tmp_path):
    path, checkpoint = tmp_path / "w.pth", tmp_path / "checkpoint.pth"
    save(path, TINY, init(jax.random.key(0), TINY, (32, 32, 1)))

    def wrap(name, content):
        if not name.endswith("data.pkl"):
            return content
        posix = b"c" + module.encode() + b"\nPosixPath\n(X\1\0\0\0xtR"
        return b"\x80\2}X\3\0\0\0out" + posix + b"sX\5\0\0\0model" + content[2:-1] + b"s."

    rewritten(path, checkpoint, wrap)
    equal_tensors(checkpoint, path)


def test_numbers_in_the_order_of_another_machine_are_read(tmp_path):
    path, big = tmp_path / "w.pth", tmp_path / "big.pth"
    save(path, TINY, init(jax.random.key(0), TINY, (32, 32, 1)))

    def swap(name, content):
        if name.endswith("byteorder"):
            return b"big"
        return np.frombuffer(content, "<f4").byteswap().tobytes() if "/data/" in name else content

    rewritten(path, big, swap)
    equal_tensors(big, path)


def rewritten(path, out, change):
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w") as changed:
        for name in archive.namelist():
            changed.writestr(name, change(name, archive.read(name)))


def equal_tensors(path, other):
    found, expected = (dict(read_weights(each).tensors) for each in (path, other))
    assert found.keys() == expected.keys()
    jax.tree.map(np.testing.assert_array_equal, found, expected)
