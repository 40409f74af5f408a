"""Published torch weights ↔ variables.

What is read: torchvision's and timm's DenseNet-121, 161, 169 and 201, torchxrayvision's
DenseNet-121, the CheXNet reproductions, and what `save` wrote; see `models.weights`.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from cxr_jax.errors import CheckpointError
from cxr_jax.models.densenet import DenseNetConfig
from cxr_jax.models.layers import draw
from cxr_jax.models.network import Variables, init
from cxr_jax.models.safetensors import write_safetensors
from cxr_jax.models.torch_names import (
    HEAD,
    HEAD_BIAS,
    STEM,
    from_torch,
    to_torch,
    torch_name,
    torch_shape,
)
from cxr_jax.models.torch_write import write_torch
from cxr_jax.models.weights import Weights, read_weights

ENDINGS = (".safetensors", ".pth", ".pt")
_LISTED = 20  # tensors, of those that are missing or unused


def load(
    path: str | Path,
    config: DenseNetConfig,
    *,
    labels: Sequence[str] = (),
    key: Key[Array, ""] | None = None,
) -> Variables:
    """Read a file of weights into the variables of a network.

    A stem of another number of channels is summed and spread evenly over the config's: the same
    function of standardised images whose channels are equal, as those of grey images are that were
    standardised alike. Under another mean for each channel no stem of one channel is exact, because
    the zeros that the convolution pads with are then another grey in each; keep the file's channels
    (`read_weights(path).config()`) and let the standardisation repeat the grey.

    Args:
      config: the network, whose mean and std should be those that the weights expect.
      labels: of the config's outputs. Where the file knows its own, the head's outputs are chosen
        by them, whatever the spelling; "no X" beside X is an output of zeros where the file has
        none, so that a softmax of both is X's sigmoid.
      key: draws a new head where the file's does not fit the labels, or their number; a warning
        says so. jax.random.key(0) where there is none.

    Returns:
      {"params": ..., "batch_stats": ...} as `init` makes them, float32.

    Raises:
      CheckpointError: as `read_weights`; or tensors are missing, left over, or of other shapes.
      ValueError: other than config.num_classes labels.
    """
    return fit(read_weights(Path(path)), config, labels=labels, key=key)


def fit(
    weights: Weights,
    config: DenseNetConfig,
    *,
    labels: Sequence[str] = (),
    key: Key[Array, ""] | None = None,
) -> Variables:
    """Make the variables of a network of weights that are read already; as `load`."""
    if labels and len(labels) != config.num_classes:
        raise ValueError(
            f"labels must be one an output, {config.num_classes} in all, got {len(labels)}"
        )
    side = config.smallest_image
    shapes = jax.eval_shape(
        lambda key: init(key, config, (side, side, config.in_channels)), jax.random.key(0)
    )
    named = {torch_name(path): leaf.shape for path, leaf in jax.tree.leaves_with_path(shapes)}
    expected = {name: torch_shape(name, shape) for name, shape in named.items()}
    _check_names(weights, expected)
    tensors = dict(weights.tensors)
    tensors[STEM] = _spread(tensors[STEM], config.in_channels)
    rows = _rows(weights, labels, config.num_classes)
    if rows is not None:
        tensors |= {name: _take(tensors[name], rows) for name in (HEAD, HEAD_BIAS)}
    else:
        there, here = (f" ({', '.join(of)})" if of else "" for of in (weights.labels, labels))
        warnings.warn(
            f"{weights.path}: its head is replaced by an untrained one: it has "
            f"{len(tensors[HEAD])} outputs{there}, this network {config.num_classes}{here}",
            stacklevel=3,
        )
        head = draw(jax.random.key(0) if key is None else key, _classifier(shapes))["classifier"]
        tensors[HEAD] = to_torch(HEAD, np.asarray(head["kernel"]))
        tensors[HEAD_BIAS] = np.asarray(head["bias"])
    _check_shapes(weights, tensors, expected)
    return jax.tree.map_with_path(
        lambda path, leaf: jnp.asarray(from_torch(tensors[torch_name(path)], leaf.shape)), shapes
    )


def save(
    path: str | Path,
    config: DenseNetConfig,
    variables: Mapping[str, Any],
    *,
    labels: Sequence[str] = (),
) -> None:
    """Write variables under torchvision's names, for torch's `load_state_dict`, or `load`.

    Args:
      path: ends in .safetensors, which also keeps mean, std and labels; or in .pth or .pt, a state
        dict that `torch.load(path, weights_only=True)` reads.
      config: whose variables they are; a decoder among them is left out.
      labels: of the outputs.

    Raises:
      ValueError: the path ends in anything else.
    """
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ValueError(f"path must end in {', '.join(ENDINGS)}, got {path.name!r}")
    trees = {
        kind: {part: variables[kind][part] for part in parts}
        for kind, parts in (("params", ("features", "classifier")), ("batch_stats", ("features",)))
    }
    tensors = {
        (name := torch_name(path)): to_torch(name, np.asarray(leaf, np.float32))
        for path, leaf in jax.tree.leaves_with_path(trees)
    }
    if path.suffix == ".safetensors":
        expects = {"mean": config.mean, "std": config.std}
        metadata = {
            name: json.dumps(np.broadcast_to(value, config.in_channels).tolist())
            for name, value in expects.items()
        }
        if labels:
            metadata["labels"] = json.dumps(list(labels))
        write_safetensors(path, tensors, {"format": "pt", **metadata})
    else:
        write_torch(path, tensors)


def _spread(kernel: np.ndarray, channels: int) -> np.ndarray:
    """A stem [out, in, height, width] for another number of channels."""
    if kernel.shape[1] == channels:
        return kernel
    return np.repeat(kernel.sum(1, keepdims=True) / np.float32(channels), channels, axis=1)


def _rows(weights: Weights, labels: Sequence[str], outputs: int) -> list[int | None] | None:
    """Which of the file's outputs, None for one of zeros, make the head; None where none do."""
    if not labels or not weights.labels:
        if weights.kernel(HEAD)[0] != outputs:
            return None
        if labels:
            warnings.warn(
                f"{weights.path}: does not name its {outputs} outputs; they are taken for "
                f"{', '.join(labels)}, in this order",
                stacklevel=4,
            )
        return list(range(outputs))
    place = {_spelling(name): i for i, name in enumerate(weights.labels) if name}
    wanted = [_spelling(name) for name in labels]
    rows = [place.get(name) for name in wanted]
    for name, row in zip(wanted, rows, strict=True):
        positive = name.removeprefix("no ")
        if row is None and (positive == name or positive not in place or positive not in wanted):
            return None
    return rows


def _spelling(label: str) -> str:
    return label.replace("_", " ").casefold()


def _take(tensor: np.ndarray, rows: list[int | None]) -> np.ndarray:
    return np.stack([np.zeros_like(tensor[0]) if row is None else tensor[row] for row in rows])


def _classifier(shapes: Any) -> Any:
    return {"classifier": shapes["params"]["classifier"]}


def _check_names(weights: Weights, expected: Mapping[str, Any]) -> None:
    missing = [name for name in expected if name not in weights.tensors]
    unused = [name for name in weights.tensors if name not in expected]
    problems = [
        f"{len(names)} {what} ({', '.join(names[:_LISTED])}{', …' * (len(names) > _LISTED)})"
        for what, names in (("missing", missing), ("unused", unused))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"{weights.path}: its tensors are not those of this network: {' and '.join(problems)}; "
            "choose the model that they are of"
        )


def _check_shapes(
    weights: Weights, tensors: Mapping[str, np.ndarray], expected: Mapping[str, tuple[int, ...]]
) -> None:
    wrong = [name for name, shape in expected.items() if tensors[name].shape != shape]
    if wrong:
        first, *others = wrong
        more = f", and {len(others)} others differ too" if others else ""
        raise CheckpointError(
            f"{weights.path}: {first} has shape {tensors[first].shape}, but {expected[first]} in "
            f"this network{more}; choose the model that it is of"
        )
