"""Data sets as TFDS prepares them, with the features of its own builders, without TensorFlow."""

import cv2
import numpy as np
import tensorflow_datasets as tfds
from miniatures import film, lesion

F = tfds.features
SHAPE = (64, 48)
PATCH_LABELS = (
    "BACKGROUND",
    "BENIGN_CALCIFICATION",
    "BENIGN_MASS",
    "MALIGNANT_CALCIFICATION",
    "MALIGNANT_MASS",
)
PATHOLOGIES = ("BENIGN", "BENIGN_WITHOUT_CALLBACK", "MALIGNANT")
MENTIONED = ("uncertain", "positive", "negative", "unmentioned")


def write(folder, *, name, config="", version, features, examples):
    """Write examples of each split to folder/name/config/version, several files a split."""
    target = folder / name / config / version
    target.mkdir(parents=True)
    identity = tfds.core.DatasetIdentity(
        name=name,
        config_name=config or None,
        version=version,
        data_dir=str(target),
        module_name="",
    )
    info = tfds.core.DatasetInfo(builder=identity, features=F.FeaturesDict(features))
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=2, file_format="array_record")
    writer.initialize_splits(list(examples))
    writer.add_examples(examples)
    writer.close_all()
    return target


def _picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), (pixels * 255).astype(np.uint8))
    return str(path)


def original_mass(folder, *, seed=0):
    """curated_breast_imaging_ddsm/original-mass: each film has 1 or 2 abnormalities.

    Returns:
      Image -> (pixels as bool mask [height, width], whether it is malignant).
    """
    rng = np.random.default_rng(seed)
    examples, truth = {"train": [], "test": []}, {}
    for split, count in (("train", 5), ("test", 2)):
        for at in range(count):
            image = f"1.3.6.1.4.{split == 'test':d}/1.3.6.{at}"
            lesions = [lesion(rng, SHAPE) for _ in range(1 + at % 2)]
            labels = [PATHOLOGIES[(at + number) % 3] for number in range(len(lesions))]
            files = [folder / "png" / f"{split}{at}-{number}.png" for number in range(3)]
            masks = map(_picture, files[1:], lesions)
            example = {
                "id": image,
                "breast": ("LEFT", "RIGHT")[at % 2],
                "image": _picture(files[0], film(rng, SHAPE, lesions=lesions)),
                "view": ("CC", "MLO")[at % 2],
                "patient": f"P_{at // 2:05}{split[:2]}",
                "abnormalities": [
                    {
                        "id": number + 1,
                        "mask": mask,
                        "assessment": 4,
                        "pathology": label,
                        "subtlety": 3,
                        "mass_shape": "OVAL",
                        "mass_margins": "SPICULATED",
                    }
                    for number, (mask, label) in enumerate(zip(masks, labels, strict=True))
                ],
            }
            examples[split].append(example)
            truth[image] = (np.any(lesions, axis=0), "MALIGNANT" in labels)
    abnormality = {
        "id": F.Tensor(shape=(), dtype=np.int32),
        "mask": F.Image(shape=(None, None, 1)),
        "assessment": F.ClassLabel(num_classes=6),
        "pathology": F.ClassLabel(names=PATHOLOGIES),
        "subtlety": F.ClassLabel(num_classes=6),
        "mass_shape": F.ClassLabel(names=("OVAL", "ROUND")),
        "mass_margins": F.ClassLabel(names=("SPICULATED", "OBSCURED")),
    }
    features = {
        "id": F.Text(),
        "breast": F.ClassLabel(names=("LEFT", "RIGHT")),
        "image": F.Image(shape=(None, None, 1)),
        "view": F.ClassLabel(names=("CC", "MLO")),
        "patient": F.Text(),
        "abnormalities": F.Sequence(F.FeaturesDict(abnormality)),
    }
    cbis = {"name": "curated_breast_imaging_ddsm", "config": "original-mass"}
    write(folder, **cbis, version="3.0.0", features=features, examples=examples)
    return truth


def patches(folder, *, seed=0):
    """curated_breast_imaging_ddsm/patches: JPEG, one patch of each label a split."""
    rng = np.random.default_rng(seed)
    examples = {
        split: [
            {
                "id": f"1.3.{split}/1.3.6/" + (f"abnorm_1/patch_{at}" if at else "background_0"),
                "image": _picture(folder / "jpg" / f"{split}{at}.jpg", film(rng, SHAPE)),
                "label": label,
            }
            for at, label in enumerate(PATCH_LABELS)
        ]
        for split in ("train", "validation", "test")
    }
    features = {
        "id": F.Text(),
        "image": F.Image(shape=(None, None, 1), encoding_format="jpeg"),
        "label": F.ClassLabel(names=PATCH_LABELS),
    }
    cbis = {"name": "curated_breast_imaging_ddsm", "config": "patches"}
    write(folder, **cbis, version="3.0.0", features=features, examples=examples)


def chexpert(folder, *, version="3.1.0", labels=14, seed=0):
    """chexpert: RGB JPEG; the labels go through all that may be said of a finding."""
    rng = np.random.default_rng(seed)
    examples = {
        split: [
            {
                "name": f"CheXpert-v1.0-small/{split}/patient{at // 2:05}{at % 2}/study1/view1.jpg",
                "image": _picture(
                    folder / "jpg" / f"{split}{at}.jpg", film(rng, SHAPE)[..., None].repeat(3, -1)
                ),
                "label": [MENTIONED[(at + number) % 4] for number in range(labels)],
                "image_view": ("frontal", "lateral")[at % 2],
            }
            for at in range(4)
        ]
        for split in ("train", "validation")
    }
    features = {
        "name": F.Text(),
        "image": F.Image(),
        "label": F.Sequence(F.ClassLabel(names=MENTIONED)),
        "image_view": F.ClassLabel(names=("frontal", "lateral")),
    }
    return write(folder, name="chexpert", version=version, features=features, examples=examples)
