"""What a recipe does with masks."""

import dataclasses
import math

from cxr_jax.mask_rule import MaskRule
from cxr_jax.models import VARIANTS
from cxr_jax.settings import check_fields, setting
from cxr_jax.tasks import MaskLoss


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentationConfig:
    """How masks are learnt and decided.

    Attributes:
      masks: the findings or structures to outline; none trains a classifier alone.
    """

    masks: tuple[str, ...] = setting((), "findings or structures to outline", flag="")
    loss: MaskLoss = MaskLoss()
    rule: MaskRule = MaskRule()
    decoder_width: int = setting(16, "channels of the decoder at full resolution")

    def __post_init__(self) -> None:
        check_fields(self)
        if self.decoder_width < 1:
            raise ValueError(f"decoder_width must be at least 1, got {self.decoder_width}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class StagesConfig:
    """Stage 1, training with masks, and stage 2, transfer learning on image labels."""

    stage: str = setting(
        "both",
        "1: training with masks; 2: transfer learning, --from a run of stage 1; both, one after "
        "the other; scratch: as 2, from untrained weights",
        choices=("1", "2", "both", "scratch"),
    )
    stage1: str = setting(
        "segment",
        "what stage 1 does with masks: learn to draw them, or learn the label from images that are "
        "dimmed outside of them",
        choices=("segment", "masked_images"),
    )
    source: str | None = setting(None, "folder of the run that stage 2 starts from", flag="from")
    stage1_epochs: int | None = setting(None, "passes in stage 1; as --epochs where unset")
    dim_outside: float = setting(
        0.5, "of masked_images: what is left of the brightness outside of the mask", unit="fraction"
    )
    train_labels: int | None = setting(
        None, "stage 2 sees the labels of so many training images; of all where unset"
    )
    lr_decay: float = setting(
        2.6, "stage 2: each block before the last has its learning rate divided by this; 1 = none"
    )
    unfreeze_every: float = setting(
        0.5, "stage 2: another block joins training after so many epochs; 0 = all from the start"
    )
    compare_scratch: bool = setting(
        False, "train the same from untrained weights too, and report the difference"
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0 <= self.dim_outside < 1:
            raise ValueError(f"dim_outside must be in [0, 1), got {self.dim_outside}")
        if not 1 <= self.lr_decay < math.inf:
            raise ValueError(f"lr_decay must be >= 1, got {self.lr_decay}")
        if not 0 <= self.unfreeze_every <= 1000:
            raise ValueError(f"unfreeze_every must be in [0, 1000], got {self.unfreeze_every}")
        for name in ("train_labels", "stage1_epochs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        if self.stage == "2" and self.source is None:
            raise ValueError(
                "stage 2 starts from a run of stage 1: --stage=2 --from=RUN; --stage=both does "
                "one after the other, --stage=scratch goes without"
            )
        if self.stage in ("1", "both") and self.source is not None:
            raise ValueError(f"stage {self.stage} starts from nothing, so --from makes no sense")
        if self.compare_scratch and self.stage in ("1", "scratch"):
            raise ValueError(f"compare_scratch compares stage 2, and --stage={self.stage} has none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RatioConfig:
    """The cardiothoracic ratio beside the classifier, from the outlines of heart and lungs."""

    enabled: bool = setting(
        True,
        "measure the ratio too where the data set has masks of heart and lungs",
        flag="cardiothoracic_ratio",
    )
    model: str = setting(
        "tiny",
        "encoder of the network that outlines them",
        choices=tuple(VARIANTS),
        flag="ratio_model",
    )
    epochs: int = setting(15, "passes of its training", flag="ratio_epochs")
    lr: float = setting(3e-3, "its learning rate", flag="ratio_lr")

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("epochs", "lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"ratio_{name} must be > 0, got {getattr(self, name)}")
