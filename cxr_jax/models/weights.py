"""Read a file of published weights: its tensors, and what it tells of them.

By its content, whatever its name, a file is torch's zip or legacy format (.pth, .pt, .pth.tar) or
safetensors. It may hold a state dict, a checkpoint with one in it, or a whole pickled module.
"""

import dataclasses
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from cxr_jax.errors import CheckpointError
from cxr_jax.models import torchxrayvision
from cxr_jax.models.densenet import DenseNetConfig
from cxr_jax.models.pickled import ForeignCodeError, Object
from cxr_jax.models.safetensors import is_safetensors, read_safetensors
from cxr_jax.models.torch_file import Tensor, TorchFile, open_torch
from cxr_jax.models.torch_names import HEAD, HEAD_BIAS, STEM, canonical

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Where checkpoints keep the state dict that one wants of them.
_KEYS = ("state_dict", "model_state_dict", "model", "net")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Weights:
    """A file of weights.

    Attributes:
      path: the file.
      tensors: by torchvision's names, in torch's layout, float32.
      mean, std: of the standardisation of images in [0, 1] that the weights expect, one number a
        channel of the stem; None where nothing tells them.
      labels: of the outputs, "" for one that was not trained; () where nothing tells them.
      thresholds: torchxrayvision's operating points, for `normalise_by_threshold`; () of others.
    """

    path: Path
    tensors: Mapping[str, np.ndarray]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    labels: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = ()

    @property
    def channels(self) -> int:
        """Of the images that the stem takes."""
        return self.kernel(STEM)[1]

    def config(self, **fields: Any) -> DenseNetConfig:
        """Make the config of the network that has these weights.

        Args:
          fields: of `DenseNetConfig`, such as dropout; they win over what the file says.

        Raises:
          CheckpointError: the tensors are no DenseNet's; or nothing tells the standardisation, and
            `fields` have no mean and std.
        """
        first = "features.denseblock1.denselayer1"
        growth = self.kernel(f"{first}.conv2.weight")[0]
        found: dict[str, Any] = {
            "block_sizes": self._block_sizes(),
            "num_classes": self.kernel(HEAD)[0],
            "in_channels": self.channels,
            "growth_rate": growth,
            "bottleneck": self.kernel(f"{first}.conv1.weight")[0] // growth,
            "stem_features": self.kernel(STEM)[0],
        }
        names = (f"features.transition{i}.conv.weight" for i in range(1, len(self.tensors)))
        transitions = [self.kernel(n)[:2] for n in takewhile(self.tensors.__contains__, names)]
        if transitions:  # each keeps the whole part of what comes in times the compression
            least = max(kept / of for kept, of in transitions)
            below = min((kept + 1) / of for kept, of in transitions)
            if least >= below or least > 1:
                raise CheckpointError(
                    f"{self.path}: no compression gives channels as its transitions do: "
                    f"{', '.join(f'{kept} of {of}' for kept, of in transitions)}"
                )
            middle = min((least + min(below, 1.0)) / 2, 1.0)
            found["compression"] = 0.5 if least <= 0.5 < below else middle
        if self.mean is not None:
            found |= {"mean": self.mean, "std": self.std}
        elif not {"mean", "std"} <= fields.keys():
            raise CheckpointError(
                f"{self.path}: does not tell which grey values its weights expect; give mean and "
                "std of the standardisation of images in [0, 1]"
            )
        return DenseNetConfig(**{**found, **fields})

    def kernel(self, name: str) -> tuple[int, ...]:
        """Tell the shape of a kernel, [out, in, …].

        Raises:
          CheckpointError: there is none of that name, or it is no kernel.
        """
        if name not in self.tensors:
            raise CheckpointError(f"{self.path}: holds no DenseNet: it has no tensor {name}")
        shape = self.tensors[name].shape
        axes = 2 if name == HEAD else 4
        if len(shape) != axes or 0 in shape:
            raise CheckpointError(
                f"{self.path}: {name} has shape {shape}, expected {axes} axes of at least 1"
            )
        return shape

    def _block_sizes(self) -> tuple[int, ...]:
        found = (re.match(r"features\.denseblock(\d+)\.denselayer\d+", n) for n in self.tensors)
        layers = Counter(int(layer[1]) for layer in {m[0]: m for m in found if m}.values())
        return tuple(takewhile(bool, (layers[i] for i in count(1))))


def read_weights(path: Path) -> Weights:
    """Read a file of weights.

    Nothing in it is executed, no class that it names is imported or called, and torch need not be
    installed. ImageNet's standardisation is taken for stems of three channels, torchxrayvision's
    [-1024, 1024] for its modules and published files, and that of `pretrained.save` from its
    metadata.

    Raises:
      CheckpointError: the file is missing, is none of weights, is damaged or cut short, wants code
        executed, has weights that are not finite, variances below 0, or labels of another number
        than outputs.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is a directory or a device")
        with path.open("rb") as file:
            start = file.read(9)
        if is_safetensors(start):
            weights = _of_safetensors(path)
        elif start.startswith((b"PK", b"\x80")):
            with open_torch(path) as opened:
                weights = _of_torch(path, opened)
        else:
            raise ValueError("expected a file of torch.save or safetensors")
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ForeignCodeError as error:
        raise CheckpointError(
            f"{path}: refused, because it holds {error!s:.200}, and weights need none; nothing of "
            "it was executed"
        ) from error
    except (
        ValueError, TypeError, KeyError, AttributeError, RuntimeError, EOFError, OverflowError,
    ) as error:  # fmt: skip
        raise CheckpointError(f"{path}: is no file of weights: {error!s:.200}") from error
    _check(weights)
    return weights


def _of_safetensors(path: Path) -> Weights:
    tensors, metadata = read_safetensors(path)
    _check_size(path, tensors)
    known: dict[str, Any] = {
        name: _items(name, metadata[name], kind)
        for name, kind in (("mean", (int, float)), ("std", (int, float)), ("labels", str))
        if name in metadata
    }
    return dataclasses.replace(_weights(path, canonical(tensors), ()), **known)


def _items(name: str, text: str, kind: Any) -> tuple[Any, ...]:
    """A list in the metadata of `pretrained.save`."""
    try:
        items = json.loads(text)
    except ValueError:
        items = None
    if not isinstance(items, list) or not all(isinstance(item, kind) for item in items):
        what = "texts" if kind is str else "numbers"
        raise ValueError(f"its metadata {name} must be a JSON list of {what}, got {text!r:.80}")
    return tuple(items)


def _of_torch(path: Path, opened: TorchFile) -> Weights:
    content = opened.content
    if isinstance(content, dict):
        content = next((content[key] for key in _KEYS if _holds_tensors(content.get(key))), content)
    ours = False
    labels: tuple[str, ...] = ()
    if isinstance(content, Object):
        ours = content.kind.startswith("torchxrayvision.")
        labels = next(filter(None, map(_texts, _attributes(content))), ())
        content = dict(_tensors(content))
    if not _holds_tensors(content):
        raise ValueError("it holds no tensors by name, no checkpoint of them and no module")
    views = canonical({k: v for k, v in content.items() if isinstance(v, Tensor)})
    _check_size(path, views)
    return _weights(path, {name: opened.array(view) for name, view in views.items()}, labels, ours)


def _weights(
    path: Path, tensors: dict[str, np.ndarray], labels: tuple[str, ...], xrayvision: bool = False
) -> Weights:
    """Join the tensors with what is known of their kind."""
    thresholds = tensors.pop("op_threshs", None)
    outputs = torchxrayvision.published(path)
    tensors = {name: np.asarray(tensor, np.float32) for name, tensor in tensors.items()}
    channels = tensors[STEM].shape[1] if tensors.get(STEM, np.empty(0)).ndim == 4 else 0
    weights = Weights(path=path, tensors=tensors, labels=labels)
    if outputs is not None:
        weights = dataclasses.replace(weights, labels=outputs.labels, thresholds=outputs.thresholds)
    elif thresholds is not None:
        weights = dataclasses.replace(weights, thresholds=tuple(map(float, thresholds)))
    if xrayvision or weights.thresholds:
        mean, std = (torchxrayvision.MEAN,) * channels, (torchxrayvision.STD,) * channels
        return dataclasses.replace(weights, mean=mean, std=std)
    if channels == 3:
        return dataclasses.replace(weights, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return weights


def _check_size(path: Path, tensors: Mapping[str, Any]) -> None:
    """Tensors that share their numbers, over and over, would fill the memory."""
    numbers, held = sum(math.prod(x.shape) for x in tensors.values()), path.stat().st_size
    if numbers > held:
        raise ValueError(f"its tensors have {numbers} numbers, more than its {held} bytes can hold")


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, Object) or (
        isinstance(value, dict) and any(isinstance(leaf, Tensor) for leaf in value.values())
    )


def _attributes(module: Object) -> Iterator[Any]:
    """Where torchxrayvision's modules keep their labels."""
    for name in ("pathologies", "targets"):
        yield module.state.get(name)


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, Sequence) and all(isinstance(item, str) for item in value):
        return () if isinstance(value, str) else tuple(value)
    return ()


def _tensors(module: Object) -> Iterator[tuple[str, Tensor]]:
    """Walk a pickled module as torch's `state_dict` does."""
    seen: set[int] = set()
    waiting = [("", module)]
    while waiting:
        prefix, at = waiting.pop()
        if id(at) in seen:
            continue
        seen.add(id(at))
        for kind in ("_parameters", "_buffers"):
            for name, value in (at.state.get(kind) or {}).items():
                if isinstance(value, Tensor):
                    yield f"{prefix}{name}", value
        for name, child in (at.state.get("_modules") or {}).items():
            if isinstance(child, Object):
                waiting.append((f"{prefix}{name}.", child))


def _check(weights: Weights) -> None:
    for name, tensor in weights.tensors.items():
        bad = int(np.size(tensor) - np.isfinite(tensor).sum())
        if bad:
            raise CheckpointError(
                f"{weights.path}: {name} of shape {tensor.shape} has {bad} values that are not "
                "finite; the training that made it diverged, or the file is damaged"
            )
        if name.endswith("running_var") and (below := int((tensor < 0).sum())):
            raise CheckpointError(
                f"{weights.path}: {name} of shape {tensor.shape} has {below} values below 0, which "
                "no variance is; the file is damaged"
            )
    if HEAD in weights.tensors:
        head = weights.kernel(HEAD)
        bias = weights.tensors.get(HEAD_BIAS, np.empty(head[0])).shape
        if bias != head[:1]:
            raise CheckpointError(
                f"{weights.path}: {HEAD_BIAS} has shape {bias}, but {head[:1]} belongs to {HEAD} "
                f"of shape {head}"
            )
        if weights.labels and len(weights.labels) != head[0]:
            raise CheckpointError(
                f"{weights.path}: names {len(weights.labels)} labels, but {HEAD} has shape {head}, "
                f"which is {head[0]} outputs"
            )
    for name, values, least in (("mean", weights.mean, -math.inf), ("std", weights.std, 0.0)):
        if values is None:
            continue
        if len(values) != weights.channels or not all(least < x < math.inf for x in values):
            raise CheckpointError(
                f"{weights.path}: tells a {name} of {values}, but {STEM} has shape "
                f"{weights.kernel(STEM)}: one finite number was expected for each of its "
                f"{weights.channels} channels"
            )
