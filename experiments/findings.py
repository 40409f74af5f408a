"""Several findings of the chest at once, each there or not by itself.

python -m experiments.findings
python -m experiments.findings --dataset=nih --data_dir=FOLDER
python -m experiments.findings --dataset=nih,chexpert --data_dir=FOLDER,FOLDER \\
    --findings=Cardiomegaly,Effusion,Pneumothorax --uncertain=smooth
"""

import dataclasses

from experiments import cardiomegaly, cli

PRESET = dataclasses.replace(
    cardiomegaly.PRESET,
    experiment="findings",
    findings=("all",),
    class_weights=None,
    ratio=None,
)

# Phantoms are easier than patients: what two CPU cores train in minutes.
DATASETS = {
    "phantom": {"image_size": 96, "epochs": 4},
    "padchest": {"on_bad_image": "skip"},  # some of its files are known to be truncated
}

if __name__ == "__main__":
    cli.main(PRESET, datasets=DATASETS)
