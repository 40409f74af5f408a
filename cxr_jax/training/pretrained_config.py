"""Which weights a run starts from, and how little it may change them."""

import dataclasses
import math
from typing import Any

from cxr_jax.settings import check_fields, setting

ALL_BUT_HEAD = "all_but_head"


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainedConfig:
    """A file of published weights, the input that the network expects, and what is frozen."""

    file: str | None = setting(
        None,
        "published weights to start from: torch's .pth, .pt, .pth.tar, or .safetensors",
        flag="pretrained",
    )
    mean: tuple[float, ...] = setting(
        (),
        "what the network subtracts of pixels in [0, 1], one number a channel; where unset, that "
        "of the weights that the run starts from, else 0.5",
        flag="input_mean",
    )
    std: tuple[float, ...] = setting(
        (), "what it then divides by; where unset, likewise, else 0.25", flag="input_std"
    )
    freeze: tuple[str, ...] = setting(
        (), "parts that training leaves alone: of stem,block1,block2,…,head, or all_but_head"
    )
    backbone_lr_scale: float = setting(
        1.0, "learning rate of everything before the head, as a part of --lr"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if len(self.mean) != len(self.std):
            raise ValueError(
                "input_mean and input_std must be of the same number of channels, got "
                f"{len(self.mean)} and {len(self.std)} numbers"
            )
        if not all(map(math.isfinite, self.mean)) or not all(0 < s < math.inf for s in self.std):
            raise ValueError(
                f"input_mean must be finite and input_std > 0, got {self.mean} and {self.std}"
            )
        if not 0 <= self.backbone_lr_scale < math.inf:
            raise ValueError(f"backbone_lr_scale must be >= 0, got {self.backbone_lr_scale}")
        if ALL_BUT_HEAD in self.freeze and len(self.freeze) > 1:
            raise ValueError(f"freeze must be parts or {ALL_BUT_HEAD} alone, got {self.freeze}")

    @property
    def input_fields(self) -> dict[str, Any]:
        """What a network's config has of the input."""
        if not self.mean:
            return {}
        return {"in_channels": len(self.mean), "mean": self.mean, "std": self.std}

    def frozen(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        """The parts to freeze, of a network's, whose last is the head."""
        return parts[:-1] if self.freeze == (ALL_BUT_HEAD,) else self.freeze
