"""Masks as run lengths, in the manner of SIIM-ACR.

Pairs of a gap, counted from the end of the run before, and a length, along the columns of the
image: down the first, then down the second. "-1" is the empty mask.
"""

import numpy as np
from jaxtyping import Bool


def decode_rle(text: str, shape: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """Read a mask.

    Args:
      text: "gap length gap length …", or "-1" or nothing for the empty mask.
      shape: (height, width).

    Returns:
      True inside.

    Raises:
      ValueError: text is no such list, or goes beyond the image.

    >>> decode_rle("1 2 1 1", (2, 3)).astype(int)
    array([[0, 1, 1],
           [1, 0, 0]])
    """
    height, width = shape
    runs = parse_rle(text, shape)
    inside = np.arange(len(runs) + 1) % 2 == 1
    return np.repeat(inside, [*runs, height * width - sum(runs)]).reshape(width, height).T


def parse_rle(text: str, shape: tuple[int, int]) -> list[int]:
    """Check a mask and take it apart: gap, length, gap, length, …; as for `decode_rle`."""
    height, width = shape
    words = text.split()
    if words in ([], ["-1"]):
        return []
    if len(words) % 2 or not all(word.isascii() and word.isdigit() for word in words):
        raise ValueError("run lengths must be pairs of whole numbers, or -1 alone")
    runs = [int(word) for word in words]
    if sum(runs) > height * width:
        raise ValueError(
            f"run lengths end at {sum(runs):,}, beyond the {height * width:,} pixels of an image "
            f"of {width} x {height}"
        )
    return runs


def encode_rle(mask: Bool[np.ndarray, "height width"]) -> str:
    """Write a mask, so that `decode_rle` reads it.

    >>> encode_rle(np.array([[False, True, True], [True, False, False]]))
    '1 2 1 1'
    """
    columns = mask.T.ravel()
    edges = np.flatnonzero(np.diff(columns, prepend=False, append=False))
    if not edges.size:
        return "-1"
    return " ".join(map(str, np.diff(edges, prepend=0)))
