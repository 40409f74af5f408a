"""Read what `torch.save` wrote, in its zip and its legacy format, without torch.

Whatever the file holds, none of it is executed (`models.pickled`). Tensors are looked up one by
one, so that an optimizer's state beside the weights is never read.
"""

import contextlib
import dataclasses
import io
import math
import mmap
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

from cxr_jax.models.pickled import Object, plain_dict, read_pickle

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES: Mapping[str, Any] = {
    "Double": np.float64, "Float": np.float32, "Half": np.float16, "BFloat16": jnp.bfloat16,
    "Long": np.int64, "Int": np.int32, "Short": np.int16, "Char": np.int8, "Byte": np.uint8,
    "Bool": np.bool_,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Storage:
    """A run of numbers in the file: from `start` on in the storage of that key."""

    key: str
    dtype: np.dtype
    numel: int
    start: int = 0


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A view of a storage: offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class TorchFile:
    """An open file.

    Attributes:
      content: what was saved: dicts, lists, `Object`s and `Tensor`s.
      storage: key → its bytes.
      byteorder: "<" or ">".
    """

    content: Any
    storage: Callable[[str], Any]
    byteorder: Literal["<", ">"] = "<"

    def array(self, tensor: Tensor) -> np.ndarray:
        """Read a tensor.

        Raises:
          ValueError: it reaches beyond its storage, which is where a file is cut short.
        """
        storage, shape, strides = tensor.storage, tensor.shape, tensor.strides
        start, size = storage.start + tensor.offset, math.prod(shape)
        if len(shape) != len(strides) or min((start, *shape, *strides)) < 0:
            raise ValueError(f"a tensor of shape {shape} and strides {strides}")
        last = start + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        data = self.storage(storage.key)
        held = len(data) // storage.dtype.itemsize
        if size and max(last + 1, size) > held:
            raise ValueError(f"a tensor of shape {shape} where {held} numbers are left")
        numbers = np.frombuffer(data, storage.dtype.newbyteorder(self.byteorder), held)
        steps = [step * numbers.itemsize for step in strides]
        view = np.lib.stride_tricks.as_strided(numbers[start:] if size else numbers, shape, steps)
        return view.astype(storage.dtype)


@contextlib.contextmanager
def open_torch(path: Path) -> Iterator[TorchFile]:
    """Open a file of torch's zip or legacy format.

    Raises:
      ForeignCodeError: the file wants code executed that is no part of weights.
      ValueError: it is another file, damaged or cut short.
    """
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    with (_open_zip if zipped else _open_legacy)(path) as opened:
        yield opened


@contextlib.contextmanager
def _open_zip(path: Path) -> Iterator[TorchFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            pickles = [name for name in members if name.endswith("/data.pkl")]
            root = pickles[0].removesuffix("data.pkl") if pickles else ""

            def read(name: str) -> bytes:
                if members[name].compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"{name} is compressed, which torch never does")
                return archive.read(name)

            big = f"{root}byteorder" in members and read(f"{root}byteorder") == b"big"
            content = _read(io.BytesIO(read(f"{root}data.pkl")))
            yield TorchFile(content, lambda key: read(f"{root}data/{key}"), ">" if big else "<")
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ValueError(f"the zip archive is damaged or cut short: {error}") from error
    except KeyError as error:
        raise ValueError(f"the zip archive lacks {error}, so torch did not write it") from error


@contextlib.contextmanager
def _open_legacy(path: Path) -> Iterator[TorchFile]:
    """Pickles of magic number, protocol, system, content and storage keys; then the storages."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if _read(data) != _MAGIC:
            raise ValueError("it is a pickle, but none that torch wrote")
        for _ in ("protocol", "system"):
            _read(data)
        itemsizes: dict[str, int] = {}
        content = _read(data, itemsizes)
        spans: dict[str, tuple[int, int]] = {}
        for key in _read(data):
            (numel,) = struct.unpack("<q", data.read(8).ljust(8, b"\xff"))
            start = data.tell()
            end = start + numel * itemsizes.get(key, 1)
            if not start <= end <= len(data):
                raise ValueError(f"it is cut short at storage {key}")
            spans[key] = start, end
            data.seek(end)
        yield TorchFile(content, lambda key: data[slice(*spans[key])])


def _read(stream: Any, itemsizes: dict[str, int] | None = None) -> Any:
    """One pickle, with torch's storages in it; their item sizes are noted."""

    def persistent(found: Any) -> Any:
        what, *rest = found
        if what == "module":  # a class, with its source code
            return rest[0]
        kind, key, _, numel, *view = rest
        if what != "storage" or not isinstance(key, str):  # repr of what else may never end
            raise ValueError("a persistent id that is no storage's")
        name = kind.name.rpartition(".")[2].removesuffix("Storage")
        if name not in _DTYPES:
            raise ValueError(f"numbers of an unknown kind, {kind.name}")
        dtype = np.dtype(_DTYPES[name])
        if itemsizes is not None:
            itemsizes[key] = dtype.itemsize
        return Storage(key, dtype, numel, view[0][1] if view and view[0] else 0)

    return read_pickle(stream, calls=_CALLS, persistent=persistent)


def _tensor(storage: Storage, offset: int, size: Any, stride: Any, *_: Any) -> Tensor:
    shape, strides = tuple(size), tuple(stride)
    if not isinstance(storage, Storage) or {type(n) for n in (offset, *shape, *strides)} != {int}:
        raise TypeError("a tensor that is none")
    return Tensor(storage, offset, shape, strides)


def _stand_in(name: str) -> Callable[..., Object]:
    return lambda *_: Object(name)


_CALLS: Mapping[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch._utils._rebuild_parameter_with_state": lambda tensor, *_: tensor,
    "torch.Size": tuple,
    "collections.OrderedDict": plain_dict,
    "copyreg._reconstructor": lambda kind, *_: Object(kind.name),
    "copy_reg._reconstructor": lambda kind, *_: Object(kind.name),
    # Beside the weights in checkpoints: scores, options, counters. None of it is looked at.
    **{
        name: _stand_in(name)
        for name in (
            "builtins.set", "__builtin__.set", "_codecs.encode", "torch.device",
            "collections.defaultdict", "collections.Counter", "collections.deque",
            "numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
            "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
            "pathlib.PosixPath", "pathlib.WindowsPath",
            "pathlib._local.PosixPath", "pathlib._local.WindowsPath",  # Python 3.13's names
        )
    },
}  # fmt: skip
