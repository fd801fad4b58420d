"""Hugging Face Hub on the loopback that serves folders, and misbehaves on request."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_LARGE = {"model.safetensors", "pytorch_model.bin"}
"""Files that the Hub keeps outside git, under their SHA-256."""


@dataclass
class Misbehaviour:
    """Faults of the server; none at first.

    Attributes
    ----------
    status : int, optional
        Answers everything with this status.
    gated : bool
        Says what a repository holds, and gives none of it.
    damaged : bool
        Sends weights with a wrong byte in them.
    cut_after : int, optional
        Breaks the connection after so many bytes of weights, each time.
    hold_after : int, optional
        Stops sending after so many bytes of weights, until the server ends.
    ignores_ranges : bool
        Sends weights from their beginning, whatever was asked for.
    bytes_per_second : float, optional
        Sends weights no faster than this.
    silent : bool
        Accepts connections, and answers none.
    late_seconds : float
        Waits for so long before each answer.
    endless : bool
        Sends weights of the announced size, and then more without an end.
    description : bytes, optional
        Answers a request for the description of a repository with this; followed by spaces without an end if `endless`.
    """

    status: int | None = None
    gated: bool = False
    damaged: bool = False
    cut_after: int | None = None
    hold_after: int | None = None
    ignores_ranges: bool = False
    bytes_per_second: float | None = None
    silent: bool = False
    late_seconds: float = 0.0
    endless: bool = False
    description: bytes | None = None


@dataclass
class Hub:
    """Running server.

    Attributes
    ----------
    repositories : mapping of str to Path
        The folders it serves, by OWNER/REPO.
    endpoint : str
        Its address, for HF_ENDPOINT.
    misbehaviour : Misbehaviour
        May be changed while it runs.
    requests : list of (str, str, str or None)
        Method, path and range of what was asked for.
    tokens : set of str or None
        What came with the requests for authorization.
    ended : threading.Event
        Set when the server ends.
    """

    repositories: Mapping[str, Path]
    endpoint: str = ""
    misbehaviour: Misbehaviour = field(default_factory=Misbehaviour)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    ended: threading.Event = field(default_factory=threading.Event)

    def ranges(self, name: str) -> list[str | None]:
        """Return the requested parts of a file."""
        return [span for method, path, span in self.requests if method == "GET" and path.endswith(f"/{name}")]


@contextmanager
def serve(repositories: Mapping[str, Path]) -> Iterator[Hub]:
    """Serve folders as repositories."""
    hub = Hub(repositories)

    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        hub.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def digest(path: Path) -> str:
    """Return the name of a file's content: SHA-256 of a large file, git's SHA-1 of a small one."""
    content = path.read_bytes()
    if path.name in _LARGE:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def point_at(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Set what huggingface_hub read from HF_ENDPOINT when it was imported."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    )


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of huggingface_hub."""

    served: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_arguments: object) -> None:
        """Log nothing."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        wrong = self.served.misbehaviour
        self.served.requests.append((self.command, path, self.headers.get("Range")))
        self.served.tokens.add(self.headers.get("Authorization"))
        self.served.ended.wait(wrong.late_seconds)
        if wrong.silent:
            self.served.ended.wait(60)
            self.close_connection = True
        elif wrong.status is not None:
            self._send(wrong.status, {}, b"{}")
        elif path == "/":
            self._send(200, {}, b"")
        elif path.startswith("/api/models/"):
            repository, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            if wrong.description is not None:
                self._send(200, {"Content-Type": "application/json"}, wrong.description, large=True)
                return
            self._describe(repository, revision or "main")
        else:
            repository, _, rest = path.strip("/").partition("/resolve/")
            revision, _, name = rest.partition("/")
            self._resolve(repository, revision, name)

    def _found(self, repository: str, revision: str) -> Path | None:
        """Return the folder of a repository, or send the refusal."""
        folder = self.served.repositories.get(repository)
        if folder is None:
            self._send(401, {"X-Error-Code": "RepoNotFound"}, b"{}")
        elif revision not in {"main", COMMIT}:
            self._send(404, {"X-Error-Code": "RevisionNotFound"}, b"{}")
            return None
        return folder

    def _describe(self, repository: str, revision: str) -> None:
        if folder := self._found(repository, revision):
            siblings = []
            for file in sorted(folder.iterdir()):
                sibling = {"rfilename": file.name, "size": file.stat().st_size, "blobId": digest(file)}
                if file.name in _LARGE:
                    pointer = {"sha256": digest(file), "size": file.stat().st_size, "pointerSize": 134}
                    sibling |= {"blobId": "0" * 40, "lfs": pointer}
                siblings.append(sibling)
            body = {"id": repository, "sha": COMMIT, "siblings": siblings}
            self._send(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _resolve(self, repository: str, revision: str, name: str) -> None:
        folder = self._found(repository, revision)
        if folder is None:
            return
        if self.served.misbehaviour.gated:
            self._send(401, {"X-Error-Code": "GatedRepo", "X-Repo-Commit": COMMIT}, b"{}")
        elif not (folder / name).is_file():
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b"{}")
        else:
            self._send_file(folder / name)

    def _send_file(self, path: Path) -> None:
        wrong = self.served.misbehaviour
        content = bytearray(path.read_bytes())
        size, large = len(content), path.name in _LARGE
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{digest(path)}"', "Accept-Ranges": "bytes"}
        if large:
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(size)}
            content[-1] ^= wrong.damaged
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start and not (large and wrong.ignores_ranges):
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
            self._send(HTTPStatus.PARTIAL_CONTENT, headers, bytes(content[start:]), large=large)
        else:
            self._send(HTTPStatus.OK, headers, bytes(content), large=large)

    def _send(self, status: int, headers: Mapping[str, str], body: bytes, *, large: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        wrong = self.served.misbehaviour
        if not (large and wrong.endless):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if large and wrong.endless:
            self.close_connection = True
            self.wfile.write(body)
            with suppress(OSError):
                while not self.served.ended.is_set():
                    self.wfile.write(b" " * 65_536)
            return
        stop = wrong.cut_after if wrong.cut_after is not None else wrong.hold_after
        if large and wrong.bytes_per_second is not None:
            self._send_slowly(body, wrong.bytes_per_second)
            return
        if not large or stop is None or stop >= len(body):
            self.wfile.write(body)
            return
        self.wfile.write(body[:stop])
        self.wfile.flush()
        if wrong.hold_after is not None:
            self.served.ended.wait(60)
        self.close_connection = True

    def _send_slowly(self, body: bytes, bytes_per_second: float) -> None:
        size = max(1, round(bytes_per_second / 20))
        with suppress(OSError):  # the program has gone
            for start in range(0, len(body), size):
                if self.served.ended.wait(0.05):
                    return
                self.wfile.write(body[start : start + size])
