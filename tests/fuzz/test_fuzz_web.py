"""Arbitrary requests and WebSocket frames at the page."""

import asyncio
import http.client
import json
import logging
import os
import socket
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from promises import assert_one_sentence, examples, json_values
from support import web as support
from support.waiting import PATIENCE_SECONDS
from support.web import KEY, House, Page, event, serving, tagging
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from models.log_mel import log_mel
from web.calls import Calls
from web.guard import Access
from web.hub import Hub
from web.server import WebServer

pytestmark = pytest.mark.slow

NAMES = [
    *(
        "status",
        "sources",
        "tags",
        "health",
        "sounds",
        "names/de",
        "events",
        "summary",
        "export/csv",
        "doctor",
        "",
        "openapi.json",
    ),
    *(
        "events/1/clip",
        "events/1/spectrogram",
        "events/1/mark",
        "events/1/keep",
        "events/1/delete",
        "calibration",
    ),
    *(
        "calibration/stop",
        "calibration/apply",
        "listening",
        "watch",
        "unwatch",
        "quiet",
        "save",
        "login",
        "logout",
    ),
]
NUMBERS = [
    "0",
    "-1",
    "nan",
    "inf",
    "1e999",
    "9" * 400,
    "2026-03-01T18:30",
    "0001-01-01",
    "9999-12-31T23:59",
    "\ud800",
]


class ImmediateCalls(Calls):
    """Calls that are carried out at once: there is no main thread."""

    def submit(self, call: Any) -> Any:
        future = super().submit(call)
        self.carry_out()
        return future


def make_server() -> WebServer:
    hub = Hub(("kitchen",), support.DESCRIPTIONS, log_mel)
    server = WebServer(hub, ImmediateCalls(), host="127.0.0.1", port=0, access=Access(), key=KEY)
    server._socket.close()
    house = House(history=[event("1")])
    house.thresholds |= {"Siren": 0.5}
    server.set_actions(house.actions())
    for message in (tagging(), event("1"), support.HEALTH):
        hub.state.add(message)
    return server


def answer(
    method: str, path: str, query: bytes, headers: dict[str, str], body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Ask the application without a connection; return the status, headers and body of its answer."""
    sent: list[MutableMapping[str, Any]] = []
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        return parts.pop(0) if parts else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "root_path": "",
        "query_string": query,
        "client": ("127.0.0.1", 1234),
        "server": ("127.0.0.1", 8080),
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in headers.items()
        ],
    }

    async def ask() -> None:
        await make_server()._app()(scope, receive, send)

    asyncio.run(ask())
    start = sent[0]
    named = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    return start["status"], named, b"".join(part.get("body", b"") for part in sent[1:])


bodies = st.one_of(
    st.binary(max_size=60),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(
        st.sampled_from(
            ["source", "sound", "threshold", "quiet", "on", "mark", "keep", "password", "seconds"]
        ),
        st.one_of(json_values, st.sampled_from(["kitchen", "Dog", "22:00-07:00", True, 0.5, 1e300, 10**400])),
    ).map(lambda value: json.dumps(value).encode()),
)
queries = st.one_of(
    st.binary(max_size=40),
    st.lists(
        st.tuples(
            st.sampled_from(["since", "until", "label", "source", "score", "limit", "after", "zero"]),
            st.one_of(st.sampled_from([*NUMBERS, "1e9,1", "inf,1", "0,\ud800"]), st.text(max_size=10)),
        ),
        max_size=4,
    ).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs).encode("utf-8", "replace")),
)
paths = st.one_of(
    st.sampled_from(NAMES).map(lambda name: f"/api/v1/{name}"),
    st.text(max_size=30).map(lambda text: f"/{text}"),
)
headers = st.dictionaries(
    st.sampled_from(
        ["content-type", "cookie", "authorization", "origin", "if-none-match", "range", "x-forwarded-host"]
    ),
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30),
)


@examples(300)
@given(st.sampled_from(["GET", "POST", "HEAD", "PUT"]), paths, queries, headers, bodies)
@example("GET", "/api/v1/events", b"since=9999-12-31T23:59&limit=" + b"9" * 400, {}, b"")
@example(
    "POST",
    "/api/v1/calibration",
    b"",
    {"content-type": "application/json"},
    b'{"seconds": 1' + b"0" * 400 + b"}",
)
@example("POST", "/api/v1/watch", b"", {"content-type": "application/json"}, b"[" * 16_000)
@example(
    "POST",
    "/api/v1/watch",
    b"",
    {"content-type": "application/json"},
    b'{"source": "kitchen", "sound": "\\ud800"}',
)
@example("GET", "/api/v1/events/..%2f../clip", b"", {}, b"")
def test_any_request_is_answered_or_refused_in_a_sentence(
    method: str, path: str, query: bytes, given_headers: dict[str, str], body: bytes
) -> None:
    named = {"host": "localhost:8080", **given_headers}
    if method == "POST":
        named.setdefault("content-type", "application/json")
    status, found, content = answer(method, path, query, named, body)
    assert 200 <= status < 500 or status == 503
    assert "default-src 'none'" in found["content-security-policy"]
    if found.get("content-type") == "application/json" and status >= 400 and method != "HEAD":
        assert_one_sentence(json.loads(content)["error"])


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with serving(house=House(history=[event("1")])) as served:
        served.fill()
        yield served


@pytest.fixture
def well(page: Page, caplog: pytest.LogCaptureFixture) -> Iterator[Page]:
    """A page that still answers afterwards, and has logged no error."""
    yield page
    assert page.get("status").status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.system
def test_any_bytes_on_a_connection_leave_the_page_well(well: Page) -> None:
    heads = [
        b"",
        b"GET / HTTP/1.1\r\n",
        b"POST /api/v1/watch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
    ]
    generated = [
        *(head + os.urandom(200) for head in heads for _ in range(20)),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/v1/watch HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /api/v1/watch HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/watch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]
    for content in generated:
        with socket.create_connection(("127.0.0.1", well.server.port), PATIENCE_SECONDS) as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            try:
                first = connection.recv(100)
            except ConnectionResetError:
                continue
            assert not first or first.startswith(b"HTTP/1.1 "), first


@pytest.mark.system
def test_any_frames_on_the_websocket_leave_the_page_well(well: Page) -> None:
    address = f"ws://127.0.0.1:{well.server.port}/api/v1/live"
    for frames in (["{}", "x" * 4000], [b"\0\1\2"], ["\0"] * 200, ["y" * 5000], [b"z" * 100_000]):
        with connect(address) as line:
            try:
                for frame in frames:
                    line.send(frame)
                line.recv(timeout=PATIENCE_SECONDS)
            except ConnectionClosed:
                continue


@pytest.mark.system
def test_frames_that_are_no_frames_end_the_connection_and_nothing_else(well: Page) -> None:
    for number in range(30):
        connection = http.client.HTTPConnection("127.0.0.1", well.server.port, timeout=PATIENCE_SECONDS)
        connection.request(
            "GET",
            "/api/v1/live",
            headers={
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
            },
        )
        assert connection.sock is not None
        connection.sock.sendall(os.urandom(10 * number + 1))
        connection.close()
