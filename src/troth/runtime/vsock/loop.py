"""One thread's waiting: who wants to know of which descriptor, by Linux's epoll.

Unlike `selectors`, it can watch for nothing but the end of a connection.
"""

import contextlib
import select
from collections.abc import Callable
from typing import Final, Protocol

IN: Final = select.EPOLLIN
OUT: Final = select.EPOLLOUT
HUP: Final = select.EPOLLHUP | select.EPOLLERR
_MOST_EVENTS: Final = 64

Handler = Callable[[int], None]


class _Closable(Protocol):
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class Loop:
    """Handlers by descriptor. All of it belongs to one thread."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, tuple[int, Handler]] = {}
        self._closing: list[_Closable] = []

    def watch(self, descriptor: int, mask: int, handler: Handler) -> None:
        """Has the handler called with what happened, as long as it does; `HUP` is always told.

        Raises:
            OSError: it is nothing that can be waited for.
        """
        known = self._watched.get(descriptor)
        if known is None:
            self._epoll.register(descriptor, mask)
        elif known[0] != mask:
            self._epoll.modify(descriptor, mask)
        self._watched[descriptor] = (mask, handler)

    def forget(self, descriptor: int) -> None:
        """Watches it no more."""
        if self._watched.pop(descriptor, None) is not None:
            with contextlib.suppress(OSError):
                self._epoll.unregister(descriptor)

    def dispose(self, thing: _Closable) -> None:
        """Forgets it and closes it at the end of the turn.

        Not before that: an event of this turn may still name the descriptor, and must not reach
        whoever gets the same number.
        """
        self.forget(thing.fileno())
        self._closing.append(thing)

    def turn(self, timeout: float | None) -> None:
        """Waits for events and calls their handlers.

        Args:
            timeout: seconds at most; None is no limit.
        """
        for descriptor, events in self._epoll.poll(timeout, _MOST_EVENTS):
            known = self._watched.get(descriptor)
            if known is not None:
                known[1](events)

    def tidy(self) -> None:
        """Closes what was disposed of."""
        closing, self._closing = self._closing, []
        for thing in closing:
            thing.close()

    def close(self) -> None:
        """Ends the waiting; descriptors stay their owners'."""
        self.tidy()
        self._epoll.close()
        self._watched.clear()
