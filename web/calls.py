"""Calls from the page that the program's main thread carries out."""

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from .errors import BusyError, WebError

_MOST_CALLS = 32

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Calls:
    """Functions that wait for the main thread, in order; too many are refused."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, call: Callable[[], Result]) -> "Future[Result]":
        """Queue a function, from any thread; return its future result.

        Raises
        ------
        BusyError
            Too many functions wait.
        """
        if len(self._waiting) >= _MOST_CALLS:
            raise BusyError("Earshot is busy; try again")
        future: Future[Result] = Future()
        self._waiting.append((future, call))
        return future

    def carry_out(self) -> None:
        """Call all functions that wait; called often, from the main thread."""
        while self._waiting:
            future, call = self._waiting.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except WebError as error:
                future.set_exception(error)
            except Exception:  # noqa: BLE001 - a bug in an action must not end listening; it is logged
                _log.exception("an action of the page in a browser failed")
                future.set_exception(WebError("that failed; the log says why"))
