"""Share a change of what belongs to the whole process between threads."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager


class Shared:
    """A context that the first thread enters and the last one leaves.

    For settings that belong to the process, such as a library's log level: were each thread to
    change and to restore it, one could restore what another had changed.
    """

    def __init__(self, make: Callable[[], AbstractContextManager[object]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._context = contextlib.ExitStack()
        self.users = 0

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self.users == 0:
                self._context.enter_context(self._make())
            self.users += 1
        try:
            yield
        finally:
            with self._lock:
                self.users -= 1
                if self.users == 0:
                    self._context.close()
