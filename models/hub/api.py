"""Asking the Hub, never longer than promised."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import httpx2
from huggingface_hub import HfApi, constants, get_session
from huggingface_hub.hf_api import ModelInfo

_DESCRIPTION_SECONDS = 5.0
"""How long the Hub may take to say what a repository holds."""

_T = TypeVar("_T")


def answers(seconds: float = 3.0) -> bool:
    """Ask whether the Hub answers, within a total time.

    Parameters
    ----------
    seconds : float
        The longest that this takes, a name server that does not answer included.

    Returns
    -------
    bool
        False also if HF_HUB_OFFLINE forbids to ask.
    """
    if constants.is_offline_mode():
        return False
    try:
        response = _within(
            seconds,
            lambda: get_session().head(constants.ENDPOINT, timeout=seconds, follow_redirects=False),
        )
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError):  # ValueError: of a proxy's address
        return False
    return response.status_code < httpx2.codes.INTERNAL_SERVER_ERROR


def describe(repository: str, revision: str | None) -> ModelInfo:
    """Ask the Hub what a repository holds: names, sizes and hashes of its files."""
    return _within(_DESCRIPTION_SECONDS, lambda: _describe(repository, revision))


def _describe(repository: str, revision: str | None) -> ModelInfo:
    hub = HfApi(library_name="earshot")
    try:
        return hub.model_info(
            repository, revision=revision, files_metadata=True, timeout=_DESCRIPTION_SECONDS
        )
    except (LookupError, TypeError) as error:  # JSON of another kind
        raise ValueError("its answer is of another kind") from error


def _within(seconds: float, call: Callable[[], _T]) -> _T:
    """Make a call that may take so long: its result, its exception, or TimeoutError.

    A socket's timeout does not bound name resolution, which can't be cut off at all. So a daemon thread calls, and is left behind if
    it is late.
    """
    outcome: Future[_T] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except Exception as error:  # noqa: BLE001 - raised where the result is wanted
            outcome.set_exception(error)

    threading.Thread(target=run, name="hub", daemon=True).start()
    return outcome.result(seconds)
