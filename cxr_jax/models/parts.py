"""The parts of a network that one freezes or slows down: stem, block1, …, head."""

import re
from collections.abc import Sequence
from typing import Any

import jax

STEM, HEAD = "stem", "head"


def part_names(blocks: int) -> tuple[str, ...]:
    """Name the parts of a DenseNet of so many blocks, from the image to the output.

    A transition belongs to the block before it, the last norm to the last block.
    """
    return (STEM, *(f"block{i}" for i in range(1, blocks + 1)), HEAD)


def parts(params: Any) -> Any:
    """Tell the part of each parameter; what is no DenseNet's (a decoder) is a part of its name.

    Returns:
      A tree of strings in the structure of params.
    """

    def part(path: Any, leaf: Any) -> str:
        if path[0].key != "features":
            return {"classifier": HEAD}.get(path[0].key, path[0].key)
        kind, number = re.fullmatch(r"([a-z]+)(\d+)", path[1].key).groups()  # type: ignore[union-attr]
        if number == "0":
            return STEM
        return f"block{int(number) - 1}" if kind == "norm" else f"block{number}"

    return jax.tree_util.tree_map_with_path(part, params)


def depths(blocks: int, params: Any) -> Any:
    """How far each parameter is from the output: 0 the head, 1 the last block with its norm, …

    The stem counts with the first block, what is no DenseNet's with the head.

    Returns:
      A tree of integers in the structure of params.
    """
    stem, *dense, _ = part_names(blocks)
    depth = {part: blocks - i for i, part in enumerate(dense)} | {stem: blocks}
    return jax.tree.map(lambda part: depth.get(part, 0), parts(params))


def hold(params: Any, frozen: Sequence[str]) -> Any:
    """Let no gradient reach the parameters of frozen parts."""
    if not frozen:
        return params
    return jax.tree.map(
        lambda leaf, part: jax.lax.stop_gradient(leaf) if part in frozen else leaf,
        params,
        parts(params),
    )
