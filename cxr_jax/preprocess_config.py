"""How an image is prepared: settings and geometry that host and device share."""

import dataclasses
import math
from typing import Any

from cxr_jax.settings import check_fields, is_a, setting

KINDS = ("chest", "breast")
FILLS = ("background", "inpaint")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crop:
    """What is cut off: left and right as fractions of the width, top and bottom of the height."""

    left: float = 0.0
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        for name, value in dataclasses.asdict(self).items():
            if not 0 <= value < 1:
                raise ValueError(f"crop {name} must be a fraction in [0, 1), got {value}")
        for one, other in (("left", "right"), ("top", "bottom")):
            a, b = getattr(self, one), getattr(self, other)
            if a + b >= 1:
                raise ValueError(f"crop fractions {one} + {other} must be < 1, got {a:g} + {b:g}")

    def cut(self, image: Any) -> Any:
        """What is kept of a film [height, width], NumPy's or JAX's; a view where that can be.

        Raises:
          ValueError: nothing is left.
        """
        inside = image[self.kept(image.shape)]
        if inside.size == 0:
            height, width = image.shape
            raise ValueError(f"crop leaves nothing of an image of {height} x {width} pixels")
        return inside

    def kept(self, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Rows and columns that are left of a film [height, width], in whole pixels."""
        height, width = shape
        return (
            slice(round(self.top * height), height - round(self.bottom * height)),
            slice(round(self.left * width), width - round(self.right * width)),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreprocessConfig:
    """How every image is prepared; a change makes a new cache."""

    crop: Crop = setting(
        Crop(), "what is cut off: left,right,top,bottom", unit="fractions of width and height"
    )
    clahe_clip_limit: float = setting(
        2.0, "contrast limit of CLAHE; 0 leaves CLAHE out", unit="multiples of a flat histogram"
    )
    clahe_tiles: tuple[int, int] = setting((8, 8), "tiles of CLAHE: across,down")
    remove_artefacts: bool = setting(True, "remove markers, burned-in text and borders")
    kind: str = setting(
        "chest",
        "how artefacts are told from the patient",
        choices=KINDS,
        flag="artefact_kind",
    )
    artefact_fill: str = setting(
        "background", "what artefacts are replaced by: a smooth blend or inpainting", choices=FILLS
    )
    remove_devices: bool = setting(
        False, "with the artefacts of a chest film also remove pacemakers, leads, electrodes, clips"
    )
    mirror_right: bool = setting(
        False, "mirror breasts that lie on the right, so that every chest wall is on the left"
    )
    keep_aspect: bool = setting(
        False, "pad to a square with black before resizing, instead of squashing"
    )
    image_size: int = setting(224, "side of the square image the model gets", unit="pixels")
    bit_depth: int = setting(8, "bits a pixel the model gets: 8 or 16", unit="bits")

    def __post_init__(self) -> None:
        check_fields(self)
        if not (math.isfinite(self.clahe_clip_limit) and self.clahe_clip_limit >= 0):
            raise ValueError(f"clahe_clip_limit must be >= 0, got {self.clahe_clip_limit}")
        if len(self.clahe_tiles) != 2 or min(self.clahe_tiles) < 1:
            raise ValueError(
                f"clahe_tiles must be two positive integers, across,down; got {self.clahe_tiles}"
            )
        check_size(self.image_size, name="image_size")
        if self.bit_depth not in (8, 16):
            raise ValueError(f"bit_depth must be 8 or 16, got {self.bit_depth}")
        if self.mirror_right and self.kind != "breast":
            raise ValueError(
                f"mirror_right must be off with kind {self.kind}, got True: it would put hearts on "
                "the other side; take kind breast (--artefact_kind=breast) for mammograms"
            )

    @property
    def padded_side(self) -> str:
        """Where `keep_aspect` pads: a mirrored breast's chest wall stays at the edge."""
        return "right" if self.mirror_right else "both"


def padding(shape: tuple[int, ...], *, side: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows (above, below) and columns (left, right) that `pad_to_square` adds."""
    if side not in ("both", "right"):
        raise ValueError(f"side must be both or right, got {side!r}")
    rows, columns = (max(shape) - length for length in shape)
    left = columns // 2 if side == "both" else 0
    return (rows // 2, rows - rows // 2), (left, columns - left)


def check_size(size: Any, *, name: str = "size") -> None:
    """Raise ValueError where an image's side is no positive number of whole pixels."""
    if not is_a(size, int) or size < 1:
        raise ValueError(f"{name} must be a positive number of whole pixels, got {size!r}")


def with_depth(image: Any, *, bits: int) -> Any:
    """Convert a film, NumPy's or JAX's, uint8 or uint16, as `convert_depth` does; always a copy."""
    if bits == 8 and image.dtype == "uint16":
        image = image >> 8
    if bits == 16 and image.dtype == "uint8":
        image = image.astype("uint16") * 257
    return image.astype(f"uint{bits}")
