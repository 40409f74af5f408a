"""Pneumothorax in two stages: training with masks, then transfer learning on image labels.

python -m experiments.pneumothorax --lr=1e-3
python -m experiments.pneumothorax --dataset=siim --data_dir=FOLDER
python -m experiments.pneumothorax --stage=2 --from=RUN/stage1 --dataset=nih --data_dir=FOLDER
"""

from cxr_jax.augment import AugmentConfig
from cxr_jax.mask_rule import MaskRule
from cxr_jax.preprocess import Crop, PreprocessConfig
from cxr_jax.tasks import MaskLoss
from cxr_jax.training import Config
from cxr_jax.training.mask_config import SegmentationConfig, StagesConfig
from experiments import cli

PRESET = Config(
    experiment="pneumothorax",
    finding="Pneumothorax",
    preprocess=PreprocessConfig(
        crop=Crop(left=0.05, right=0.05, top=0.05, bottom=0.17),
        clahe_clip_limit=2.0,
        remove_artefacts=True,
        kind="chest",
        image_size=224,
    ),
    augment=AugmentConfig(
        rotation=6.0,
        height_shift=0.05,
        width_shift=0.05,
        shear=5.7,
        zoom=0.1,
        brightness=0.1,
        flip=0.5,
    ),
    model="densenet121",
    optimizer="adam",
    lr=1e-3,
    batch_size=16,
    epochs=30,
    class_weights=(0.90, 1.10),
    label_smoothing=0.1,
    mixup_alpha=0.2,
    segmentation=SegmentationConfig(
        loss=MaskLoss(dice=1.0, cross_entropy=1.0, focal=0.0, classification=0.5),
        rule=MaskRule(top=0.75, area=0.0019, floor=0.5),
    ),
    stages=StagesConfig(
        stage="both", stage1="segment", dim_outside=0.5, lr_decay=2.6, unfreeze_every=0.5
    ),
)

# Phantoms are easier than patients: what two CPU cores train in minutes.
DATASETS = {
    "phantom": {"image_size": 96, "epochs": 3, "stage1_epochs": 6, "decoder_width": 8},
    "padchest": {"on_bad_image": "skip"},  # some of its files are known to be truncated
}

if __name__ == "__main__":
    cli.main(PRESET, datasets=DATASETS)
