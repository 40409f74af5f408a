import concurrent.futures
import hashlib
import io
import warnings
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pydicom
import pytest
from data_store import DataStore
from dicom_files import dicom, lut, write_dicom
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from cxr_jax.errors import DataError
from cxr_jax.pipeline import dicom as dicom_module
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.dicom import read_dicom, read_exam

RAMP = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)  # every value of 12 bits


def real(name):
    """A file of pydicom-data, or of those that come with pydicom; nothing is downloaded."""
    path = DataStore().data_path / f"{name}.dcm"
    return path if path.is_file() else Path(get_testdata_file(path.name, download=False))


def shown_by_pydicom(header):
    """What pydicom's own functions make of a file, as shares of their output range."""
    pixels = header.pixel_array
    values = apply_modality_lut(pixels, header)
    bits, signed = header.BitsStored, header.PixelRepresentation
    stored = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1])
    ends = apply_modality_lut(stored, header).astype(float)
    voi = header.get("VOILUTSequence")
    if voi:
        ends = [0, 2 ** voi[0].LUTDescriptor[2] - 1]
    shares = (apply_voi_lut(values, header) - ends[0]) / (ends[1] - ends[0])
    return 1 - shares if header.PhotometricInterpretation == "MONOCHROME1" else shares


def assert_shows(image, shares, *, bits):
    """The image shows these shares of its dtype's range, but for rounding."""
    assert image.dtype == (np.uint8 if bits <= 8 else np.uint16)
    expected = shares * np.iinfo(image.dtype).max
    assert np.abs(image - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    "name",
    [
        "RG1_UNCR",  # a chest radiograph: 15 bits, MONOCHROME1, window
        "RG3_UNCR",  # 10 bits, MONOCHROME1
        "RG3_J2KI",  # the same, lossy
        "vlut_04",  # VOI LUT sequence
        "mlut_18",  # modality LUT sequence, signed
        "MR2_UNCR",  # rescale and window
        "MR_small_bigendian",
        "J2K_pixelrep_mismatch",  # several windows; the codestream says unsigned
        "examples_overlay",  # overlays in the bits that are not stored
    ],
)
def test_real_files_look_as_pydicom_shows_them(name):
    header = pydicom.dcmread(real(name))
    image = read_dicom(str(real(name)))
    assert_shows(image, shown_by_pydicom(header), bits=header.BitsStored)
    np.testing.assert_array_equal(decode(real(name)), image)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("RG1_J2KR", "RG1_UNCR"),
        ("RG3_J2KR", "RG3_UNCR"),
        ("MR_small", "MR_small_RLE"),
        ("MR_small", "MR_small_jp2klossless"),
        ("MR_small", "MR_small_jpeg_ls_lossless"),
        ("MR_small", "MR_small_implicit"),
        ("MR_small", "MR_small_expb"),
    ],
)
def test_compressed_equals_uncompressed(one, other):
    np.testing.assert_array_equal(read_dicom(real(one)), read_dicom(real(other)))


@pytest.mark.smoke
@pytest.mark.parametrize("syntax", [uid.JPEG2000Lossless, uid.JPEGLSLossless, uid.RLELossless])
@pytest.mark.parametrize(("dtype", "bits"), [(np.uint8, 8), (np.uint16, 12)])
def test_every_compression_comes_back_exactly(tmp_path, syntax, dtype, bits):
    pixels = (RAMP >> (12 - bits)).astype(dtype)
    path = write_dicom(tmp_path / "a.dcm", pixels, bits=bits, syntax=syntax)
    plain = write_dicom(tmp_path / "b.dcm", pixels, bits=bits)
    np.testing.assert_array_equal(read_dicom(path), read_dicom(plain))


def test_lossless_jpeg_is_read_as_gdcm_does():
    """GDCM's sums of the stored values; pydicom has no decoder for these without it."""
    signed = read_dicom(real("JPEG-LL"))  # 16 bits, no window: shown 32768 brighter than stored
    assert (signed.astype(np.int64) - 32768).sum() == 3596452
    path = real("JPGLosslessP14SV1_1s_1f_8b")  # FOR PRESENTATION; its window is 0 to 253
    image, header = read_dicom(path), pydicom.dcmread(path)
    stored = imagecodecs.jpeg8_decode(get_frame(header.PixelData, 0, number_of_frames=1))
    assert stored.sum() == 13572107
    assert_shows(image, np.clip(stored / 253, 0, 1), bits=8)


def test_12_bit_jpeg_is_read():
    """As the lossless file of the same picture."""
    lossy, lossless = read_dicom(real("JPEG-lossy")), read_dicom(real("JPEG-LL"))
    assert np.corrcoef(lossy.ravel(), lossless.ravel())[0, 1] > 0.98


def test_jpeg_is_read(tmp_path):
    pixels = cv2.GaussianBlur((RAMP % 251).astype(np.uint8), (0, 0), 5)
    frame = cv2.imencode(".jpg", pixels)[1].tobytes()
    path = write_dicom(tmp_path / "a.dcm", pixels, frame=frame, syntax=uid.JPEGBaseline8Bit)
    assert np.abs(read_dicom(path).astype(int) - pixels).max() < 10


@pytest.mark.smoke
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("rescale", [None, (1, -1024), (2.5, 100), (-1, 500)])
@pytest.mark.parametrize("signed", [False, True])
def test_windows_equal_pydicoms(tmp_path, photometric, function, rescale, signed):
    pixels = RAMP.astype(np.int16) - 2048 if signed else RAMP
    slope, intercept = rescale or (None, None)
    options = {"RescaleSlope": slope, "RescaleIntercept": intercept, "VOILUTFunction": function}
    options |= {"WindowCenter": 310.5, "WindowWidth": 900, "photometric": photometric}
    path = write_dicom(tmp_path / "a.dcm", pixels, bits=12, **options)
    assert_shows(read_dicom(path), shown_by_pydicom(pydicom.dcmread(path)), bits=12)


@pytest.mark.parametrize("rescale", [(1, 0), (2, -500), (-3, 7)])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_without_a_window_the_stored_bits_are_the_range(tmp_path, bits, rescale):
    slope, intercept = rescale
    pixels = RAMP >> max(0, 12 - bits)
    path = write_dicom(
        tmp_path / "a.dcm", pixels, bits=bits, RescaleSlope=slope, RescaleIntercept=intercept
    )
    shares = pixels / (2**bits - 1)
    assert_shows(read_dicom(path), shares if slope > 0 else 1 - shares, bits=bits)


def test_empty_elements_count_as_absent(tmp_path):
    empty = {"WindowCenter": "", "WindowWidth": "", "RescaleSlope": "", "VOILUTSequence": []}
    path = write_dicom(tmp_path / "a.dcm", RAMP, bits=12, PixelPaddingValue="", **empty)
    assert_shows(read_dicom(path), RAMP / 4095, bits=12)


def test_an_8_bit_file_without_a_window_is_its_own_values(tmp_path):
    pixels = (RAMP % 256).astype(np.uint8)
    np.testing.assert_array_equal(read_dicom(write_dicom(tmp_path / "a.dcm", pixels)), pixels)
    inverse = write_dicom(tmp_path / "b.dcm", pixels, photometric="MONOCHROME1")
    np.testing.assert_array_equal(read_dicom(inverse), 255 - pixels)


@pytest.mark.parametrize("intent", ["FOR PRESENTATION", "FOR PROCESSING"])
def test_exactly_one_voi_transform_is_applied(tmp_path, intent):
    """The LUT, although there is a window; the window, although the file is for presentation."""
    curve = (np.linspace(0, 1, 4096) ** 2 * 65535).astype(np.uint16)
    options = {"bits": 12, "WindowCenter": 2048, "WindowWidth": 1000}
    options |= {"PresentationIntentType": intent}
    path = write_dicom(tmp_path / "lut.dcm", RAMP, VOILUTSequence=[lut(curve)], **options)
    assert_shows(read_dicom(path), curve[RAMP] / 65535, bits=12)
    path = write_dicom(tmp_path / "window.dcm", RAMP, **options)
    once = np.clip((RAMP - 2047.5) / 999 + 0.5, 0, 1)
    assert_shows(read_dicom(path), once, bits=12)


def test_a_lut_sequence_without_data_gives_way_to_the_window(tmp_path):
    options = {"bits": 12, "WindowCenter": 2048, "WindowWidth": 1000}
    plain = write_dicom(tmp_path / "a.dcm", RAMP, **options)
    path = write_dicom(tmp_path / "b.dcm", RAMP, VOILUTSequence=[pydicom.Dataset()], **options)
    np.testing.assert_array_equal(read_dicom(path), read_dicom(plain))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
def test_luts_hold_beyond_their_ends_and_may_be_packed(tmp_path, keyword, packed):
    entries = np.arange(255, 54, -1)  # 201, an odd number, for the values -100 to 100
    values = np.tile(np.arange(-200, 200, dtype=np.int16), (40, 1))
    item = lut(entries, first=-100, bits=8, packed=packed)
    path = write_dicom(tmp_path / "a.dcm", values, bits=12, **{keyword: [item]})
    shown = entries[np.clip(values + 100, 0, 200)]
    shares = shown / 255 if keyword == "VOILUTSequence" else (shown - 55) / 200
    assert_shows(read_dicom(path), shares, bits=12)


def test_a_lut_for_rescaled_values_may_be_written_as_unsigned(tmp_path):
    item = lut(np.arange(4096) * 16, first=2**16 - 1024)
    path = write_dicom(
        tmp_path / "a.dcm", RAMP, bits=12, RescaleIntercept=-1024, VOILUTSequence=[item]
    )
    assert_shows(read_dicom(path), RAMP * 16 / 65535, bits=12)


def test_a_lut_brighter_than_its_bits_say_is_not_clipped(tmp_path):
    item = lut(np.arange(4096) * 16, bits=12)
    path = write_dicom(tmp_path / "a.dcm", RAMP, bits=12, VOILUTSequence=[item])
    assert_shows(read_dicom(path), RAMP / 4095, bits=12)


@pytest.mark.smoke
def test_of_several_windows_the_first_is_taken_or_another(tmp_path):
    options = {"bits": 12, "WindowCenter": [1000, 3000], "WindowWidth": [200, 400]}
    path = write_dicom(tmp_path / "a.dcm", RAMP, **options)
    for window, (centre, width) in enumerate([(1000, 200), (3000, 400)]):
        shares = np.clip((RAMP + 0.5 - centre) / (width - 1) + 0.5, 0, 1)
        assert_shows(read_dicom(path, window=window), shares, bits=12)
    np.testing.assert_array_equal(read_dicom(path), read_dicom(path, window=0))
    assert "no window 2: the file has 2, from 0" in refused(path, window=2)
    with pytest.raises(ValueError, match="window must be at least 0, got -1"):
        read_dicom(path, window=-1)
    luts = [lut(np.arange(4096)), lut(np.arange(4096)[::-1])]
    path = write_dicom(tmp_path / "b.dcm", RAMP, bits=12, VOILUTSequence=luts)
    np.testing.assert_array_equal(read_dicom(path, window=1), 4095 - RAMP)
    assert "no window 1: the file has none" in refused(
        write_dicom(tmp_path / "c.dcm", RAMP, bits=12), window=1
    )


def test_a_window_of_width_1_is_a_step(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", RAMP, bits=12, WindowCenter=100, WindowWidth=1)
    np.testing.assert_array_equal(read_dicom(path), np.where(RAMP > 99.5, 65535, 0))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_whichever_way_round(tmp_path, photometric):
    def read(pixels, **options):
        path = write_dicom(tmp_path / "a.dcm", pixels, bits=12, photometric=photometric, **options)
        return read_dicom(path)

    padded = RAMP == 7
    image, plain = read(RAMP, PixelPaddingValue=7), read(RAMP)
    assert (image[padded] == 0).all()
    np.testing.assert_array_equal(image[~padded], plain[~padded])
    limits = {"PixelPaddingValue": 4095, "PixelPaddingRangeLimit": 4000}
    image = read(RAMP, **limits)
    assert (image[RAMP >= 4000] == 0).all()
    np.testing.assert_array_equal(image[RAMP < 4000], plain[RAMP < 4000])


@pytest.mark.parametrize("written", [-2000, 2**16 - 2000])
def test_padding_of_signed_pixels_may_be_written_as_unsigned(tmp_path, written):
    pixels = RAMP.astype(np.int16) - 2048
    header = dicom(pixels, bits=12)
    header.add_new("PixelPaddingValue", "SS" if written < 0 else "US", written)
    header.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    image = read_dicom(tmp_path / "a.dcm")
    assert (image[pixels == -2000] == 0).all()
    assert (image[pixels == -1999] > 0).all()


def test_real_padding_is_black():
    header = pydicom.dcmread(real("693_UNCR"))
    image, padded = read_dicom(real("693_UNCR")), header.pixel_array == -2000
    assert padded.any()
    assert (image[padded] == 0).all()
    assert_shows(image[~padded], shown_by_pydicom(header)[~padded], bits=14)


@pytest.mark.parametrize("suffix", [".dcm", ".DICOM", ".png", ""])
def test_dicom_is_known_by_its_content(tmp_path, suffix):
    path = write_dicom(tmp_path / f"film{suffix}", RAMP, bits=12)
    assert decode(path, bit_depth=16).dtype == np.uint16
    with pytest.raises(DataError, match="16 bits a pixel where the data set promises 8"):
        decode(path, bit_depth=8)


@pytest.mark.parametrize("big_endian", [False, True])
def test_a_file_without_preamble_is_known_by_its_name(tmp_path, big_endian):
    header = dicom(RAMP.byteswap() if big_endian else RAMP, bits=12)
    del header.file_meta
    header.preamble = None
    path = tmp_path / "film.dcm"
    pydicom.dcmwrite(path, header, implicit_vr=not big_endian, little_endian=not big_endian)
    np.testing.assert_array_equal(decode(path), np.rint(RAMP / 4095 * 65535))


def refused(path, read=read_dicom, **options):
    with pytest.raises(DataError) as error:
        read(path, **options)
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert "--on_bad_image=skip" in message
    assert "\n" not in message
    assert "Secret" not in message
    assert "4711" not in message
    return message


COLOUR = np.zeros((40, 40), np.uint8)


@pytest.mark.parametrize(
    ("pixels", "options", "reason"),
    [
        (RAMP, {"NumberOfFrames": 2}, "2 frames, where a radiograph has one"),
        (COLOUR, {"photometric": "RGB", "SamplesPerPixel": 3}, "in colour (RGB), where a"),
        (COLOUR, {"photometric": "PALETTE COLOR"}, "in colour (PALETTE COLOR), where a"),
        (RAMP.astype(np.uint32), {}, "32 bits a pixel, not 8 or 16"),
        (RAMP, {"BitsStored": 17}, "BitsStored is 17 where 16 are allocated"),
        (RAMP, {"bits": 12, "HighBit": 15}, "HighBit is 15 where BitsStored is 12"),
        (RAMP, {"BitsStored": None}, "the file is damaged: no BitsStored"),
        (RAMP, {"RescaleSlope": 0}, "RescaleSlope is 0"),
        (RAMP, {"WindowCenter": 5, "WindowWidth": 0}, "WindowWidth is 0"),
        (
            RAMP,
            {"WindowCenter": 5, "WindowWidth": 9, "VOILUTFunction": "CUBIC"},
            "VOILUTFunction is 'CUBIC', not LINEAR, LINEAR_EXACT, SIGMOID",
        ),
        (RAMP, {"VOILUTSequence": [lut([1, 2], bits=17)]}, "a LUT has 17 bits an entry"),
        (RAMP[:20], {}, "64 x 20 pixels is too small for a radiograph"),
        (RAMP, {"Rows": 65535, "Columns": 65535}, "is more than the 134,217,728 accepted"),
        (RAMP, {"Rows": 65}, "the file is damaged: The number of bytes of pixel data is less"),
    ],
)
def test_what_is_no_radiograph_is_refused_with_a_reason(tmp_path, pixels, options, reason):
    assert reason in refused(write_dicom(tmp_path / "a.dcm", pixels, **options))


def test_a_lut_that_is_cut_short_is_refused(tmp_path):
    item = lut(np.arange(4096))
    item.LUTData = item.LUTData[:6000]
    path = write_dicom(tmp_path / "a.dcm", RAMP, bits=12, VOILUTSequence=[item])
    assert "a LUT has 3,000 entries where it announces 4,096" in refused(path)


def test_a_nonsense_number_is_refused(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", RAMP, bits=12, WindowCenter=1234, WindowWidth=9)
    path.write_bytes(path.read_bytes().replace(b"1234.0", b"nan   "))
    assert "WindowCenter is nan" in refused(path)
    path.write_bytes(path.read_bytes().replace(b"nan   ", b"12x4.0"))
    assert "the file is damaged: could not convert string to float: '12x4.0'" in refused(path)


def test_what_is_not_whole_or_no_image_is_refused(tmp_path):
    assert "No such file" in refused(tmp_path / "nowhere.dcm")
    path = tmp_path / "a.dcm"
    path.write_bytes(b"")
    assert "the file is empty (0 bytes)" in refused(path)
    path.write_bytes(b"\0" * 5000)
    assert "a DICOM file" in refused(path)
    path.write_bytes(b"<html>404 Not Found</html>" * 50)
    refused(path)
    header = dicom(RAMP)
    for keyword in ("PixelData", "Rows"):
        del header[keyword]
        header.save_as(path, enforce_file_format=True)
    assert "a DICOM file without an image" in refused(path)
    header = dicom(RAMP)
    header.file_meta.TransferSyntaxUID = uid.MPEG2MPML
    header["PixelData"].is_undefined_length = True
    header.PixelData = pydicom.encaps.encapsulate([b"1234"])
    header.save_as(path, enforce_file_format=True)
    assert "pixels compressed as MPEG2" in refused(path)


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["RG3_UNCR", "RG3_J2KR", "JPEG-LL", "MR_small_RLE"])
@pytest.mark.parametrize("kept", [0.02, 0.2, 0.5, 0.98])
def test_truncated_files_are_refused_quietly(tmp_path, capfd, name, kept):
    data = real(name).read_bytes()
    path = tmp_path / "a.dcm"
    path.write_bytes(data[: int(kept * len(data))])
    refused(path)
    refused(path, read=decode)
    assert capfd.readouterr() == ("", "")


def test_damaged_files_are_refused_or_read_but_nothing_else(tmp_path, capfd):
    """Bytes are changed at random, most of them in the header."""
    rng = np.random.default_rng(0)
    path = tmp_path / "a.dcm"
    refusals = 0
    for name in ("MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small"):
        original = real(name).read_bytes()
        for _ in range(60):
            data = bytearray(original)
            for at in rng.integers(128, len(data), size=rng.integers(1, 30)):
                data[at] = rng.integers(256)
            path.write_bytes(data)
            result = outcome(path)
            refusals += isinstance(result, str)
            assert not isinstance(result, str) or "\n" not in result
    assert refusals > 20
    assert capfd.readouterr() == ("", "")


def test_pydicoms_warnings_are_neither_shown_nor_raised(tmp_path, recwarn, capfd):
    path = write_dicom(tmp_path / "a.dcm", RAMP, bits=12, WindowCenter=2048, WindowWidth=4096)
    data = path.read_bytes() + b"\0" * 7
    path.write_bytes(data.replace(b"4096", b"4,96").replace(b"2048", b"  20"))
    filters = list(warnings.filters)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: outcome(path), range(50)))
    assert warnings.filters == filters
    assert dicom_module._pydicom_silent.users == 0
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def outcome(path):
    try:
        return read_dicom(path)
    except DataError as error:
        return str(error)


def test_threads_read_the_same_pixels():
    paths = [real(name) for name in ("MR_small_jp2klossless", "JPEG-LL", "MR_small_RLE")] * 8
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for path, image in zip(paths, pool.map(read_dicom, paths), strict=True):
            np.testing.assert_array_equal(image, read_dicom(path))


@pytest.mark.smoke
def test_a_patient_is_known_by_a_salted_hash_alone(tmp_path):
    options = {"bits": 12, "ViewPosition": "MLO", "ImageLaterality": "R"}
    path = write_dicom(tmp_path / "a.dcm", RAMP, patient="4711", **options)
    exam = read_exam(path, salt="siim")
    assert exam.patient == hashlib.sha256(b"siim4711").hexdigest()[:12]
    assert (exam.view, exam.laterality) == ("MLO", "R")
    other = write_dicom(tmp_path / "b.dcm", RAMP, patient="4712")
    assert read_exam(other, salt="siim").patient != exam.patient
    assert read_exam(path, salt="inbreast").patient != exam.patient
    assert (read_exam(other, salt="siim").view, read_exam(other, salt="siim").laterality) == (
        "",
        "",
    )
    odd = write_dicom(tmp_path / "d.dcm", RAMP, patient="Müller")
    assert len(read_exam(odd, salt="siim").patient) == 12
    nobody = write_dicom(tmp_path / "c.dcm", RAMP, patient="")
    assert read_exam(nobody, salt="siim").patient == ""
    assert "No such file" in refused(tmp_path / "nowhere.dcm", read=read_exam, salt="siim")


def test_no_element_of_the_patient_is_even_read(tmp_path, monkeypatch):
    seen = []
    dcmread = pydicom.dcmread
    monkeypatch.setattr(
        pydicom, "dcmread", lambda *a, **k: seen.append(dcmread(*a, **k)) or seen[-1]
    )
    data = write_dicom(tmp_path / "a.dcm", RAMP, bits=12).read_bytes()
    dicom_module.decode(data, tmp_path / "a.dcm")
    (header,) = seen
    assert "PatientName" in dcmread(io.BytesIO(data))
    assert {element.tag.group for element in header} <= {0x0008, 0x0028, 0x7FE0}
    assert not any(element.keyword.startswith("Patient") for element in header)
