"""Draw what a recipe does to images: each stage of preprocessing, each augmentation.

cxr gallery --out=FOLDER [IMAGE] [--recipe=cardiomegaly | --run=RUN]

It is shown on a phantom, and on an image (PNG, JPEG, TIFF, DICOM) where one is given. What is
written into FOLDER:

  gallery.html       one page, which opens anywhere
  figures/NAME.png   its sheets: preprocessing stage by stage, each augmentation alone at both ends
                     of its range, all together as training draws them, mixup
"""

import argparse
import importlib
from pathlib import Path

import jax

from cxr_jax import datasets
from cxr_jax.commands.output import add_run, file_path, new_folder, seed
from cxr_jax.errors import DataError
from cxr_jax.host_image import HostImage
from cxr_jax.pipeline.bad_image import BadImageError
from cxr_jax.pipeline.burned_in import warn_of_burned_in
from cxr_jax.pipeline.decode import decode
from cxr_jax.pipeline.once import writing
from cxr_jax.preprocess import preprocess
from cxr_jax.training.config import Config
from cxr_jax.training.saved import read_config
from cxr_jax.training.workdir import use_compilation_cache

RECIPES = ("cardiomegaly", "mammography", "pneumothorax")
_PHANTOMS = {"chest": ("phantom", "Cardiomegaly"), "breast": ("phantom_breast", "Cancer")}
_FILMS = 16  # drawn, to find one with the finding and one without


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("image", nargs="?", type=file_path, metavar="IMAGE", help="shown too")
    parser.add_argument(
        "--out", type=file_path, required=True, metavar="FOLDER", help="where to write"
    )
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument(
        "--recipe", choices=RECIPES, default=RECIPES[0], help=f"default {RECIPES[0]}"
    )
    add_run(whose, required=False)
    parser.add_argument(
        "--seed", type=seed, default=0, help="of the phantoms and of what is drawn; default 0"
    )


def run(arguments: argparse.Namespace) -> int:
    """Draw, and write the page."""
    # Imported here: Matplotlib would cost every --help a second.
    from cxr_jax.reporting.gallery import Film, film_sections, settings_section, target_sections
    from cxr_jax.reporting.page import write_page

    if arguments.run is None:
        config = importlib.import_module(f"experiments.{arguments.recipe}").PRESET
        subtitle = f"recipe {arguments.recipe}, seed {arguments.seed}"
    else:
        config = read_config(arguments.run / "config.json")
        subtitle = f"run {arguments.run}, seed {arguments.seed}"
    use_compilation_cache(Path(config.cache_dir).expanduser())
    image = None if arguments.image is None else _read(arguments.image, config)
    page = new_folder(arguments.out, holds="gallery.html") / "gallery.html"
    finding, films, targets = _phantoms(config, arguments.seed)
    shown = [Film(title="phantom", figure="phantom", pixels=films[1])]
    if image is not None:
        warn_of_burned_in([arguments.image], page=page)
        shown.append(Film(title=arguments.image.name, figure="image", pixels=image))
    sections = []
    for film in shown:
        sections += film_sections(
            jax.random.key(arguments.seed),
            film,
            preprocessing=config.preprocess,
            augmentation=config.augment,
        )
    sections += target_sections(
        films,
        targets,
        finding=finding,
        preprocessing=config.preprocess,
        label_smoothing=config.label_smoothing,
        mixup_alpha=config.mixup_alpha,
    )
    sections.append(settings_section("Settings", config.preprocess, config.augment))
    with writing(page.parent):
        write_page(page, title="What happens to an image", subtitle=subtitle, sections=sections)
    print(f"written to {page}")
    return 0


def _read(path: Path, config: Config) -> HostImage:
    try:
        image = decode(path, config.decode)
        preprocess(image, config.preprocess)
    except BadImageError as error:
        raise DataError(f"{path}: {error.reason}; {error.cure}") from error
    except ValueError as error:  # the crop leaves nothing
        raise DataError(f"{path}: {error}; give a larger image") from error
    return image


def _phantoms(config: Config, seed: int) -> tuple[str, list[HostImage], list[float]]:
    """A finding, and two phantoms with their labels: the second has it, the first has not."""
    kind, finding = _PHANTOMS[config.preprocess.kind]
    folder = datasets.draw(
        kind,
        Path(config.cache_dir).expanduser(),
        count=_FILMS,
        seed=seed,
        image_size=min(max(2 * config.preprocess.image_size, 64), 512),
    )
    records = datasets.read(kind, folder)
    if all(config.finding in record.labels for record in records):
        finding = config.finding
    records = sorted(records, key=lambda record: record.labels[finding])
    pair = records[0], records[-1]
    return (
        finding,
        [decode(record.path) for record in pair],
        [record.labels[finding] for record in pair],
    )
