import errno
import multiprocessing
import os
import signal
import time

import pytest

from cxr_jax.errors import WorkspaceError
from cxr_jax.pipeline.once import make_directory_once, make_folder


def slowly(target, log, seconds):
    """Make a directory, leaving a line in `log` by whoever really does."""

    def make(folder):
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        (folder / "half").touch()
        time.sleep(seconds)
        (folder / "whole").touch()

    make_directory_once(target, make)


def start(*arguments):
    process = multiprocessing.get_context("spawn").Process(target=slowly, args=arguments)
    process.start()
    return process


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.smoke
def test_it_is_made_once(tmp_path):
    calls = []
    assert make_directory_once(tmp_path / "a/b", calls.append)
    assert not make_directory_once(tmp_path / "a/b", calls.append)
    assert len(calls) == 1
    assert (tmp_path / "a/b").is_dir()


def test_what_fails_leaves_nothing(tmp_path):
    def fail(folder):
        (folder / "half").touch()
        raise KeyError("why")

    with pytest.raises(KeyError, match="why"):
        make_directory_once(tmp_path / "target", fail)
    assert not list(tmp_path.glob("target*/"))
    assert make_directory_once(tmp_path / "target", lambda folder: None)


def test_of_two_processes_one_makes_it(tmp_path):
    target, log = tmp_path / "target", tmp_path / "log"
    processes = [start(target, log, 0.3) for _ in range(2)]
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert len(log.read_text().split()) == 1
    assert (target / "whole").exists()


def test_a_killed_process_blocks_nobody(tmp_path):
    target, log = tmp_path / "target", tmp_path / "log"
    process = start(target, log, 60)
    wait_for(tmp_path / "target.partial/half")
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert not target.exists()
    slowly(target, log, 0)
    assert (target / "whole").exists()
    assert not (tmp_path / "target.partial").exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_full_or_closed_disk_is_one_clear_line(tmp_path, code):
    def fail(folder):
        raise OSError(code, os.strerror(code))

    with pytest.raises(WorkspaceError) as error:
        make_directory_once(tmp_path / "target", fail)
    assert str(error.value) == (
        f"{tmp_path}: cannot write here: {os.strerror(code)}; "
        "free some space or choose another directory"
    )


def test_a_file_in_the_way_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()
    for target in (tmp_path / "file/target", tmp_path / "file/deeper/target"):
        with pytest.raises(WorkspaceError, match="cannot write here"):
            make_directory_once(target, lambda folder: None)


@pytest.mark.parametrize("place", ["file/folder", "/proc/nowhere"])
def test_where_no_folder_can_be_made_the_error_says_so(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match=f"{place}: cannot write here"):
        make_folder(tmp_path / place)
