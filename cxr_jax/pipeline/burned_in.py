"""Warn of names that may be written into the pixels, before an image gets into a page."""

import warnings
from collections.abc import Iterable
from pathlib import Path

from cxr_jax.pipeline import dicom
from cxr_jax.pipeline.bad_image import BadImageError


def warn_of_burned_in(paths: Iterable[Path], *, page: Path) -> None:
    """Warn where DICOM files declare BurnedInAnnotation.

    Args:
      paths: the images that the page shows; of any format, missing ones are passed over.
      page: named in the warning.
    """
    burned = [path for path in paths if _is_burned_in(path)]
    if burned:
        warnings.warn(
            f"{page}: shows {len(burned):,} images whose DICOM header says that annotation is "
            f"burned into them, {burned[0]} the first; look whether they tell who the patient is "
            "before you pass the page on",
            stacklevel=2,
        )


def _is_burned_in(path: Path) -> bool:
    try:
        return dicom.is_dicom_file(path) and dicom.read_exam(path, salt="").burned_in
    except (OSError, BadImageError):
        return False
