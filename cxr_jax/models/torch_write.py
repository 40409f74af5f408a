"""Write a state dict in torch's zip format, without torch.

The pickle in it is spelled out, because Python's own would import torch to name its functions.
"""

import io
import pickle
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def write_torch(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write tensors of float32 as an OrderedDict, for `torch.load(path, weights_only=True)`."""
    root = path.stem
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{root}/data.pkl", _state_dict(tensors))
        archive.writestr(f"{root}/byteorder", "little")
        for i, tensor in enumerate(tensors.values()):
            archive.writestr(f"{root}/data/{i}", np.ascontiguousarray(tensor, "<f4").tobytes())
        archive.writestr(f"{root}/version", "3\n")


def _state_dict(tensors: Mapping[str, np.ndarray]) -> bytes:
    out = io.BytesIO()
    out.write(pickle.PROTO + b"\x02" + _ORDERED_DICT + pickle.MARK)
    for i, (name, tensor) in enumerate(tensors.items()):
        strides = [step // tensor.itemsize for step in np.empty(tensor.shape, "f4").strides]
        storage = pickle.MARK + _text("storage") + _global("torch", "FloatStorage")
        storage += _text(str(i)) + _text("cpu") + _int(tensor.size) + pickle.TUPLE
        out.write(
            _text(name)
            + _global("torch._utils", "_rebuild_tensor_v2")
            + pickle.MARK
            + storage
            + pickle.BINPERSID
            + _int(0)
            + _ints(tensor.shape)
            + _ints(strides)
            + pickle.NEWFALSE
            + _ORDERED_DICT
            + pickle.TUPLE
            + pickle.REDUCE
        )
    out.write(pickle.SETITEMS + pickle.STOP)
    return out.getvalue()


def _global(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def _text(text: str) -> bytes:
    data = text.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(data)) + data


def _int(value: int) -> bytes:
    return pickle.BININT + struct.pack("<i", value)


def _ints(values: Sequence[int]) -> bytes:
    return pickle.MARK + b"".join(map(_int, values)) + pickle.TUPLE


_ORDERED_DICT = _global("collections", "OrderedDict") + pickle.EMPTY_TUPLE + pickle.REDUCE
