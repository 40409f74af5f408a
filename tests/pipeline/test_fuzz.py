"""Damaged files end in one clear error: never in a crash, a foreign traceback or a hang.

CXR_JAX_FUZZ is how many files each kind of test makes; a few by default.
"""

import os
import resource
import time

import cv2
import numpy as np
import pydicom
import pytest
from dicom_files import lut, write_dicom
from mutations import mutate

from cxr_jax.datasets.table import read_table
from cxr_jax.errors import DataError
from cxr_jax.pipeline.bad_image import BadImageError
from cxr_jax.pipeline.decode import DecodeConfig, decode

COUNT = int(os.environ.get("CXR_JAX_FUZZ", "40"))
SLOWEST = 5.0  # seconds
LIMIT = DecodeConfig(max_pixels=2**22)
MEMORY = 2**20  # KiB that the process may grow by

GREY = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (48, 40), np.uint8), (0, 0), 3)
DEEP = GREY.astype(np.uint16) << 4


def picture(suffix, image):
    def write(path):
        path.write_bytes(cv2.imencode(suffix, image)[1].tobytes())

    return write


def film(pixels, **options):
    def write(path):
        write_dicom(path, pixels, **options)

    return write


SOURCES = {
    "png.png": picture(".png", GREY),
    "deep.png": picture(".png", DEEP),
    "rgba.png": picture(".png", np.dstack([GREY] * 4)),
    "jpeg.jpg": picture(".jpg", GREY),
    "tiff.tif": picture(".tif", DEEP),
    "plain.dcm": film(DEEP, bits=12, WindowCenter=[500, 900], WindowWidth=[900, 1800]),
    "tables.dcm": film(
        GREY,
        ModalityLUTSequence=[lut(np.arange(256) * 16, bits=12)],
        VOILUTSequence=[lut(np.arange(4096) // 2, bits=12)],
    ),
    "signed.dcm": film(
        DEEP.astype(np.int16) - 500, PixelPaddingValue=-500, RescaleSlope=2, RescaleIntercept=-9
    ),
    "rle.dcm": film(DEEP, bits=12, syntax=pydicom.uid.RLELossless),
    "jpeg2000.dcm": film(DEEP, bits=12, syntax=pydicom.uid.JPEG2000Lossless),
    "jpegls.dcm": film(DEEP, bits=12, syntax=pydicom.uid.JPEGLSLossless),
    "jpeg.dcm": film(
        GREY,
        syntax=pydicom.uid.JPEGBaseline8Bit,
        frame=cv2.imencode(".jpg", GREY)[1].tobytes(),
    ),
}


@pytest.mark.parametrize("name", SOURCES)
def test_damaged_images_are_refused_or_read(tmp_path, name, capfd):
    path = tmp_path / name
    SOURCES[name](path)
    whole = path.read_bytes()
    assert decode(path, LIMIT).shape == GREY.shape
    rng = np.random.default_rng(sum(name.encode()))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = []
    for _ in range(COUNT):
        path.write_bytes(mutate(rng, whole))
        start = time.monotonic()
        try:
            image = decode(path, LIMIT)
            assert image.dtype in (np.uint8, np.uint16)
            assert image.ndim == 2
        except BadImageError as error:
            refused.append(str(error))
        assert time.monotonic() - start < SLOWEST
    assert len(refused) > COUNT / 10
    assert all(str(path) in message and "\n" not in message for message in refused)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY
    printed = capfd.readouterr()
    if name != "jpeg.jpg":  # libjpeg says on stderr what it passes over
        assert printed == ("", "")


TABLE = (
    "image,patient,view,label\r\n"
    + "".join(f'"film {i}.png",{i // 2},PA,{i % 2}\r\n' for i in range(30))
).encode()


def test_damaged_tables_are_refused_or_read(tmp_path):
    path = tmp_path / "labels.csv"
    refused = []
    rng = np.random.default_rng(0)
    for _ in range(10 * COUNT):
        path.write_bytes(mutate(rng, TABLE))
        start = time.monotonic()
        try:
            rows = list(read_table(path, ("image", "patient", "label"), optional=("view",)))
            assert all(isinstance(row["image"], str) for row in rows)
        except DataError as error:
            refused.append(str(error))
        assert time.monotonic() - start < SLOWEST
    assert len(refused) > COUNT
    assert all(message.startswith(str(path)) for message in refused)
