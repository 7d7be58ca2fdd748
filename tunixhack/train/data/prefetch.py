"""Values that a thread makes before they are asked for, so that who asks does not wait for their making."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

DEPTH = 2
"""Values that lie ready at most."""


class Prefetcher(Generic[T]):
    """Calls a function in a thread of its own, and hands out what it returned, in order.

    The thread lives while the body of ``with`` runs, however that ends.

    Args:
        make: makes the next value; None for the end, behind which it is not called again.
        depth: how many values may lie ready before the thread waits.

    >>> numbers = iter([1, 2])
    >>> with Prefetcher(lambda: next(numbers, None)) as ready:
    ...     ready.next(), ready.next(), ready.next(), ready.next()
    (1, 2, None, None)
    """

    def __init__(self, make: Callable[[], T | None], depth: int = DEPTH) -> None:
        self._make, self._depth = make, depth
        self._ready: deque[T] = deque()
        self._ended = False
        """True where nothing comes any more: the values have ended, or making one failed, or nobody asks."""
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="prefetch", daemon=True)

    def __enter__(self) -> Prefetcher[T]:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread, and wait until the value that it is at is made."""
        with self._changed:
            self._ended = True
            self._ready.clear()
            self._changed.notify_all()
        self._thread.join()

    def next(self) -> T | None:
        """Return the next value, and wait for it where it is not ready; None at the end.

        Raises:
            BaseException: the one that ``make`` raised, behind the values that it made before.
        """
        with self._changed:
            while not self._ready and not self._ended:
                self._changed.wait()
            if self._ready:
                self._changed.notify_all()
                return self._ready.popleft()
            if self._error is not None:
                raise self._error
            return None

    def _work(self) -> None:
        while self._has_room():
            made, error = None, None
            try:
                made = self._make()
            except BaseException as raised:  # noqa: BLE001  # whoever asks for the next value is told of it
                error = raised
            with self._changed:
                if made is None:
                    self._ended, self._error = True, error
                elif not self._ended:
                    self._ready.append(made)
                self._changed.notify_all()

    def _has_room(self) -> bool:
        """Wait until another value may be made; False where none is wanted any more."""
        with self._changed:
            while len(self._ready) >= self._depth and not self._ended:
                self._changed.wait()
            return not self._ended
