"""torch's names and layouts of a DenseNet's tensors, and ours.

The names are torchvision's, which timm and torchxrayvision share: `features.conv0.weight`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

STEM, HEAD, HEAD_BIAS = "features.conv0.weight", "classifier.weight", "classifier.bias"
_NAMES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


def torch_name(path: Iterable[Any]) -> str:
    """Name the variable at a path: ("params", "features", "conv0", "kernel") and so on."""
    _, *layers, name = (part.key for part in path)
    return ".".join([*layers, _NAMES[name]])


def torch_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Bring a variable's shape into torch's layout."""
    if len(shape) < 2:
        return shape
    *window, fan_in, fan_out = shape
    if not window and name != HEAD:
        window = [1, 1]  # a 1x1 convolution, which is a product of matrices here
    return (fan_out, fan_in, *window)


def to_torch(name: str, value: np.ndarray) -> np.ndarray:
    """Bring a variable into torch's layout: kernels [out, in, height, width]."""
    moved = np.moveaxis(value, (-1, -2), (0, 1)) if value.ndim > 1 else value
    return moved.reshape(torch_shape(name, value.shape))


def from_torch(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bring a tensor of torch's into the layout of a variable of that shape."""
    return (np.moveaxis(value, (0, 1), (-1, -2)) if value.ndim > 1 else value).reshape(shape)


def canonical(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Rename a state dict's tensors as torchvision does today.

    What stands before all names goes ("module.densenet121." of the CheXNet reproductions), the
    `norm.1` of old torchvision becomes `norm1`, the `classifier.0` of a head in a Sequential
    `classifier`. Counters of batches, which only torch wants, are left out.
    """
    prefix = next((name.removesuffix(STEM) for name in tensors if name.endswith(STEM)), "")
    renamed = {}
    for name, tensor in tensors.items():
        if name.endswith("num_batches_tracked"):
            continue
        name = name.removeprefix(prefix)
        name = re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2", name)
        renamed[re.sub(r"^classifier\.\d+\.", "classifier.", name)] = tensor
    return renamed
