"""Memory of the host: a process that computes on its CPU keeps what it frees."""

import ctypes
import importlib.util
import platform

# Parameters of mallopt in glibc's malloc.h, and what makes each hold on to memory.
_KEEP = {
    "M_ARENA_MAX": (-8, 1),  # a thread's own arena has no room for large blocks
    "M_MMAP_MAX": (-4, 0),  # no block comes from the kernel and goes back to it by itself
    "M_TRIM_THRESHOLD": (-1, 2**31 - 1),  # nor does the end of the heap
}


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory for the next step, and say whether it does.

    XLA's CPU client frees all temporaries after each step. glibc gives blocks of that size back to
    the kernel, which has to clear their pages anew in every step: a tenth of DenseNet's. Resident
    memory then stays at its highest.

    To be called before JAX makes its threads, as a thread keeps the arena that it begins with. Does
    nothing with another C library, or where a GPU's or a TPU's plugin of JAX is installed.
    """
    accelerated = any(map(importlib.util.find_spec, ("jax_plugins", "libtpu")))
    if accelerated or platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    done = [mallopt(parameter, value) for parameter, value in _KEEP.values()]
    return all(done)
