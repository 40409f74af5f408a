"""Networks: a config, `init(key, config, image_shape)`, `apply(config, variables, images, …)`."""

from cxr_jax.models.densenet import REMAT, VARIANTS, DenseNetConfig, by_name
from cxr_jax.models.network import NetworkConfig, Variables, apply, check_image_shape, init
from cxr_jax.models.parts import depths, part_names, parts
from cxr_jax.models.segmenter import SegmenterConfig

__all__ = [
    "REMAT",
    "VARIANTS",
    "DenseNetConfig",
    "NetworkConfig",
    "SegmenterConfig",
    "Variables",
    "apply",
    "by_name",
    "check_image_shape",
    "depths",
    "init",
    "part_names",
    "parts",
]
