"""MQTT, against a real broker: what arrives, and what happens while there is none."""

import asyncio
import gc
import json
import logging
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mosquitto import Authority, Mosquitto, Subscriber
from support.mqtt import PASSWORD, retained, running, sink_for, tagging, wait_for_state
from support.program import ChildProcess
from support.system import free_port, require
from support.waiting import PATIENCE_SECONDS, wait_until

from streamer.errors import SettingsError
from streamer.events.catalogue import catalogue
from streamer.messages import NO_LOSSES, Event, Health, Losses, SourceHealth, SourceStatus
from streamer.sinks import Sink
from streamer.sinks.history.store import History
from streamer.sinks.mqtt.broker import (
    Broker,
    check_base_topic,
    check_node_name,
    parse_broker_url,
)
from streamer.sinks.mqtt.embedded import EmbeddedBroker
from streamer.sinks.mqtt.homeassistant import Discovery
from streamer.sinks.mqtt.publisher import MqttPublisher
from streamer.sinks.mqtt.wire import run

HEALTH = Health(12.0, 11, 1, 0, 0.0, 0, 0.2, 0.3, 0.4, "tiny", "cpu", "connecting")


@pytest.fixture(autouse=True)
def asyncio_has_nothing_to_complain_about(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    caplog.set_level(logging.DEBUG)
    gc.freeze()  # the test's own objects are enough to collect
    yield
    gc.collect()
    gc.unfreeze()
    assert not [r for r in caplog.records if r.name == "asyncio" and r.levelno >= logging.ERROR]


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith("streamer") and r.levelno == level]


@pytest.mark.system
def test_tags_arrive_as_documented(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as subscriber, running(sink_for(broker.port)) as sink:
        wait_for_state(sink, "connected")
        sink.accept(tagging(0.75))
        message = subscriber.wait_for("earshot/attic/front_door/tags")
    payload = message.json()
    assert (message.qos, message.retained) == (0, False)
    assert list(payload) == ["time", "window_seconds", "level_dbfs", "latency_seconds", "tags"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", payload["time"])
    assert payload["tags"] == [
        {"label": "Dog", "mid": "/m/0bt9lr", "score": 0.75},
        {"label": "Speech", "mid": "/m/09x0r", "score": 0.1},
    ]


@pytest.mark.system
def test_latency_is_measured_when_it_is_published(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as subscriber, running(sink_for(broker.port)) as sink:
        wait_for_state(sink, "connected")
        sink.accept(tagging(age_seconds=0.25))
        latency = subscriber.wait_for("earshot/attic/front_door/tags").json()["latency_seconds"]
        assert 0.25 <= latency < PATIENCE_SECONDS
        sink.accept(tagging(paced=False))
        assert subscriber.wait_for("earshot/attic/front_door/tags").json()["latency_seconds"] is None


@pytest.mark.system
def test_the_last_tagging_is_published_before_the_offline_status(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as subscriber:
        with running(sink_for(broker.port)) as sink:
            wait_for_state(sink, "connected")
            sink.accept(tagging(0.75))
        subscriber.wait_for("earshot/attic/front_door/tags")
        subscriber.wait_for("earshot/attic/status", "offline")


@pytest.mark.system
def test_every_last_message_is_published_once(broker: Mosquitto, history: History) -> None:
    status = "earshot/attic/front_door/status"
    for number in range(10):
        with Subscriber(broker.port) as subscriber:
            with running(sink_for(broker.port, outbox=history)) as sink:
                sink.accept(SourceStatus("front door", online=True))
                subscriber.wait_for(status, "online")
                for event in (began(number), over(began(number))):
                    accept(event, history, sink)
                sink.accept(SourceStatus("front door", online=False))
            subscriber.wait_for_several("earshot/attic/status", 1)
            assert texts(subscriber, status) == texts(subscriber, "earshot/attic/status") == ["offline"]
            told = [m.json()["event_type"] for m in subscriber.messages if m.topic == EVENTS]
        assert told == ["started", "ended"]
    assert history.pending(1) == []


@pytest.mark.system
def test_a_source_that_was_online_is_offline_after_the_end(broker: Mosquitto) -> None:
    with running(sink_for(broker.port, sources=["front door", "cellar"])) as sink:
        sink.accept(SourceStatus("cellar", online=True))
        wait_for_state(sink, "connected")
    kept = retained(broker, "earshot/")
    assert {kept[f"earshot/attic/{part}status"] for part in ("", "front_door/", "cellar/")} == {"offline"}


@pytest.mark.system
def test_states_are_retained_and_end_offline(broker: Mosquitto) -> None:
    with running(sink_for(broker.port)) as sink:
        sink.accept(SourceStatus("front door", online=True))
        sink.accept(HEALTH)
        wait_for_state(sink, "connected")
        with Subscriber(broker.port) as latecomer:
            for topic, text in [("status", "online"), ("front_door/status", "online")]:
                assert latecomer.wait_for_retained(f"earshot/attic/{topic}", text).qos == 1
            health = latecomer.wait_for_retained("earshot/attic/health").json()
            assert set(health) == set(Health.__slots__)
            assert health["broker"] == "connected"
            sink.accept(SourceStatus("front door", online=False, reason="unplugged"))
            latecomer.wait_for("earshot/attic/front_door/status", "offline")
            sink.accept(SourceStatus("front door", online=True))
            latecomer.wait_for("earshot/attic/front_door/status", "online")
    with Subscriber(broker.port) as afterwards:
        assert afterwards.wait_for_retained("earshot/attic/status").text == "offline"
        assert afterwards.wait_for_retained("earshot/attic/front_door/status").text == "offline"


@pytest.mark.system
def test_a_killed_program_leaves_its_last_will(broker: Mosquitto) -> None:
    program = f"""
from streamer.sinks.mqtt.broker import Broker
from streamer.sinks.mqtt.publisher import MqttPublisher
from streamer.sinks.payloads import LabelSet
MqttPublisher(Broker("127.0.0.1", {broker.port}), node="attic", sources=[], label_set=LabelSet((), ())).run()
"""
    with Subscriber(broker.port) as subscriber:
        root = Path(__file__).resolve().parent.parent
        with ChildProcess[bytes]([sys.executable, "-c", program], cwd=root) as process:
            try:
                subscriber.wait_for("earshot/attic/status", "online", timeout_seconds=60)
            finally:
                process.kill()
        subscriber.wait_for("earshot/attic/status", "offline")
    with Subscriber(broker.port) as latecomer:
        assert latecomer.wait_for_retained("earshot/attic/status").text == "offline"


@pytest.mark.system
def test_after_a_restart_of_the_broker_all_states_come_again(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    with running(sink_for(broker.port)) as sink:
        sink.accept(SourceStatus("front door", online=True))
        sink.accept(HEALTH)
        wait_for_state(sink, "connected")
        broker.stop()
        wait_for_state(sink, "unreachable")
        for score in (0.6, 0.7, 0.8):
            sink.accept(tagging(score))
        broker.start()
        with Subscriber(broker.port) as subscriber:
            assert subscriber.wait_for("earshot/attic/front_door/tags").json()["tags"][0]["score"] == 0.8
        with Subscriber(broker.port) as latecomer:
            latecomer.wait_for_retained("earshot/attic/status", "online")
            latecomer.wait_for_retained("earshot/attic/front_door/status", "online")
            assert latecomer.wait_for_retained("earshot/attic/health").json()["windows"] == 11
        assert sink.state == "connected"
        assert sink.losses().unpublished_taggings == 2
    assert len(lines(caplog, logging.WARNING)) == 1
    assert lines(caplog, logging.INFO) == [f"MQTT broker 127.0.0.1:{broker.port}: connected again"]


@pytest.mark.system
def test_a_flapping_broker_is_not_logged_each_time(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    with running(sink_for(broker.port)) as sink:
        for _ in range(3):
            wait_for_state(sink, "connected")
            broker.stop()
            wait_for_state(sink, "unreachable")
            broker.start()
        wait_for_state(sink, "connected")
    assert len(lines(caplog, logging.WARNING)) == len(lines(caplog, logging.INFO)) == 1


@pytest.mark.system
def test_a_broker_that_starts_later_is_found(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    require("mosquitto")
    broker = Mosquitto(tmp_path)
    with running(sink_for(broker.port)) as sink:
        wait_for_state(sink, "unreachable: connection refused")
        with broker:
            wait_for_state(sink, "connected")
            with Subscriber(broker.port) as subscriber:
                assert subscriber.wait_for_retained("earshot/attic/status").text == "online"
    assert len(lines(caplog, logging.WARNING)) == 1
    assert "listening goes on, retrying" in lines(caplog, logging.WARNING)[0]


@pytest.mark.system
def test_a_tagging_that_waited_too_long_is_not_published(tmp_path: Path) -> None:
    require("mosquitto")
    broker = Mosquitto(tmp_path)
    with running(sink_for(broker.port, stale_seconds=0.2)) as sink:
        sink.accept(tagging(0.7))
        time.sleep(0.3)
        with broker, Subscriber(broker.port) as subscriber:
            wait_for_state(sink, "connected")
            wait_until(lambda: sink.losses().unpublished_taggings == 1, "the old one to be dropped")

            def scores() -> set[float]:
                sink.accept(tagging(0.8))  # until one of them has not grown stale either
                return {m.json()["tags"][0]["score"] for m in subscriber.messages if m.topic == TAGS}

            wait_until(scores, "a new one")
            assert scores() == {0.8}


@pytest.mark.system
def test_a_wrong_password_is_logged_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    require("mosquitto", "mosquitto_passwd")
    with Mosquitto(tmp_path, username="ear", password="another") as broker:
        sink = sink_for(Broker("127.0.0.1", broker.port, username="ear", password=PASSWORD))
        with running(sink):
            wait_for_state(sink, "refused: wrong user name or password")
            attempts = [r for r in caplog.records if "refused" in r.getMessage()]
            wait_until(
                lambda: len([r for r in caplog.records if "refused" in r.getMessage()]) > len(attempts) + 1,
                "further attempts",
            )
        with running(sink_for(broker.port)) as nameless:
            wait_for_state(nameless, "refused: it asks for a user name")
    first, second = lines(caplog, logging.WARNING)
    assert "wrong user name or password; listening goes on" in first
    assert "asks for a user name" in second
    assert PASSWORD not in caplog.text
    assert PASSWORD not in repr(sink)


@pytest.mark.system
def test_the_right_password_is_accepted_and_never_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    require("mosquitto", "mosquitto_passwd")
    with (
        Mosquitto(tmp_path, username="ear", password=PASSWORD) as broker,
        running(sink_for(Broker("127.0.0.1", broker.port, username="ear", password=PASSWORD))) as sink,
    ):
        wait_for_state(sink, "connected")
    assert PASSWORD not in caplog.text


def over_tls(broker: Mosquitto, **files: Any) -> Broker:
    return Broker("127.0.0.1", broker.port, tls=True, **files)


# The library leaves a socket whose TLS handshake failed to the garbage collector.
leaves_sockets = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.mark.system
@leaves_sockets
def test_tls_trusts_the_system_or_the_authority_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("mosquitto", "openssl")
    authority, another = Authority(tmp_path), Authority(tmp_path, "another")
    certificate, key = authority.sign("broker")
    with Mosquitto(tmp_path, certificate=certificate, key=key) as broker:
        with running(sink_for(over_tls(broker))) as sink:
            wait_for_state(
                sink,
                "unreachable: its certificate is not signed by an authority that this machine trusts: set mqtt_ca",
            )
        with running(sink_for(over_tls(broker, ca_file=another.certificate))) as sink:
            wait_for_state(
                sink,
                f"unreachable: its certificate is not signed by the authority in {another.certificate}: set another",
            )
        with running(sink_for(over_tls(broker, ca_file=authority.certificate))) as sink:
            wait_for_state(sink, "connected")
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
        with running(sink_for(over_tls(broker))) as sink:
            wait_for_state(sink, "connected")


@pytest.mark.system
@leaves_sockets
@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"days": -1}, "its certificate has expired: renew it there"),
        (
            {"alternative": "DNS:broker.example"},
            "its certificate is not for 127.0.0.1: use the host name of the certificate",
        ),
        ({"alternative": "IP:127.0.0.2"}, "its certificate is not for 127.0.0.1: use the host name"),
    ],
)
def test_an_invalid_certificate_is_explained(tmp_path: Path, terms: dict[str, Any], reason: str) -> None:
    require("mosquitto", "openssl")
    authority = Authority(tmp_path)
    certificate, key = authority.sign("broker", **terms)
    with (
        Mosquitto(tmp_path, certificate=certificate, key=key) as broker,
        running(sink_for(over_tls(broker, ca_file=authority.certificate))) as sink,
    ):
        wait_for_state(sink, f"unreachable: {reason}")


@pytest.mark.system
@leaves_sockets
def test_a_client_certificate_opens_a_broker_that_asks_for_one(tmp_path: Path) -> None:
    require("mosquitto", "openssl")
    authority, another = Authority(tmp_path), Authority(tmp_path, "another")
    certificate, key = authority.sign("broker")
    our_certificate, our_key = authority.sign("ear")
    wrong_certificate, wrong_key = another.sign("stranger")
    with Mosquitto(tmp_path, certificate=certificate, key=key, authority=authority.certificate) as broker:
        nobody = over_tls(broker, ca_file=authority.certificate)
        with running(sink_for(nobody, timeout_seconds=0.5)) as sink:
            wait_for_state(sink, "unreachable: it closes the connection: if it asks for a certificate, set")
        stranger = over_tls(
            broker, ca_file=authority.certificate, certificate_file=wrong_certificate, key_file=wrong_key
        )
        with running(sink_for(stranger, timeout_seconds=0.5)) as sink:
            wait_for_state(
                sink, f"unreachable: it closes the connection: it may not accept {wrong_certificate}"
            )
        with running(sink_for(broker.port, timeout_seconds=0.5)) as sink:
            wait_for_state(sink, "unreachable: it closes the connection: if it speaks TLS there, write")
        member = over_tls(
            broker, ca_file=authority.certificate, certificate_file=our_certificate, key_file=our_key
        )
        with running(sink_for(member)) as sink:
            wait_for_state(sink, "connected")


@pytest.mark.system
@leaves_sockets
def test_a_broker_without_tls_is_distinguished_from_one_that_is_away(broker: Mosquitto) -> None:
    with running(sink_for(over_tls(broker))) as sink:
        wait_for_state(sink, "unreachable: it closes the connection: if it asks for a certificate")
        assert "if it does not speak TLS there, write the address as mqtt://" in sink.state


@pytest.mark.system
def test_unusable_files_for_tls_are_named(tmp_path: Path) -> None:
    require("openssl")
    authority = Authority(tmp_path)
    certificate, key = authority.sign("ear")
    _, other_key = authority.sign("another")
    (tmp_path / "text.pem").write_text("not a certificate")
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-aes128", "-passout", "pass:secret", "-in", key, "-out", locked],
        check=True,
        capture_output=True,
        timeout=30,
    )
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"ca_file": tmp_path / "none.pem"}, r"mqtt_ca: .*none.pem can't be read \(No such file"),
        ({"ca_file": tmp_path / "text.pem"}, r"mqtt_ca: .*text.pem can't be used"),
        (
            {"certificate_file": tmp_path / "text.pem"},
            r"mqtt_certificate, mqtt_key: .*text.pem can't be used",
        ),
        ({"certificate_file": certificate, "key_file": other_key}, r"another.key can't be used"),
        ({"certificate_file": certificate, "key_file": locked}, r"the key without a password"),
    ]
    for files, complaint in wrong:
        with pytest.raises(SettingsError, match=complaint):
            sink_for(Broker("127.0.0.1", 8883, tls=True, **files))


@pytest.mark.system
def test_a_frozen_broker_is_left_in_time_and_gets_the_offline_status_later(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as subscriber:
        with running(sink_for(broker.port)) as sink:
            subscriber.wait_for("earshot/attic/front_door/status", "offline")
            wait_for_state(sink, "connected")
            sink.accept(SourceStatus("front door", online=True))
            subscriber.wait_for("earshot/attic/front_door/status", "online")
            broker.freeze()
            sink.accept(SourceStatus("front door", online=True))
        broker.thaw()
        subscriber.wait_for("earshot/attic/front_door/status", "offline")
        subscriber.wait_for("earshot/attic/status", "offline")


@pytest.mark.system
def test_a_broker_that_stops_acknowledging_counts_as_lost(broker: Mosquitto) -> None:
    with running(sink_for(broker.port, timeout_seconds=0.3)) as sink:
        wait_for_state(sink, "connected")
        broker.freeze()
        sink.accept(SourceStatus("front door", online=True))
        wait_for_state(sink, "unreachable: no answer")
        broker.thaw()
        wait_for_state(sink, "connected")
        with Subscriber(broker.port) as latecomer:
            latecomer.wait_for_retained("earshot/attic/front_door/status", "online")


def test_a_broker_that_never_answers_is_tried_again_after_a_timeout(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(PATIENCE_SECONDS)
        with running(sink_for(mute.getsockname()[1], timeout_seconds=0.2)) as sink:
            mute.accept()[0].close()
            wait_for_state(sink, "unreachable: no answer")
            mute.accept()[0].close()
    assert len(lines(caplog, logging.WARNING)) == 1


def test_closing_does_not_wait_for_a_broker_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(PATIENCE_SECONDS)
        with running(sink_for(mute.getsockname()[1], timeout_seconds=60)), closing(mute.accept()[0]) as peer:
            peer.settimeout(PATIENCE_SECONDS)
            assert peer.recv(1) == b"\x10"  # CONNECT


@pytest.mark.skipif(sys.platform != "linux", reason="a full backlog swallows connections on Linux only")
def test_closing_does_not_wait_for_a_network_that_swallows_packets() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        with running(sink_for(server.getsockname()[1])):
            wait_until(connecting_threads, "an attempt to connect")
    wait_until(lambda: not connecting_threads(), "the attempt to end")


def connecting_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "mqtt connecting"]


def test_a_sink_closed_before_it_runs_returns_at_once() -> None:
    sink = sink_for(free_port())
    sink.close()
    with running(sink):
        pass


def test_without_a_broker_every_message_is_accepted_at_once_and_memory_is_bounded() -> None:
    with running(sink_for(free_port())) as sink:
        wait_for_state(sink, "unreachable")
        began = time.monotonic()
        for _ in range(1_000):
            sink.accept(tagging())
            sink.accept(SourceStatus("front door", online=True))
            sink.accept(HEALTH)
        assert time.monotonic() - began < 30.0, "of 10 ms each"
        assert sink.losses().unpublished_taggings == 999
    sink.accept(tagging())


def test_unknown_messages_are_ignored() -> None:
    sink = sink_for(free_port())
    sink.accept(Event("1", "started", "Dog", "front door", 0.9, 0.0))
    sink.accept(SourceStatus("another", online=True))
    assert sink.losses() == NO_LOSSES


EVENTS = "earshot/attic/front_door/events"
BARK = "earshot/attic/front_door/sound/dog"
SIREN = "earshot/attic/front_door/sound/smoke_alarm_siren"
WATCHED = {"front door": ["Dog", "Smoke alarm, siren"]}


def began(number: int, label: str = "Dog") -> Event:
    return Event(str(number), "started", label, "front door", 0.5, 1_772_366_400.25 + number)


def over(event: Event) -> Event:
    return replace(event, kind="ended", score=0.875, ended_at=event.started_at + 2.0)


def accept(event: Event, *sinks: Sink) -> None:
    for sink in sinks:
        sink.accept(event)


def events_of(subscriber: Subscriber) -> list[tuple[str, str]]:
    """Each event once, in the order in which they first came."""
    payloads = [message.json() for message in subscriber.messages if message.topic == EVENTS]
    return list(dict.fromkeys((payload["id"], payload["event_type"]) for payload in payloads))


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "history.sqlite3", days=36_500.0) as opened:
        yield opened


@pytest.mark.system
def test_an_event_arrives_as_documented_and_is_not_retained(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as subscriber, running(sink_for(broker.port)) as sink:
        sink.accept(began(1))
        first = subscriber.wait_for(EVENTS)
        sink.accept(over(began(1)))
        second = subscriber.wait_for(EVENTS)
        with Subscriber(broker.port) as latecomer:
            latecomer.wait_for_retained("earshot/attic/status")
            assert not events_of(latecomer)
    assert (first.qos, first.retained) == (1, False)
    assert first.json() == {
        "event_type": "started",
        "id": "1",
        "label": "Dog",
        "score": 0.5,
        "confirmed": True,
        "fast_score": None,
        "started_at": "2026-03-01T12:00:01.250Z",
        "ended_at": None,
        "clip": None,
    }
    assert second.json() == first.json() | {
        "event_type": "ended",
        "score": 0.875,
        "ended_at": "2026-03-01T12:00:03.250Z",
    }


@pytest.mark.system
def test_unpublished_events_of_an_earlier_run_are_published_first_and_marked(
    broker: Mosquitto, history: History
) -> None:
    backlog = [began(1), over(began(1)), replace(began(2), source="a source of last week")]
    for event in backlog:
        history.accept(event)
    with Subscriber(broker.port) as subscriber, running(sink_for(broker.port, outbox=history)) as sink:
        accept(began(3), history, sink)
        wait_until(lambda: not history.pending(1), "all to be published")
        wait_until(lambda: ("3", "started") in events_of(subscriber), "the last event")
        subscriber.wait_for("earshot/attic/a_source_of_last_week/events")
        ids = [message.json()["id"] for message in subscriber.messages if message.topic.endswith("/events")]
    assert ids == ["3"]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that knows an observer, and the sink only while `observed`."""
    require("mosquitto", "mosquitto_passwd")
    with Mosquitto(tmp_path, username="observer", password=PASSWORD) as running_broker:
        running_broker.stop()
        yield running_broker


@contextmanager
def observed(broker: Mosquitto) -> Iterator[Subscriber]:
    """Start the broker, with a subscriber that is there before the sink can be."""
    broker.start()
    with Subscriber(broker.port, qos=0, username="observer", password=PASSWORD) as subscriber:
        broker.admit("ear", PASSWORD)
        yield subscriber
    broker.dismiss("ear")


def sink_of_ear(broker: Mosquitto, **changes: Any) -> MqttPublisher:
    return sink_for(Broker("127.0.0.1", broker.port, username="ear", password=PASSWORD), **changes)


@pytest.mark.system
@pytest.mark.parametrize("remembers", [True, False])
def test_events_of_an_outage_arrive_in_order(guarded: Mosquitto, history: History, remembers: bool) -> None:
    events = [began(number) for number in range(120)]
    with running(sink_of_ear(guarded, outbox=history if remembers else None)) as sink:
        wait_for_state(sink, "unreachable")
        for event in events:
            accept(event, history, sink)
        with observed(guarded) as subscriber:
            wait_until(lambda: len(events_of(subscriber)) == 120, "all events")
            assert events_of(subscriber) == [(event.id, "started") for event in events]
            if remembers:
                wait_until(lambda: not history.pending(1), "all to be marked")
    assert sink.losses() == NO_LOSSES


@pytest.mark.system
def test_killing_the_broker_loses_no_events(guarded: Mosquitto, history: History) -> None:
    accepted: list[tuple[str, str]] = []
    received: list[tuple[str, str]] = []
    with running(sink_of_ear(guarded, outbox=history)) as sink:
        for _ in range(5):
            with observed(guarded) as subscriber:
                wait_for_state(sink, "connected")
                for _ in range(30):
                    event = began(len(accepted))
                    accepted.append((event.id, event.kind))
                    accept(event, history, sink)
                guarded.stop()
                subscriber.wait_for_end()
                received += events_of(subscriber)
        with observed(guarded) as subscriber:
            wait_until(lambda: not history.pending(1), "all to be published")
            wait_until(lambda: set(accepted) <= {*received, *events_of(subscriber)}, "all events")
            received += events_of(subscriber)
    assert list(dict.fromkeys(received)) == accepted


def test_without_an_outbox_memory_for_events_is_bounded_and_dropped_ones_are_counted() -> None:
    sink = sink_for(free_port())
    for number in range(1100):
        sink.accept(began(number))
    assert sink.losses() == Losses(undelivered_events=100)


@pytest.mark.system
def test_a_watched_sound_is_off_then_on_then_off_for_late_subscribers_too(broker: Mosquitto) -> None:
    with running(sink_for(broker.port, watched=WATCHED)) as sink:
        wait_for_state(sink, "connected")
        with Subscriber(broker.port) as subscriber:
            assert subscriber.wait_for_retained(BARK).text == "OFF"
            assert subscriber.wait_for_retained(SIREN).text == "OFF"
            sink.accept(began(1))
            message = subscriber.wait_for(BARK, "ON")
            sink.accept(over(began(1)))
            subscriber.wait_for(BARK, "OFF")
            sink.accept(began(2, "Smoke alarm, siren"))
            subscriber.wait_for(SIREN, "ON")
            sink.accept(began(3, "Piano"))
            subscriber.wait_for(EVENTS)
            assert not [m for m in subscriber.messages if m.topic.endswith("piano")]
        assert message.qos == 1
        with Subscriber(broker.port) as latecomer:
            latecomer.wait_for_retained(SIREN, "ON")
            latecomer.wait_for_retained(BARK, "OFF")


@pytest.mark.system
def test_only_the_state_of_an_unwatched_sound_is_cleared(
    broker: Mosquitto,
) -> None:
    others = ["earshot/attic/cellar/sound/dog", "earshot/attic_2/front_door/sound/dog"]
    with Subscriber(broker.port) as observer:
        for topic in (BARK, SIREN, *others):
            observer.publish(topic, "ON", retain=True)
        with running(sink_for(broker.port, watched={"front door": ["Smoke alarm, siren"]})) as sink:
            observer.wait_for(BARK, "")
            sink.accept(began(1, "Smoke alarm, siren"))
            observer.wait_for(SIREN, "ON")
    kept = retained(broker, "earshot/")
    assert [kept.get(topic) for topic in (BARK, SIREN, *others)] == [None, "ON", "ON", "ON"]


@pytest.mark.system
def test_two_programs_of_one_name_do_not_clear_each_others_states_endlessly(broker: Mosquitto) -> None:
    with (
        Subscriber(broker.port) as observer,
        running(sink_for(broker.port, watched={"front door": ["Dog"]})) as first,
        running(sink_for(broker.port, watched={"front door": ["Smoke alarm, siren"]})) as second,
    ):
        for sink in (first, second):
            wait_for_state(sink, "connected")
        for number in range(20):
            first.accept(began(number))
            second.accept(began(number, "Smoke alarm, siren"))
        observer.wait_for_several(EVENTS, 40)
        assert sum(not message.text for message in observer.messages) <= 2


@pytest.mark.system
def test_after_an_outage_a_sound_has_its_current_state_without_old_changes(guarded: Mosquitto) -> None:
    with running(sink_of_ear(guarded, watched=WATCHED)) as sink:
        wait_for_state(sink, "unreachable")
        for number in range(3):
            sink.accept(began(number))
            sink.accept(over(began(number)))
        for _ in range(1100):  # more changes than are kept
            sink.accept(SourceStatus("front door", online=True))
        sink.accept(began(700, "Smoke alarm, siren"))
        with observed(guarded) as subscriber:
            subscriber.wait_for(SIREN, "ON")
            wait_until(lambda: ("700", "started") in events_of(subscriber), "the last event")
            sink.accept(began(701))
            subscriber.wait_for(BARK, "ON")
            assert {m.text for m in subscriber.messages if m.topic == BARK} == set()


@pytest.mark.system
def test_the_last_end_is_published_with_the_offline_status(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as subscriber:
        with running(sink_for(broker.port, watched=WATCHED)) as sink:
            wait_for_state(sink, "connected")
            sink.accept(began(1))
            sink.accept(over(began(1)))
        wait_until(lambda: ("1", "ended") in events_of(subscriber), "the end")
        subscriber.wait_for("earshot/attic/status", "offline")
    with Subscriber(broker.port) as latecomer:
        assert latecomer.wait_for_retained(BARK).text == "OFF"


@pytest.mark.system
def test_a_source_is_paused_and_heard_again_by_its_switch(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    turned: list[tuple[str, bool]] = []
    switch = "earshot/attic/front_door/listen"
    sink = sink_for(broker.port, on_listen=lambda source, listening: turned.append((source, listening)))
    with running(sink):
        wait_for_state(sink, "connected")
        with Subscriber(broker.port) as subscriber:
            state = subscriber.wait_for_retained(switch)
            assert (state.text, state.qos) == ("ON", 1)
            subscriber.publish(f"{switch}/set", "OFF")
            subscriber.wait_for(switch, "OFF")
            subscriber.publish(f"{switch}/set", "perhaps")
            subscriber.publish(f"{switch}/set", "ON")
            subscriber.wait_for(switch, "ON")
    assert turned == [("front door", False), ("front door", True)]
    assert lines(caplog, logging.WARNING) == [
        f"ignored b'perhaps' on {switch}/set (wrong commands so far: 1): send ON or OFF"
    ]


@pytest.mark.system
def test_a_paused_source_is_still_paused_for_a_broker_that_comes_back(broker: Mosquitto) -> None:
    switch = "earshot/attic/front_door/listen"
    with running(sink_for(broker.port, on_listen=lambda _source, _listening: None)) as sink:
        wait_for_state(sink, "connected")
        with Subscriber(broker.port) as subscriber:
            subscriber.publish(f"{switch}/set", "OFF")
            subscriber.wait_for(switch, "OFF")
        broker.stop()
        wait_for_state(sink, "unreachable")
        broker.start()
        with Subscriber(broker.port) as subscriber:
            assert subscriber.wait_for(switch).text == "OFF"


@pytest.mark.system
def test_a_source_paused_from_the_start_is_off_for_late_subscribers(broker: Mosquitto) -> None:
    sink = sink_for(
        broker.port,
        sources=["front door", "cellar"],
        on_listen=lambda _source, _listening: None,
        is_on=lambda source: source != "cellar",
    )
    with running(sink):
        wait_for_state(sink, "connected")
        kept = retained(broker, "earshot/")
    assert (kept["earshot/attic/front_door/listen"], kept["earshot/attic/cellar/listen"]) == ("ON", "OFF")


@pytest.mark.system
def test_a_source_paused_elsewhere_publishes_its_state(broker: Mosquitto) -> None:
    switch = "earshot/attic/front_door/listen"
    turned: list[bool] = []
    sink = sink_for(broker.port, on_listen=lambda _source, listening: turned.append(listening))
    with running(sink):
        wait_for_state(sink, "connected")
        with Subscriber(broker.port) as subscriber:
            subscriber.wait_for_retained(switch)
            sink.set_switch("front door", False)
            subscriber.wait_for(switch, "OFF")
            sink.set_switch("nobody", False)
            sink.set_switch("front door", True)
            subscriber.wait_for(switch, "ON")
    assert not turned


@pytest.mark.system
def test_without_a_callback_there_is_no_listen_switch(broker: Mosquitto) -> None:
    with running(sink_for(broker.port)) as sink:
        wait_for_state(sink, "connected")
        with Subscriber(broker.port) as subscriber:
            subscriber.wait_for_retained("earshot/attic/front_door/status")
            assert not [m for m in subscriber.messages if m.topic.endswith("/listen")]


@contextmanager
def embedded() -> Iterator[EmbeddedBroker]:
    server = EmbeddedBroker(free_port())
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(timeout=PATIENCE_SECONDS)
    assert not thread.is_alive()


def test_the_embedded_broker_serves_states_and_events(caplog: pytest.LogCaptureFixture) -> None:
    with embedded() as server, running(sink_for(server.broker, watched=WATCHED)) as sink:
        wait_for_state(sink, "connected")
        with Subscriber(server.broker.port) as subscriber:
            subscriber.wait_for_retained("earshot/attic/status")
            sink.accept(began(1))
            assert subscriber.wait_for(EVENTS).json()["id"] == "1"
            subscriber.wait_for(BARK, "ON")
    (line,) = [text for text in lines(caplog, logging.INFO) if "embedded" in text]
    assert line == (
        f"embedded MQTT broker: listening at mqtt://127.0.0.1:{server.broker.port}, for this machine only"
    )


def test_the_embedded_broker_takes_a_free_port_if_the_default_one_is_occupied() -> None:
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)),
        closing(EmbeddedBroker(port)) as elsewhere,
    ):
        assert elsewhere.broker.port != port
    with closing(EmbeddedBroker(port)) as there:
        assert there.broker == Broker("127.0.0.1", port, is_old=True)


def test_an_embedded_broker_closed_before_it_runs_returns_at_once() -> None:
    server = EmbeddedBroker(free_port())
    server.close()
    server.run()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.broker.host, server.broker.port), 1.0)


def test_a_missing_embedded_broker_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amqtt.broker", None)
    with pytest.raises(SettingsError, match=r"pip install -e \"\.\[embedded\]"):
        EmbeddedBroker()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://broker", Broker("broker", 1883)),
        ("mqtts://broker/", Broker("broker", 8883, tls=True)),
        ("MQTT://10.0.0.7:1884", Broker("10.0.0.7", 1884)),
        ("mqtt://me@[fd00::1]:1885", Broker("fd00::1", 1885, username="me")),
        (
            "mqtts://m%40e:s%3Ae%2Fcret@broker",
            Broker("broker", 8883, tls=True, username="m@e", password="s:e/cret"),
        ),
    ],
)
def test_an_address_is_read(url: str, expected: Broker) -> None:
    assert parse_broker_url(url) == expected


def test_the_password_of_an_address_is_not_shown() -> None:
    assert PASSWORD not in repr(parse_broker_url(f"mqtt://me:{PASSWORD}@broker"))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "does not begin with"),
        ("broker:1883", "does not begin with"),
        ("http://broker", "does not begin with"),
        ("mqtt://", "names no host"),
        ("mqtt://me@:1883", "names no host"),
        ("mqtt://bro ker", "has blanks"),
        ("mqtt://bro\nker", "has blanks"),
        ("mqtt://broker:no", "malformed"),
        ("mqtt://broker:99999", "malformed"),
        ("mqtt://broker:0", "port 0"),
        ("mqtt://[fd00::1", "malformed"),
        ("mqtt://a..b", "malformed"),
        ("mqtt://broker/topic", "goes on"),
        ("mqtt://broker?x=1", "goes on"),
        ("mqtt://:secret@broker", "no user name"),
        ("mqtt://me:sec/ret@broker", "malformed"),
    ],
)
def test_a_malformed_address_is_refused_in_one_sentence_that_never_repeats_it(url: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        parse_broker_url(url)
    assert "sec" not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.text())
def test_any_text_is_an_address_or_a_settings_error(url: str) -> None:
    for text in (url, f"mqtt://{url}", f"mqtt://{url}@broker"):
        with suppress(SettingsError):
            assert parse_broker_url(text).host


@pytest.mark.parametrize("name", ["", "a/b", "a+", "#", "küche", "a b", "x" * 65, "a\n"])
def test_a_node_name_that_does_not_fit_a_topic_is_refused(name: str) -> None:
    with pytest.raises(SettingsError):
        check_node_name(name)


@pytest.mark.parametrize(
    "topic", ["", "/a", "a/", "a//b", "a/+/b", "a/#", "$SYS/a", "a\x00", "a\ud800", "a" * 201]
)
def test_an_invalid_base_topic_is_refused(topic: str) -> None:
    with pytest.raises(SettingsError):
        check_base_topic(topic)
    assert check_base_topic("home/Küche 1/ear") == "home/Küche 1/ear"


def test_a_password_that_is_not_text_is_refused_without_showing_it() -> None:
    with pytest.raises(SettingsError) as caught:
        sink_for(Broker("127.0.0.1", 1883, username="me", password="secret\udcff"))
    assert "secret" not in str(caught.value)


def texts(subscriber: Subscriber, topic: str) -> list[str]:
    return [message.text for message in subscriber.messages if message.topic == topic]


def wait_for_texts(subscriber: Subscriber, topic: str, expected: list[str]) -> None:
    """Wait until as much has come on a topic, which must be this."""
    wait_until(lambda: len(texts(subscriber, topic)) >= len(expected), f"{expected} on {topic}")
    assert texts(subscriber, topic) == expected


TAGS, LOUDEST, LEVEL = (f"earshot/attic/front_door/{name}" for name in ("tags", "loudest", "level"))


@pytest.mark.system
def test_only_changes_of_level_and_loudest_sound_are_published_and_retained(broker: Mosquitto) -> None:
    courses = [(0.5, -30.2), (0.6, -29.8), (0.0, -0.3), (0.0, float("nan"))]
    with Subscriber(broker.port) as subscriber, running(sink_for(broker.port, gauge_seconds=0.0)) as sink:
        wait_for_state(sink, "connected")
        for count, (score, level_dbfs) in enumerate(courses, start=1):
            sink.accept(replace(tagging(score), level_dbfs=level_dbfs))
            subscriber.wait_for_several(TAGS, count)
        assert texts(subscriber, LOUDEST) == ["Dog", "Speech"]
        assert texts(subscriber, LEVEL) == ["-30", "0"]
    with Subscriber(broker.port) as latecomer:
        kept = [latecomer.wait_for_retained(topic) for topic in (LOUDEST, LEVEL)]
        assert [(message.text, message.qos) for message in kept] == [("Speech", 0), ("0", 0)]


@pytest.mark.system
def test_level_and_loudest_sound_are_published_at_a_limited_rate(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as subscriber, running(sink_for(broker.port, gauge_seconds=60.0)) as sink:
        wait_for_state(sink, "connected")
        for count, score in enumerate((0.5, 0.0, 0.5), start=1):
            sink.accept(replace(tagging(score), level_dbfs=-10.0 * count))
            subscriber.wait_for_several(TAGS, count)
        assert texts(subscriber, LOUDEST) == ["Dog"]
        assert texts(subscriber, LEVEL) == ["-10"]


@pytest.mark.system
def test_a_problem_of_a_source_is_a_retained_state_of_that_source(broker: Mosquitto) -> None:
    problem, state = (f"earshot/attic/front_door/health/{name}" for name in ("problem", "state"))
    with Subscriber(broker.port) as subscriber, running(sink_for(broker.port)) as sink:
        wait_for_state(sink, "connected")
        for count, health in enumerate(
            [
                SourceHealth(source="front door"),
                SourceHealth(source="front door", state="silent", lost_samples=8_000),
                SourceHealth(source="front door", state="clipping", lost_samples=8_000),
                SourceHealth(source="front door", lost_samples=8_000, drift_ppm=12.34),
            ],
            start=1,
        ):
            stranger = SourceHealth(source="of another program", state="faint")
            sink.accept(replace(HEALTH, sources=(health, stranger)))
            message = subscriber.wait_for_several("earshot/attic/health", count)[-1]
            assert message.json()["sources"]["front door"]["state"] == health.state
        wait_for_texts(subscriber, problem, ["OFF", "ON", "OFF"])
        wait_for_texts(subscriber, state, ["ok", "silent", "clipping", "ok"])
        wait_for_texts(subscriber, "earshot/attic/front_door/health/lost_seconds", ["0.0", "0.5"])
        wait_for_texts(subscriber, "earshot/attic/front_door/health/drift_ppm", ["12.3"])
    with Subscriber(broker.port) as latecomer:
        assert latecomer.wait_for_retained(problem).text == "OFF"
        assert "earshot/attic/of_another_program/health/problem" not in {m.topic for m in latecomer.messages}


@pytest.mark.system
def test_health_figures_have_their_own_topics_and_publish_changes(broker: Mosquitto) -> None:
    dropped, latency = "earshot/attic/health/dropped_windows", "earshot/attic/health/latency_p50_seconds"
    with Subscriber(broker.port) as subscriber, running(sink_for(broker.port)) as sink:
        wait_for_state(sink, "connected")
        for count, health in enumerate(
            [
                replace(HEALTH, latency_p50_seconds=None),
                HEALTH,
                replace(HEALTH, dropped_windows=2),
                replace(HEALTH, dropped_windows=3, model="base"),
            ],
            start=1,
        ):
            sink.accept(health)
            subscriber.wait_for_several("earshot/attic/health", count)
        wait_for_texts(subscriber, dropped, ["1", "2", "3"])
        wait_for_texts(subscriber, latency, ["0.2"])
        wait_for_texts(subscriber, "earshot/attic/health/model", ["tiny", "base"])
    with Subscriber(broker.port) as latecomer:
        latecomer.wait_for_retained(dropped, "3")


ANNOUNCED = "homeassistant/device/attic_front_door/config"


def announcing(
    broker: Mosquitto, *sounds: str, style: Literal["device", "component"] = "device", **changes: Any
) -> MqttPublisher:
    plain: dict[str, Any] = {
        "watched": dict.fromkeys(changes.get("sources", ["front door"]), sounds),
        "discovery": Discovery(catalogue(), style=style),
        "on_listen": lambda _source, _listening: None,
        "birth_seconds": 0.05,
    }
    return sink_for(broker.port, **(plain | changes))


def announcements(subscriber: Subscriber) -> list[str]:
    return [m.text for m in subscriber.messages if m.topic == ANNOUNCED and not m.retained]


def wait_for_announcements(subscriber: Subscriber, count: int) -> None:
    wait_until(lambda: len(announcements(subscriber)) >= count, f"{count} announcements")


@pytest.mark.system
def test_the_same_is_announced_after_a_restart_and_stays_when_the_program_ends(broker: Mosquitto) -> None:
    kept = []
    for _ in range(2):
        with Subscriber(broker.port) as subscriber, running(announcing(broker, "Dog", "Siren")):
            wait_for_announcements(subscriber, 1)
        kept.append(retained(broker, "homeassistant/"))
    assert list(kept[0]) == [ANNOUNCED]
    assert kept[0] == kept[1]
    assert "sound_siren" in json.loads(kept[0][ANNOUNCED])["components"]


@pytest.mark.system
def test_an_unwatched_sound_is_removed_by_the_next_start(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as observer:
        with running(announcing(broker, "Dog", "Siren")):
            wait_for_announcements(observer, 1)
        with running(announcing(broker, "Dog")):
            wait_for_announcements(observer, 3)
        _, removal, rest = (json.loads(text)["components"] for text in announcements(observer))
    assert removal == rest | {"sound_siren": {"platform": "binary_sensor"}}
    assert "sound_dog" in rest
    assert "sound_siren" not in rest
    assert json.loads(retained(broker, ANNOUNCED)[ANNOUNCED])["components"] == rest


@pytest.mark.system
@pytest.mark.parametrize(("style", "messages"), [("device", 1), ("component", 14)])
def test_a_removed_source_is_cleared_and_another_node_is_left_alone(
    broker: Mosquitto, style: Literal["device", "component"], messages: int
) -> None:
    def count(times: int) -> None:
        wait_until(lambda: len(retained(broker, "homeassistant/")) == times * messages, f"{times} sources")

    with running(announcing(broker, "Dog", style=style, node="attic_2")):
        count(1)
    others = retained(broker, "homeassistant/")
    with running(announcing(broker, "Dog", style=style, sources=["cellar", "front door"])):
        count(3)
    with running(announcing(broker, "Dog", style=style)):
        count(2)
    left = retained(broker, "homeassistant/")
    assert others.items() <= left.items()
    assert not [topic for topic in left if "cellar" in topic]


@pytest.mark.system
def test_announcements_of_earlier_versions_for_a_node_with_an_underscore_are_cleared(
    broker: Mosquitto,
) -> None:
    before = ANNOUNCED.replace("attic", "attic_2")
    with running(announcing(broker, "Dog", node="attic_2")):
        wait_until(lambda: retained(broker, "homeassistant/"), "the announcement")
    ((topic, text),) = retained(broker, "homeassistant/").items()
    with Subscriber(broker.port) as observer:
        observer.publish(before, text.replace("attic_2-", "attic_2_"), retain=True)
    with running(announcing(broker, "Dog", node="attic_2")):
        wait_until(lambda: list(retained(broker, "homeassistant/")) == [topic], "one device")


@pytest.mark.system
def test_another_discovery_style_clears_the_announcements_of_the_first(broker: Mosquitto) -> None:
    with running(announcing(broker, "Dog", style="component")):
        wait_until(lambda: retained(broker, "homeassistant/switch/"), "the last entity")
    with running(announcing(broker, "Dog")):
        wait_until(lambda: list(retained(broker, "homeassistant/")) == [ANNOUNCED], "the device alone")


@pytest.mark.system
def test_everything_is_announced_again_when_home_assistant_starts(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as observer, running(announcing(broker, "Dog")) as sink:
        wait_for_state(sink, "connected")
        sink.accept(began(1))
        sink.accept(tagging(0.75))
        sink.accept(HEALTH)
        states = [
            "earshot/attic/status",
            BARK,
            "earshot/attic/front_door/listen",
            "earshot/attic/health/model",
        ]
        wait_until(lambda: "ON" in texts(observer, BARK) and texts(observer, states[-1]), "the first time")
        before = {topic: texts(observer, topic) for topic in states}
        observer.publish("homeassistant/status", "offline")
        observer.publish("homeassistant/status", "online")
        wait_for_announcements(observer, 2)
        for topic in states:
            again = observer.wait_for_several(topic, len(before[topic]) + 1)[-1]
            assert again.text == before[topic][-1]
        first, second = announcements(observer)
        assert first == second
        assert len([m for m in observer.messages if m.topic == EVENTS]) == 1
        sink.accept(tagging(0.75))
        observer.wait_for_several(LOUDEST, 2)


@pytest.mark.system
def test_two_programs_of_one_name_do_not_clear_each_others_announcements_endlessly(broker: Mosquitto) -> None:
    with (
        Subscriber(broker.port) as observer,
        running(announcing(broker, "Dog")),
        running(announcing(broker, "Siren")) as second,
    ):
        wait_for_state(second, "connected")
        wait_for_announcements(observer, 3)
        time.sleep(0.3)
        assert len(announcements(observer)) <= 6


@pytest.mark.system
def test_malformed_announcements_are_ignored(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as observer, running(announcing(broker, "Dog")) as sink:
        wait_for_announcements(observer, 1)
        for number, text in enumerate(["{", "[]", '{"availability":1}', "null"]):
            observer.publish(f"homeassistant/device/attic_{number}/config", text)
        sink.accept(began(1))
        observer.wait_for(EVENTS)
        assert sink.state == "connected"


def test_an_error_of_a_callback_is_no_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def watch_a_closed_socket() -> None:
        with socket.socket() as closed:
            number = closed.fileno()
        asyncio.get_running_loop().add_writer(number, lambda: None)

    async def body() -> str:
        asyncio.get_running_loop().call_soon(watch_a_closed_socket)
        await asyncio.sleep(0.01)
        return "the connection goes on"

    with caplog.at_level(logging.DEBUG):
        assert run(body()) == "the connection goes on"
    (record,) = [record for record in caplog.records if "Bad file descriptor" in record.getMessage()]
    assert (record.levelno, record.exc_info) == (logging.DEBUG, None)
