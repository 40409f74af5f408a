"""What a DICOM file's stored values look like: PS3.3 C.11.1 (modality), C.11.2 (VOI), C.7.6.3.

It depends on the stored value alone, so it is worked out once for every value there can be, and
the pixels look theirs up. Presentation LUT Shape is not asked: INVERSE goes with MONOCHROME1 and
says the same.
"""

import numpy as np
import pydicom
from jaxtyping import Bool, Float64, Int64, UInt8, UInt16

Values = Float64[np.ndarray, "value"]


class GreyValueError(ValueError):
    """What is wrong with a header's grey values, in a few words."""


def grey_table(
    header: pydicom.Dataset, *, window: int
) -> tuple[UInt8[np.ndarray, "value"] | UInt16[np.ndarray, "value"], int]:
    """Tabulate what every stored value looks like.

    Args:
      header: of a MONOCHROME1 or MONOCHROME2 image.
      window: which of several VOI LUTs or windows, from 0.

    Returns:
      uint8 if BitsStored <= 8, else uint16, [2**BitsStored], 0 is black; and the stored value that
      the first entry belongs to.

    Raises:
      GreyValueError: an element makes no sense, or there is no such window.
    """
    allocated, bits, signed = header.BitsAllocated, header.BitsStored, header.PixelRepresentation
    if allocated not in (8, 16):
        raise GreyValueError(f"{allocated} bits a pixel, not 8 or 16")
    if not 0 < bits <= allocated:
        raise GreyValueError(f"BitsStored is {bits} where {allocated} are allocated")
    if header.get("HighBit", bits - 1) != bits - 1:
        raise GreyValueError(f"HighBit is {header.HighBit} where BitsStored is {bits}")
    lowest = -(2 ** (bits - 1)) if signed else 0
    stored = np.arange(lowest, lowest + 2**bits)
    shares = np.clip(_voi(_modality(stored, header), header, window), 0, 1)
    dtype = np.uint8 if bits <= 8 else np.uint16
    brightest = np.iinfo(dtype).max
    table = np.rint(shares * brightest).astype(dtype)
    if header.PhotometricInterpretation == "MONOCHROME1":
        table = brightest - table
    table[_is_padding(stored, header)] = 0  # black, whichever way round the values are
    return table, lowest


def _modality(stored: Int64[np.ndarray, "value"], header: pydicom.Dataset) -> Values:
    """From stored values to those of the modality."""
    if header.get("ModalityLUTSequence"):
        return _look_up(stored.astype(np.float64), header.ModalityLUTSequence[0])[0]
    slope = (_numbers(header, "RescaleSlope") or [1.0])[0]
    intercept = (_numbers(header, "RescaleIntercept") or [0.0])[0]
    if slope == 0:
        raise GreyValueError("RescaleSlope is 0")
    return slope * stored + intercept


def _voi(values: Values, header: pydicom.Dataset, window: int) -> Values:
    """From the modality's values to shares of the output range; not clipped."""
    tables = header.get("VOILUTSequence") or []
    tables = [item for item in tables if "LUTDescriptor" in item and "LUTData" in item]
    centres, widths = _numbers(header, "WindowCenter"), _numbers(header, "WindowWidth")
    windows = list(zip(centres, widths, strict=False))
    if not (tables or windows):
        if window:
            raise GreyValueError(f"no window {window}: the file has none")
        return (values - values.min()) / (np.ptp(values) or 1)
    if window >= len(tables or windows):
        raise GreyValueError(f"no window {window}: the file has {len(tables or windows)}, from 0")
    if tables:
        shown, brightest = _look_up(values, tables[window])
        return shown / brightest
    function = str(header.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in _WINDOWS:
        raise GreyValueError(f"VOILUTFunction is {function!r}, not {', '.join(_WINDOWS)}")
    centre, width = windows[window]
    if width <= 0 or (function == "LINEAR" and width < 1):
        raise GreyValueError(f"WindowWidth is {width:g}")
    return _WINDOWS[function](values, centre, width)


def _linear(values: Values, centre: float, width: float) -> Values:
    """C.11.2.1.2.1: the window is of whole numbers, so it is one narrower than it says."""
    if width == 1:
        return (values > centre - 0.5).astype(np.float64)
    return (values - (centre - 0.5)) / (width - 1) + 0.5


def _linear_exact(values: Values, centre: float, width: float) -> Values:
    """C.11.2.1.3.2"""
    return (values - centre) / width + 0.5


def _sigmoid(values: Values, centre: float, width: float) -> Values:
    """C.11.2.1.3.1, written so that no exponential overflows."""
    return 0.5 + 0.5 * np.tanh(2 * (values - centre) / width)


_WINDOWS = {"LINEAR": _linear, "LINEAR_EXACT": _linear_exact, "SIGMOID": _sigmoid}


def _look_up(values: Values, item: pydicom.Dataset) -> tuple[Values, float]:
    """Apply a LUT; what lies outside of it gets its first or last entry.

    Returns:
      The values, and the largest that the LUT can give.
    """
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    count = count % 2**16 or 2**16
    if not 0 < bits <= 16:
        raise GreyValueError(f"a LUT has {bits} bits an entry")
    if first >= 2**15 and values.min() < 0:  # written as unsigned
        first -= 2**16
    data, order = item.LUTData, ">" if item.original_encoding[1] is False else "<"
    if not isinstance(data, bytes):  # pydicom has read it as 16-bit numbers
        numbers = np.atleast_1d(np.asarray(data, np.int64)) % 2**16
        data, order = numbers.astype("<u2").tobytes(), "<"
    is_packed = len(data) in (count, count + 1)  # a byte an entry, filled up to an even number
    entry = np.dtype("u1" if is_packed else f"{order}u2")
    entries = np.frombuffer(data, entry, len(data) // entry.itemsize)
    if len(entries) < count:
        raise GreyValueError(f"a LUT has {len(entries):,} entries where it announces {count:,}")
    entries = entries[:count].astype(np.float64)
    at = np.clip(np.rint(values) - first, 0, count - 1).astype(np.int64)
    return entries[at], max(2.0**bits - 1, entries.max())


def _is_padding(
    stored: Int64[np.ndarray, "value"], header: pydicom.Dataset
) -> Bool[np.ndarray, "value"]:
    edges = _numbers(header, "PixelPaddingValue")
    if not edges:
        return np.zeros(stored.shape, bool)
    edges += _numbers(header, "PixelPaddingRangeLimit")
    if stored[0] < 0:  # may be written as unsigned
        edges = [edge - 2**16 if edge >= 2**15 else edge for edge in edges]
    return (stored >= min(edges)) & (stored <= max(edges))


def _numbers(header: pydicom.Dataset, keyword: str) -> list[float]:
    """An element's values; none where it is absent or empty."""
    value = header.get(keyword)
    if value is None or value == "":
        return []
    numbers = [float(number) for number in np.atleast_1d(np.asarray(value, np.float64))]
    if not np.isfinite(numbers).all():
        raise GreyValueError(f"{keyword} is {value}")
    return numbers
