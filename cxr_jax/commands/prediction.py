"""What a finished run makes of images, one after the other."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from cxr_jax.calibration import apply_temperature
from cxr_jax.commands.plausible import header_warnings, picture_warnings
from cxr_jax.host_image import HostImage
from cxr_jax.pipeline import dicom
from cxr_jax.pipeline.bad_image import BadImageError
from cxr_jax.pipeline.decode import decode
from cxr_jax.preprocess import preprocess
from cxr_jax.training.config import Config
from cxr_jax.training.parallel import make_predict
from cxr_jax.training.saved import SavedRun
from cxr_jax.training.step import standardise, to_unit_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Readable:
    """An image that could be read: as the network gets it, and what is odd about it."""

    path: Path
    pixels: HostImage
    warnings: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What a run makes of a finding of an image.

    Attributes:
      probability: of the finding, uncalibrated.
      calibrated: the probability after temperature scaling.
      is_positive: whether the uncalibrated one reaches the operating point.
      heat: Grad-CAM in [0, 1]; None where it was not asked for.
    """

    probability: float
    calibrated: float
    is_positive: bool
    heat: Float[np.ndarray, "height width"] | None

    @property
    def decision(self) -> str:
        """In a word."""
        return "positive" if self.is_positive else "negative"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a run makes of an image: an answer a finding."""

    image: Readable
    findings: Mapping[str, Answer]


def read_image(path: Path, config: Config) -> Readable:
    """Decode and preprocess as the run did.

    Raises:
      BadImageError: it cannot be used.
    """
    image = decode(path, config.decode)
    warnings = picture_warnings(image, config)
    if dicom.is_dicom_file(path):
        warnings = header_warnings(dicom.read_exam(path, salt=""), config) + warnings
    try:
        pixels = preprocess(image, config.preprocess)
    except ValueError as error:  # the crop leaves nothing
        raise BadImageError(path, str(error), "give a larger image") from error
    return Readable(path=path, pixels=pixels, warnings=tuple(warnings))


def predict_images(
    saved: SavedRun, images: Iterator[Readable], *, with_heat: bool
) -> Iterator[Prediction]:
    """Predict in batches of one size, the last filled up, so that one program does them all.

    Args:
      with_heat: whether to compute Grad-CAM; of several findings of the positive ones alone.
    """
    predict = make_predict(saved.recipe)
    model, size = saved.recipe.model, saved.batch_size
    unknown = np.full((size, len(saved.points)), np.nan, np.float32)

    @jax.jit
    def explain(variables: Any, pixels: jax.Array, logit: jax.Array) -> jax.Array:
        # Imported here: Matplotlib would cost every start a second.
        from cxr_jax.reporting.gradcam import grad_cam

        images = standardise(to_unit_range(pixels), model)
        return grad_cam(model, variables, images, class_index=logit)

    while batch := list(itertools.islice(images, size)):
        pixels = np.stack([image.pixels for image in batch])[..., None]
        pixels = np.pad(pixels, [(0, size - len(batch)), (0, 0), (0, 0), (0, 0)])
        outputs = predict(saved.variables, {"image": pixels, "label": unknown})
        answers: list[dict[str, Answer]] = [{} for _ in batch]
        for at, (finding, point) in enumerate(saved.points.items()):
            probabilities = outputs["probability"][: len(batch), at].astype(np.float64)
            calibrated = apply_temperature(probabilities, point.temperature)
            positive = probabilities >= point.threshold
            wanted = with_heat & (positive | (len(saved.points) == 1))
            heat: Any = [None] * len(batch)
            if wanted.any():
                heat = np.asarray(explain(saved.variables, pixels, saved.recipe.task.logit(at)))
            for i, answer in enumerate(answers):
                answer[finding] = Answer(
                    probability=float(probabilities[i]),
                    calibrated=float(calibrated[i]),
                    is_positive=bool(positive[i]),
                    heat=heat[i] if wanted[i] else None,
                )
        for image, answer in zip(batch, answers, strict=True):
            yield Prediction(image=image, findings=answer)
