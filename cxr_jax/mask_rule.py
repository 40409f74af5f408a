"""From the pixels' probabilities to a mask, or to none."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from cxr_jax.settings import check_fields, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskRule:
    """When an image has a mask at all, and which pixels then belong to it.

    The rule of the winners of the SIIM-ACR challenge (Aimoldin, 2019): an image has a mask if
    enough of its pixels are very probable; the mask then reaches as far as pixels are fairly
    probable. The defaults are a plain threshold at 1/2; theirs were 0.75, 0.0019 and 0.3.

    Raises:
      ValueError: a number is outside of [0, 1], or floor is above top.
    """

    top: float = setting(0.5, "an image has a mask where pixels reach it", flag="mask_top")
    area: float = setting(
        0.0, "at least so many pixels must reach mask_top", unit="fraction", flag="mask_area"
    )
    floor: float = setting(0.5, "the mask takes all pixels that reach it", flag="mask_floor")

    def __post_init__(self) -> None:
        check_fields(self)
        for name, value in dataclasses.asdict(self).items():
            if not 0 <= value <= 1:
                raise ValueError(f"mask_{name} must be in [0, 1], got {value}")
        if self.floor > self.top:
            raise ValueError(
                f"mask_floor must be at most mask_top, got {self.floor} above {self.top}"
            )

    def decide(
        self, probability: Float[np.ndarray, "*batch height width"]
    ) -> Bool[np.ndarray, "*batch height width"]:
        """The masks; empty where too few pixels reach the top."""
        sure = (probability >= self.top).mean((-2, -1), keepdims=True)
        return (probability >= self.floor) & (sure > 0) & (sure >= self.area)
