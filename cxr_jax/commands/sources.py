"""The image files that a command line names."""

import os
from collections.abc import Sequence
from pathlib import Path

from cxr_jax.pipeline import dicom

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", *dicom.SUFFIXES)


def find_images(arguments: Sequence[str]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Find the images that files and folders name.

    A file that is named is taken whatever its name. Of a folder and those below it, in the order of
    their names, the PNG, JPEG, TIFF and DICOM files are taken: by their suffix, or where they have
    none, by DICOM's preamble. Hidden files and folders are left out, and no file is taken twice.

    Returns:
      The files, and (argument, why) of what cannot be used: missing, or a folder without images.
    """
    files: dict[Path, Path] = {}
    problems = []
    for argument in arguments:
        path = Path(argument).expanduser()
        found = _below(path) if path.is_dir() else [path] if path.exists() else []
        if not found:
            reason = "a folder without images" if path.is_dir() else "no such file or folder"
            problems.append((path, reason))
        for file in found:
            files.setdefault(file.resolve(), file)
    return list(files.values()), problems


def _below(folder: Path) -> list[Path]:
    found = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(here) / name for name in sorted(names) if not name.startswith(".")]
        found += [path for path in paths if _is_image(path)]
    return found


def _is_image(path: Path) -> bool:
    if path.suffix.lower() in _SUFFIXES:
        return True
    # A DICOM file's name often is a UID, whose last number looks like a suffix.
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    try:
        return dicom.is_dicom_file(path)
    except OSError:
        return False
