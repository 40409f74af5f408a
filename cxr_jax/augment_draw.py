"""How far an augmentation may go, and how it is drawn for one image.

Angles are degrees, shifts fractions of height and width, as in `cxr_jax.geometry`.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from cxr_jax.device_image import check_key, check_number
from cxr_jax.geometry import FILLS, KERAS
from cxr_jax.settings import check_fields, setting

_BOUNDS = {
    "rotation": "[0, 180]",
    "height_shift": "[0, 1)",
    "width_shift": "[0, 1)",
    "shear": "[0, 90)",
    "zoom": "[0, 1)",
    "brightness": "[0, 1]",
    "flip": "[0, 1]",
    "contrast": "[0, 1]",
    "gamma": "[0, 1)",
    "noise": "[0, 1]",
    "erase": "[0, 1]",
    "erase_area": "[0, 0.3]",
    "clahe": "[0, 1]",
    "clahe_clip_limit": "[1, inf)",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """How far a random augmentation may go. The defaults are moderate ranges for chest radiographs.

    Rotation, shear and zoom are those of the recipe for mammography. Shifts are smaller, because a
    chest has been cropped close by then, and a shift of a tenth pushes the angles between ribs and
    diaphragm out of the frame, where the thorax is measured. What is 0 is left out of the program.

    Raises:
      TypeError: a range is no number.
      ValueError: a range is out of its own bounds, fill or keras is none of its choices, or a Keras
        without brightness is asked for one, or one of radians for degrees.
    """

    enabled: bool = setting(True, "augment the training images", flag="augment")
    rotation: float = setting(6.0, "largest rotation to either side", unit="degrees")
    height_shift: float = setting(0.05, "largest shift up or down", unit="fraction of height")
    width_shift: float = setting(0.05, "largest shift to either side", unit="fraction of width")
    shear: float = setting(
        round(math.degrees(0.1), 1), "largest shear to either side", unit="degrees"
    )
    zoom: float = setting(
        0.1, "largest zoom in or out, for rows and columns apart", unit="fraction"
    )
    brightness: float = setting(
        0.1, "largest change of brightness in either direction", unit="fraction"
    )
    flip: float = setting(0.5, "how often to mirror left and right", unit="probability")
    contrast: float = setting(
        0.0, "largest change of contrast in either direction", unit="fraction"
    )
    gamma: float = setting(0.0, "largest change of gamma in either direction", unit="fraction")
    noise: float = setting(
        0.0, "largest standard deviation of Gaussian noise", unit="fraction of white"
    )
    erase: float = setting(0.0, "how often to erase a box", unit="probability")
    erase_area: float = setting(0.1, "largest box to erase", unit="fraction of the image's area")
    clahe: float = setting(
        0.0, "how often to apply CLAHE, 8 x 8 tiles", unit="probability", flag="augment_clahe"
    )
    clahe_clip_limit: float = setting(
        4.0,
        "largest clip limit of that CLAHE, the smallest is 1",
        unit="multiples of a flat histogram",
        flag="augment_clahe_clip_limit",
    )
    fill: str = setting(
        "nearest", "what to show beyond the image's edge", choices=FILLS, flag="augment_fill"
    )
    keras: str = setting(
        "",
        "augment as the ImageDataGenerator of a Keras up to 2.1.2, up to 2.8, or since; "
        "up to 2.1.2 shear is in radians",
        choices=KERAS,
        flag="augment_keras",
    )

    def __post_init__(self) -> None:
        check_fields(self)
        for name, within in _BOUNDS.items():
            check_number(getattr(self, name), name=name, within=within)
        if self.keras == "2.1.2" and self.shear >= math.pi / 2:
            raise ValueError(
                f"shear must be in radians with keras='2.1.2', below pi / 2, got {self.shear!r}; "
                f"{self.shear!r} degrees are {math.radians(self.shear):.3g}"
            )
        if self.keras == "2.1.2" and self.brightness:
            raise ValueError(
                f"brightness must be 0 with keras='2.1.2', which had none, got {self.brightness!r}"
            )


class Parameters(NamedTuple):
    """One image's draw: arguments of `geometry.affine` and of the functions of `photometric`.

    As they are by default they change nothing. None leaves a function out of the program.
    """

    rotation: Array | float = 0.0
    shift: Float[Array, "*batch 2"] | tuple[float, float] = (0.0, 0.0)
    shear: Array | float = 0.0
    zoom: Float[Array, "*batch 2"] | tuple[float, float] = (1.0, 1.0)
    flip: Array | bool = False
    brightness: Array | float | None = None
    contrast: Array | float | None = None
    gamma: Array | float | None = None
    noise: Array | float | None = None
    noise_seed: Array | int = 0
    erase: Float[Array, "*batch 4"] | tuple[float, float, float, float] | None = None
    clahe: Array | float | None = None  # the clip limit; 0 for no CLAHE


def draw(key: PRNGKeyArray, config: AugmentConfig) -> Parameters:
    """Draw how one image is to be augmented.

    Every range is uniform and half-open: rotation and shear in [-r, r), each shift in [-s, s), each
    axis' zoom independently in [1 - z, 1 + z), brightness, contrast and gamma in [1 - b, 1 + b),
    the noise's deviation in [0, n), CLAHE's clip limit in [1, l). Every Keras draws alike what it
    has of them.

    A box to erase has an area in [0, a), a ratio of height to width (as fractions) in [3/10, 10/3),
    uniform in its logarithm, and lies anywhere inside the image (as Zhong et al. 2020, but with the
    ratio in pixels, have it).

    No draw depends on another range, so that switching one off leaves the rest of an experiment as
    it was.

    Raises:
      TypeError: key is no typed key.
    """
    check_key(key)
    u = jax.random.uniform(key, (8,), dtype=jnp.float32)
    either = 2.0 * u - 1.0
    # What came later has draws of its own.
    w = jax.random.uniform(jax.random.fold_in(key, 1), (10,), dtype=jnp.float32)
    area = jnp.where(w[3] < config.erase, config.erase_area * w[4], 0.0)
    stretch = (10 / 3) ** (w[5] - 0.5)
    sides = jnp.stack([jnp.sqrt(area) * stretch, jnp.sqrt(area) / stretch])
    limit = 1.0 + (config.clahe_clip_limit - 1.0) * w[9]
    return Parameters(
        rotation=config.rotation * either[0],
        shift=jnp.array([config.height_shift, config.width_shift], jnp.float32) * either[1:3],
        shear=config.shear * either[3],
        zoom=1.0 + config.zoom * either[4:6],
        flip=u[7] < config.flip,
        brightness=1.0 + config.brightness * either[6] if config.brightness else None,
        contrast=1.0 + config.contrast * (2.0 * w[0] - 1.0) if config.contrast else None,
        gamma=1.0 + config.gamma * (2.0 * w[1] - 1.0) if config.gamma else None,
        noise=config.noise * w[2] if config.noise else None,
        noise_seed=jax.random.bits(jax.random.fold_in(key, 2), dtype=jnp.uint32),
        erase=jnp.concatenate([(1.0 - sides) * w[6:8], sides]) if config.erase else None,
        clahe=jnp.where(w[8] < config.clahe, limit, 0.0) if config.clahe else None,
    )


def extremes(config: AugmentConfig) -> dict[str, tuple[Parameters, Parameters]]:
    """Parameters at both ends of each range that is not 0, alone, by the config's field."""
    down, across, edge = config.height_shift, config.width_shift, math.sqrt(config.erase_area)
    ends: dict[str, tuple[str, Any, Any]] = {
        "rotation": ("rotation", -config.rotation, config.rotation),
        "height_shift": ("shift", (-down, 0.0), (down, 0.0)),
        "width_shift": ("shift", (0.0, -across), (0.0, across)),
        "shear": ("shear", -config.shear, config.shear),
        "zoom": ("zoom", (1 - config.zoom,) * 2, (1 + config.zoom,) * 2),
        "flip": ("flip", False, True),
        "brightness": ("brightness", 1 - config.brightness, 1 + config.brightness),
        "contrast": ("contrast", 1 - config.contrast, 1 + config.contrast),
        "gamma": ("gamma", 1 - config.gamma, 1 + config.gamma),
        "noise": ("noise", 0.0, config.noise),
        "clahe": ("clahe", 1.0, config.clahe_clip_limit),
        "erase": ("erase", (0.5, 0.5, 0.0, 0.0), ((1 - edge) / 2, (1 - edge) / 2, edge, edge)),
    }
    return {
        field: (Parameters(**{name: low}), Parameters(**{name: high}))
        for field, (name, low, high) in ends.items()
        if getattr(config, field)
    }
