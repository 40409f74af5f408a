"""The run directory: made, found again, and described."""

import contextlib
import dataclasses
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import jax

import cxr_jax
from cxr_jax.errors import CheckpointError, WorkspaceError
from cxr_jax.training.config import Config
from cxr_jax.training.config_json import differences, to_json
from cxr_jax.training.saved import read_config

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "tensorflow-datasets",
             "opencv-python-headless", "numpy", "scipy")  # fmt: skip


def open_workdir(config: Config) -> Path:
    """Make a new run directory, or find the one to resume.

    Raises:
      WorkspaceError: it cannot be written.
      CheckpointError: it holds another run; or, to resume, none or one of another config.
    """
    if config.resume:
        workdir = resumed_folder(config)
        _check_resumable(workdir, config)
        return workdir
    runs = Path("runs") / config.experiment
    workdir = Path(config.workdir).expanduser() if config.workdir else runs / now()
    if (workdir / "checkpoints").exists():
        raise CheckpointError(
            f"{workdir}: holds a run already; add --resume to continue it, or choose another "
            "--workdir"
        )
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / "config.json").write_text(to_json(config))
        (workdir / "environment.json").write_text(json.dumps(environment(), indent=2) + "\n")
    except OSError as error:
        raise WorkspaceError(
            f"{workdir}: cannot be written: {error.strerror}; choose another --workdir"
        ) from error
    return workdir


def parent_folder(config: Config) -> Path:
    """The directory of a recipe of several runs: new, or the newest where it is to be resumed.

    Raises:
      CheckpointError: there is none to resume.
    """
    runs = Path("runs") / config.experiment
    if config.workdir:
        folder = Path(config.workdir).expanduser()
        if (folder / "config.json").is_file():
            raise CheckpointError(
                f"{folder}: is a run of one stage; --workdir names the directory of both, such as "
                f"{folder.parent}"
            )
        if config.resume and not list(folder.glob("stage*/config.json")):
            raise CheckpointError(f"{folder}: no run to resume: it holds no stage1 and no stage2")
        return folder
    if not config.resume:
        return runs / now()
    found = sorted(path.parents[1] for path in runs.glob("*/stage*/config.json"))
    if not found:
        raise CheckpointError(f"{runs}: holds no run to resume; name one by --workdir")
    return found[-1]


def as_part(config: Config, folder: Path) -> Config:
    """The config of a run within another's directory, resumed there where it was begun."""
    resume = config.resume and (folder / "config.json").is_file()
    return dataclasses.replace(config, workdir=str(folder), resume=resume)


def now() -> str:
    """The time, as it names a folder."""
    return datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")


def resumed_folder(config: Config) -> Path:
    """Find the directory of the run to resume: the one that is named, else the newest.

    Raises:
      CheckpointError: there is none.
    """
    if config.workdir:
        return Path(config.workdir).expanduser()
    runs = Path("runs") / config.experiment
    found = sorted(path.parent for path in runs.glob("*/checkpoints"))
    if not found:
        raise CheckpointError(f"{runs}: holds no run to resume; name one by --workdir")
    return found[-1]


def _check_resumable(workdir: Path, config: Config) -> None:
    saved = workdir / "config.json"
    if not saved.is_file():
        raise CheckpointError(f"{workdir}: no run to resume: {saved} is missing")
    differing = differences(config, read_config(saved))
    for name in ("split.csv", "environment.json"):
        if (workdir / "checkpoints").exists() and not (workdir / name).is_file():
            raise CheckpointError(
                f"{workdir / name}: is missing, so that it cannot be told whether the data are the "
                "same; start a new run"
            )
    if differing:
        raise CheckpointError(
            f"{workdir}: was made with another config: {'; '.join(differing)}; "
            "resume with the same flags, or choose another --workdir"
        )


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Keep a second process out of a run; the lock goes with the process that holds it.

    Raises:
      WorkspaceError: another process is at work there.
    """
    try:
        with filelock.FileLock(workdir / ".lock", timeout=0):
            yield
    except filelock.Timeout as error:
        raise WorkspaceError(
            f"{workdir}: another process is running this run; wait for it, or choose another "
            "--workdir"
        ) from error


def environment() -> dict[str, Any]:
    """What a run depends on beside its config: versions, devices, commit."""
    return {
        "cxr_jax": cxr_jax.__version__,
        "commit": _commit(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cpus": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "devices": [str(device) for device in jax.devices()],
        "device_kind": jax.devices()[0].device_kind,
        "processes": jax.process_count(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Of the checkout that this package runs from; None where it was installed from a wheel."""
    root = Path(cxr_jax.__file__).parents[1]
    if not (root / ".git").exists() or shutil.which("git") is None:
        return None
    out = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"],
        capture_output=True,
        text=True,
        check=False,
    )
    return out.stdout.strip() or None


def warn_of_idle_gpu() -> None:
    """Warn where the machine has a GPU that JAX does not use."""
    if jax.default_backend() == "cpu" and Path("/dev/nvidia0").exists():
        warnings.warn(
            "this machine has an NVIDIA GPU, but JAX runs on the CPU; "
            "pip install 'cxr-jax[cuda]' brings JAX's own CUDA",
            stacklevel=2,
        )


def use_compilation_cache(cache_dir: Path) -> None:
    """Keep compiled programs, so that a second start reaches its first step at once."""
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", str(cache_dir / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
