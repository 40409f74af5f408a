"""Networks: a config, `init(key, config, image_shape)`, `apply(config, variables, images, …)`."""

from cxr_jax.models.densenet import VARIANTS, DenseNetConfig, apply, by_name, init

__all__ = ["VARIANTS", "DenseNetConfig", "apply", "by_name", "init"]
