"""Take out of a radiograph what is not the patient: markers, burned-in text, labels, borders.

Conservative. On a chest film a mark goes only if it is small, near the edge, much brighter or
darker than what surrounds it, and sharper than any anatomy; whatever lies over the thorax
(electrodes, pacemakers, lines) stays. On a mammogram everything outside of the breast goes, and
markers and bands that lie on it.
"""

import numpy as np
from jaxtyping import Bool

from cxr_jax.artefacts.bands import find_bands
from cxr_jax.artefacts.breast import outside_breast
from cxr_jax.artefacts.chest import find_marks
from cxr_jax.artefacts.fill import around_breast, inpaint, smooth
from cxr_jax.artefacts.film import enlarged
from cxr_jax.host_image import HostImage, check_image
from cxr_jax.preprocess_config import FILLS, KINDS
from cxr_jax.settings import is_a

FRAME = (0.16, 0.16, 0.16, 0.16)
"""Where marks lie on a whole film: this near to its left, right, top, bottom edge (fractions)."""


def remove_artefacts(
    image: HostImage,
    *,
    kind: str = "chest",
    frame: tuple[float, float, float, float] = FRAME,
    devices: bool = False,
    fill: str = "background",
) -> HostImage:
    """Replace what is not the patient by what surrounds it.

    Args:
      image: uint8 or uint16, any size.
      kind, frame, devices: what goes, see `find_artefacts`.
      fill: "background" blends what surrounds an artefact smoothly over it, and gives the air
        around a breast the one grey level that is usual there; "inpaint" continues the lines of
        the rim into the artefact (cv2.inpaint, Navier-Stokes), in a time that grows with its area.

    Returns:
      A new image of the same shape and dtype; equal to `image` but where `find_artefacts` is True.

    Raises:
      TypeError, ValueError: as `find_artefacts` and `fill_artefacts` raise.
    """
    check_image(image)
    found = find_artefacts(image, kind=kind, frame=frame, devices=devices)
    return fill_artefacts(image, found, kind=kind, fill=fill)


def fill_artefacts(
    image: HostImage,
    found: Bool[np.ndarray, "height width"],
    *,
    kind: str = "chest",
    fill: str = "background",
) -> HostImage:
    """Replace what was found by what surrounds it, as `remove_artefacts` does.

    Args:
      image: uint8 or uint16, any size.
      found: True where pixels are to be replaced; `find_artefacts`' mask, of this film or of
        another version of it.
      kind, fill: see `remove_artefacts`.

    Returns:
      A new image of the same shape and dtype.

    Raises:
      TypeError, ValueError: kind or fill is another word, image is no HostImage, or found no mask
        of its shape.
    """
    check_image(image)
    _check_kind(kind)
    if fill not in FILLS:
        raise ValueError(f"fill must be {' or '.join(FILLS)}, got {fill!r}")
    if not isinstance(found, np.ndarray) or found.dtype.kind != "b":
        got = getattr(found, "dtype", type(found).__name__)
        raise TypeError(f"found must be an array of bool, got {got}")
    if found.shape != image.shape:
        raise ValueError(f"found must have the image's shape {image.shape}, got {found.shape}")
    if fill == "inpaint":
        return inpaint(image, found)
    return smooth(image, found) if kind == "chest" else around_breast(image, found)


def find_artefacts(
    image: HostImage,
    *,
    kind: str = "chest",
    frame: tuple[float, float, float, float] = FRAME,
    devices: bool = False,
) -> Bool[np.ndarray, "height width"]:
    """Find what is not the patient.

    Args:
      image: uint8 or uint16, any size, before CLAHE or after it.
      kind: "chest" finds sharp marks near the edge (letters, text, arrows, discs; white or black)
        and straight black or white borders; "breast" finds everything outside of the breast, and
        what lies on it: markers, and bands with a straight rim along the film's sides.
      frame: chest only: marks have their centre this near to the left, right, top, bottom edge;
        fractions of this image's sides. Smaller where the film was cropped: the thorax is nearer.
      devices: also find what lies sharp and bright over the thorax or in the breast: pacemakers,
        leads, electrodes, clips, wires; coarse calcifications look the same and go with them.

    Returns:
      True where `remove_artefacts` changes pixels.

    Raises:
      TypeError, ValueError: kind is another word, frame no four fractions, or image no HostImage.
    """
    check_image(image)
    _check_kind(kind)
    numbers = is_a(frame, tuple[float, ...])
    if not numbers or len(frame) != 4 or not all(0 <= edge <= 1 for edge in frame):
        raise ValueError(f"frame must be (left, right, top, bottom) in [0, 1], got {frame!r}")
    if kind == "breast":
        return enlarged(outside_breast(image, devices=devices), image.shape)
    borders = enlarged(find_bands(image, kind=kind), image.shape)
    return find_marks(image, borders, (0.5,) * 4 if devices else frame) | borders


def breast_region(image: HostImage) -> Bool[np.ndarray, "height width"]:
    """Find the breast on a mammogram: the largest bright region, everywhere where none stands out.

    Args:
      image: uint8 or uint16, any size.

    Returns:
      True inside; of the image's proportions, its longer side at most 512.

    Raises:
      TypeError, ValueError: image is no HostImage.
    """
    check_image(image)
    return ~outside_breast(image)


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind must be {' or '.join(KINDS)}, got {kind!r}")
