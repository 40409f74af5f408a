"""Read and write the safetensors format: a JSON header, then raw numbers.

https://huggingface.co/docs/safetensors; the `safetensors` package reads what is written here.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

_DTYPES: Mapping[str, Any] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": jnp.bfloat16,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8,
    "BOOL": np.bool_,
}  # fmt: skip
_LARGEST_HEADER = 100_000_000


def is_safetensors(start: bytes) -> bool:
    """Whether a file that starts so may be one: eight bytes of length, then a brace."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _LARGEST_HEADER


def read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read all tensors, and the metadata beside them.

    Raises:
      ValueError: the file is damaged or cut short.
    """
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    if end > len(content):
        raise ValueError("it is cut short within its header")
    try:
        header = json.loads(content[8:end])
        metadata = header.pop("__metadata__", {})
        return {name: _tensor(name, entry, content, end) for name, entry in header.items()}, dict(
            metadata
        )
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"its header is damaged: {error}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"its header is damaged: {error}") from error


def _tensor(name: str, entry: Any, content: bytes, base: int) -> np.ndarray:
    dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
    start, end = entry["data_offsets"]
    if min((start, *shape), default=0) < 0 or end - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"tensor {name} of shape {shape} has {end - start} bytes")
    if base + end > len(content):
        raise ValueError(f"it is cut short within tensor {name}")
    little = dtype.newbyteorder("<")
    return np.frombuffer(content, little, math.prod(shape), base + start).reshape(shape)


def write_safetensors(
    path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write tensors of float32, and metadata."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name, tensor in tensors.items():
        offsets = [offset, offset := offset + 4 * tensor.size]
        header[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": offsets}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers are aligned
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor, "<f4").tobytes())
