"""On which side of a mammogram the breast lies."""

import numpy as np

from cxr_jax.artefacts import breast_region
from cxr_jax.host_image import HostImage

_MARGIN = 0.05  # film edges, white or black, are within it (fraction of the width)


def lies_right(image: HostImage) -> bool:
    """Tell whether the breast, and so the chest wall, lies on the image's right.

    Decided from where the tissue is, not from what the record calls the breast: data sets keep some
    films mirrored, and files without a table say nothing. Labels, film edges and bands apart from
    the breast do not count.

    Args:
      image: uint8 or uint16, any size; bright tissue on a dark background.

    Returns:
      False also where no breast stands out, or where it lies in the middle; otherwise the mirrored
      image gives the opposite answer.

    Raises:
      TypeError, ValueError: image is no HostImage.
    """
    inside = breast_region(image)
    margin = round(_MARGIN * inside.shape[1])
    tissue = inside[:, margin : inside.shape[1] - margin].sum(axis=0)
    from_centre = 2 * np.arange(len(tissue)) - (len(tissue) - 1)
    return bool(tissue @ from_centre > 0)
