"""Attacks on a page in a network, each with the check that stops it."""

import asyncio
import base64
import http.client
import os
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
from starlette.datastructures import Headers
from support.waiting import PATIENCE_SECONDS, wait_until
from support.web import KEY, Page, event, serving

from web import protocol
from web.errors import WebError
from web.guard import Access, AccessControl, Guard, session_cookie
from web.hub import MOST_CLIENTS
from web.passwords import hash_password, is_password, is_token, new_token
from web.sessions import LoginLimit, Sessions

PASSWORD = "correct horse"
HASH = hash_password(PASSWORD)
OTHER_SITE = "http://evil.example"


@contextmanager
def upgrade(page: Page, **headers: str) -> Iterator[str]:
    """Open a WebSocket as a browser does; yield the first line of the answer."""
    given = {"Host": f"127.0.0.1:{page.server.port}", **{k.replace("_", "-"): v for k, v in headers.items()}}
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        "GET /api/v1/live HTTP/1.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *(f"{name}: {value}" for name, value in given.items()),
    ]
    with socket.create_connection(("127.0.0.1", page.server.port), PATIENCE_SECONDS) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        yield connection.recv(64).decode("latin-1").partition("\r\n")[0]


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/static/../server.py",
        "/..%2f..%2fetc%2fpasswd",
        "/api/v1/events/..%2f..%2f..%2fetc%2fpasswd/clip",
        "/api/v1/events/%2e%2e/clip",
        "/api/v1/events/%2e%2e/spectrogram",
        "/api/v1/export/..%2f..%2fetc%2fpasswd",
        "/api/v1/events/a%00b/clip",
        "/server.py",
        "//etc/passwd",
    ],
)
def test_no_path_leads_to_a_file_outside(path: str) -> None:
    with serving() as page:
        answer = page.ask(path)
        assert answer.status == 404
        assert b"root:" not in answer.body


def test_everything_but_the_page_itself_needs_the_password() -> None:
    with serving(password=HASH) as page:
        for name in (
            "status",
            "sources",
            "tags",
            "health",
            "sounds",
            "events",
            "summary",
            "events/1/clip",
            "events/1/spectrogram",
            "export/csv",
            "openapi.json",
            "audio",
            "stream",
            "doctor",
            "calibration",
        ):
            assert page.get(name).status == 401, name
        notes = ("events/1/mark", "events/1/keep", "events/1/delete")
        maintenance = ("calibration", "calibration/stop", "calibration/apply")
        for name in ("watch", "unwatch", "quiet", "listening", "save", "logout", *notes, *maintenance):
            assert page.post(name, {"source": "kitchen", "sound": "Dog", "on": True}).status == 401, name
        with upgrade(page) as line:
            assert " 403 " in line
        assert page.ask("/").status == page.ask("/main.js").status == 200
        assert page.house.switched == []


def test_the_right_password_begins_a_session_that_ends_when_you_log_out() -> None:
    with serving(password=HASH) as page:
        assert page.post("login", {"password": "wrong one"}).status == 401
        answer = page.post("login", {"password": PASSWORD})
        cookie = answer.headers["set-cookie"]
        assert "httponly" in cookie.lower()
        assert "samesite=strict" in cookie.lower()
        session = cookie.partition(";")[0]
        assert page.get("status", cookie=session).status == 200
        assert page.post("logout", {}, cookie=session).status == 200
        assert page.get("status", cookie=session).status == 401


@pytest.mark.parametrize("other", ['a={"x": 1}', "no_value", "a=b c", "name=é", "path=/", "a/b=1", "", "="])
def test_cookies_of_other_programs_on_the_host_do_not_end_a_session(other: str) -> None:
    session = "earshot_session=1.a.b"
    for cookies in (f"{other}; {session}", f"{session}; {other}"):
        headers = Headers(raw=[(b"cookie", cookies.encode())])
        assert session_cookie(headers, "earshot_session") == "1.a.b"


def test_another_password_holds_at_once_and_ends_sessions_and_streams() -> None:
    with serving(password=HASH, audio=True) as page:
        cookie = page.log_in(PASSWORD)
        stream = http.client.HTTPConnection("127.0.0.1", page.server.port, timeout=PATIENCE_SECONDS)
        stream.request("GET", "/api/v1/stream", headers={"cookie": cookie})
        answer = stream.getresponse()
        assert answer.status == 200
        page.server.set_access(Access(password=hash_password("another one")), KEY + b"another")
        answer.read()  # it ends
        stream.close()
        assert page.get("status", cookie=cookie).status == 401
        assert page.post("login", {"password": PASSWORD}).status == 401
        assert page.get("status", cookie=page.log_in("another one")).status == 200


def test_a_password_that_is_changed_while_it_is_checked_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(password=HASH) as page:

        def check(password: str, hashed: str) -> bool:
            page.server.set_access(Access(password=hash_password("another one")), KEY + b"another")
            return is_password(password, hashed)

        monkeypatch.setattr("web.login.is_password", check)
        answer = page.post("login", {"password": PASSWORD})
        assert answer.status == 401
        assert "set-cookie" not in answer.headers


def test_a_session_outlives_a_restart_but_not_another_password() -> None:
    with serving(password=HASH) as page:
        session = page.log_in(PASSWORD)
    with serving(password=HASH) as page:
        assert page.get("status", cookie=session).status == 200
    with serving(password=hash_password("another one")) as page:
        assert page.get("status", cookie=session).status == 401


@pytest.mark.parametrize(
    "cookie", ["", "x", "1.2.3", "9999999999.abc.", "9999999999.äöü.00", "é" * 50, ".", ".."]
)
def test_a_session_can_not_be_made_up(cookie: str) -> None:
    assert not Sessions(b"key").is_valid(cookie)


def test_a_session_ends_after_a_month() -> None:
    now = [1_000.0]
    sessions = Sessions(b"key", lambda: now[0])
    cookie = sessions.begin()
    assert sessions.is_valid(cookie)
    now[0] += 31 * 86_400.0
    assert not sessions.is_valid(cookie)


def test_a_token_opens_the_interface_to_scripts() -> None:
    token, stored = new_token()
    with serving(password=HASH, token=stored) as page:
        assert page.get("status", authorization=f"Bearer {token}").status == 200
        assert page.get("status", authorization=f"Bearer {token}x").status == 401
        assert page.get("status", authorization="Bearer ").status == 401
        answer = page.post("listening", {"source": "kitchen", "on": False}, authorization=f"Bearer {token}")
        assert answer.status == 200
        assert page.house.switched == [("kitchen", False)]


def test_passwords_and_tokens_are_stored_as_hashes() -> None:
    assert PASSWORD not in HASH
    assert hash_password(PASSWORD) != HASH
    assert is_password(PASSWORD, HASH)
    assert not is_password("correct Horse", HASH)
    assert not is_password(PASSWORD, "")
    assert not is_password("x" * 5_000, HASH)
    token, stored = new_token()
    assert token not in stored
    assert is_token(token, stored)
    assert not is_token("", "")


def test_wrong_passwords_make_the_next_try_wait() -> None:
    with serving(password=HASH) as page:
        statuses = [page.post("login", {"password": "guess"}).status for _ in range(6)]
        assert statuses == [401] * 5 + [429]
        answer = page.post("login", {"password": PASSWORD})
        if answer.status == 429:  # unless this machine was so busy that the second is over
            assert int(answer.headers["retry-after"]) >= 1


def test_the_wait_grows_to_a_minute_and_is_for_one_address() -> None:
    now = [0.0]
    limit = LoginLimit(lambda: now[0])
    waits = []
    for _ in range(14):
        limit.begin("10.0.0.1")
        waits.append(limit.wait_seconds("10.0.0.1"))
        now[0] += waits[-1]
    assert waits[:5] == [0.0, 0.0, 0.0, 0.0, 1.0]
    assert waits[-1] == 60.0
    assert limit.wait_seconds("10.0.0.2") == 0.0
    limit.succeed("10.0.0.1")
    assert limit.wait_seconds("10.0.0.1") == 0.0


def test_many_addresses_together_try_thirty_passwords_a_minute() -> None:
    now = [0.0]
    limit = LoginLimit(lambda: now[0])
    for number in range(30):
        assert limit.wait_seconds(f"10.0.0.{number}") == 0.0
        limit.begin(f"10.0.0.{number}")
    assert limit.wait_seconds("10.0.1.1") == 60.0
    now[0] += 61.0
    assert limit.wait_seconds("10.0.1.1") == 0.0


def test_addresses_of_one_ipv6_network_are_one() -> None:
    limit = LoginLimit(lambda: 0.0)
    for number in range(6):
        limit.begin(f"2001:db8::{number}")
    assert limit.wait_seconds("2001:db8::99") > 0.0
    assert limit.wait_seconds("2001:db8:0:1::1") == 0.0


def test_addresses_of_ipv4_are_single_ones_on_a_socket_of_ipv6_too() -> None:
    limit = LoginLimit(lambda: 0.0)
    for _ in range(6):
        limit.begin("::ffff:10.0.0.1")
    assert limit.wait_seconds("10.0.0.1") > 0.0
    assert limit.wait_seconds("::ffff:10.0.0.2") == 0.0


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
def test_all_addresses_of_ipv6_are_those_of_ipv4_too() -> None:
    with serving(host="::") as page:
        assert page.get("status").status == 200
        with socket.create_connection(("::1", page.server.port), PATIENCE_SECONDS) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n")
            assert b" 200 " in connection.recv(20)


def test_other_sites_can_change_nothing() -> None:
    with serving() as page:
        body = {"source": "kitchen", "on": False}
        assert page.post("listening", body, origin=OTHER_SITE).status == 403
        assert page.post("listening", body, origin="null").status == 403
        assert page.post("listening", body, sec_fetch_site="cross-site").status == 403
        assert page.post("listening", body, sec_fetch_site="same-site").status == 403
        answer = page.ask("/api/v1/listening", b"source=kitchen", content_type="text/plain")
        assert answer.status == 415
        assert page.house.switched == []
        assert page.post("listening", body, origin=page.address.rstrip("/")).status == 200
        assert page.house.switched == [("kitchen", False)]


def test_other_sites_can_read_nothing() -> None:
    with serving() as page:
        assert page.get("status", sec_fetch_site="cross-site", sec_fetch_mode="no-cors").status == 403
        answer = page.get("status")
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


def test_other_sites_can_open_no_websocket() -> None:
    with serving() as page:
        with upgrade(page, Origin=OTHER_SITE) as line:
            assert " 403 " in line
        with upgrade(page, Origin=page.address.rstrip("/")) as line:
            assert " 101 " in line


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "a b", "127.0.0.1.evil.example"])
def test_without_a_password_the_page_has_no_name_but_this_machine(host: str) -> None:
    with serving() as page:  # a name of another site that leads here
        assert page.get("status", host=host).status == 400
        assert page.get("status", host=f"localhost:{page.server.port}").status == 200


def test_home_assistants_proxy_is_trusted_in_place_of_a_password() -> None:
    forwarded = {"x_forwarded_host": "homeassistant.local:8123", "x_ingress_path": "/api/hassio_ingress/abc"}
    with serving(ingress="127.0.0.1") as page:  # as if this machine were the proxy
        assert page.get("status", host="homeassistant.local:8123", **forwarded).status == 200
        own = "http://homeassistant.local:8123"
        body = {"source": "kitchen", "on": False}
        assert page.post("listening", body, host="172.30.33.1:8099", origin=own, **forwarded).status == 200
        assert (
            page.post("listening", body, host="172.30.33.1:8099", origin=OTHER_SITE, **forwarded).status
            == 403
        )
        assert page.post("listening", body, sec_fetch_site="cross-site", **forwarded).status == 403
        with upgrade(page, Origin=own, **{"X-Forwarded-Host": "homeassistant.local:8123"}) as line:
            assert " 101 " in line


@pytest.mark.parametrize(
    ("password", "peer", "status"),
    [
        ("", "172.30.32.2", 200),
        ("", "::ffff:172.30.32.2", 200),
        ("", "172.30.33.7", 403),
        ("", "192.168.1.20", 403),
        ("", "127.0.0.1", 200),
        (HASH, "172.30.32.2", 200),
        (HASH, "172.30.33.7", 401),
        (HASH, "127.0.0.1", 401),
    ],
)
def test_nobody_else_is_trusted_whatever_they_say(password: str, peer: str, status: int) -> None:
    """A request that names this machine as its host, and pretends to come from the proxy."""
    sent: list[int] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.extend([message["status"]] if "status" in message else [])

    headers = {
        "host": "localhost",
        "x-forwarded-for": "172.30.32.2",
        "x-ingress-path": "/",
        "x-forwarded-host": "localhost",
    }
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/v1/status",
        "client": (peer, 1234),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    guard = Guard(app, AccessControl(Access(password=password, ingress="172.30.32.2"), KEY), public=())
    asyncio.run(guard(scope, receive, send))
    assert sent == [status]


def test_every_answer_forbids_foreign_scripts_and_frames() -> None:
    with serving() as page:
        for path in ("/", "/main.js", "/api/v1/status", "/nowhere"):
            headers = page.ask(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'self'" in policy
            assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"x" * 20_000, 413),
        (b"[" * 10_000, 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"source": 1, "sound": "Dog"}', 400),
        (b'{"source": "cellar", "sound": "Dog"}', 404),
        (b'{"source": "kitchen", "sound": "Dog", "threshold": "NaN"}', 400),
        (b'{"source": "kitchen", "sound": "Dog", "threshold": NaN}', 400),
        (b'{"source": "kitchen", "sound": "Dog", "threshold": 1e999}', 400),
        (b'{"source": "kitchen", "sound": "Dog", "threshold": true}', 400),
        (b'{"source": "kitchen", "sound": "Dog", "threshold": 0}', 400),
        (b'{"source": "kitchen", "sound": ""}', 400),
        (b'{"source": "kitchen", "sound": "quux"}', 400),
    ],
)
def test_a_bad_body_gets_a_sentence(raw: bytes, status: int) -> None:
    with serving() as page:
        answer = page.ask("/api/v1/watch", raw)
        assert answer.status == status
        assert answer.json["error"]


def test_a_body_that_is_announced_too_large_is_not_read_to_its_end() -> None:
    with (
        serving() as page,
        socket.create_connection(("127.0.0.1", page.server.port), PATIENCE_SECONDS) as connection,
    ):
        head = (
            f"POST /api/v1/watch HTTP/1.1\r\nHost: 127.0.0.1:{page.server.port}\r\nContent-Type: application/json\r\n"
            "Content-Length: 9999999999\r\n\r\n"
        )
        connection.sendall(head.encode() + b"x" * 40_000)
        assert b" 413 " in connection.recv(200)


def _answers(page: Page) -> bool:
    with suppress(ConnectionError):
        return page.get("status").status == 200
    return False


def test_hundreds_of_idle_connections_are_cut_to_a_limit() -> None:
    with serving() as page, ExitStack() as stack:
        address = ("127.0.0.1", page.server.port)
        idle = [stack.enter_context(socket.create_connection(address, PATIENCE_SECONDS)) for _ in range(300)]
        most = protocol.MOST_CONNECTIONS_OF_AN_ADDRESS
        wait_until(
            lambda: len(select.select(idle, [], [], 0)[0]) >= 300 - most, "the end of what is too much"
        )
        stack.close()
        wait_until(lambda: _answers(page), "an answer once they are gone")


def test_a_request_that_does_not_arrive_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 0.3)
    with (
        serving() as page,
        socket.create_connection(("127.0.0.1", page.server.port), PATIENCE_SECONDS) as connection,
    ):
        connection.sendall(b"GET / HT")
        with suppress(ConnectionResetError):
            assert connection.recv(10) == b""
        assert page.get("status").status == 200


def test_too_many_browsers_are_refused_and_those_that_are_there_stay() -> None:
    with serving() as page, ExitStack() as stack:
        for _ in range(MOST_CLIENTS):
            assert " 101 " in stack.enter_context(upgrade(page))
        wait_until(lambda: page.hub.client_count == MOST_CLIENTS, "all browsers")
        assert page.get("stream").status == 503
        assert page.get("status").json["browsers"] == MOST_CLIENTS


def test_names_that_are_scripts_arrive_as_text_alone() -> None:
    script = "<script>alert(1)</script>\r\nX-Evil: 1"
    with serving(sources=(script,)) as page:
        page.hub.accept(event("1", script, source=script))
        answer = page.get("sources")
        assert answer.json["sources"][0]["name"] == script
        assert answer.headers["content-type"] == "application/json"
        assert "x-evil" not in answer.headers


def test_an_address_in_use_is_refused_in_a_sentence() -> None:
    with serving() as page, pytest.raises(WebError, match="can't be served at .*: give --web another port"):
        type(page.server)(
            page.hub,
            page.server._calls,
            host="127.0.0.1",
            port=page.server.port,
            access=page.server._control.access,
            key=b"key",
        )
