"""HTTP requests to workers, in time: the only importer of httpx2 besides `models.hub`."""

import ssl
import threading
import time
import weakref
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from http import HTTPStatus

import httpx2
import numpy as np

from .errors import WorkersAwayError, WorkersError
from .score_protocol import (
    FINGERPRINT,
    MODEL_PATH,
    MOST_DESCRIPTION_BYTES,
    ModelDescription,
)
from .worker_addresses import base_url

IN_FLIGHT = 16
"""Most requests at once."""

_IDLE_SECONDS = 30.0
"""Time for which an idle connection is kept."""
_NEWEST_ANSWERS = 600
_MOST_REFUSAL_BYTES = 2000
_REPEATED = {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
"""Answers of an ingress whose worker has gone; 503 means that the others are busy too, and is not repeated."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to a request.

    Attributes
    ----------
    content : bytes or None
        Content; None if there is none in time.
    fingerprint : str
        Fingerprint of the model; empty if unknown.
    problem : str
        Reason why there is no content; empty if there is one.
    status : int
        HTTP status; 0 without an answer.
    """

    content: bytes | None
    fingerprint: str = ""
    problem: str = ""
    status: int = HTTPStatus.OK


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests to workers since the start, unless stated otherwise.

    Attributes
    ----------
    address : str
        Address of the workers.
    requests, retries, unanswered : int
        Windows sent, requests repeated on a new connection, and windows without an answer in time.
    seconds_p50, seconds_p95 : float or None
        Median and 95th percentile of the time to an answer, of recent requests; None before the first.
    problem : str
        Reason of the last window without an answer; empty after a request that was answered.
    """

    address: str
    requests: int = 0
    retries: int = 0
    unanswered: int = 0
    seconds_p50: float | None = None
    seconds_p95: float | None = None
    problem: str = ""


class WorkerConnection:
    """Kept-alive connections to workers; any thread may use them.

    Parameters
    ----------
    address : str
        Address of the workers, ``http://HOST:PORT`` or ``https://HOST:PORT``, with a path if there are several models.
    token : str, optional
        Token of the workers.

    Attributes
    ----------
    address : str
        As given, without a slash at its end.
    """

    def __init__(self, address: str, token: str | None = None) -> None:
        self.address = base_url(address)
        headers = {"Accept-Encoding": "identity", "User-Agent": "earshot"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._kept, self._new = (self._client(headers, kept) for kept in (IN_FLIGHT, 0))
        self._threads = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="workers")
        self._lock = threading.Lock()
        self._seconds: deque[float] = deque(maxlen=_NEWEST_ANSWERS)
        self._requests = self._retries = self._unanswered = 0
        self._problem = ""
        self._close = weakref.finalize(self, _close, self._threads, (self._kept, self._new))

    @property
    def traffic(self) -> Traffic:
        """Figures of the requests so far."""
        with self._lock:
            p50, p95 = map(float, np.percentile(self._seconds, (50, 95))) if self._seconds else (None, None)
            return Traffic(
                self.address, self._requests, self._retries, self._unanswered, p50, p95, self._problem
            )

    def close(self) -> None:
        """Close the connections; a request in progress is abandoned."""
        self._close()

    def describe(self, seconds: float) -> ModelDescription:
        """Request the description of the workers' model.

        Raises
        ------
        WorkersAwayError
            There is none in time.
        WorkersError
            The workers refuse, or are none of Earshot.
        """
        answer = self._wait([self._threads.submit(self._ask, MODEL_PATH, None, _in(seconds))], seconds)[0]
        if answer.content is None:
            raise self.refusal(answer)
        try:
            return ModelDescription.from_json(answer.content)
        except ValueError:
            raise WorkersError(
                f"the server at {self.address} is not a worker of Earshot: check the address"
            ) from None

    def post(self, path: str, bodies: list[bytes], seconds: float) -> list[Answer]:
        """Send requests, up to 16 at once; return the answers that come within a total time, in their order.

        Parameters
        ----------
        path : str
            Path below the address.
        bodies : list of bytes
            Content of each request.
        seconds : float
            Longest duration of the call.
        """
        deadline = _in(seconds)
        futures = [self._threads.submit(self._ask, path, body, deadline) for body in bodies]
        answers = self._wait(futures, seconds)
        missing = [answer for answer in answers if answer.content is None]
        with self._lock:
            self._requests += len(answers)
            self._unanswered += len(missing)
            self._problem = missing[-1].problem if missing else ""
        return answers

    def refusal(self, answer: Answer) -> WorkersError:
        """Return the exception for a request without an answer: one sentence that says what to do."""
        at, status, problem = f"the workers at {self.address}", answer.status, answer.problem
        if 300 <= status < 400:
            return WorkersError(
                f"{at} redirect to {problem or 'another address'}: give the address that they are at"
            )
        match status:
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                return WorkersError(f"{at} refuse: set EARSHOT_MODEL_TOKEN to their token")
            case HTTPStatus.NOT_FOUND:
                sentence = f"no worker of Earshot answers at {self.address}: wait until one has started, or check the address"
            case HTTPStatus.SERVICE_UNAVAILABLE:
                sentence = f"{at} are all busy, or are still starting: try again, or add workers"
            case 0:
                sentence = f"{at} do not answer ({problem}): check the address, and that they run"
            case status if status in _REPEATED:
                sentence = f"{at} do not answer ({problem}): check that one of them runs, or wait until it has started"
            case _:
                return WorkersError(f"{at} refuse a request: {problem}")
        return WorkersAwayError(sentence)

    def _client(self, headers: dict[str, str], kept: int) -> httpx2.Client:
        """Return a client that keeps so many idle connections.

        Raises
        ------
        WorkersError
            The address is not valid.
        """
        trust = ssl.create_default_context() if self.address.lower().startswith("https:") else False
        try:
            return httpx2.Client(
                base_url=self.address,
                headers=headers,
                verify=trust,
                trust_env=False,  # workers are in the local network: no proxy leads there
                limits=httpx2.Limits(
                    max_connections=IN_FLIGHT, max_keepalive_connections=kept, keepalive_expiry=_IDLE_SECONDS
                ),
            )
        except (httpx2.InvalidURL, UnicodeError):
            raise WorkersError(
                f"'{self.address}' is not an address of workers: write it as http://HOST:8000"
            ) from None

    @staticmethod
    def _wait(futures: list["Future[Answer]"], seconds: float) -> list[Answer]:
        """Return the answers within a time; a request that is stuck, such as in a name's resolution, is abandoned."""
        wait(futures, seconds)
        late = Answer(None, problem=f"none within {seconds:.2g} s", status=0)
        return [future.result() if not future.cancel() and future.done() else late for future in futures]

    def _ask(self, path: str, body: bytes | None, deadline: float) -> Answer:
        """Send a request; repeat it at once, on a new connection, if its connection or its worker is lost."""
        began = time.monotonic()
        answer = self._try(self._kept, path, body, deadline)
        lost = answer.status == 0 or answer.status in _REPEATED
        if answer.content is None and lost and time.monotonic() < deadline:
            with self._lock:
                self._retries += 1
            answer = self._try(self._new, path, body, deadline)
        if answer.content is not None and body is not None:
            with self._lock:
                self._seconds.append(time.monotonic() - began)
        return answer

    def _try(self, client: httpx2.Client, path: str, body: bytes | None, deadline: float) -> Answer:
        """Send a request once."""
        left = deadline - time.monotonic()
        if left <= 0.0:
            return Answer(None, problem="too many windows at once", status=0)
        try:
            with client.stream(
                "GET" if body is None else "POST", path, content=body, timeout=left
            ) as response:
                content = bytearray()
                for chunk in response.iter_raw():
                    content += chunk
                    if len(content) > MOST_DESCRIPTION_BYTES or time.monotonic() > deadline:
                        return Answer(None, problem="an answer without an end", status=0)
        except httpx2.TimeoutException:
            return Answer(None, problem="no answer in time", status=0)
        except httpx2.TransportError as error:
            return Answer(None, problem=_reason(error), status=0)
        return _answer(response, bytes(content), path)


def _answer(response: httpx2.Response, content: bytes, path: str) -> Answer:
    """Return the answer in a response."""
    status = response.status_code
    if status == HTTPStatus.OK:
        return Answer(content, fingerprint=response.headers.get(FINGERPRINT, ""))
    if response.is_redirect:
        problem = response.headers.get("Location", "")[:_MOST_REFUSAL_BYTES].removesuffix(path)
    else:
        told = content[:_MOST_REFUSAL_BYTES].decode("utf-8", "replace").strip()
        problem = f"{status} {told}".strip()
    return Answer(None, problem=problem, status=status)


def _close(threads: ThreadPoolExecutor, clients: Sequence[httpx2.Client]) -> None:
    threads.shutdown(wait=False, cancel_futures=True)
    for client in clients:
        client.close()


def _in(seconds: float) -> float:
    return time.monotonic() + seconds


def _reason(error: BaseException) -> str:
    """Return the reason of a failed connection, as the system states it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return str(error).strip().rstrip(".").lower() or type(error).__name__
