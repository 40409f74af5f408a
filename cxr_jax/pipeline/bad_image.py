"""The error for one image that cannot be used, and the sizes that no image may have."""

from pathlib import Path

from cxr_jax.errors import DataError

SMALLEST_SIDE = 32
"""Pixels; nothing smaller is a radiograph."""

LARGEST_AREA = 2**27
"""Pixels; several times the largest film scans."""

LEAVE_OUT = "or leave such images out with --on_bad_image=skip"
"""The cure of last resort for every bad image."""

GET_AGAIN = f"get the file again, {LEAVE_OUT}"
CONVERT = f"convert it, {LEAVE_OUT}"


class BadImageError(DataError):
    """One image cannot be used; `reason` says why, `cure` what to do with the one image."""

    def __init__(self, path: Path, reason: str, cure: str) -> None:
        # A reason may quote a damaged file.
        self.reason = "".join(c if c.isprintable() else " " for c in reason)[:400]
        self.cure = cure.removesuffix(f", {LEAVE_OUT}")
        super().__init__(f"{path}: {self.reason}; {cure}")


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises:
      BadImageError: it is missing, or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadImageError(path, f"cannot be read: {error.strerror}", GET_AGAIN) from error


def check_size(path: Path, *, width: int, height: int, max_pixels: int = LARGEST_AREA) -> None:
    """Raise BadImageError for what is no radiograph, or too large to be decoded."""
    size = f"{width} x {height} pixels"
    if min(width, height) < SMALLEST_SIDE:
        raise BadImageError(path, f"{size} is too small for a radiograph", GET_AGAIN)
    if width * height > max_pixels:
        cure = f"raise --max_pixels if it is meant to be so large, {LEAVE_OUT}"
        raise BadImageError(path, f"{size} is more than the {max_pixels:,} accepted", cure)
