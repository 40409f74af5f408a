"""Read DICOM radiographs as they are meant to be seen.

What becomes of the stored values stands in `grey_values`. Only the elements that describe the
pixels are read, so that nothing about a patient can get any further.
"""

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from pydicom import uid
from pydicom.encaps import get_frame

from cxr_jax.host_image import HostImage
from cxr_jax.pipeline.bad_image import (
    CONVERT,
    GET_AGAIN,
    LARGEST_AREA,
    BadImageError,
    check_size,
    read_bytes,
)
from cxr_jax.pipeline.grey_values import GreyValueError, grey_table
from cxr_jax.pipeline.headers import BadFileError, read_codestream_size
from cxr_jax.pipeline.record import hash_patient
from cxr_jax.pipeline.shared import Shared

SUFFIXES = (".dcm", ".dicom")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Exam:
    """What a DICOM header says of an exam.

    Attributes:
      patient: a salted hash of the PatientID; "" where there is none.
      view: "PA", "AP", "CC", "MLO", …; "" where the file does not say.
      laterality: "L", "R" or "".
      modality: "CR", "DX", "MG", …; "" where the file does not say.
      body_part: "CHEST", "BREAST", …, or whatever was typed in; "" where the file does not say.
      photometric, bits: photometric interpretation and BitsStored; "" and 0 where it does not say.
      burned_in: whether the file declares that the image holds text that may tell who it is.
    """

    patient: str
    view: str
    laterality: str
    modality: str = ""
    body_part: str = ""
    photometric: str = ""
    bits: int = 0
    burned_in: bool = False


def read_dicom(path: Path | str, *, window: int = 0) -> HostImage:
    """Read a grey DICOM image of one frame.

    Modality LUT or rescale; then exactly one VOI transform: the LUT sequence, else the window, else
    the range of BitsStored; MONOCHROME1 inverted last; padding black. A file FOR PRESENTATION is
    treated alike: its window is part of how it is to be presented.

    Args:
      path: the file.
      window: which of several VOI LUTs or windows, from 0.

    Returns:
      uint8 [height, width] if BitsStored <= 8, else uint16; 0 is black, and the output range
      of the VOI transform is the full range of the dtype.

    Raises:
      BadImageError: the file is missing, truncated, damaged, no grey image of one frame, of a size
        that is refused, compressed in a way that cannot be read, or has no such window.
      ValueError: window is negative.
    """
    path = Path(path)
    return decode(read_bytes(path), path, window=window)


def is_dicom(data: bytes, path: Path) -> bool:
    """Whether a file is DICOM, by its content or, lacking the preamble, by its name."""
    return data[128:132] == b"DICM" or path.suffix.lower() in SUFFIXES


def is_dicom_file(path: Path) -> bool:
    """As `is_dicom`, of a file whose bytes are not read yet.

    Raises:
      OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return is_dicom(file.read(132), path)


def decode(
    data: bytes, path: Path, *, window: int = 0, max_pixels: int = LARGEST_AREA
) -> HostImage:
    """As `read_dicom`, from the bytes of the file; `path` is for messages.

    A header that claims more than max_pixels is refused before anything is decompressed.
    """
    if window < 0:
        raise ValueError(f"window must be at least 0, got {window}")
    if not data:
        raise BadImageError(path, "the file is empty (0 bytes)", GET_AGAIN)
    with _reading(path):
        header = pydicom.dcmread(io.BytesIO(data), force=True, specific_tags=list(_IMAGE_TAGS))
        if "Rows" not in header:
            is_sure = data[128:132] == b"DICM"
            reason = "a DICOM file without an image" if is_sure else "not a DICOM file"
            raise BadImageError(path, reason, GET_AGAIN)
        _check(header, path, max_pixels)
        table, lowest = grey_table(header, window=window)
        # Clipped, as a decoder may leave values that BitsStored has no room for.
        return table.take(_pixels(header, path).astype(np.int32) - lowest, mode="clip")


def read_exam(path: Path, *, salt: str) -> Exam:
    """Read who and what was examined, without the image.

    Args:
      path: the file.
      salt: of the patient's hash, one a data set.

    Raises:
      BadImageError: the file is missing or damaged.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadImageError(path, f"cannot be read: {error.strerror}", GET_AGAIN) from error
    with file, _reading(path):
        header = pydicom.dcmread(
            file, force=True, stop_before_pixels=True, specific_tags=list(_EXAM_TAGS)
        )
        text = {tag: str(header.get(tag) or "").strip() for tag in _EXAM_TAGS}
    patient = text["PatientID"]
    return Exam(
        patient=hash_patient(patient, salt=salt) if patient else "",
        view=text["ViewPosition"],
        laterality=text["ImageLaterality"] or text["Laterality"],
        modality=text["Modality"],
        body_part=text["BodyPartExamined"],
        photometric=text["PhotometricInterpretation"],
        bits=int(text["BitsStored"] or 0),
        burned_in=text["BurnedInAnnotation"].upper() == "YES",
    )


def _check(header: pydicom.Dataset, path: Path, max_pixels: int) -> None:
    """Refuse what is no grey image of one frame."""
    if "FloatPixelData" in header or "DoubleFloatPixelData" in header:
        raise BadImageError(path, "pixels are not integers of 8 or 16 bits", CONVERT)
    if "PixelData" not in header:
        raise BadImageError(path, "the file is truncated: its pixels are missing", GET_AGAIN)
    missing = [tag for tag in _REQUIRED if header.get(tag) is None]
    if missing:
        raise BadImageError(path, f"the file is damaged: no {', '.join(missing)}", GET_AGAIN)
    frames = int(header.get("NumberOfFrames") or 1)
    if frames != 1:
        raise BadImageError(path, f"{frames:,} frames, where a radiograph has one", CONVERT)
    photometric = header.PhotometricInterpretation
    if header.SamplesPerPixel != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2"):
        reason = f"in colour ({photometric}), where a radiograph is grey"
        raise BadImageError(path, reason, CONVERT)
    check_size(path, width=header.Columns, height=header.Rows, max_pixels=max_pixels)


def _pixels(header: pydicom.Dataset, path: Path) -> np.ndarray:
    """Decompress; which library does it is settled, as lossy decoders differ by a grey level."""
    is_big_endian = header.original_encoding[1] is False
    without_meta = uid.ExplicitVRBigEndian if is_big_endian else uid.ImplicitVRLittleEndian
    syntax = header.file_meta.get("TransferSyntaxUID", without_meta)
    header.file_meta.TransferSyntaxUID = syntax
    if syntax.is_encapsulated and syntax not in _PLUGINS and syntax not in _JPEG:
        raise BadImageError(path, f"pixels compressed as {syntax.name} cannot be read", CONVERT)
    if syntax.is_encapsulated and syntax != uid.RLELossless:
        frame = get_frame(header.PixelData, 0, number_of_frames=1)
        size = read_codestream_size(frame)
        if size != (header.Columns, header.Rows):
            reason = f"the file is damaged: {size[0]} x {size[1]} pixels are in it, not "
            raise BadImageError(path, f"{reason}{header.Columns} x {header.Rows}", GET_AGAIN)
        if syntax in _JPEG:
            return _decode_jpeg(frame, header)
    header.pixel_array_options(raw=True, decoding_plugin=_PLUGINS.get(syntax, ""))
    return header.pixel_array


def _decode_jpeg(frame: bytes, header: pydicom.Dataset) -> np.ndarray:
    """By libjpeg-turbo, which pydicom has no plug-in for: those it has lack 12 bits or lossless."""
    if b"\xff\xd9" not in frame[-16:]:  # end of image; padding may follow
        raise BadFileError("the compressed pixels are truncated")
    pixels = imagecodecs.jpeg8_decode(frame)
    if not header.PixelRepresentation:
        return pixels
    unused = 8 * pixels.itemsize - header.BitsStored
    return (pixels << unused).view(f"i{pixels.itemsize}") >> unused


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever pydicom and its decoders raise about a damaged file into a BadImageError."""
    try:
        with _pydicom_silent():
            yield
    except BadImageError:
        raise
    except GreyValueError as error:
        raise BadImageError(path, str(error), CONVERT) from error
    except Exception as error:  # what a parser raises on damaged files cannot be listed
        raise BadImageError(path, f"the file is damaged: {error}", GET_AGAIN) from error


@contextlib.contextmanager
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


_pydicom_silent = Shared(_no_warnings)
"""Real files break the standard in many harmless ways, and pydicom warns of each."""

_IMAGE_TAGS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "ModalityLUTSequence",
    "RescaleIntercept",
    "RescaleSlope",
    "VOILUTSequence",
    "VOILUTFunction",
    "WindowCenter",
    "WindowWidth",
    "FloatPixelData",
    "DoubleFloatPixelData",
    "PixelData",
)
_REQUIRED = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
)
_EXAM_TAGS = (
    "PatientID",
    "ViewPosition",
    "ImageLaterality",
    "Laterality",
    "Modality",
    "BodyPartExamined",
    "BurnedInAnnotation",
    "PhotometricInterpretation",
    "BitsStored",
)

_JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
_PLUGINS = {
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    uid.HTJ2KLossless: "pylibjpeg",
    uid.HTJ2KLosslessRPCL: "pylibjpeg",
    uid.HTJ2K: "pylibjpeg",
    uid.RLELossless: "pydicom",  # pylibjpeg-rle panics on damaged data
}
