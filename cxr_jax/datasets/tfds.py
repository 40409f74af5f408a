"""Data sets that were prepared with TensorFlow Datasets as ArrayRecord, read without TensorFlow.

`--dataset=tfds:chexpert` or `--dataset=tfds:curated_breast_imaging_ddsm/CONFIG`, with the CONFIG
`patches` (the default), `original-calc` or `original-mass`; `--data_dir` is TFDS's own data
directory, such as ~/tensorflow_datasets, or the folder of one version in it. To prepare one (this
needs TensorFlow, the download in DOWNLOAD, and TFDS's instructions how it must lie there):

    tfds build chexpert --file_format=array_record --data_dir=FOLDER --manual_dir=DOWNLOAD

- `curated_breast_imaging_ddsm/original-…`: the films with calcifications, or those with masses.
  "Malignant" is the worst of a film's abnormalities; their masks are united in "Abnormality". The
  official split is used.
- `…/patches`: 224 x 224 pixels of films of 1152 x 896. TFDS divided them by patient in its own way,
  which is not the official test set; that split is used. Patients are not named: a film counts as
  one. "Malignant" is unknown where a patch shows background ("No Finding").
- `chexpert`: the small version. Views are FRONTAL or LATERAL; TFDS does not keep PA and AP. Its
  validation set, which radiologists labelled, is the test set here.

Images are unpacked once, as they are encoded, into the cache directory.

Licence and what to cite: of the data sets, see `cbis_ddsm`; CheXpert: Stanford University Dataset
Research Use Agreement. Irvin J, Rajpurkar P, Ko M, et al. CheXpert: a large chest radiograph
dataset with uncertainty labels and expert comparison. AAAI 2019.
"""

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow_datasets
import tqdm

from cxr_jax.datasets.chexpert import OBSERVATIONS
from cxr_jax.errors import DataError
from cxr_jax.pipeline.findings import canonical
from cxr_jax.pipeline.once import make_directory_once
from cxr_jax.pipeline.record import NO_FINDING, UNCERTAIN, Record, RegionFiles

MASK = "Abnormality"

_VERSION = 1
"""To be raised when the same example comes to make another record."""

_RECORDS = "records.json"
_SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg"}
_MENTIONED = {"positive": 1.0, "negative": 0.0, "uncertain": UNCERTAIN}

_Fields = dict[str, Any]


def read(data_dir: Path, *, name: str, cache_dir: Path) -> list[Record]:
    """Read a record for every example, by split.

    Args:
      data_dir: the folder described above.
      name: of the data set in TFDS, with its config if it has several.
      cache_dir: where the images are unpacked.

    Raises:
      ValueError: no data set of that name is known.
      DataError: it is not there, in another file format, or damaged.
      WorkspaceError: cache_dir cannot be written, or the disk is full.
    """
    if name not in _SETS:
        raise ValueError(f"tfds: must be one of {', '.join(_SETS)}, got {name!r}")
    kind = _SETS[name]
    source = _find(data_dir, kind, name)
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in _list(source)]
    made_from = json.dumps([_VERSION, str(source.absolute()), stats])
    digest = hashlib.sha256(made_from.encode()).hexdigest()[:16]
    folder = cache_dir.absolute() / f"tfds-{kind.name}-{kind.config}-{digest}"
    make_directory_once(folder, functools.partial(_unpack, source, kind, name))
    return [_record(folder, fields) for fields in json.loads((folder / _RECORDS).read_text())]


def _list(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _record(folder: Path, fields: _Fields) -> Record:
    masks = [(folder / mask,) for mask in fields.pop("masks")]
    return Record(
        path=folder / fields.pop("path"),
        masks={MASK: RegionFiles(regions=tuple(masks))} if masks else {},
        **fields,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Set:
    """A data set of TFDS.

    Attributes:
      name, config: as TFDS has them; "" for no config.
      splits: TFDS's split -> `Record.split`.
      describe: example, features -> the fields of its record but split and files.
      masks: whether each abnormality has one.
    """

    name: str
    config: str = ""
    splits: Mapping[str, str]
    describe: Callable[[_Fields, Any], _Fields]
    masks: bool = False


def _find(data_dir: Path, kind: _Set, name: str) -> Path:
    """The folder of the newest version that is there."""
    inside = data_dir / kind.name / kind.config
    found = [path.parent for path in inside.glob("*/dataset_info.json")]
    if (data_dir / "dataset_info.json").is_file():
        found = [data_dir]
    if not found:
        raise DataError(
            f"{data_dir}: holds no {name}, which would be in {inside}/<version>; {_prepare(name)}"
        )
    return max(found, key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)])


def _prepare(name: str) -> str:
    return (
        f"prepare it by: tfds build {name} --file_format=array_record --data_dir=FOLDER "
        "--manual_dir=DOWNLOAD; then take --data_dir=FOLDER"
    )


def _open(source: Path, kind: _Set, name: str) -> Any:
    """TFDS's builder of what is in the folder."""
    try:
        builder = tensorflow_datasets.builder_from_directory(source)
        info = builder.info
        found = (info.name, info.config_name or "", info.file_format.value)
    except Exception as error:  # TFDS does not say what it raises
        reason = " ".join(str(error).split())
        raise DataError(f"{source}: not a data set of TFDS: {reason}; {_prepare(name)}") from error
    if found[:2] != (kind.name, kind.config):
        raise DataError(f"{source}: holds {'/'.join(found[:2])}, not {name}")
    if found[2] != "array_record":
        raise DataError(
            f"{source}: its files are {found[2]}, which only TensorFlow reads; {_prepare(name)}"
        )
    missing = set(kind.splits) - set(info.splits)
    if missing:
        raise DataError(f"{source}: has no split {' or '.join(sorted(missing))}; {_prepare(name)}")
    return builder


class _Encoded(tensorflow_datasets.decode.SkipDecoding):
    """Leaves images as they are encoded, also those of a sequence, which TFDS's own does not."""

    def decode_batch_example_np(self, images: Any) -> Any:
        return self.decode_example_np(images)


def _unpack(source: Path, kind: _Set, name: str, folder: Path) -> None:
    """Write the images of all splits, and a table of their records."""
    builder = _open(source, kind, name)
    records: list[_Fields] = []
    total = sum(builder.info.splits[split].num_examples for split in kind.splits)
    with tqdm.tqdm(total=total, desc="unpacking images", unit="img", disable=None) as bar:
        for split, ours in kind.splits.items():
            for at, (fields, files) in enumerate(_examples(builder, kind, split)):
                names = [f"{split}-{at:06}{suffix}" for suffix in files]
                for file, encoded in zip(names, files.values(), strict=True):
                    (folder / file).write_bytes(encoded)
                image, *masks = names
                records.append(fields | {"split": ours, "path": image, "masks": masks})
                bar.update()
    (folder / _RECORDS).write_text(json.dumps(records))


def _examples(builder: Any, kind: _Set, split: str) -> Iterator[tuple[_Fields, dict[str, bytes]]]:
    """The record's fields and, by what their names end in, the files of each example."""
    images = {"image": _Encoded()}
    decoders = images | ({"abnormalities": {"mask": _Encoded()}} if kind.masks else {})
    at = 0
    try:
        examples = builder.as_data_source(split=split, decoders=decoders)
        for at in range(len(examples)):
            example = examples[at]
            masks = example["abnormalities"]["mask"] if kind.masks else ()
            files = {_suffix(example["image"]): example["image"]}
            files |= {f"-mask-{number}{_suffix(mask)}": mask for number, mask in enumerate(masks)}
            yield kind.describe(example, builder.info.features), files
    except Exception as error:  # TFDS does not say what it raises
        reason = " ".join(str(error).split())
        raise DataError(
            f"{builder.data_path}: example {at} of {split} cannot be read: {reason}; prepare it "
            "again"
        ) from error


def _suffix(encoded: bytes) -> str:
    for magic, suffix in _SUFFIXES.items():
        if encoded.startswith(magic):
            return suffix
    raise ValueError(f"an image is neither PNG nor JPEG, it begins with {encoded[:4]!r}")


def _film(example: _Fields, features: Any) -> _Fields:
    pathology = features["abnormalities"]["pathology"]
    found = {pathology.int2str(int(code)) for code in example["abnormalities"]["pathology"]}
    return {
        "image": example["id"].decode(),
        "patient": example["patient"].decode(),
        "view": features["view"].int2str(int(example["view"])),
        "laterality": features["breast"].int2str(int(example["breast"]))[0],
        "labels": {"Malignant": float("MALIGNANT" in found)},
    }


def _patch(example: _Fields, features: Any) -> _Fields:
    image = example["id"].decode()
    label = features["label"].int2str(int(example["label"]))
    labels = {
        NO_FINDING: float(label == "BACKGROUND"),
        "Mass": float(label.endswith("_MASS")),
        "Calcification": float(label.endswith("_CALCIFICATION")),
    }
    if not labels[NO_FINDING]:
        labels["Malignant"] = float(label.startswith("MALIGNANT_"))
    film = re.sub(r"/(abnorm|background)_.*", "", image)
    return {"image": image, "patient": film, "labels": labels}


def _chest(example: _Fields, features: Any) -> _Fields:
    image = example["name"].decode()
    patient = re.search(r"/(patient\d+)/", image)
    if patient is None:
        raise ValueError(f"no patient in the name {image!r}")
    words = [features["label"].feature.int2str(int(code)) for code in example["label"]]
    values = [_MENTIONED.get(word, float("nan")) for word in words]
    names = map(canonical, (NO_FINDING, *OBSERVATIONS))  # in the order of the table of CheXpert
    return {
        "image": image,
        "patient": patient[1],
        "view": features["image_view"].int2str(int(example["image_view"])).upper(),
        "labels": dict(zip(names, values, strict=True)),
    }


_CBIS = "curated_breast_imaging_ddsm"
_OFFICIAL = {"train": "train_validation", "test": "test"}
_PATCHES = _Set(
    name=_CBIS,
    config="patches",
    splits={split: split for split in ("train", "validation", "test")},
    describe=_patch,
)
_FILMS = {
    f"{_CBIS}/{config}": _Set(
        name=_CBIS, config=config, splits=_OFFICIAL, describe=_film, masks=True
    )
    for config in ("original-calc", "original-mass")
}
_SETS = {
    "chexpert": _Set(
        name="chexpert",
        splits={"train": "train_validation", "validation": "test"},
        describe=_chest,
    ),
    _CBIS: _PATCHES,
    f"{_CBIS}/patches": _PATCHES,
    **_FILMS,
}
