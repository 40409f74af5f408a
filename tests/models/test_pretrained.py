import dataclasses
import functools
import pickle
import runpy
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cxr_jax.errors import CheckpointError
from cxr_jax.models import DenseNetConfig, apply, init
from cxr_jax.models.pretrained import load, save
from cxr_jax.models.safetensors import write_safetensors
from cxr_jax.models.torchxrayvision import normalise_by_threshold, published
from cxr_jax.models.weights import read_weights

GOLDENS = Path(__file__).parents[1] / "goldens"
SCRIPT = runpy.run_path(str(GOLDENS / "make_pretrained.py"))
CASES = [
    "torchvision", "torchvision_old", "timm", "timm_bfloat16", "chexnet", "xrayvision",
    "xrayvision_legacy",
]  # fmt: skip
SMALL = DenseNetConfig(
    block_sizes=(1, 2, 1, 1), num_classes=5, in_channels=3, growth_rate=2, stem_features=4
)


@pytest.fixture(scope="module")
def goldens():
    with np.load(GOLDENS / "pretrained.npz") as file:
        return dict(file)


@pytest.fixture
def file_of(goldens, tmp_path):
    def write(case):
        path = tmp_path / str(goldens[f"{case}/name"])
        path.write_bytes(goldens[f"{case}/file"].tobytes())
        return path

    return write


@functools.partial(
    jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0}
)
def logits_of(config, variables, standardised):
    return apply(config, variables, standardised, train=False)[0]


def predict(config, variables):
    """Of the goldens' grey images, under the config's own standardisation."""
    images = (SCRIPT["random_images"]() - np.array(config.mean)) / np.array(config.std)
    return logits_of(config, variables, images.astype(np.float32))


def refusal(path, config=SMALL):
    with pytest.raises(CheckpointError) as error:
        load(path, config)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("case", CASES)
def test_logits_of_a_librarys_file_equal_the_librarys(case, goldens, file_of):
    path = file_of(case)
    config = read_weights(path).config()
    actual = predict(config, load(path, config))
    np.testing.assert_allclose(actual, goldens[f"{case}/logits"], rtol=1e-4, atol=1e-5)


def test_a_stem_of_three_channels_summed_is_exact_for_equal_channels(goldens, file_of):
    path = file_of("torchvision")
    config = dataclasses.replace(SMALL, in_channels=1, mean=0.45, std=0.225)
    np.testing.assert_allclose(
        predict(config, load(path, config)), goldens["torchvision/summed"], rtol=1e-4, atol=1e-5
    )


def test_a_stem_of_one_channel_is_spread_over_three(file_of):
    path = file_of("xrayvision")
    one = read_weights(path).config()
    three = dataclasses.replace(one, in_channels=3, mean=one.mean * 3, std=one.std * 3)
    np.testing.assert_allclose(
        predict(three, load(path, three)), predict(one, load(path, one)), rtol=1e-4, atol=1e-4
    )


def test_torchxrayvisions_labels_range_and_operating_points_come_with_its_module(goldens, file_of):
    weights = read_weights(file_of("xrayvision"))
    assert weights.labels == tuple(SCRIPT["LABELS"])
    assert (weights.mean, weights.std) == ((0.5,), (1 / 2048,))
    np.testing.assert_array_equal(weights.thresholds, np.float32(SCRIPT["THRESHOLDS"]))
    logits = goldens["xrayvision/logits"]
    np.testing.assert_allclose(
        normalise_by_threshold(jax.nn.sigmoid(logits), jnp.array(weights.thresholds)),
        goldens["xrayvision/normalised"],
        rtol=1e-5,
    )


def test_normalising_by_threshold_has_finite_gradients_where_there_is_none():
    gradient = jax.grad(lambda p: normalise_by_threshold(p, jnp.array([jnp.nan, 0.2])).sum())
    np.testing.assert_allclose(gradient(jnp.array([0.3, 0.1])), [0.0, 2.5])


def test_a_published_files_name_tells_its_outputs():
    outputs = published(Path("kaggle-densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt"))
    assert [name for name in outputs.labels if name] == ["Pneumonia", "Lung Opacity"]
    assert np.isnan(outputs.thresholds).sum() == 16
    assert published(Path("kaggle.pt")) is None


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_saving_and_loading_keeps_every_bit(name, tmp_path):
    config = dataclasses.replace(SMALL, mean=(0.1, 0.2, 0.3), std=0.3)
    variables = init(jax.random.key(0), config, (32, 32, 3))
    save(tmp_path / name, config, variables, labels=("a", "b", "c", "d", "e"))
    found = load(tmp_path / name, config)
    assert jax.tree.structure(found) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, found, variables)


def test_safetensors_keep_the_standardisation_and_the_labels(tmp_path):
    config = dataclasses.replace(SMALL, mean=(0.1, 0.2, 0.3), std=0.3, compression=0.4)
    variables = init(jax.random.key(0), config, (32, 32, 3))
    save(tmp_path / "w.safetensors", config, variables, labels=tuple("abcde"))
    weights = read_weights(tmp_path / "w.safetensors")
    assert weights.labels == tuple("abcde")
    found = weights.config(dropout=0.1)
    assert (found.mean, found.std, found.dropout) == ((0.1, 0.2, 0.3), (0.3, 0.3, 0.3), 0.1)
    jax.tree.map(np.testing.assert_array_equal, load(tmp_path / "w.safetensors", found), variables)


def test_a_state_dict_of_one_channel_does_not_tell_its_range(tmp_path):
    config = DenseNetConfig.tiny(num_classes=2)
    save(tmp_path / "w.pth", config, init(jax.random.key(0), config, (32, 32, 1)))
    with pytest.raises(CheckpointError, match="does not tell which grey values"):
        read_weights(tmp_path / "w.pth").config()
    assert read_weights(tmp_path / "w.pth").config(mean=0.5, std=0.25) == config


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in .safetensors, .pth, .pt, got 'w.npz'"):
        save(tmp_path / "w.npz", SMALL, init(jax.random.key(0), SMALL, (32, 32, 3)))


def test_outputs_are_chosen_by_their_labels(file_of):
    path = file_of("xrayvision")
    whole = read_weights(path).config()
    binary = dataclasses.replace(whole, num_classes=2)
    all_logits = predict(whole, load(path, whole))
    labels = ("no Pleural Thickening", "Pleural Thickening")
    logits = predict(binary, load(path, binary, labels=labels))
    np.testing.assert_allclose(logits[:, 1], all_logits[:, 3], rtol=1e-4)
    np.testing.assert_allclose(
        jax.nn.softmax(logits)[:, 1], jax.nn.sigmoid(all_logits[:, 3]), rtol=1e-4
    )


@pytest.mark.parametrize("labels", [(), ("no Hernia", "Hernia"), ("no Hernia", "Effusion")])
def test_a_head_of_other_labels_is_replaced_with_a_warning(labels, file_of):
    path = file_of("xrayvision")
    config = dataclasses.replace(read_weights(path).config(), num_classes=2)
    with pytest.warns(UserWarning, match=r"its head is replaced .* 4 outputs \(Cardiomegaly, "):
        one = load(path, config, labels=labels)
    with pytest.warns(UserWarning, match="its head is replaced"):
        other = load(path, config, labels=labels, key=jax.random.key(1))
    kernel = one["params"]["classifier"]["kernel"]
    assert kernel.shape == (4, 2)
    assert 0.3 / np.sqrt(4) < abs(kernel).max() <= 1 / np.sqrt(4)
    assert not np.array_equal(kernel, other["params"]["classifier"]["kernel"])
    jax.tree.map(
        np.testing.assert_array_equal, one["params"]["features"], other["params"]["features"]
    )


def test_labels_of_another_number_are_refused(file_of):
    with pytest.raises(ValueError, match="labels must be one an output, 5 in all, got 2"):
        load(file_of("torchvision"), SMALL, labels=("a", "b"))


def tensors_of(path):
    return dict(read_weights(path).tensors)


def rewritten(file_of, change, metadata=None):
    path = file_of("torchvision")
    tensors = tensors_of(path)
    change(tensors)
    path = path.with_suffix(".safetensors")
    write_safetensors(path, tensors, metadata or {})
    return path


def test_missing_and_unused_tensors_are_listed(file_of):
    def change(tensors):
        for name in [name for name in tensors if ".denselayer2." in name]:
            tensors[name.replace("denselayer2", "layer2")] = tensors.pop(name)

    message = refusal(rewritten(file_of, change))
    assert "10 missing (features.denseblock2.denselayer2." in message
    assert ") and 10 unused (features.denseblock2.layer2." in message
    assert message.count("denseblock2.denselayer2.") == message.count("denseblock2.layer2.") == 10


def test_a_tensor_of_another_shape_is_named_with_both_shapes(file_of):
    def change(tensors):
        name = "features.transition1.conv.weight"
        tensors[name] = tensors[name][:-1]

    message = refusal(rewritten(file_of, change))
    assert "features.transition1.conv.weight has shape (2, 6, 1, 1), but (3, 6, 1, 1) in" in message


def test_weights_that_are_not_finite_are_refused(file_of):
    def change(tensors):
        tensors["features.norm5.weight"] = np.array([1, np.nan, np.inf, 1, 1], np.float32)

    message = refusal(rewritten(file_of, change))
    assert "features.norm5.weight of shape (5,) has 2 values that are not finite" in message


def test_a_list_of_labels_of_another_length_than_the_head_is_refused(file_of):
    message = refusal(rewritten(file_of, lambda tensors: None, {"labels": '["a", "b"]'}))
    assert "names 2 labels, but classifier.weight has shape (5, 4), which is 5 outputs" in message


class Evil:
    def __reduce__(self):
        return eval, ("1 / 0",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickle_with_foreign_code_is_refused_by_its_name(protocol, zipped, tmp_path):
    path = tmp_path / "w.pth"
    content = pickle.dumps({"state_dict": Evil()}, protocol=protocol)
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("w/data.pkl", content)
    else:
        path.write_bytes(content)
    if protocol or zipped:
        assert "refused, because it holds a call of builtins.eval" in refusal(path) or (
            protocol < 3 and "a call of __builtin__.eval" in refusal(path)
        )
    else:  # starts as no file of torch's
        assert "is no file of weights" in refusal(path)


@pytest.mark.parametrize("case", ["torchvision", "torchvision_old", "timm", "xrayvision_legacy"])
def test_a_file_cut_short_or_damaged_is_refused(case, file_of):
    path = file_of(case)
    whole = path.read_bytes()
    for length in (1, 9, 40, len(whole) // 4, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:length])
        refusal(path)


def test_no_damage_of_a_pickle_ends_in_anything_but_a_refusal_or_weights(file_of):
    path = file_of("xrayvision_legacy")
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(40):
        damaged = bytearray(whole)
        for place in generator.integers(0, len(whole) // 2, size=3):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            read_weights(path)
        except CheckpointError:
            refused += 1
    assert refused > 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no file of weights: expected a file of torch.save or safetensors"),
        (b"<html>not found</html>", "is no file of weights: expected a file of torch.save"),
        (b"version https://git-lfs", "is no file of weights: expected a file of torch.save"),
        (pickle.dumps({"a": 1}), "it is a pickle, but none that torch wrote"),
        (b"\x02\0\0\0\0\0\0\0{}", "its tensors are not those of this network: 76 missing"),
    ],
)
def test_what_is_no_file_of_weights_is_refused(content, message, tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    assert message in refusal(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    assert "cannot be read: No such file" in refusal(tmp_path / "w.pth")
    assert "is no file of weights: it is a directory or a device" in refusal(tmp_path)
