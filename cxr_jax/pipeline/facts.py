"""What an image's file says and holds: size, bits, photometric interpretation, its pixels' hash."""

import dataclasses
from collections.abc import Iterator, Sequence

from cxr_jax.pipeline import dicom
from cxr_jax.pipeline.bad_image import BadImageError
from cxr_jax.pipeline.decode import AS_IT_COMES, DecodeConfig, decode
from cxr_jax.pipeline.fingerprint import fingerprint
from cxr_jax.pipeline.record import Record
from cxr_jax.pipeline.threads import map_in_order, one_opencv_thread, processors


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """One image file, decoded.

    Attributes:
      width, height: in pixels.
      bits: BitsStored of a DICOM file, else those of the decoded pixels.
      photometric: of a DICOM file, such as "MONOCHROME1"; "" for others.
      burned_in: whether a DICOM file declares burned-in annotation.
      fingerprint: equal only where all pixels are.
      error: why the file cannot be used; then nothing else is known.
    """

    width: int = 0
    height: int = 0
    bits: int = 0
    photometric: str = ""
    burned_in: bool = False
    fingerprint: str = ""
    error: str = ""


def read_all_facts(
    records: Sequence[Record], config: DecodeConfig = AS_IT_COMES
) -> Iterator[ImageFacts]:
    """Decode every image, in order, on all processors."""
    with one_opencv_thread():
        yield from map_in_order(lambda record: read_facts(record, config), records, processors())


def read_facts(record: Record, config: DecodeConfig = AS_IT_COMES) -> ImageFacts:
    """Decode an image; a file that cannot be used is a fact too."""
    try:
        image = decode(record.path, config, bit_depth=record.bit_depth)
        is_dicom = dicom.is_dicom_file(record.path)
        exam = dicom.read_exam(record.path, salt="") if is_dicom else None
    except BadImageError as error:
        return ImageFacts(error=error.reason)
    return ImageFacts(
        width=image.shape[1],
        height=image.shape[0],
        bits=exam.bits if exam else 8 * image.itemsize,
        photometric=exam.photometric if exam else "",
        burned_in=exam.burned_in if exam else False,
        fingerprint=fingerprint(image),
    )
