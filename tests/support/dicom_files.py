"""DICOM files made by code."""

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, generate_uid


def dicom(pixels, *, bits=None, photometric="MONOCHROME2", patient="DOE^4711", **elements):
    """A data set in memory: a radiograph with these stored values.

    Args:
      pixels: uint8, uint16, int8 or int16 [height, width].
      bits: BitsStored; all that are allocated if None.
      photometric: its interpretation.
      patient: PatientID; PatientName is one that no output may show.
      elements: keyword=value of further elements, in their order; None leaves one out.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"  # digital X-ray, presentation
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[patient, str(pixels.shape)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    allocated = 8 * pixels.itemsize
    bits = bits or allocated
    values = {
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "PatientName": "Doe^Secret",
        "PatientID": patient,
        "PatientBirthDate": "19010203",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": photometric,
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": allocated,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    for keyword, value in {**values, **elements}.items():
        if value is not None:
            setattr(header, keyword, value)
    header.PixelData = pixels.tobytes()
    header["PixelData"].VR = "OB" if allocated == 8 else "OW"
    return header


def write_dicom(path, pixels, *, syntax=None, frame=None, **options):
    """Write such a data set, compressed if a transfer syntax is given.

    Args:
      path: the file; its folder is made.
      pixels: as for `dicom`.
      syntax: a transfer syntax; pydicom compresses, unless `frame` is the compressed image.
      options: of `dicom`.
    """
    header = dicom(pixels, **options)
    if frame is not None:
        header.PixelData = encapsulate([frame])
        header["PixelData"].VR = "OB"
        header.file_meta.TransferSyntaxUID = syntax
    elif syntax is not None:
        header.compress(syntax, encoding_plugin=_ENCODERS.get(syntax, ""))
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)
    return path


def lut(entries, *, first=0, bits=16, packed=False):
    """A LUT item for ModalityLUTSequence or VOILUTSequence."""
    item = pydicom.Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item.LUTData = np.asarray(entries, "u1" if packed else "<u2").tobytes()
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item["LUTData"].VR = "OW"
    return item


_ENCODERS = {pydicom.uid.RLELossless: "pydicom"}
