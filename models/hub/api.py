"""Requests to the Hub with a limit on their total time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import httpx2
from huggingface_hub import HfApi, constants, get_session
from huggingface_hub.hf_api import ModelInfo

_DESCRIPTION_SECONDS = 5.0
"""Longest wait for the description of a repository."""

_T = TypeVar("_T")


def answers(seconds: float = 3.0) -> bool:
    """Return True if the Hub answers within a total time.

    Parameters
    ----------
    seconds : float
        Longest duration of the call, including name resolution.

    Returns
    -------
    bool
        False also if HF_HUB_OFFLINE is set.
    """
    if constants.is_offline_mode():
        return False
    try:
        response = _call_within(
            seconds,
            lambda: get_session().head(constants.ENDPOINT, timeout=seconds, follow_redirects=False),
        )
    except (
        httpx2.HTTPError,
        httpx2.InvalidURL,
        OSError,
        ValueError,
    ):  # ValueError: a wrong address of a proxy
        return False
    return response.status_code < httpx2.codes.INTERNAL_SERVER_ERROR


def describe(repository: str, revision: str | None) -> ModelInfo:
    """Request the names, sizes and hashes of a repository's files."""
    return _call_within(_DESCRIPTION_SECONDS, lambda: _describe(repository, revision))


def _describe(repository: str, revision: str | None) -> ModelInfo:
    hub = HfApi(library_name="earshot")
    try:
        return hub.model_info(
            repository, revision=revision, files_metadata=True, timeout=_DESCRIPTION_SECONDS
        )
    except (LookupError, TypeError) as error:  # unexpected JSON
        raise ValueError("unexpected answer") from error


def _call_within(seconds: float, call: Callable[[], _T]) -> _T:
    """Call a function, and return its result or raise its exception; raise TimeoutError after `seconds`.

    A socket's timeout does not bound name resolution, which can't be interrupted. So a daemon thread makes the call, and is abandoned if it
    is late.
    """
    outcome: Future[_T] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except Exception as error:  # noqa: BLE001 - raised in the calling thread
            outcome.set_exception(error)

    threading.Thread(target=run, name="hub", daemon=True).start()
    return outcome.result(seconds)
