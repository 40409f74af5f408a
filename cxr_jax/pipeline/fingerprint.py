"""Tell whether two images have the same pixels without keeping them."""

import hashlib

from cxr_jax.host_image import HostImage


def fingerprint(image: HostImage) -> str:
    """32 hex digits, equal only for images of the same depth, shape and pixels (BLAKE2b)."""
    kind = f"{image.dtype} {image.shape}".encode()
    return hashlib.blake2b(image.tobytes(), digest_size=16, key=kind).hexdigest()
