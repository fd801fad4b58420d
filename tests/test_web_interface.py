"""The HTTP interface and the live connections, over real HTTP."""

import asyncio
import csv
import http.client
import io
import json
import re
import socket
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import soundfile
from support.session import live_session
from support.waiting import PATIENCE_SECONDS, wait_until
from support.web import DESCRIPTIONS, House, Page, event, serving, tagging
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from models.log_mel import log_mel
from streamer.events.watchlist import WatchLists
from streamer.live.assembly import connect_watchlists
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Event, Message, SourceStatus, Watched
from streamer.sinks import RankingSink
from streamer.sinks.history.exports import audacity_labels, raven_table
from streamer.sources import open_source
from web import protocol
from web.calls import Calls
from web.errors import BusyError, WebError
from web.hub import _HEADER, Hub
from web.listening import MOST_LISTENERS
from web.passwords import hash_password
from web.queues import Mailbox
from web.spectrogram import GAP, Rows, clip_rows
from web.summary import summarise

ROOT = Path(__file__).parent.parent


def open_socket(page: Page) -> Connection:
    return connect(f"ws://127.0.0.1:{page.server.port}/api/v1/live", open_timeout=PATIENCE_SECONDS)


def receive(connection: Connection, kind: str) -> Any:
    """Receive messages until there is one of a kind; "rows" are bytes."""
    while True:
        packet = connection.recv(PATIENCE_SECONDS)
        if isinstance(packet, bytes):
            if kind == "rows":
                return packet
        elif (message := json.loads(packet))["type"] == kind:
            return message


def test_thresholds_have_the_digits_that_people_gave_a_model() -> None:
    with serving() as page:
        page.house.thresholds["Dog"] = float(np.float32(0.15))
        page.fill()
        assert page.get("sources").json["sources"][0]["watched"][0]["threshold"] == 0.15


def test_the_interface_says_what_is_heard() -> None:
    with serving() as page:
        page.fill()
        assert page.get("status").json["model"] == "tiny"
        (source,) = page.get("sources").json["sources"]
        assert source["online"]
        assert source["watched"][0] == {"sound": "Dog", "threshold": 0.5, "quiet": "never"}
        (tags,) = page.get("tags").json["tags"]
        assert [tag["label"] for tag in tags["tags"]] == ["Dog", "Smoke detector, smoke alarm", "Speech"]
        assert tags["watched"] == [["Dog", 0.8], ["Smoke alarm", 0.2]]
        assert page.get("tags?source=cellar").json["tags"] == []
        assert page.get("health").json["broker"] == "connected"
        assert "Siren" in page.get("sounds").json["sounds"]


def test_browsers_follow_sounds_that_are_watched_elsewhere_or_taught() -> None:
    watchlists = WatchLists(None, {}, ("Dog", "Siren"))
    with serving() as page, open_socket(page) as browser:
        session = live_session([open_source("demo", name="kitchen")])
        connect_watchlists(watchlists, session, None, [None, page.hub])
        assert "Our hum" not in str(receive(browser, "sources"))
        page.house.thresholds["Our hum"] = 0.5
        watchlists.follow_taught(["Our hum"], [], ("Dog", "Siren", "Our hum"), None)
        while "Our hum" not in str(receive(browser, "sources")):
            pass


def test_a_source_that_is_offline_has_no_tags_until_it_is_heard_again() -> None:
    with serving() as page:
        page.fill()
        assert page.get("tags").json["tags"]
        page.hub.accept(SourceStatus("kitchen", False, "listening is switched off"))
        page.hub.accept(tagging())  # of a window that was under way
        wait_until(lambda: not page.get("sources").json["sources"][0]["online"], "the news")
        assert page.get("tags").json["tags"] == []
        assert page.get("sources").json["sources"][0]["level_dbfs"] is None
        page.hub.accept(SourceStatus("kitchen", True))
        wait_until(lambda: page.get("sources").json["sources"][0]["online"], "the news")
        assert page.get("tags").json["tags"] == [], "what was heard before is not heard now"
        page.hub.accept(tagging())
        wait_until(lambda: page.get("tags").json["tags"], "the new tags")


def test_messages_from_before_the_server_runs_are_there() -> None:
    with serving(before=lambda hub: hub.accept(tagging())) as page:
        wait_until(lambda: page.get("tags").json["tags"], "the tags")


def test_actions_are_carried_out_on_the_main_thread() -> None:
    with serving() as page:
        assert page.post("watch", {"source": "kitchen", "sound": "Siren", "threshold": 0.4}).status == 200
        assert page.house.thresholds["Siren"] == 0.4
        assert page.house.called_on == {"main thread"}
        assert page.post("unwatch", {"source": "kitchen", "sound": "Siren"}).status == 200
        assert "Siren" not in page.house.thresholds
        assert page.post("listening", {"source": "kitchen", "on": False}).status == 200
        assert not page.get("sources").json["sources"][0]["listening"]
        assert page.post("save", {}).json == {"file": "/home/me/earshot.toml"}
        assert page.house.saved == 1


def test_an_error_of_an_action_is_its_sentence() -> None:
    with serving() as page:
        answer = page.post("watch", {"source": "kitchen", "sound": "quux"})
        assert (answer.status, answer.json["error"]) == (400, "there is no sound 'quux': see earshot sounds")


def test_events_come_newest_first_and_without_paths_of_this_machine(tmp_path: Path) -> None:
    clip = tmp_path / "dog.flac"
    clip.write_bytes(b"fLaC" + bytes(100))
    house = House(
        history=[
            event("1", started_at=1.0),
            event("2", "Siren", started_at=2.0),
            event("3", clip=str(clip), started_at=3.0),
        ],
        clips={"3": clip},
    )
    with serving(house=house) as page:
        found = page.get("events").json["events"]
        assert [one["id"] for one in found] == ["3", "2", "1"]
        assert found[0]["clip"] == "api/v1/events/3/clip"
        assert str(tmp_path) not in page.get("events").body.decode()
        assert [one["id"] for one in page.get("events?label=Siren").json["events"]] == ["2"]
        assert [one["id"] for one in page.get("events?limit=1").json["events"]] == ["3"]
        answer = page.get("events/3/clip")
        assert answer.headers["content-type"] == "audio/flac"
        assert answer.body == clip.read_bytes()
        assert page.get("events/3/clip", range="bytes=0-3").body == b"fLaC"
        assert page.get("events/2/clip").status == 404
        assert page.get("summary").json["sounds"][0]["count"] == 2


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=x", "limit=9999999", "since=soon", "score=NaN", "until=inf"),
        *("after=1", "after=,x", "after=soon,x", "after=inf,x", f"after=1,{'x' * 1_000}"),
    ],
)
def test_a_bad_query_gets_a_sentence(query: str) -> None:
    with serving() as page:
        answer = page.get(f"events?{query}")
        assert answer.status == 400
        assert "must be" in answer.json["error"]


def test_pages_of_events_leave_none_out_and_repeat_none() -> None:
    starts = {"cat": 20.0, "alarm": 10.0007, "smoke": 10.0007, "siren": 10.0003, "dog": 0.1 + 0.2}
    with serving(house=House(history=[event(name, started_at=at) for name, at in starts.items()])) as page:
        pages, following = [], ""
        for _ in range(3):
            answer = page.get(f"events?limit=2&after={following}").json
            pages.append([one["id"] for one in answer["events"]])
            following = answer["next"]
        assert pages == [["cat", "smoke"], ["alarm", "siren"], ["dog"]]
        assert following is None


def test_a_browser_gets_the_newest_of_everything_and_then_what_happens() -> None:
    with serving() as page:
        page.fill()
        with open_socket(page) as connection:
            assert receive(connection, "sources")["sources"][0]["name"] == "kitchen"
            assert receive(connection, "sourcestatus")["online"]
            assert receive(connection, "tagging")["watched"][0] == ["Dog", 0.8]
            assert receive(connection, "events")["events"][0]["label"] == "Dog"
            page.hub.accept(event("2", "Siren"))
            assert receive(connection, "event")["label"] == "Siren"
            page.hub.accept(SourceStatus("kitchen", False, "it was unplugged"))
            assert receive(connection, "sourcestatus")["reason"] == "it was unplugged"
            page.hub.set_sources(["cellar"])
            assert receive(connection, "sources")["sources"][0]["name"] == "cellar"


def test_a_clip_is_named_by_its_address_in_live_events_too() -> None:
    with serving() as page, open_socket(page) as connection:
        receive(connection, "sources")
        page.hub.accept(event("7", clip="/home/me/clips/dog.flac"))
        assert receive(connection, "event")["clip"] == "api/v1/events/7/clip"


def test_a_score_that_is_no_number_is_left_open() -> None:
    with serving() as page, open_socket(page) as connection:
        page.hub.accept(tagging("kitchen", 0.1, float("nan"), 0.2))
        assert receive(connection, "tagging")["watched"][0] == ["Dog", None]


def test_labels_that_reach_their_own_thresholds_are_named() -> None:
    with serving() as page, open_socket(page) as connection:
        page.hub.accept(tagging("kitchen", 0.1, 0.2, 0.8))
        assert receive(connection, "tagging")["heard"] == ["Smoke detector, smoke alarm"]
        page.hub.watched = lambda _: [Watched("Voices", (0, 1, 7), (0.9, 0.4, 0.1))]
        page.hub.accept(tagging("kitchen", 0.8, 0.5, 0.9))
        assert receive(connection, "tagging")["heard"] == ["Dog"]
        page.hub.accept(tagging("kitchen", float("nan"), 0.1, 0.9))
        assert receive(connection, "tagging")["heard"] == []


def test_listening_goes_on_when_the_page_has_ended() -> None:
    with serving() as page:
        page.fill()
    page.hub.accept(tagging())
    page.hub.accept(event("8"))
    assert page.hub.client_count == 0


def test_a_browser_gets_rows_of_the_spectrogram() -> None:
    with serving(sources=("yard", "kitchen")) as page, open_socket(page) as connection:
        wait_until(lambda: page.hub.client_count, "the browser")
        page.hear("kitchen", 1.0, start_sample=16_000)
        packet = receive(connection, "rows")
        kind, number, level, peak, count = np.frombuffer(packet, "<i2", 5)
        assert (kind, number, count) == (1, 1, 98)
        assert (level, peak) == (-135, -105)
        assert np.frombuffer(packet, "<u4", 1, 12)[0] == 100
        assert len(packet) == 24 + 98 * 128


def test_an_event_is_marked_and_all_browsers_hear_of_it() -> None:
    with serving(house=House(history=[event("7")])) as page, open_socket(page) as connection:
        page.hub.accept(event("7"))
        receive(connection, "event")
        assert page.post("events/7/mark", {"mark": "wrong"}).json == {"mark": "wrong"}
        assert receive(connection, "note") == {"type": "note", "id": "7", "mark": "wrong"}
        assert page.get("events").json["events"][0]["mark"] == "wrong"
        assert page.post("events/7/keep", {"keep": True}).json == {"clip_kept": True}
        with open_socket(page) as later:
            (known,) = receive(later, "events")["events"]
            assert (known["mark"], known["clip_kept"]) == ("wrong", True)
        assert page.post("events/7/mark", {"mark": None}).status == 200
        assert page.get("events").json["events"][0]["mark"] is None


def test_an_event_is_deleted_and_all_browsers_hear_of_it() -> None:
    with serving(house=House(history=[event("7")])) as page, open_socket(page) as connection:
        page.hub.accept(event("7"))
        receive(connection, "event")
        assert page.post("events/7/delete", {}).status == 200
        assert receive(connection, "deleted")["id"] == "7"
        assert page.get("events").json["events"] == []
        with open_socket(page) as later:
            assert receive(later, "events")["events"] == []


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("events/7/mark", {"mark": "maybe"}, 400, "mark must be"),
        ("events/7/mark", {}, 400, "mark must be"),
        ("events/7/mark", {"mark": ["right"]}, 400, "mark must be"),
        ("events/8/mark", {"mark": "right"}, 400, "no such event"),
        ("events/..%2f7/mark", {"mark": "right"}, 404, ""),
        ("events/7/keep", {"keep": 1}, 400, "keep must be true or false"),
        ("events/8/delete", {}, 400, "no such event"),
    ],
)
def test_notes_that_make_no_sense_are_refused(path: str, body: object, status: int, words: str) -> None:
    with serving(house=House(history=[event("7")])) as page:
        answer = page.post(path, body)
        assert answer.status == status
        assert words in answer.body.decode()
        assert page.house.notes == {}
        assert len(page.house.history) == 1


def test_without_a_history_there_is_nothing_to_mark() -> None:
    with serving(house=House(has_history=False)) as page:
        answer = page.post("events/7/mark", {"mark": "right"})
        assert (answer.status, "there is no history" in answer.json["error"]) == (404, True)


def test_a_browser_listens_along_only_if_that_is_wanted() -> None:
    with serving() as page:
        assert page.get("audio?source=kitchen").status == 404
        assert page.get("status").json["can_listen"] is False
    with serving(audio=True, sources=("kitchen", "yard")) as page:
        assert page.get("status").json["can_listen"] is True
        assert page.get("audio?source=quux").status == 404
        connection = http.client.HTTPConnection("127.0.0.1", page.server.port, timeout=PATIENCE_SECONDS)
        connection.request("GET", "/api/v1/audio?source=kitchen")
        answer = connection.getresponse()
        assert answer.headers["content-type"] == "audio/wav"
        head = answer.read(44)
        assert (head[:4], head[8:16], head[36:40]) == (b"RIFF", b"WAVEfmt ", b"data")
        assert page.listening is not None
        page.hear("yard", 0.1)
        page.hear("kitchen", 0.1)
        samples = np.frombuffer(answer.read(3_200), "<i2")
        tone = 0.3 * np.sin(np.arange(1_600) * 0.4)
        assert np.abs(samples / 32_767 - tone).max() < 1e-3
        answer.close()
        connection.close()

        def gone() -> bool:
            page.hear("kitchen", 0.1)
            return page.listening is not None and not page.listening._listeners

        wait_until(gone, "the end of the listener")


def test_nobody_listens_along_to_a_source_that_is_paused_nor_is_too_many() -> None:
    house = House()
    with ExitStack() as stack, serving(audio=True, house=house) as page:
        house.switched.append(("kitchen", False))
        answers = []
        for _ in range(MOST_LISTENERS):
            connection = http.client.HTTPConnection("127.0.0.1", page.server.port, timeout=PATIENCE_SECONDS)
            connection.request("GET", "/api/v1/audio?source=kitchen")
            answer = stack.enter_context(connection.getresponse())
            assert len(answer.read(44)) == 44
            answers.append(answer)
            stack.callback(connection.close)
        assert page.get("audio?source=kitchen").status == 503
        page.hear("kitchen", 0.5)
        house.switched.append(("kitchen", True))
        page.hear("kitchen", 0.1)
        first = np.frombuffer(answers[-1].read(3_200), "<i2")
        assert len(first) == 1_600
        assert page.listening is not None
        page.listening.close()


def test_the_interface_can_be_read_without_a_script_or_a_network() -> None:
    with serving(audio=True) as page:
        answer = page.get("")
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        html = answer.body.decode()
        for path, methods in page.get("openapi.json").json["paths"].items():
            for method, operation in methods.items():
                assert f"<code>{path[1:]}</code>" in html
                assert operation["summary"].replace('"', "&quot;") in html
                assert html.count(f'"#{method}-') >= 1
        assert "--json" in html
        assert "://" not in html.replace("http://127.0.0.1:8080/", "")
        assert "<script" not in html
        for file in re.findall(r'href="\.\./\.\.(/[^"]+)"', html):
            assert page.ask(file).status == 200


@pytest.mark.parametrize("name", ["audio?source=kitchen", "stream"])
def test_a_frozen_listener_gives_its_place_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STALLED_SECONDS", 0.2)
    with serving(audio=True) as page, socket.socket() as frozen:
        page.fill()
        frozen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        frozen.settimeout(PATIENCE_SECONDS)
        frozen.connect(("127.0.0.1", page.server.port))
        frozen.sendall(f"GET /api/v1/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert frozen.recv(12) == b"HTTP/1.1 200"
        assert page.listening is not None

        def follows() -> int:
            return len(page.listening._listeners) + page.hub.client_count  # type: ignore[union-attr]

        wait_until(lambda: follows() == 1, "the listener")

        def is_gone() -> bool:
            page.hear("kitchen", 5.0)
            for number in range(100):
                page.hub.accept(event(f"{number}" + "x" * 1000))
            return follows() == 0

        wait_until(is_gone, "the end of the frozen one")


def test_the_interface_describes_itself() -> None:
    with serving(audio=True) as page:
        described = page.get("openapi.json").json
        assert (described["openapi"], described["info"]["version"]) == ("3.1.0", "1.2.3")
        paths = described["paths"]
        for path, operations in paths.items():
            for method, operation in operations.items():
                assert operation["summary"].endswith("."), (path, method)
                given = path.replace("{id}", "nobody").replace("{format}", "quux").replace("{language}", "de")
                if given not in {"/stream", "/audio"}:
                    answer = page.ask(f"/api/v1{given}", None if method == "get" else {})
                    assert answer.status != 405, (path, method)
        assert [found["name"] for found in paths["/events/{id}/mark"]["post"]["parameters"]] == ["id"]
        body = paths["/watch"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert set(body["properties"]) == {"source", "sound", "threshold"}
        documented = set(
            re.findall(r"`(?:GET|POST) api/v1/([\w/.]+)", (ROOT / "docs" / "web.md").read_text())
        )
        known = {
            path[1:].replace("{id}", "ID").replace("{format}", "FORMAT").replace("{language}", "de")
            for path in paths
        }
        assert documented - {"openapi.json", ""} == known - {"login", "logout"}


def test_the_number_of_tags_follows_the_settings() -> None:
    with serving() as page:
        assert isinstance(page.hub, RankingSink)
        page.fill()
        page.hub.top = 2
        assert len(page.get("tags").json["tags"][0]["tags"]) == 2
        page.hub.top = 1
        assert len(page.get("tags").json["tags"][0]["tags"]) == 1


def test_a_script_follows_with_server_sent_events() -> None:
    with serving() as page:
        page.fill()
        connection = http.client.HTTPConnection("127.0.0.1", page.server.port, timeout=PATIENCE_SECONDS)
        connection.request("GET", "/api/v1/stream")
        answer = connection.getresponse()
        assert answer.headers["content-type"].startswith("text/event-stream")
        kinds: set[str] = set()
        while not {"sources", "tagging", "health", "events"} <= kinds:
            line = answer.readline().decode()
            if line.startswith("data: "):
                kinds.add(json.loads(line[6:])["type"])
        answer.close()
        connection.close()

        def gone() -> bool:
            page.hub.accept(tagging())
            return page.hub.client_count == 0

        wait_until(gone, "the end of the script")


@pytest.mark.slow
def test_a_frozen_browser_costs_the_others_nothing_and_is_counted() -> None:
    with serving() as page, ExitStack() as stack:
        frozen = socket.create_connection(("127.0.0.1", page.server.port), PATIENCE_SECONDS)
        stack.enter_context(frozen)
        frozen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        frozen.sendall(
            f"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{page.server.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        wait_until(lambda: page.hub.client_count == 1, "the frozen browser")
        with open_socket(page) as lively:
            wait_until(lambda: page.hub.client_count == 2, "the other browser")
            start = 0

            def flood() -> bool:
                nonlocal start
                page.hear("kitchen", 3.0, start_sample=start)
                start += 48_000
                time.sleep(0.12)
                return page.hub.dropped > 50

            heard: list[str] = []
            reading = threading.Thread(target=_read, args=(lively, heard))
            reading.start()
            wait_until(flood, "dropped rows")
            page.hub.accept(event("5"))
            wait_until(lambda: "event" in heard, "the event at the other browser")
            assert page.get("status").json["missed_packets"] > 50
            lively.close()
            reading.join(PATIENCE_SECONDS)


def _is_over(connection: Connection) -> bool:
    try:
        connection.recv(PATIENCE_SECONDS)
    except ConnectionClosed:
        return True
    return False


def _read(connection: Connection, heard: list[str]) -> None:
    heard += (json.loads(packet)["type"] for packet in connection if isinstance(packet, str))


def test_connections_end_with_the_server() -> None:
    with ExitStack() as stack:
        with serving() as page:
            connection = stack.enter_context(open_socket(page))
            wait_until(lambda: page.hub.client_count, "the browser")
        wait_until(lambda: _is_over(connection), "the end of the connection")


def test_a_proxy_may_strip_the_path_or_leave_it() -> None:
    with serving(password=hash_password("correct horse"), path="/earshot") as page:
        assert (
            page.ask("/earshot/").status == page.ask("/").status == page.ask("/earshot/main.js").status == 200
        )
        answer = page.ask("/earshot?from=home")  # addresses in the page are relative to its folder
        assert (answer.status, answer.headers["location"]) == (308, "earshot/?from=home")
        assert page.ask("/earshot", host="a b").status == 400
        assert page.ask("/earshotx").status in {401, 404}
        answer = page.ask(
            "/earshot/api/v1/login",
            {"password": "correct horse"},
            host="home.example",
            x_forwarded_proto="https",
        )
        cookie = answer.headers["set-cookie"].lower()
        assert "path=/;" in cookie  # this machine's address without the path takes it too
        assert "secure" in cookie
        name = cookie.partition("=")[0]
        assert name == "earshot_session_earshot", "not that of another page on the same host"
        ended = page.post("logout", {}, cookie=answer.headers["set-cookie"].partition(";")[0])
        (gone,) = ended.cookies
        assert gone.startswith(f"{name}=")
        assert "path=/;" in gone.lower()


def test_rows_do_not_depend_on_the_sizes_of_chunks() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE_HZ).astype(np.float32)
    whole = Rows(log_mel).extend([AudioChunk(samples, 0, 0.0)])
    assert whole is not None
    rows, parts = Rows(log_mel), []
    for start in range(0, len(samples), 700):
        block = rows.extend([AudioChunk(samples[start : start + 700], start, start / SAMPLE_RATE_HZ)])
        if block is not None:
            parts.append(block.values)
    assert np.array_equal(np.concatenate(parts), whole.values)
    assert set(np.unique(whole.values)) <= set(range(1, 255))


def test_lost_sound_is_a_gap_of_the_picture() -> None:
    rows = Rows(log_mel)
    rows.extend([AudioChunk(np.zeros(1_600, np.float32), 0, 0.0)])
    block = rows.extend([AudioChunk(np.zeros(1_600, np.float32), 8_000, 0.5)])
    assert block is not None
    assert block.first == 8
    assert (block.values[: 50 - 8] == GAP).all()
    assert not (block.values[50 - 8 :] == GAP).any()


def test_the_newest_item_of_a_key_waits_and_older_work_is_dropped() -> None:
    woken = []
    mailbox: Mailbox[str] = Mailbox(2, lambda: woken.append(1))
    for item, key in (("a", "k"), ("b", None), ("c", "k"), ("d", None), ("e", None)):
        mailbox.put(item, key)
    assert mailbox.take() == ["c", "d", "e"]
    assert (mailbox.dropped, mailbox.take(), len(woken)) == (2, [], 1)
    assert [mailbox.put("f"), mailbox.put("g"), mailbox.put("h", "k"), mailbox.put("i")] == [
        *(True, True, True),
        False,
    ]


def test_rows_push_no_event_out_of_the_queue_of_a_slow_browser() -> None:
    async def wait_for_packets() -> list[str | bytes]:
        hub = Hub(("kitchen",), DESCRIPTIONS, log_mel)
        with hub.following(sees_sound=True) as slow, hub.following(sees_sound=True) as lively:
            running = asyncio.create_task(hub.run())
            hub.accept(event("7"))
            hub.note("7", mark="wrong")
            for number in range(70):
                hub.add_chunk("kitchen", AudioChunk(np.zeros(1_600, np.float32), 1_600 * number, 0.0))
                while not any(isinstance(packet, bytes) for packet in await lively.packets(1.0)):
                    pass
            running.cancel()
            assert not slow.closed
            return await slow.packets(0.0)

    packets = asyncio.run(wait_for_packets())
    kinds = [json.loads(packet)["type"] for packet in packets if isinstance(packet, str)]
    assert {"event", "note"} <= set(kinds)
    firsts = [np.frombuffer(packet, "<u4", 1, 12)[0] for packet in packets if isinstance(packet, bytes)]
    assert len(firsts) == 64
    assert firsts == sorted(firsts)
    assert firsts[-1] == 688  # the oldest rows have gone


def test_rows_have_the_numbers_of_the_list_of_sources_that_came_last() -> None:
    async def follow() -> list[str | bytes]:
        hub = Hub(("hall", "kitchen"), DESCRIPTIONS, log_mel)
        pass_on = hub._pass_on

        def reorder(message: Message | None) -> None:
            pass_on(message)
            if isinstance(message, Event):
                hub.set_sources(["kitchen", "hall"])  # by another thread, after the inbox was read

        with mock.patch.object(hub, "_pass_on", reorder), hub.following(sees_sound=True) as client:
            hub.accept(event("7"))
            hub.add_chunk("kitchen", AudioChunk(np.zeros(1_600, np.float32), 0, 0.0))
            running = asyncio.create_task(hub.run())
            packets: list[str | bytes] = []
            while not any(isinstance(packet, bytes) for packet in packets):
                packets += await client.packets(1.0)
            running.cancel()
        return packets

    packets = asyncio.run(follow())
    lists = [json.loads(packet) for packet in packets if isinstance(packet, str) and '"sources"' in packet]
    (rows,) = [packet for packet in packets if isinstance(packet, bytes)]
    names = [source["name"] for source in lists[-1]["sources"]]
    assert names[_HEADER.unpack_from(rows)[1]] == "kitchen"


def test_a_client_that_misses_an_event_is_closed_and_gets_the_latest_events_when_it_comes_again() -> None:
    async def follow() -> tuple[bool, list[str | bytes], list[str]]:
        hub = Hub(("kitchen",), DESCRIPTIONS, log_mel)
        with hub.following(sees_sound=False) as slow:
            running = asyncio.create_task(hub.run())
            for number in range(300):
                hub.accept(event(str(number)))
                await asyncio.sleep(0)
            await asyncio.sleep(0.05)
            running.cancel()
            left = await slow.packets(0.1)
        with hub.following(sees_sound=False) as again:
            (greeting,) = (packet for packet in await again.packets(0.1) if '"type":"events"' in str(packet))
        return slow.closed, left, [one["id"] for one in json.loads(greeting)["events"]]

    closed, left, known = asyncio.run(follow())
    assert closed
    assert left == []
    assert known == [str(number) for number in range(200, 300)]


@pytest.mark.slow
def test_a_stalled_browser_that_has_missed_events_connects_again_and_has_them() -> None:
    with serving() as page, open_socket(page) as stalled:
        wait_until(lambda: page.hub.client_count, "the browser")
        (client,) = page.hub._clients

        def misses_events() -> bool:
            for number in range(250):
                page.hub.accept(event(f"{number}" + "x" * 9_000))
            return client.closed

        wait_until(misses_events, "events that have no room")
        page.hub.accept(event("newest"))
        wait_until(lambda: _is_over(stalled), "the end of the connection")
        with open_socket(page) as again:
            assert receive(again, "events")["events"][-1]["id"] == "newest"


def test_nothing_is_lost_on_a_page_that_opens_when_nobody_has_watched() -> None:
    with serving() as page:
        for start in (0, 10 * SAMPLE_RATE_HZ):
            with open_socket(page) as connection:
                wait_until(lambda: page.hub.client_count, "the browser")
                page.hear("kitchen", 1.0, start_sample=start)
                packet = receive(connection, "rows")
                assert np.frombuffer(packet, "<u4", 1, 12)[0] == start // 160
                assert GAP not in packet[24:]
            wait_until(lambda: not page.hub.client_count, "the end of the browser")
        with open_socket(page) as connection, open_socket(page) as other:
            wait_until(lambda: page.hub.client_count == 2, "both browsers")
            page.hear("kitchen", 1.0, start_sample=20 * SAMPLE_RATE_HZ)
            receive(other, "rows")
            other.close()
            page.hear("kitchen", 1.0, start_sample=22 * SAMPLE_RATE_HZ)
            assert GAP not in receive(connection, "rows")[24:]
            assert GAP in receive(connection, "rows")[24:]  # it has watched all the time


def test_an_action_with_a_bug_does_not_end_the_program(caplog: pytest.LogCaptureFixture) -> None:
    calls = Calls()
    future = calls.submit(lambda: 1 / 0)
    calls.carry_out()
    with pytest.raises(WebError, match="that failed; the log says why"):
        future.result(0)
    assert "ZeroDivisionError" in caplog.text


def test_too_many_actions_are_refused() -> None:
    calls = Calls()
    for _ in range(32):
        calls.submit(dict)
    with pytest.raises(BusyError):
        calls.submit(dict)


def test_a_summary_counts_by_weekday_and_day() -> None:
    sunday_noon = time.mktime((2026, 3, 1, 12, 30, 0, 0, 0, -1))
    found = summarise(
        [event("1", started_at=sunday_noon), event("2", "Siren", started_at=sunday_noon + 86_400.0)]
    )
    assert [(day["date"], day["count"]) for day in found["days"]] == [("2026-03-02", 1), ("2026-03-01", 1)]
    assert (found["weekdays"][6][12], found["weekdays"][0][12]) == (1, 1)
    assert sum(map(sum, found["weekdays"])) == 2


def test_the_hours_of_a_summary_are_those_of_the_given_time_zone() -> None:
    at_noon = datetime(2026, 7, 1, 12, 30, tzinfo=UTC).timestamp()

    def hours(address: str) -> list[int]:
        found = page.get(address).json["sounds"][0]["hours"]
        return [hour for hour, count in enumerate(found) if count]

    with serving(house=House(history=[event("1", started_at=at_noon)])) as page:
        assert hours("summary?zone=Asia/Tokyo") == [21]
        assert hours("summary?zone=UTC") == [12]
        here = [datetime.fromtimestamp(at_noon).hour]  # noqa: DTZ006 - of this machine
        for unknown in (
            "",
            "?zone=",
            "?zone=Nowhere/Town",
            "?zone=../../etc/passwd",
            "?zone=Europe",
            "?zone=a%00",
        ):
            assert hours(f"summary{unknown}") == here


def test_events_are_exported_in_forms_of_other_programs() -> None:
    history = [
        event("1", "=SUM(A1)", clip="/secret/place/1.flac"),
        event("2", "Siren", started_at=1_790_000_010.25, ended_at=None),
    ]
    with serving(house=House(history=history)) as page:
        sheet = page.get("export/csv")
        assert sheet.headers["content-disposition"] == 'attachment; filename="earshot-events.csv"'
        rows = list(csv.DictReader(io.StringIO(sheet.body.decode())))
        assert [row["label"] for row in rows] == ["Siren", "'=SUM(A1)"]
        assert rows[1]["clip"] == "api/v1/events/1/clip"
        assert [found["id"] for found in page.get("export/json").json] == ["2", "1"]
        assert page.get("export/audacity").body.decode().splitlines() == [
            "0.000000\t4.500000\t=SUM(A1)",
            "10.250000\t10.250000\tSiren",
        ]
        later = page.get("export/audacity?zero=1790000005").body.decode()
        assert later == "5.250000\t5.250000\tSiren\n"
        head, first, _ = page.get("export/raven").body.decode().splitlines()
        assert head.split("\t")[:5] == ["Selection", "View", "Channel", "Begin Time (s)", "End Time (s)"]
        assert first.split("\t")[:8] == [
            *("1", "Spectrogram 1", "1", "0.000000", "4.500000", "0.0", "8000.0", "=SUM(A1)")
        ]
        for form in ("csv", "json", "audacity", "raven"):
            assert b"secret" not in page.get(f"export/{form}").body
        assert page.get("export/quux").status == 404
        assert page.get("export/csv?zero=soon").status == 400


def test_tabs_in_names_do_not_move_the_columns_of_a_table() -> None:
    found = raven_table([event("1", "a\tb\nc")])
    assert len(found.splitlines()) == 2
    assert len({line.count("\t") for line in found.splitlines()}) == 1
    assert audacity_labels([]) == ""


def test_the_spectrogram_of_a_clip_is_bounded(tmp_path: Path) -> None:
    clip = tmp_path / "dog.flac"
    soundfile.write(clip, 0.1 * np.sin(np.arange(16_000) * 0.3), 16_000)
    with serving(house=House(history=[event("1")], clips={"1": clip})) as page:
        answer = page.get("events/1/spectrogram")
        assert (answer.status, len(answer.body)) == (200, 98 * 128)
        assert page.get("events/2/spectrogram").status == 404
    long = np.random.default_rng(0).normal(0, 0.1, 130 * SAMPLE_RATE_HZ).astype(np.float32)
    rows = clip_rows(long, log_mel)
    assert rows.shape[1] == 128
    assert 900 < len(rows) <= 1_000
    whole = clip_rows(long[: 5 * SAMPLE_RATE_HZ], log_mel)
    assert whole.shape == (498, 128)
    assert clip_rows(long[:100], log_mel).shape == (0, 128)


def test_a_summary_counts_by_hour() -> None:
    at_noon = time.mktime((2026, 3, 1, 12, 30, 0, 0, 0, -1))
    found = summarise(
        [
            event("1", started_at=at_noon),
            event("2", started_at=at_noon + 60),
            event("3", "Siren", started_at=0.0),
        ]
    )
    assert (found["events"], found["since"]) == (3, 0.0)
    assert found["sounds"][0]["label"] == "Dog"
    assert found["sounds"][0]["hours"][12] == found["sounds"][0]["count"] == 2
