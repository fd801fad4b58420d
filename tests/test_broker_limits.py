"""Brokers with limits, old brokers and hostile ones: events arrive, the cause is named, and memory is bounded."""

import json
import logging
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.mosquitto import Mosquitto, Subscriber
from support.mqtt import retained, running, sink_for, tagging, wait_for_state
from support.old_broker import OldBroker
from support.system import require
from support.waiting import wait_until

from streamer.doctor.broker import check_broker
from streamer.events.catalogue import catalogue
from streamer.messages import Event, SourceStatus
from streamer.sinks.mqtt.broker import Broker
from streamer.sinks.mqtt.homeassistant import Discovery
from streamer.sinks.mqtt.publisher import MqttPublisher
from streamer.sinks.mqtt.wire import MAX_INCOMING_BYTES

pytestmark = pytest.mark.system

ROOM = "earshot/attic/front_door"
LISTEN = f"{ROOM}/listen/set"
DEVICE = "homeassistant/device/attic_front_door/config"
SOUNDS = [sound.name for sound in catalogue()]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Any]:
    """Start a broker with lines of its configuration."""
    require("mosquitto")
    brokers: list[Mosquitto] = []

    def make(*limits: str) -> Mosquitto:
        folder = tmp_path / f"mosquitto{len(brokers)}"
        folder.mkdir()
        brokers.append(Mosquitto(folder, limits=limits))
        brokers[-1].start()
        return brokers[-1]

    yield make
    for broker in brokers:
        broker.stop()


def publisher(port: int, **changes: Any) -> MqttPublisher:
    plain: dict[str, Any] = {
        "watched": {"front door": SOUNDS},
        "discovery": Discovery(catalogue()),
        "on_listen": lambda _source, _on: None,
        "birth_seconds": 0.05,
    }
    return sink_for(port, **(plain | changes))


def event(number: int) -> Event:
    return Event(str(number), "started", SOUNDS[0], "front door", 0.5, 1_772_366_400.25 + number)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        r.getMessage()
        for r in caplog.records
        if r.name.startswith("streamer") and r.levelno >= logging.WARNING
    ]


def check_that_all_arrives(sink: MqttPublisher, subscriber: Subscriber) -> None:
    """Check that events and tags arrive."""
    sink.accept(SourceStatus("front door", online=True))
    subscriber.wait_for(f"{ROOM}/status", "online")
    sink.accept(event(1))
    assert subscriber.wait_for(f"{ROOM}/events").json()["id"] == "1"
    sink.accept(tagging())
    assert subscriber.wait_for(f"{ROOM}/tags").json()["tags"][0]["label"] == "Dog"


def entities(broker: Mosquitto) -> set[str]:
    """Return the identifiers of all announced entities."""
    messages = [json.loads(text) for text in retained(broker, "homeassistant/").values()]
    components = [c for message in messages for c in message.get("components", {"": message}).values()]
    return {component["unique_id"] for component in components}


def test_a_device_too_large_for_the_broker_is_announced_in_parts_and_events_go(
    made: Any, caplog: pytest.LogCaptureFixture
) -> None:
    wide, narrow = made(), made("max_packet_size 4000")
    with running(publisher(wide.port)), Subscriber(wide.port) as subscriber:
        subscriber.wait_for(DEVICE)
    with Subscriber(narrow.port) as subscriber, running(publisher(narrow.port)) as sink:
        check_that_all_arrives(sink, subscriber)
        wait_until(lambda: len(entities(narrow)) == len(entities(wide)), "all parts")
        assert entities(narrow) == entities(wide)
        assert DEVICE not in retained(narrow, "homeassistant/")
        assert sink.state == "connected"
    assert not said(caplog), "nothing is lost"


def test_tags_are_shortened_to_the_packets_that_a_broker_takes(made: Any) -> None:
    from streamer.sinks.payloads import LabelSet

    names = tuple(f"{'sound' * 10} {number}" for number in range(3))
    broker = made("max_packet_size 300")
    sink = publisher(broker.port, watched={}, label_set=LabelSet(names, (None,) * 3), top=3, discovery=None)
    with Subscriber(broker.port) as subscriber, running(sink):
        wait_for_state(sink, "connected")
        sink.accept(tagging())
        assert len(subscriber.wait_for(f"{ROOM}/tags").json()["tags"]) == 1


def test_what_is_too_large_in_any_form_is_left_out_and_named_once(
    made: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broker = made("max_packet_size 400")
    with Subscriber(broker.port) as subscriber, running(publisher(broker.port)) as sink:
        check_that_all_arrives(sink, subscriber)
        wait_until(lambda: any("homeassistant/" in line for line in said(caplog)), "the message")
        assert sink.state == "connected"
    assert all(
        "its maximum packet size is 400 bytes" in line and "max_packet_size" in line for line in said(caplog)
    )
    assert len([line for line in said(caplog) if "homeassistant/" in line]) == 1
    assert len(said(caplog)) <= 2


@pytest.mark.parametrize(
    ("limit", "lost"),
    [
        ("retain_available false", "it does not store retained messages: "),
        ("max_qos 0", "its maximum QoS is 0, so it acknowledges nothing: "),
    ],
)
def test_a_broker_without_retained_messages_or_acknowledgements_gets_all_and_the_loss_is_named(
    made: Any, caplog: pytest.LogCaptureFixture, limit: str, lost: str
) -> None:
    broker = made(limit)
    with Subscriber(broker.port, qos=0) as subscriber, running(publisher(broker.port)) as sink:
        subscriber.wait_for(DEVICE)
        check_that_all_arrives(sink, subscriber)
        subscriber.publish(LISTEN, "OFF", qos=0)
        subscriber.wait_for(f"{ROOM}/listen", "OFF")
    (line,) = said(caplog)
    assert lost in line
    (checked, *_) = check_broker(
        Broker("127.0.0.1", broker.port), node="x", base_topic="x", discovery_prefix=None
    )
    assert checked.state == "warning"
    assert lost in checked.found
    assert checked.advice.startswith("allow ")
    assert len(said(caplog)) == 1


@pytest.mark.parametrize("answer", ["refuses", "hangs up", "is silent"])
def test_a_broker_that_speaks_only_the_older_version_is_used_with_it(made: Any, answer: Any) -> None:
    broker = made()
    with OldBroker(broker, answer) as old, Subscriber(broker.port) as subscriber:
        with running(publisher(old.port, timeout_seconds=1.0)) as sink:
            check_that_all_arrives(sink, subscriber)
        result = next(
            iter(check_broker(Broker("127.0.0.1", old.port), node="x", base_topic="x", discovery_prefix=None))
        )
        assert result.state == "ok", result


def test_an_old_broker_with_a_limit_that_it_does_not_announce_is_understood_after_three_losses(
    made: Any,
) -> None:
    broker = made("max_packet_size 4000")
    with (
        OldBroker(broker) as old,
        Subscriber(broker.port) as subscriber,
        running(publisher(old.port)) as sink,
    ):
        check_that_all_arrives(sink, subscriber)
        wait_until(lambda: "earshot_attic_front_door_level" in entities(broker), "the parts")


def test_a_retained_command_is_ignored_at_every_start_and_others_are_obeyed(
    made: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broker = made()
    turned: list[tuple[str, bool]] = []
    with Subscriber(broker.port) as subscriber:
        subscriber.publish(LISTEN, "OFF", retain=True)
        with running(publisher(broker.port, on_listen=lambda *turn: turned.append(turn))) as sink:
            wait_until(lambda: said(caplog), "the message")
            sink.set_sources(["front door", "hall"])
            sink.set_sources(["hall"])
            sink.set_sources(["front door"])
            subscriber.publish(LISTEN, "ON")
            wait_until(lambda: turned, "the command")
    assert turned == [("front door", True)]
    (line,) = said(caplog)
    assert line.startswith(f"ignored a retained command on {LISTEN}: ")


def test_wrong_commands_are_counted_in_one_line(made: Any, caplog: pytest.LogCaptureFixture) -> None:
    broker = made()
    turned: list[tuple[str, bool]] = []
    sink = publisher(broker.port, on_listen=lambda *turn: turned.append(turn))
    with Subscriber(broker.port) as subscriber, running(sink):
        wait_for_state(sink, "connected")
        for _ in range(5000):
            subscriber.publish(LISTEN, "perhaps", qos=0)
        subscriber.publish(LISTEN, "OFF")
        wait_until(lambda: turned, "the command")
        assert sink.state == "connected"
    assert len(said(caplog)) == 1


def test_a_flood_of_commands_does_not_end_the_connection_and_the_last_one_holds(
    made: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broker = made("max_queued_messages 0")
    turned: list[tuple[str, bool]] = []

    def turn(source: str, on: bool) -> None:
        time.sleep(0.002)  # as long as a disk takes to store it
        turned.append((source, on))

    sink = publisher(broker.port, on_listen=turn, timeout_seconds=0.5)
    with Subscriber(broker.port, "nothing") as sender, running(sink):
        wait_for_state(sink, "connected")
        for number in range(20_000):
            sender.publish(LISTEN, "ON" if number % 2 else "OFF", qos=0)
        sender.publish(LISTEN, "OFF")
        sender.publish(LISTEN, "ON")
        wait_until(lambda: turned and turned[-1] == ("front door", True), "the last command")
        assert sink.state == "connected"
    assert not said(caplog)


def test_the_broker_is_asked_for_no_message_larger_than_earshot_takes(made: Any) -> None:
    broker = made()
    turned: list[tuple[str, bool]] = []
    sink = publisher(broker.port, on_listen=lambda *turn: turned.append(turn))
    with Subscriber(broker.port, "nothing") as sender, running(sink):
        wait_for_state(sink, "connected")
        sender.publish(LISTEN, "O" * (2 * MAX_INCOMING_BYTES))
        sender.publish(LISTEN, "OFF")
        wait_until(lambda: turned, "the command")
        assert sink.state == "connected"


@pytest.mark.parametrize("topic", [LISTEN, "homeassistant/sensor/other/level/config"])
def test_a_huge_message_of_an_old_broker_is_not_read_and_events_still_go(
    made: Any, caplog: pytest.LogCaptureFixture, topic: str
) -> None:
    broker = made()
    with OldBroker(broker) as old, Subscriber(broker.port, f"{ROOM}/#") as subscriber:
        subscriber.publish(topic, "x" * 64_000_000, retain=True)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with running(publisher(old.port)) as sink:
            check_that_all_arrives(sink, subscriber)
            wait_until(
                lambda: any("it sent a message of 64.0 MB" in line for line in said(caplog)), "the message"
            )
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32_000  # KiB
            sink.accept(event(2))
            assert subscriber.wait_for(f"{ROOM}/events").json()["id"] == "2"


def test_the_check_of_a_broker_keeps_nothing_of_what_it_reads(made: Any) -> None:
    broker = made("message_size_limit 0")
    with Subscriber(broker.port, "nothing") as sender:
        for number in range(30):
            sender.publish(f"homeassistant/sensor/{number}/config", "x" * 4_000_000, retain=True)
            sender.publish(f"homeassistant/sensor/{number}/small/config", "x" * 900_000, retain=True)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        results = list(
            check_broker(
                Broker("127.0.0.1", broker.port), node="x", base_topic="x", discovery_prefix="homeassistant"
            )
        )
    assert [result.state for result in results] == ["ok", "ok"]
    assert results[1].figures["announcements"] == 30
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_000  # KiB


def test_two_programs_with_one_name_notice_each_other_once(
    made: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broker = made()
    with running(publisher(broker.port)) as first:
        wait_for_state(first, "connected")
        assert not said(caplog)
        with running(publisher(broker.port)) as second:
            wait_until(lambda: len(said(caplog)) == 2, "both to notice")
            assert (first.state, second.state) == ("connected", "connected")
    assert all(
        line.startswith("another Earshot publishes as attic (earshot/attic): ") for line in said(caplog)
    )


def test_the_reason_for_which_a_broker_ends_a_connection_is_named(made: Any) -> None:
    with OldBroker(made(), "accepts") as door:
        sink = publisher(door.port, retry_seconds=30.0, longest_retry_seconds=60.0)
        with running(sink):
            wait_for_state(sink, "connected")
            door.send(b"\xe0\x02\x8e\x00")  # DISCONNECT: session taken over
            wait_for_state(sink, "unreachable: it ended the connection (another client has taken over")
