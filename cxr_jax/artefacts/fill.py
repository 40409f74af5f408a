"""What an artefact's pixels are replaced by."""

import cv2
import numpy as np


def background(image: np.ndarray, outside: np.ndarray) -> np.integer:
    """The usual grey outside; labels are the exception there."""
    return image.dtype.type(np.median(image[outside])) if outside.any() else image.dtype.type(0)


def inpaint(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fill the mask smoothly from its rim."""
    return cv2.inpaint(image, mask.astype(np.uint8), 3, cv2.INPAINT_NS)


def extend(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Give every masked pixel the value of the nearest pixel that is not."""
    if not mask.any() or mask.all():
        return image
    _, label = cv2.distanceTransformWithLabels(
        mask.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    value = np.zeros(label.max() + 1, image.dtype)
    value[label[~mask]] = image[~mask]
    return value[label]
