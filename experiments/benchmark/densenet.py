"""DenseNet-121, ours and torchvision's, side by side: tables in Markdown.

python -m experiments.benchmark.densenet [--no_compile]

The same batch, loss and optimizer, on all cores that the process may use (`taskset` gives it
fewer). A training step is forward pass, backward pass, running statistics and Adam. The contestants
take turns, so that what disturbs the machine disturbs them alike. It takes about ten minutes, on
Linux; half of them is torch.compile, which --no_compile leaves out. `pip install -e '.[benchmark]'`
installs torch.
"""

import argparse
import ctypes
import gc
import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
import torchvision

from cxr_jax import models
from experiments.benchmark.turns import processor, take_turns, versions

BATCH, SIZE, CHANNELS, CLASSES = 16, 224, 3, 1000
RATE = 1e-4
LABELS = np.arange(BATCH)
CONFIG = models.DenseNetConfig.densenet121(num_classes=CLASSES, in_channels=CHANNELS)
COLUMNS = (
    "median, ms", "least, ms", "images/s", "times ours", "peak, MB", "compiled, s", "from cache, s"
)  # fmt: skip


class Ours:
    """Our training step, which takes the place of its own state, or our logits."""

    def __init__(self, images: np.ndarray, *, train: bool):
        shape = images.shape[1:]
        variables = jax.jit(lambda key: models.init(key, CONFIG, shape))(jax.random.key(0))
        optimizer = optax.adam(RATE)
        self._train = train
        self._state = (variables, optimizer.init(variables["params"])) if train else variables
        self._images = jnp.asarray(images)

        def step(state: Any, images: jax.Array) -> Any:
            variables, moments = state

            def loss(params: Any) -> Any:
                inputs = {**variables, "params": params}
                logits, stats = models.apply(CONFIG, inputs, images, train=True)
                losses = optax.softmax_cross_entropy_with_integer_labels(logits, LABELS)
                return losses.mean(), stats

            gradients, stats = jax.grad(loss, has_aux=True)(variables["params"])
            updates, moments = optimizer.update(gradients, moments)
            params = optax.apply_updates(variables["params"], updates)
            return {"params": params, "batch_stats": stats}, moments

        def predict(variables: Any, images: jax.Array) -> jax.Array:
            return models.apply(CONFIG, variables, images, train=False)[0]

        self._function = jax.jit(step, donate_argnums=0) if train else jax.jit(predict)

    def compile(self) -> None:
        """Trace and compile anew."""
        jax.clear_caches()
        self.program = self._function.lower(self._state, self._images).compile()

    def __call__(self, step: int) -> object:
        out = jax.block_until_ready(self.program(self._state, self._images))
        if self._train:
            self._state = out
        return out


class Torchvision:
    """torchvision's network, in one of three ways."""

    def __init__(self, images: np.ndarray, *, train: bool, channels_last: bool, compiled: bool):
        layout = torch.channels_last if channels_last else torch.contiguous_format
        network = torchvision.models.densenet121(num_classes=CLASSES).train(train)
        self._train, self._compiled = train, compiled
        self._eager = network.to(memory_format=layout)
        self._network = self._eager
        self._images = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        self._labels = torch.from_numpy(LABELS)
        self._optimizer = torch.optim.Adam(network.parameters(), lr=RATE)

    def compile(self) -> None:
        """Compile anew, which the first run does."""
        if self._compiled:
            torch._dynamo.reset()
            self._network = torch.compile(self._eager)
            self(0)

    def __call__(self, step: int) -> object:
        if not self._train:
            with torch.inference_mode():
                return self._network(self._images)
        self._optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(self._network(self._images), self._labels)
        loss.backward()
        self._optimizer.step()
        return loss


CONTESTANTS: dict[str, Callable[..., Any]] = {
    "cxr_jax": Ours,
    "torchvision": lambda images, **how: Torchvision(
        images, channels_last=False, compiled=False, **how
    ),
    "torchvision, channels_last": lambda images, **how: Torchvision(
        images, channels_last=True, compiled=False, **how
    ),
    "torchvision, channels_last, torch.compile": lambda images, **how: Torchvision(
        images, channels_last=True, compiled=True, **how
    ),
}


def table(title: str, images: np.ndarray, *, train: bool, leave_out: str | None) -> Iterator[str]:
    """Measure, and give the lines of a table in Markdown."""
    ways, compiled = {}, {}
    for name, make in CONTESTANTS.items():
        if leave_out is None or leave_out not in name:
            ways[name] = make(images, train=train)
            # The second time everything is in the caches on disk.
            compiled[name] = [_seconds(ways[name].compile) for _ in range(2)]
    peaks = {name: _peak(way) for name, way in ways.items()}
    times = take_turns(ways)
    ours = statistics.median(times["cxr_jax"])
    yield f"| {' | '.join((title, *COLUMNS))} |"
    yield "|---" * (1 + len(COLUMNS)) + "|"
    for name in ways:
        median = statistics.median(times[name])
        cells = (
            name,
            f"{1e3 * median:.0f}",
            f"{1e3 * min(times[name]):.0f}",
            f"{BATCH / median:.2f}",
            f"{median / ours:.2f}",
            f"{peaks[name] / 1e6:.0f}",
            *(f"{x:.1f}" if x > 0.1 else "" for x in compiled[name]),
        )
        yield f"| {' | '.join(cells)} |"
    memory = ways["cxr_jax"].program.memory_analysis()
    yield f"\nOur temporaries by XLA's count: {memory.temp_size_in_bytes / 1e6:.0f} MB."


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _peak(way: Callable[[int], object]) -> int:
    """Bytes by which one run raises the memory of this process at its highest."""

    def status(key: str) -> int:
        found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found
        return 1024 * int(found[1])

    way(0)
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten
    before = status("VmRSS")
    way(0)
    return status("VmHWM") - before


def main() -> None:
    """Measure, and print the tables as they come."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--no_compile", action="store_true", help="leave torch.compile out")
    leave_out = "torch.compile" if parser.parse_args().no_compile else None
    jax.config.update("jax_platforms", "cpu")
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    images = np.random.default_rng(0).standard_normal((BATCH, SIZE, SIZE, CHANNELS), np.float32)
    print(
        f"{processor()}, {cores} cores and threads, Python {platform.python_version()}, "
        f"{versions('jax', 'flax', 'torch', 'torchvision')}; "
        f"load when it began {os.getloadavg()[0]:.1f}.\n"
        f"Batch {BATCH}, {SIZE} x {SIZE}, {CHANNELS} channels, float32. "
        "Times ours: the median by ours, so more than 1 is slower than ours.\n"
    )
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        jax.config.update("jax_compilation_cache_dir", cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        for title, train in (("training step", True), ("inference", False)):
            lines = table(title, images, train=train, leave_out=leave_out)
            print("\n".join(lines), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
