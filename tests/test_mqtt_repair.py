"""Repairs over the same connection to a broker: a status that others overwrite, and messages that the broker refuses for now."""

import asyncio
import json
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from support.mosquitto import Mosquitto, Subscriber
from support.mqtt import retained, running, sink_for, tagging, wait_for_state
from support.refusing_broker import RefusingBroker
from support.waiting import wait_until

from streamer.events.catalogue import catalogue
from streamer.messages import NO_LOSSES, Event, Losses, SourceStatus
from streamer.sinks.history.outbox import MemoryOutbox
from streamer.sinks.history.store import History
from streamer.sinks.mqtt.events import EventPublisher
from streamer.sinks.mqtt.homeassistant import Discovery
from streamer.sinks.mqtt.retained import PublishedState
from streamer.sinks.mqtt.topics import Topics
from streamer.sinks.mqtt.wire import Outcome

NODE = "earshot/attic"
STATUS = f"{NODE}/status"
ROOM = f"{NODE}/front_door"
BARK = f"{ROOM}/sound/dog"
WATCHED = {"front door": ["Dog"]}


def began(number: int, source: str = "front door") -> Event:
    return Event(str(number), "started", "Dog", source, 0.5, 1_772_366_400.25 + number)


def texts(subscriber: Subscriber, topic: str) -> list[str]:
    return [message.text for message in subscriber.messages if message.topic == topic]


def ids(subscriber: Subscriber) -> list[str]:
    return [m.json()["id"] for m in subscriber.messages if m.topic == f"{ROOM}/events"]


@pytest.mark.system
def test_a_last_will_of_an_earlier_run_that_comes_late_is_corrected(broker: Mosquitto) -> None:
    before = paho.Client(CallbackAPIVersion.VERSION2, "earlier", reconnect_on_failure=False)
    before.will_set(STATUS, "offline", qos=1, retain=True)
    before.connect("127.0.0.1", broker.port)
    before.loop_start()
    wait_until(before.is_connected, "the earlier run")
    with Subscriber(broker.port, STATUS) as observer, running(sink_for(broker.port)) as sink:
        observer.wait_for(STATUS, "online")
        wait_for_state(sink, "connected")
        connection = before.socket()
        assert isinstance(connection, socket.socket)
        connection.shutdown(socket.SHUT_RDWR)
        observer.wait_for(STATUS, "offline")
        observer.wait_for(STATUS, "online")
        assert retained(broker, STATUS) == {STATUS: "online"}
    before.loop_stop()
    assert retained(broker, STATUS) == {STATUS: "offline"}


@pytest.mark.system
def test_the_program_that_goes_on_corrects_what_another_of_its_name_leaves(broker: Mosquitto) -> None:
    wanted = {STATUS: "online", f"{ROOM}/status": "online", BARK: "ON"}
    discovery = Discovery(catalogue())
    with running(sink_for(broker.port, watched=WATCHED, discovery=discovery)) as survivor:
        survivor.accept(SourceStatus("front door", online=True))
        survivor.accept(began(1))
        wait_for_state(survivor, "connected")
        with running(sink_for(broker.port, watched=WATCHED, discovery=discovery)) as other:
            other.accept(SourceStatus("front door", online=True))
            wait_for_state(other, "connected")
        wait_until(lambda: wanted.items() <= retained(broker, NODE).items(), "all states")


@pytest.mark.system
def test_the_status_is_corrected_at_a_limited_rate_and_is_right_in_the_end(broker: Mosquitto) -> None:
    with (
        Subscriber(broker.port, STATUS) as observer,
        running(sink_for(broker.port, pause_seconds=1.0)) as sink,
    ):
        wait_for_state(sink, "connected")
        began_at = time.monotonic()
        for _ in range(50):
            observer.publish(STATUS, "offline", retain=True)
        wait_until(lambda: texts(observer, STATUS)[-1] == "online", "the last correction")
        seconds = time.monotonic() - began_at
        assert texts(observer, STATUS).count("online") <= 3 + seconds
        assert sink.state == "connected"


@pytest.mark.system
@pytest.mark.parametrize("code", [0x80, 0x83, 0x97])
@pytest.mark.parametrize("remembers", [True, False])
def test_events_that_a_broker_refuses_for_now_wait_while_tags_and_states_go_on(
    broker: Mosquitto, tmp_path: Path, code: int, remembers: bool
) -> None:
    with (
        RefusingBroker(broker, code, lambda topic: topic.endswith("/events")) as door,
        Subscriber(broker.port) as observer,
        History(tmp_path / "history.sqlite3", days=36_500.0) as history,
        running(
            sink_for(door.port, watched=WATCHED, pause_seconds=0.5, outbox=history if remembers else None)
        ) as sink,
    ):
        wait_for_state(sink, "connected")
        for number in range(3):
            history.accept(began(number))
            sink.accept(began(number))
        wait_until(lambda: len(door.refused) > 2, "further attempts")
        sink.accept(tagging())
        observer.wait_for_several(f"{ROOM}/tags", 1)
        assert texts(observer, BARK)[-1] == "ON"
        assert (ids(observer), len(history.pending(10))) == ([], 3)
        door.refuses = lambda _topic: False
        wait_until(lambda: ids(observer) == ["0", "1", "2"], "the events, in order")
        if remembers:
            wait_until(lambda: not history.pending(1), "all to be marked")
        assert sink.losses() == NO_LOSSES


@pytest.mark.system
@pytest.mark.parametrize("code", [0x87, 0x90, 0x99])
def test_an_event_that_a_broker_refuses_for_good_holds_up_no_other(broker: Mosquitto, code: int) -> None:
    hall = "earshot/attic/hall/events"
    with (
        RefusingBroker(broker, code, lambda topic: topic == hall) as door,
        Subscriber(broker.port) as observer,
        running(sink_for(door.port, sources=["hall", "front door"])) as sink,
    ):
        wait_for_state(sink, "connected")
        for number, source in enumerate(["hall", "front door", "hall", "front door"]):
            sink.accept(began(number, source))
        wait_until(lambda: ids(observer) == ["1", "3"], "the others")
        wait_until(lambda: sink.losses() == Losses(undelivered_events=2), "the count")
    assert door.refused == [hall, hall]


@pytest.mark.system
@pytest.mark.parametrize("topic", [BARK, STATUS, "homeassistant/device/attic_front_door/config"])
def test_a_retained_message_that_a_broker_refuses_for_now_is_published_later(
    broker: Mosquitto, topic: str
) -> None:
    changes: dict[str, Any] = {"watched": WATCHED, "discovery": Discovery(catalogue())}
    with (
        RefusingBroker(broker, 0x97, lambda one: one == topic) as door,
        running(sink_for(door.port, pause_seconds=0.3, **changes)) as sink,
    ):
        wait_for_state(sink, "connected")
        sink.accept(began(1))
        wait_until(lambda: len(door.refused) > 3, "further attempts")
        assert topic not in retained(broker, topic)
        door.refuses = lambda _topic: False
        wait_until(lambda: topic in retained(broker, topic), "the message")
        wait_until(lambda: retained(broker, BARK) == {BARK: "ON"}, "the newest state")


class Patient:
    """Client that lets a sound change its state during each publication."""

    def __init__(self, on_publish: Any) -> None:
        self.published: list[tuple[str, str]] = []
        self._on_publish = on_publish

    async def publish(self, topic: str, text: str, **_: object) -> None:
        self.published.append((topic, text))
        self._on_publish()


def test_more_states_than_fit_are_published_once_each_while_they_change() -> None:
    rooms = [f"room {number}" for number in range(10)]
    sounds = [f"sound {number}" for number in range(150)]
    topics = Topics("earshot/attic", rooms, dict.fromkeys(rooms, sounds))
    state = PublishedState(topics, lambda _source: True)
    event = Event("1", "started", "sound 149", "room 9", 0.5, 0.0)
    changes = iter(range(2500))

    def change() -> None:
        number = next(changes, None)
        if number is not None:
            state.set_sound(replace(event, kind="ended" if number % 2 else "started"))

    for _ in range(5000):
        state.set_status("room 0", online=True)
    client = Patient(change)
    asyncio.run(state.publish(client))  # type: ignore[arg-type]
    others = [topic for topic, _ in client.published if topic != topics.sound("room 9", "sound 149")]
    assert len(set(others)) == len(topics.states()) - 1
    assert others.count(topics.source_status("room 0")) <= 2000
    assert all(others.count(topic) == 1 for topic in set(others) - {topics.source_status("room 0")})
    assert client.published[-1] == (topics.sound("room 9", "sound 149"), "OFF")


class Picky:
    """Stands in for a connection to a broker that takes all events but one."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.taken: list[str] = []

    async def publish(self, _topic: str, text: str, **_options: object) -> Outcome:
        identifier = json.loads(text)["id"]
        if identifier == "1":
            return self.outcome
        self.taken.append(identifier)
        return Outcome.TAKEN


@pytest.mark.parametrize(
    ("outcome", "taken", "refused"),
    [
        (Outcome.REFUSED, ["0", "2"], 1),
        (Outcome.REFUSED_FOR_NOW, ["0", "2"], 1),
        (Outcome.OVER_QUOTA, ["0"], 0),
    ],
)
def test_an_event_that_a_broker_never_takes_is_left_out_except_for_a_quota(
    outcome: Outcome, taken: list[str], refused: int
) -> None:
    outbox = MemoryOutbox()
    for number in range(3):
        outbox.put(began(number))
    publisher = EventPublisher(outbox, lambda: None, pause_seconds=0.0)
    picky = Picky(outcome)

    async def publish() -> None:
        for _ in range(10):
            await publisher.publish(picky, Topics(NODE, ["front door"]))  # type: ignore[arg-type]

    asyncio.run(publish())
    assert (picky.taken, publisher.refused) == (taken, refused)
