"""Warn of images that a run was not made for. A warning is no verdict: the image is predicted.

What a DICOM header says is compared, and never shown: free text may stand there.
"""

import dataclasses

import cv2
import numpy as np

from cxr_jax.host_image import HostImage
from cxr_jax.pipeline.dicom import Exam
from cxr_jax.training.config import Config

LEAST_MIDLINE_CONTRAST = 0.45
"""Below it a picture does not look like a frontal chest film.

Of 122 NIH ChestX-ray14 films, portable ones of the very ill among them, the lowest has 0.53, the
next 0.57, half are above 1.47; of 800 chest phantoms the lowest has 0.94. Of 1,600 mammogram
phantoms all but 5 were below it, and all of 40 crude drawings of a lateral chest (at most 0.40) and
of some slices of CT and MR. No real lateral film was at hand, so how many of those it finds is not
known; it does not find all that is no chest (a leg has 1.2), nor an inverted film, and a lung that
is white as a whole may be below it.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Kind:
    """What a DICOM header of this kind of film says: modalities, and words of body parts."""

    name: str
    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]


_KINDS = {
    "chest": _Kind(
        name="chest",
        modalities=("CR", "DX", "DR", "RG", "OT"),
        body_parts=("CHEST", "THORAX", "LUNG", "HEART", "RIB"),
    ),
    "breast": _Kind(
        name="breast", modalities=("MG", "CR", "DX", "OT"), body_parts=("BREAST", "MAMM")
    ),
}
_NOT_FRONTAL = ("LL", "RL", "LAT", "LATERAL", "LLO", "RLO", "LAO", "RAO", "LPO", "RPO")


def header_warnings(exam: Exam, config: Config) -> list[str]:
    """What of a DICOM header does not fit the run's data, in words."""
    kind = _KINDS[config.preprocess.kind]
    view, modality, part = (text.upper() for text in (exam.view, exam.modality, exam.body_part))
    found = []
    if exam.burned_in:
        found.append(
            "its DICOM header says that annotation is burned into the image: look whether pictures "
            "of it tell who the patient is before you pass them on"
        )
    if modality and modality not in kind.modalities:
        found.append(
            f"its DICOM header names a modality other than {', '.join(kind.modalities)}, where the "
            f"run was trained on {kind.name} radiographs"
        )
    if part and not any(word in part for word in kind.body_parts):
        found.append(f"its DICOM header names a body part other than the {kind.name}")
    if kind.name == "chest" and view in _NOT_FRONTAL:
        found.append(
            "its DICOM header says a lateral or oblique view, where the run was trained on "
            f"{' and '.join(config.views) or 'frontal'} films"
        )
    elif view and config.views and view not in config.views:
        found.append(
            f"its DICOM header names a view other than {', '.join(config.views)}, which the run "
            "was trained on"
        )
    return found


def picture_warnings(image: HostImage, config: Config) -> list[str]:
    """What of a picture does not fit the run's data, in words."""
    kept = image[config.preprocess.crop.kept(image.shape)]
    size = config.preprocess.image_size
    found = []
    if 2 * min(kept.shape) < size:
        found.append(
            f"after the crop it has {kept.shape[1]} x {kept.shape[0]} pixels, where the network "
            f"sees {size} x {size}: it lacks detail of the images that the run was trained on"
        )
    if image.min() == image.max():
        found.append("all its pixels are alike")
    elif config.preprocess.kind == "chest" and midline_contrast(image) < LEAST_MIDLINE_CONTRAST:
        found.append(
            "it does not look like a frontal chest film, with a bright midline between two darker "
            "lungs: is it a lateral film, or of something else?"
        )
    return found


def midline_contrast(image: HostImage) -> float:
    """How much brighter the midline is than the lung on either side, at the height of the lungs.

    Rows from 15 to 50 % of the height are averaged. The midline is 12 % of the width, wherever
    within 15 % of the centre it fits best; the lungs lie 10 to 20 % of the width away from it.

    Args:
      image: uint8 or uint16, as decoded.

    Returns:
      The smaller of the two differences, in standard deviations of the picture; 0 where it is flat.
    """
    side = 64
    small = cv2.resize(image.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    spread = float(small[6:-6, 6:-6].std())
    if spread == 0:
        return 0.0
    profile = small[round(0.15 * side) : round(0.5 * side)].mean(axis=0)

    def mean(centre: int, start: float, stop: float) -> float:
        return float(profile[round(centre + start * side) : round(centre + stop * side)].mean())

    reach = round(0.15 * side)
    return (
        max(
            mean(centre, -0.06, 0.06) - max(mean(centre, -0.2, -0.1), mean(centre, 0.1, 0.2))
            for centre in range(side // 2 - reach, side // 2 + reach + 1)
        )
        / spread
    )
