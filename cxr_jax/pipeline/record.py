"""One image of a data set, as its files describe it, before anything is decoded."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

NO_FINDING = "No Finding"

UNCERTAIN = -1.0
"""The label of a finding that a report neither affirms nor denies; `select` decides what it is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Box:
    """A finding's rectangle in pixels of the original image: left, top, width, height."""

    finding: str
    left: float
    top: float
    width: float
    height: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunLengths:
    """A mask as run lengths; see `rle`.

    Attributes:
      texts: are united; without any the mask is empty.
      height, width: of the image that they are for; None where the data set does not say.
    """

    texts: tuple[str, ...]
    height: int | None = None
    width: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskFiles:
    """A mask as image files of the image's size; they are united, without any it is empty."""

    paths: tuple[Path, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegionFiles:
    """A mask as image files of which it is not said which are masks.

    Attributes:
      regions: are united. Of each region the files that may be its mask; it is the one that has the
        image's size, and the others show a part of the image.
    """

    regions: tuple[tuple[Path, ...], ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Polygons:
    """A mask as outlines.

    Attributes:
      outlines: closed, of (x, y) in pixels of the original image, counted from the centre of its
        first pixel; they are filled and united, without any the mask is empty. One point is one
        pixel.
    """

    outlines: tuple[tuple[tuple[float, float], ...], ...]


Mask = RunLengths | MaskFiles | RegionFiles | Polygons


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """One image and what is known of it.

    Attributes:
      image: the name that outputs show, unique in its data set (e.g. "00000129_000.png").
      path: the file to decode.
      patient: whoever shares this never gets into two splits.
      dataset: the data set, where several are read together.
      view: "PA", "AP", "CC", "MLO", …; "" where the data set does not say.
      laterality: of a breast, "L" or "R"; "" where the data set does not say.
      labels: finding, by its name in `findings`, -> 1 (present), 0 (absent), UNCERTAIN, or NaN: the
        data set has labels of this finding, but left it blank here. A finding that is not there is
        none that it labels, or makes no sense here. NO_FINDING is among them where it is known.
      bit_depth: bits a pixel that the data set promises of the file; None where it does not say.
      split: "train", "validation", "test", "train_validation" (to be divided), or None (no list).
      boxes: marked findings.
      masks: finding or structure -> where it is, to be read by `masks.read_mask`; one that is not
        there is unknown, which the empty mask is not.
      measurements: numbers that come with the image, such as {"cardiothoracic_ratio": 0.52}.
    """

    image: str
    path: Path
    patient: str
    dataset: str = ""
    view: str = ""
    laterality: str = ""
    labels: Mapping[str, float] = dataclasses.field(default_factory=dict)
    bit_depth: int | None = None
    split: str | None = None
    boxes: tuple[Box, ...] = ()
    masks: Mapping[str, Mask] = dataclasses.field(default_factory=dict)
    measurements: Mapping[str, float] = dataclasses.field(default_factory=dict)


def hash_patient(identifier: str, *, salt: str) -> str:
    """Name a patient without telling who it is: 12 hex digits of a salted SHA-256.

    The same patient has the same hash in all runs. The salt is no secret, so whoever knows the
    identifiers can find out which hash is whose.

    Args:
      identifier: what the data set calls the patient.
      salt: the data set's name, so that hashes of two data sets cannot be joined.
    """
    return hashlib.sha256((salt + identifier).encode(errors="surrogatepass")).hexdigest()[:12]
