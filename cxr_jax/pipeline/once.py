"""Make a directory once: whole or not at all, however many processes want it."""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

from cxr_jax.errors import WorkspaceError


def make_directory_once(target: Path, make: Callable[[Path], None]) -> bool:
    """Have `make` fill `target`, unless that was done before.

    `make` works in a temporary sibling that becomes `target` by one rename, so `target` is complete
    whenever it exists. A second process waits for the first and then finds the work done; the lock
    is the operating system's and goes with the process that holds it, so a killed run blocks nobody
    and what it left half-made is cleared away by the next.

    Args:
      target: the directory to make; its name says what is in it.
      make: gets an empty directory and fills it. What it raises is passed on.

    Returns:
      Whether `make` was called.

    Raises:
      WorkspaceError: the directory cannot be written, or the disk is full.
    """
    if target.is_dir():
        return False
    partial = target.with_name(f"{target.name}.partial")
    make_folder(target.parent)
    with (
        writing(target.parent),
        filelock.FileLock(target.with_name(f"{target.name}.lock")),
    ):
        if target.is_dir():
            return False
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            make(partial)
            partial.rename(target)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return True


def make_folder(folder: Path) -> None:
    """Make a folder to write in, and those above it, unless they are there.

    Raises:
      WorkspaceError: they cannot be made.
    """
    with writing(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileNotFoundError as error:  # such as below /proc
            raise OSError(errno.EROFS, os.strerror(errno.EROFS)) from error


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write in `folder` into a WorkspaceError."""
    try:
        yield
    except OSError as error:
        if isinstance(error, WorkspaceError) or error.errno not in _WRITE_ERRORS:
            raise
        raise WorkspaceError(
            f"{folder}: cannot write here: {os.strerror(error.errno)}; "
            "free some space or choose another directory"
        ) from error


_WRITE_ERRORS = (
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EFBIG,
    errno.EIO,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
)
