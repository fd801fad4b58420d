"""Requests to the Hub with limits on their total time and on the size of the answer."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar
from urllib.parse import quote

import httpx2
from huggingface_hub import constants, get_session, hf_raise_for_status
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils import build_hf_headers

_DESCRIPTION_SECONDS = 5.0
"""Longest wait for the description of a repository."""

_MOST_BYTES = 16 * 2**20
"""Most bytes of an answer that is no file; descriptions of repositories take some kilobytes."""

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


def request_headers() -> dict[str, str]:
    """Return the headers of a request, with the user's token if there is one."""
    return build_hf_headers(library_name="earshot") | {"Accept-Encoding": "identity"}


def require_success(response: httpx2.Response) -> None:
    """Raise the library's exception for a failed request; only the beginning of its explanation is read."""
    if response.is_success:
        return
    content = next(response.iter_raw(2**16), b"")
    told = {name: value for name, value in response.headers.items() if name.lower() != "content-encoding"}
    hf_raise_for_status(
        httpx2.Response(response.status_code, headers=told, content=content, request=response.request)
    )


def _describe(repository: str, revision: str | None) -> ModelInfo:
    """Request a description as `HfApi.model_info` does, which would read an answer of any size."""
    address = f"{constants.ENDPOINT}/api/models/{repository}"
    if revision is not None:
        address += f"/revision/{quote(revision, safe='')}"
    request = get_session().stream(
        "GET", address, headers=request_headers(), params={"blobs": True}, timeout=_DESCRIPTION_SECONDS
    )
    content = bytearray()
    with request as response:
        require_success(response)
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > _MOST_BYTES:
                raise ValueError(f"more than {_MOST_BYTES // 2**20} MB to describe a repository")
    try:
        return ModelInfo(**json.loads(content))  # type: ignore[no-untyped-call]
    except (LookupError, TypeError, AttributeError, RecursionError) as error:  # unexpected JSON
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
