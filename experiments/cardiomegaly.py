"""Cardiomegaly: is the heart wider than half of the chest?

python -m experiments.cardiomegaly --lr=1e-3
python -m experiments.cardiomegaly --dataset=nih --data_dir=FOLDER
"""

from cxr_jax.augment import AugmentConfig
from cxr_jax.preprocess import Crop, PreprocessConfig
from cxr_jax.training import Config
from cxr_jax.training.mask_config import RatioConfig
from experiments import cli

PRESET = Config(
    experiment="cardiomegaly",
    finding="Cardiomegaly",
    preprocess=PreprocessConfig(
        crop=Crop(left=0.06, right=0.06, top=0.20, bottom=0.12),
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
    ratio=RatioConfig(),  # the cardiothoracic ratio, where it can be validated
)

# Phantoms are easier than patients: what two CPU cores train in minutes.
DATASETS = {
    "phantom": {"image_size": 64, "epochs": 4, "ratio_epochs": 6},
    "padchest": {"on_bad_image": "skip"},  # some of its files are known to be truncated
}

if __name__ == "__main__":
    cli.main(PRESET, datasets=DATASETS)
