"""Freed memory stays with a process that asked for it, and only there."""

import importlib.util
import platform
import subprocess
import sys

import pytest

from cxr_jax import host_memory

# Page faults of the last of several runs of a program whose result has 64 MB.
FAULTS = """
import resource, sys
from cxr_jax.host_memory import keep_freed_memory
assert sys.argv[1] == "default" or keep_freed_memory()
import jax
jax.config.update("jax_platforms", "cpu")
x = jax.numpy.ones((4096, 64))
program = jax.jit(lambda x: x @ x.T).lower(x).compile()
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    jax.block_until_ready(program(x))
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    print(faults, file=sys.stderr)
print(faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="nothing is done there")
def test_a_step_gets_no_fresh_memory_from_the_kernel():
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", FAULTS, how]))
        for how in ("keep", "default")
    }
    assert faults["default"] > 10_000  # 64 MB are 16,384 pages
    assert faults["keep"] < 1_000


def test_nothing_is_done_beside_an_accelerator(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "libtpu")
    assert not host_memory.keep_freed_memory()


def test_nothing_is_done_with_another_c_library(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not host_memory.keep_freed_memory()
