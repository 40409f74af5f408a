"""Read the headers of many DICOM files."""

import concurrent.futures
from collections.abc import Mapping
from pathlib import Path

from cxr_jax.pipeline import dicom
from cxr_jax.pipeline.bad_image import BadImageError
from cxr_jax.pipeline.dicom import Exam


def read_exams(files: Mapping[str, Path], *, salt: str) -> dict[str, Exam]:
    """Read who and what was examined.

    Args:
      files: image -> its DICOM file.
      salt: of the patients' hashes, one a data set.

    Returns:
      Image -> what its header says. One that cannot be read is left out: whoever decodes it finds
      out.
    """

    def read_exam(path: Path) -> Exam | None:
        try:
            return dicom.read_exam(path, salt=salt)
        except BadImageError:
            return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:  # hides the disk
        exams = pool.map(read_exam, files.values())
        return {image: exam for image, exam in zip(files, exams, strict=True) if exam is not None}
