"""Makes densenet.npz: what torchvision's DenseNets compute with weights drawn from their names.

    python -m venv /path/of/a/venv
    /path/of/a/venv/bin/pip install torch==2.14.1 torchvision==0.29.1 numpy
    /path/of/a/venv/bin/python tests/goldens/make_densenet.py

The weights are not in the file: `random_weight` makes each from its name and shape, for torch here
and for us in the test.
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np

GOLDENS = Path(__file__).with_name("densenet.npz")
# Both odd somewhere on the way down, so that every layer's rounding of sizes is seen.
IMAGE_SIZE = (65, 72)
BATCH = 4
CASES = {  # (block sizes, channels of the images, whether in training mode too)
    "densenet121": ((6, 12, 24, 16), 1, True),
    "densenet169": ((6, 12, 32, 32), 3, False),
    "densenet201": ((6, 12, 48, 32), 1, False),
}
NARROW = {"block_sizes": (1, 2, 1, 1), "growth_rate": 8, "stem_features": 16}  # for gradients
NUM_CLASSES = 5
VALUES_KEPT = 8  # of each running statistic and gradient


def random_weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Make a tensor of torchvision's DenseNet, in torch's layout; activations stay near 1."""
    normal = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        value = np.exp(0.2 * normal)
    elif name.endswith(("bias", "running_mean")):
        value = 0.1 * normal
    elif len(shape) == 1:
        value = 1 + 0.1 * normal
    else:
        value = normal * np.sqrt(2 / np.prod(shape[1:]))
    return value.astype(np.float32)


def random_images(channels: int) -> np.ndarray:
    """Make standardised images, channels last."""
    shape = (BATCH, *IMAGE_SIZE, channels)
    return np.random.RandomState(0).standard_normal(shape).astype(np.float32)


def torch_name(path: tuple[str, ...]) -> str:
    """Translate the path of a variable of ours."""
    *layers, name = path
    names = {
        "kernel": "weight",
        "scale": "weight",
        "bias": "bias",
        "mean": "running_mean",
        "var": "running_var",
    }
    return ".".join([*layers, names[name]])


def torch_shape(shape: tuple[int, ...], path: tuple[str, ...]) -> tuple[int, ...]:
    """Translate the shape of a variable of ours."""
    if path[-1] != "kernel":
        return shape
    *window, fan_in, fan_out = shape
    if not window and "classifier" not in path:
        window = [1, 1]
    return (fan_out, fan_in, *window)


def from_torch(value: np.ndarray) -> np.ndarray:
    """Bring a tensor of torch's into our layout."""
    value = np.moveaxis(value, (0, 1), (-1, -2)) if value.ndim > 1 else value
    return value[0, 0] if value.shape[:2] == (1, 1) else value


def some_values(values: np.ndarray) -> np.ndarray:
    """Take VALUES_KEPT of a tensor in torch's layout, the first and the last among them."""
    values = values.reshape(-1)
    return values[np.linspace(0, len(values) - 1, VALUES_KEPT).astype(int)]


def main() -> None:
    import torch
    import torchvision

    goldens: dict[str, Any] = {
        "versions": f"torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"numpy {np.__version__}"
    }

    def make(channels: int, growth_rate: int, block_sizes: tuple, stem_features: int) -> Any:
        """Make a network with random weights, and its images."""
        model = torchvision.models.DenseNet(
            growth_rate, block_sizes, stem_features, num_classes=NUM_CLASSES
        )
        model.features.conv0 = torch.nn.Conv2d(
            channels, stem_features, kernel_size=7, stride=2, padding=3, bias=False
        )
        state = model.state_dict()
        for name, tensor in state.items():
            if not name.endswith("num_batches_tracked"):
                state[name] = torch.from_numpy(random_weight(name, tuple(tensor.shape)))
        model.load_state_dict(state)
        return model, torch.from_numpy(random_images(channels).transpose(0, 3, 1, 2).copy())

    for case, (block_sizes, channels, training) in CASES.items():
        model, images = make(channels, 32, block_sizes, 64)
        with torch.no_grad():
            goldens[f"{case}/eval"] = model.eval()(images).numpy()
            if training:
                goldens[f"{case}/train"] = model.train()(images).numpy()
                for name, tensor in model.state_dict().items():
                    if "running" in name:
                        goldens[f"{case}/{name}"] = some_values(tensor.numpy())
    model, images = make(1, **NARROW)
    model.train()(images).square().sum().backward()
    for name, parameter in model.named_parameters():
        goldens[f"gradient/{name}"] = some_values(parameter.grad.numpy())
    np.savez_compressed(GOLDENS, **goldens)
    print(GOLDENS, GOLDENS.stat().st_size, "bytes;", goldens["versions"])
    for name, value in goldens.items():
        if name.endswith(("eval", "train")):
            print(name, value[0])


if __name__ == "__main__":
    main()
