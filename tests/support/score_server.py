"""Worker on the loopback that speaks the protocol of scores with a real tagger, and misbehaves on request."""

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from models.score_protocol import (
    EMBED_PATH,
    FINGERPRINT,
    MODEL_PATH,
    SCORE_AND_EMBED_PATH,
    SCORE_PATH,
    ModelDescription,
    RequestError,
    decode_windows,
    encode_scores,
    most_request_bytes,
    number_of_windows,
    require_token,
)
from models.tagger import Tagger


@dataclass
class Faults:
    """Faults of the server; none at first.

    Attributes
    ----------
    status : int, optional
        Answers each request for scores with this status.
    drops : int
        Closes the connection of so many requests for scores instead of an answer.
    silent : bool
        Reads requests for scores, and does not answer them.
    garbage : bytes, optional
        Answers each request for scores with this.
    embeds_not : bool
        Ignores that a request asks for embeddings behind the scores, as workers of an earlier version do.
    moved_to : str, optional
        Redirects each request to this address.
    """

    status: int | None = None
    drops: int = 0
    silent: bool = False
    garbage: bytes | None = None
    embeds_not: bool = False
    moved_to: str | None = None


@dataclass
class Worker:
    """Running worker.

    Attributes
    ----------
    address : str
        Its address.
    description : ModelDescription
        What it says of its model; may be changed while it runs.
    faults : Faults
        May be changed while it runs.
    token : str or None
        Token that it asks for.
    requests : int
        Number of requests for scores.
    connections : set
        Ports of the clients that sent a request.
    most_at_once : int
        Most requests for scores that were in progress at once.
    """

    address: str
    description: ModelDescription
    tagger: Tagger
    faults: Faults = field(default_factory=Faults)
    token: str | None = None
    requests: int = 0
    connections: set[int] = field(default_factory=set)
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def update(self, **changes: object) -> None:
        """Change the model that the worker says it has."""
        self.description = replace(self.description, **changes)  # type: ignore[arg-type]


def description_of(tagger: Tagger, *, largest_batch: int = 32) -> ModelDescription:
    return ModelDescription(
        name=tagger.name,
        labels=tagger.labels,
        thresholds=None if tagger.thresholds is None else tuple(map(float, tagger.thresholds)),
        window_samples=tagger.window_samples,
        fingerprint=hashlib.sha256(tagger.name.encode()).hexdigest(),
        largest_batch=largest_batch,
    )


@contextmanager
def score_server(tagger: Tagger, *, token: str | None = None, port: int = 0) -> Iterator[Worker]:
    """Serve a tagger, until the ``with`` block ends."""
    server = _Server(("127.0.0.1", port), _Handler)
    worker = Worker(f"http://127.0.0.1:{server.server_port}", description_of(tagger), tagger, token=token)
    server.worker = worker
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield worker
    finally:
        worker.ended.set()
        server.shutdown()
        server.close_connections()
        server.server_close()
        thread.join(60)


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    worker: Worker

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._open: set[socket.socket] = set()

    def process_request(self, request: object, client_address: object) -> None:
        self._open.add(request)  # type: ignore[arg-type]
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def close_connections(self) -> None:
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that has gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._reply(self._describe)

    def do_POST(self) -> None:
        self._reply(self._score)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""

    def _reply(self, answer: Callable[[Worker], bytes | None]) -> None:
        worker = self.server.worker
        try:
            require_token(self.headers.get("Authorization"), worker.token)
            content, status = answer(worker), 200
        except RequestError as error:
            content, status = str(error).encode(), error.status
            self.close_connection = True
        if content is None:
            self.close_connection = True
            return
        if worker.faults.moved_to is not None:
            status = 301
        self.send_response(status)
        if worker.faults.moved_to is not None:
            self.send_header("Location", worker.faults.moved_to + self.path)
        self.send_header(FINGERPRINT, worker.description.fingerprint)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _describe(self, worker: Worker) -> bytes:
        if self.path != MODEL_PATH:
            raise RequestError(404, "there is no such page")
        return worker.description.to_json()

    def _score(self, worker: Worker) -> bytes | None:
        length = int(self.headers["Content-Length"])
        windows = number_of_windows(self.headers, worker.description)  # type: ignore[arg-type]
        if length > most_request_bytes(worker.description):
            raise RequestError(413, "the request is too long")
        body = self.rfile.read(length)
        with worker.lock:
            worker.requests += 1
            worker.connections.add(self.client_address[1])
            worker.at_once += 1
            worker.most_at_once = max(worker.most_at_once, worker.at_once)
            drop = worker.faults.drops > 0
            worker.faults.drops -= drop
        try:
            return None if drop else self._scores(worker, body, windows)
        finally:
            with worker.lock:
                worker.at_once -= 1

    def _scores(self, worker: Worker, body: bytes, windows: int) -> bytes | None:
        faults = worker.faults
        if faults.silent:
            worker.ended.wait(60)
            return None
        if faults.status is not None:
            raise RequestError(faults.status, "so it was arranged")
        if faults.garbage is not None:
            return faults.garbage
        samples = decode_windows(body, windows, worker.description.window_samples)
        time.sleep(0.01)  # long enough for requests to meet
        with worker.lock:
            scores, embeddings = worker.tagger.scores_and_embeddings(samples)
        match self.path:
            case path if path == SCORE_PATH or (faults.embeds_not and path == SCORE_AND_EMBED_PATH):
                rows = scores
            case path if path == SCORE_AND_EMBED_PATH:
                rows = np.concatenate((scores, embeddings), axis=1)
            case path:
                assert path == EMBED_PATH
                rows = embeddings
        return encode_scores(rows)
