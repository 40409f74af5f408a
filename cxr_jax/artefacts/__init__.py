"""Take out of a radiograph what is not the patient: markers, burned-in text, labels, borders.

Conservative. On a chest film a mark goes only if it is small, near the edge, much brighter or
darker than what surrounds it, and sharper than any anatomy; whatever lies over the thorax
(electrodes, pacemakers, lines) stays. On a mammogram everything outside of the breast goes.
"""

import numpy as np
from jaxtyping import Bool

from cxr_jax.artefacts.borders import find_borders
from cxr_jax.artefacts.breast import outside_breast
from cxr_jax.artefacts.chest import find_marks
from cxr_jax.artefacts.fill import background, extend, inpaint
from cxr_jax.artefacts.film import enlarged, normalised
from cxr_jax.host_image import HostImage, check_image

FRAME = (0.16, 0.16, 0.16, 0.16)
"""Where marks lie on a whole film: this near to its left, right, top, bottom edge (fractions)."""


def remove_artefacts(
    image: HostImage,
    *,
    kind: str = "chest",
    frame: tuple[float, float, float, float] = FRAME,
) -> HostImage:
    """Replace what is not the patient by its local background.

    Args:
      image: uint8 or uint16, any size.
      kind: "chest" fills sharp marks near the edge (letters, text, arrows, discs; white or black)
        from what surrounds them, and straight black or white borders up to 5 % deep from the
        film beside them; "breast" keeps the largest bright region and sets everything outside
        of it to the background, straight white borders that cut into it included.
      frame: chest only: marks have their centre this near to the left, right, top, bottom edge;
        fractions of this image's sides. Smaller where the film was cropped: the thorax is nearer.

    Returns:
      A new image of the same shape and dtype; equal to `image` where nothing was found.

    Raises:
      ValueError: kind is another word, or image is no HostImage.
    """
    check_image(image)
    small = normalised(image)
    if kind == "chest":
        image = inpaint(image, enlarged(find_marks(small, frame), image.shape))
        return extend(image, enlarged(find_borders(small), image.shape))
    if kind == "breast":
        outside = enlarged(outside_breast(small), image.shape)
        return np.where(outside, background(image, outside), image)
    raise ValueError(f"kind must be chest or breast, got {kind!r}")


def breast_region(image: HostImage) -> Bool[np.ndarray, "height width"]:
    """Find the breast on a mammogram: the largest bright region, everywhere where none stands out.

    Args:
      image: uint8 or uint16, any size.

    Returns:
      True inside; of the image's proportions, its longer side at most 512.

    Raises:
      ValueError: image is no HostImage.
    """
    check_image(image)
    return ~outside_breast(normalised(image))
