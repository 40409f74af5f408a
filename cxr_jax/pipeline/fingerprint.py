"""Tell whether two images have the same pixels without keeping them."""

import hashlib

import numpy as np

from cxr_jax.host_image import HostImage


def fingerprint(image: HostImage) -> str:
    """32 hex digits of SHA-256, equal only for images of the same depth, shape and pixels."""
    digest = hashlib.sha256(f"{image.dtype} {image.shape}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()[:32]
