"""Everything that decides what a run does, in one frozen value."""

import dataclasses
import math
from pathlib import Path
from typing import Any

from cxr_jax.augment import AugmentConfig
from cxr_jax.datasets import DRAWN, NAMES
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.models import REMAT, VARIANTS
from cxr_jax.optim import OPTIMIZERS, SCHEDULES
from cxr_jax.pipeline.decode import DecodeConfig
from cxr_jax.pipeline.findings import canonical
from cxr_jax.pipeline.leaks import ON_LEAK
from cxr_jax.pipeline.select import ALL, BLANKS, NEGATIVES
from cxr_jax.pipeline.split import parse_fold
from cxr_jax.pipeline.uncertain import POLICIES
from cxr_jax.preprocess import PreprocessConfig
from cxr_jax.settings import check_fields, setting
from cxr_jax.training.mask_config import RatioConfig, SegmentationConfig, StagesConfig
from cxr_jax.training.pretrained_config import PretrainedConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """One training run. Each field with a help text is a flag of the experiments' command line.

    Raises:
      ValueError: a value is outside its range; the message names field, range and value.
    """

    # What is asked.
    experiment: str = setting("classification", "name of the recipe", flag="")
    finding: str = setting("Cardiomegaly", "the positive class")
    negatives: str = setting(
        "others",
        "whom the positive class is told from",
        choices=NEGATIVES,
    )
    findings: tuple[str, ...] = setting(
        (),
        "several findings at once, each there or not by itself, in the place of --finding; all: "
        "those that some image has and some has not",
    )
    uncertain: str = setting(
        "ignore",
        "what a label that says perhaps counts as in training: unknown, absent, present, or a "
        "number drawn from 0.55 to 0.85; elsewhere it is unknown",
        choices=tuple(POLICIES),
    )
    blanks: str = setting(
        "ignore",
        "what a finding counts as that a report does not mention: unknown, or absent",
        choices=BLANKS,
    )
    views: tuple[str, ...] = setting((), "views to keep, such as PA,AP; all where empty")

    # The data.
    dataset: str = setting(
        "phantom", f"the data set, or several with commas between: {', '.join(NAMES)}"
    )
    data_dir: str | None = setting(
        None, "folder of the data set, or of each with commas between; the phantoms need none"
    )
    reader: ReaderConfig = ReaderConfig()
    validation_fraction: float = setting(
        0.15, "held out to choose model and operating point", unit="fraction of patients"
    )
    test_fraction: float = setting(
        0.25, "held out for the report where the data set has no list", unit="fraction of patients"
    )
    fold: str | None = setting(
        None, "cross-validation: which fold to hold out, i/k such as 1/5; see split_by_patient"
    )
    on_leak: str = setting(
        "fail",
        "images of two splits with the same pixels end the run, or are kept for testing alone",
        choices=ON_LEAK,
    )
    on_bad_image: str = setting(
        "fail", "an image that cannot be read ends the run or is left out", choices=("fail", "skip")
    )
    sampling: str = setting(
        "natural",
        "training images as they come, or as many of each class",
        choices=("natural", "balanced"),
    )
    phantom_count: int = setting(800, "how many phantoms are drawn", unit="images")
    phantom_size: int = setting(192, "height of a drawn film", unit="pixels")
    decode: DecodeConfig = DecodeConfig()
    preprocess: PreprocessConfig = PreprocessConfig()
    augment: AugmentConfig = AugmentConfig()

    # What is done with masks; None where a recipe does nothing of the kind.
    segmentation: SegmentationConfig | None = None
    stages: StagesConfig | None = None
    ratio: RatioConfig | None = None

    # The network.
    model: str = setting("densenet121", "the network", choices=tuple(VARIANTS))
    growth_rate: int | None = setting(
        None, "channels that each dense layer adds; where unset, as the model has it"
    )
    compression: float | None = setting(
        None, "channels that a transition keeps; where unset, likewise", unit="fraction"
    )
    dropout: float = setting(0.0, "dropout after each dense layer", unit="probability")
    dtype: str = setting(
        "float32",
        "of the computation; parameters and losses stay float32",
        choices=("float32", "bfloat16"),
    )
    remat: str = setting(
        "none",
        "to save memory, what the backward pass computes again instead of keeping it: all of a "
        "block, or of a dense layer",
        choices=REMAT,
    )
    init_from: str | None = setting(None, "folder of a run whose best weights to start from")
    pretrained: PretrainedConfig = PretrainedConfig()

    # The training.
    lr: float = setting(1e-3, "learning rate; the source tries 1/200, 1/1000, 1/2000, 1/10000")
    optimizer: str = setting("adam", "the optimizer", choices=tuple(OPTIMIZERS))
    schedule: str = setting(
        "cosine", "how the learning rate goes after the warm-up", choices=tuple(SCHEDULES)
    )
    warmup: float = setting(0.1, "linear rise of the learning rate", unit="fraction of all steps")
    momentum: float = setting(0.9, "of sgd")
    weight_decay: float = setting(0.0, "of kernels: decoupled for adamw, L2 for the others")
    clip_norm: float = setting(1.0, "gradients are scaled down to this global norm; 0 = never")
    batch_size: int = setting(16, "over all devices", unit="images")
    accumulate: int = setting(
        1,
        "to save memory, cut a batch into so many, one after another, of the same update; each has "
        "its own batch statistics",
    )
    epochs: int = setting(30, "passes over the training images")
    max_steps: int | None = setting(None, "stop early after so many steps; the schedule stays")
    label_smoothing: float = setting(0.1, "epsilon; 0 = off")
    mixup_alpha: float = setting(0.2, "lambda ~ Beta(alpha, alpha); 0 = off")
    class_weights: tuple[float, ...] | None = setting(
        None, "of the loss: normal, abnormal (of several findings each); 1,1 = off"
    )
    patience: int = setting(
        0, "stop after so many epochs without a better validation AUROC (Dice of masks); 0 = never"
    )
    checkpoint_every: int = setting(
        500, "checkpoints also within an epoch; 0 = only at its end", unit="steps"
    )
    seed: int = setting(0, "of initialisation, split, order, augmentation, mixup, bootstrap")

    # The machine.
    workdir: str | None = setting(None, "where the run is kept; runs/<experiment>/<time>")
    cache_dir: str = setting("~/.cache/cxr_jax", "prepared images, phantoms, compiled programs")
    resume: bool = setting(False, "continue the run in --workdir, or the newest of the experiment")
    parallel: str = setting(
        "jit",
        "jit: one program over all devices; pmap: statistics per device",
        choices=("jit", "pmap"),
    )
    num_workers: int = setting(0, "loader processes; 0 = threads of this one")
    bootstrap_samples: int = setting(1000, "resamples behind each 95 % interval")

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "finding", canonical(self.finding))
        object.__setattr__(self, "findings", tuple(map(canonical, self.findings)))
        self._check_sources()
        self._check_findings()
        positive = (
            "lr",
            "batch_size",
            "accumulate",
            "epochs",
            "phantom_count",
            "bootstrap_samples",
        )
        for name in positive:
            _check(name, getattr(self, name), "> 0", lambda value: value > 0)
        for name in (
            "mixup_alpha",
            "weight_decay",
            "patience",
            "checkpoint_every",
            "num_workers",
            "clip_norm",
        ):
            _check(name, getattr(self, name), ">= 0", lambda value: value >= 0)
        for name in ("label_smoothing", "momentum", "warmup"):
            _check(name, getattr(self, name), "in [0, 1)", lambda value: 0 <= value < 1)
        for name in ("validation_fraction", "test_fraction"):
            _check(name, getattr(self, name), "in (0, 1)", lambda value: 0 < value < 1)
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError(
                "validation_fraction + test_fraction must be < 1, got "
                f"{self.validation_fraction:g} + {self.test_fraction:g}"
            )
        _check("seed", self.seed, "in [0, 2**32)", lambda value: 0 <= value < 2**32)
        if self.max_steps is not None:
            _check("max_steps", self.max_steps, "> 0", lambda value: value > 0)
        if self.mixup_alpha and self.batch_size % 2:
            raise ValueError(
                f"batch_size must be even where mixup pairs neighbours, got {self.batch_size}; "
                "take an even one or mixup_alpha=0"
            )
        _check("phantom_size", self.phantom_size, ">= 32", lambda value: value >= 32)
        if self.schedule == "step" and self.warmup > 0.5:
            raise ValueError(
                "warmup must be <= 0.5 with schedule step, whose first drop comes at half of the "
                f"steps, got {self.warmup}"
            )
        if self.class_weights is not None and (
            len(self.class_weights) != 2 or not all(weight > 0 for weight in self.class_weights)
        ):
            raise ValueError(
                "class_weights must be two numbers > 0 (normal, abnormal), "
                f"got {self.class_weights}"
            )
        if self.init_from is not None and self.pretrained.file is not None:
            raise ValueError(
                "init_from and pretrained are two weights to start from; give one of them, got "
                f"{self.init_from} and {self.pretrained.file}"
            )
        if self.fold is not None:
            parse_fold(self.fold)

    def _check_sources(self) -> None:
        names = self._datasets
        for name in names:
            if name not in NAMES:
                raise ValueError(f"dataset must be one of {', '.join(NAMES)}, got {name!r}")
        if len(set(names)) < len(names):
            raise ValueError(f"dataset must name different data sets, got {self.dataset}")
        if self.data_dir is None and (len(names) > 1 or names[0] not in DRAWN):
            raise ValueError(
                f"dataset {self.dataset} needs data_dir, the folder that holds it (of several "
                f"data sets the folder of each): --dataset={self.dataset} "
                f"--data_dir={','.join(['FOLDER'] * len(names))}"
            )
        if len(names) > 1 and str(self.data_dir).count(",") != len(names) - 1:
            raise ValueError(
                f"data_dir must name a folder of each of the {len(names)} data sets, with commas "
                f"between, got {self.data_dir}"
            )

    @property
    def sources(self) -> list[tuple[str, Path]]:
        """Name and folder of each data set; none where it is drawn."""
        if self.data_dir is None:
            return []
        folders = self.data_dir.split(",") if len(self._datasets) > 1 else [self.data_dir]
        paths = [Path(folder).expanduser() for folder in folders]
        return list(zip(self._datasets, paths, strict=True))

    @property
    def _datasets(self) -> list[str]:
        return self.dataset.split(",")

    def _check_findings(self) -> None:
        if not self.findings:
            return
        if len(set(self.findings)) < len(self.findings) or (
            ALL[0] in self.findings and self.findings != ALL
        ):
            raise ValueError(
                "findings must be different names, or all alone, got " + ",".join(self.findings)
            )
        alone = {
            "negatives=no_finding": self.negatives == "no_finding",
            "training in stages": self.stages is not None,
            "outlines": bool(self.outlines),
            "cardiothoracic_ratio": self.ratio is not None and self.ratio.enabled,
        }
        for what, is_there in alone.items():
            if is_there:
                raise ValueError(
                    f"{what} goes with one --finding, not with --findings="
                    f"{','.join(self.findings)}; take experiments.findings, or leave one out"
                )

    @property
    def asked(self) -> tuple[str, ...]:
        """The findings that the network tells, in the order of its outputs."""
        return self.findings or (self.finding,)

    @property
    def outlines(self) -> tuple[str, ...]:
        """The masks that the network learns to draw."""
        return self.segmentation.masks if self.segmentation else ()

    @property
    def network(self) -> dict[str, Any]:
        """What decides the shapes of the weights: the model, and what is not as it has it."""
        names = ("model", "growth_rate", "compression")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def dims(self) -> bool:
        """Whether training images are dimmed outside of the finding's mask."""
        stages = self.stages
        return stages is not None and (stages.stage, stages.stage1) == ("1", "masked_images")


def _check(name: str, value: int | float, expected: str, holds: Any) -> None:
    if not (math.isfinite(value) and holds(value)):
        raise ValueError(f"{name} must be {expected}, got {value}")
