"""Mammography: is there a cancer in this breast?

python -m experiments.mammography --lr=1e-3
python -m experiments.mammography --dataset=cbis_ddsm --data_dir=FOLDER

Cancer is told from everything else; on CBIS-DDSM, where every film shows a lesion, malignant
lesions from benign ones; on INbreast and VinDr-Mammo, which have no biopsy, BI-RADS 4 and above
from the rest.
"""

from cxr_jax.augment import AugmentConfig
from cxr_jax.datasets import TFDS
from cxr_jax.preprocess import Crop, PreprocessConfig
from cxr_jax.training import Config
from experiments import cli

PRESET = Config(
    experiment="mammography",
    finding="Cancer",
    dataset="phantom_breast",
    preprocess=PreprocessConfig(
        crop=Crop(left=0.01, right=0.01, top=0.04, bottom=0.04),
        clahe_clip_limit=2.0,
        remove_artefacts=True,
        kind="breast",
        mirror_right=True,
        image_size=224,
    ),
    augment=AugmentConfig(
        rotation=6.0,
        height_shift=0.12,
        width_shift=0.0,
        shear=5.7,
        zoom=0.1,
        brightness=0.0,
        flip=0.5,
    ),
    model="densenet121",
    optimizer="adam",
    lr=1e-3,
    batch_size=16,
    epochs=30,
    class_weights=None,
    label_smoothing=0.1,
    mixup_alpha=0.2,
)

DATASETS = {
    "phantom_breast": {"image_size": 96, "epochs": 5},
    "cbis_ddsm": {"finding": "Malignant"},
    "inbreast": {"finding": "Suspicious"},
    "vindr_mammo": {"finding": "Suspicious"},
    "rsna_breast": {"finding": "Cancer"},
    **{name: {"finding": "Malignant"} for name in TFDS if name != "tfds:chexpert"},
}

if __name__ == "__main__":
    cli.main(PRESET, datasets=DATASETS)
