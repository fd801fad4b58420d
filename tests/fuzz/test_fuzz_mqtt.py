"""Arbitrary messages on the topics that Earshot subscribes to."""

import asyncio
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from promises import MEBIBYTE, examples, json_values, within
from support.mosquitto import Mosquitto, Subscriber
from support.mqtt import FakeSwitches
from support.system import require
from support.waiting import wait_until

from streamer.events.quiet import parse_quiet
from streamer.sinks.mqtt.broker import Broker
from streamer.sinks.mqtt.homeassistant import Discovery
from streamer.sinks.mqtt.limits import BrokerLimits
from streamer.sinks.mqtt.publisher import MqttOptions, MqttPublisher
from streamer.sinks.mqtt.wire import Outcome, Received
from streamer.sinks.payloads import LabelSet

pytestmark = pytest.mark.slow

WATCHED = {"kitchen": ["Dog"]}
STATUS = "earshot/attic/status"
LISTEN = "earshot/attic/kitchen/listen/set"
QUIET = "earshot/attic/kitchen/quiet/dog/set"
ANNOUNCED = "homeassistant/device/attic_kitchen/config"
TOPICS = [
    LISTEN,
    "homeassistant/status",
    ANNOUNCED,
    "homeassistant/device/attic_gone/config",
    "homeassistant/sensor/attic_kitchen/level/config",
    "earshot/attic/kitchen/sound/dog",
    "earshot/attic/kitchen/sound/gone",
    "earshot/attic/kitchen/quiet/dog",
    "earshot/attic/kitchen/quiet/gone",
    QUIET,
]


def announcement(components: object) -> bytes:
    """A message that looks like one of ours."""
    ours = {"origin": {"name": "Earshot"}, "availability": [{"topic": STATUS}], "components": components}
    return json.dumps(ours).encode()


class Said:
    """Stands in for a connection: remembers what is published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str]] = []
        self.limits = BrokerLimits("nowhere")
        self.refused_topics: set[str] = set()

    async def publish(self, topic: str, text: str, **_options: object) -> Outcome:
        text.encode()
        self.published.append((topic, text))
        return Outcome.TAKEN

    async def subscribe(self, topic: str, **_options: object) -> None:
        assert topic


class QuietHoursOfADog:
    """Quiet hours of one sound."""

    def quiet_of(self, source: str, sound: str) -> str:
        assert (source, sound) == ("kitchen", "Dog")
        return "22:00-07:00"

    def request_quiet(self, source: str, sound: str, quiet: str) -> None:
        assert (source, sound) == ("kitchen", "Dog")
        assert str(parse_quiet(quiet)) == quiet


def sink_at(port: int, turned: list[tuple[str, bool]]) -> MqttPublisher:
    return MqttPublisher(
        Broker("127.0.0.1", port),
        node="attic",
        sources=["kitchen"],
        label_set=LabelSet(("Dog",), (None,)),
        watched_at=lambda source: WATCHED[source],
        switches=FakeSwitches(lambda source, on: turned.append((source, on)), lambda _source: True),
        discovery=Discovery(),
        options=MqttOptions(birth_seconds=0.0, quiet=QuietHoursOfADog()),
    )


def answered(
    messages: Sequence[tuple[str, bytes]], *, retained: bool = False
) -> tuple[list[tuple[str, bool]], list[tuple[str, str]]]:
    """Hear messages; the switches that were turned, and what was published then."""
    turned: list[tuple[str, bool]] = []
    said = Said()

    async def hear() -> None:
        handler = sink_at(1, turned)._handler
        await handler.start(said)  # type: ignore[arg-type]
        for topic, payload in messages:
            handler.receive(Received(topic, payload, retained))
        await asyncio.sleep(0)
        handler.finish()
        await handler.publish(said)  # type: ignore[arg-type]

    asyncio.run(hear())
    return turned, said.published


payloads = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"ON", b"OFF", b"on", b"online", b"sat,sun 1:00-9:00", b"always", b"24:00-0:00"]),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.text(max_size=5), json_values, max_size=3).map(announcement),
    st.dictionaries(
        st.text(max_size=5), st.fixed_dictionaries({"platform": json_values, "x": st.none()})
    ).map(announcement),
)


@examples(100)
@given(st.lists(st.tuples(st.one_of(st.sampled_from(TOPICS), st.text(max_size=40)), payloads), max_size=6))
@example([(ANNOUNCED, announcement({"gone": {"platform": float("nan"), "x": 1}}))])
@example([(ANNOUNCED, announcement({"gone": {"platform": ["sensor"], "x": 1}}))])
@example([(ANNOUNCED, announcement({"\ud800": {"platform": "\ud800", "x": 1}}))])
@example([(ANNOUNCED, b"[" * 100_000)])
@example([(ANNOUNCED, b"1" * 5000)])
@example([(QUIET, b"9" * 100_000), (QUIET, b"mon-" * 40), (QUIET, b"\xff"), (QUIET, b"sun-sat 23:59-24:00")])
@example([("homeassistant/config", b"{}"), ("homeassistant/a/b/c/d/config", b"{}")])
def test_any_message_only_turns_switches_and_clears_our_own_topics(
    messages: list[tuple[str, bytes]],
) -> None:
    assert not answered(messages, retained=True)[0], "a retained command is not obeyed"
    turned, published = answered(messages)
    commands = [
        ("kitchen", payload == b"ON")
        for topic, payload in messages
        if topic == LISTEN and payload in {b"ON", b"OFF"}
    ]
    assert turned == commands[-1:], "only the newest counts"
    for topic, text in published:
        assert topic.startswith(("earshot/attic/", "homeassistant/"))
        assert text or topic in dict(messages)
        if topic.endswith("/config") and text:
            assert json.loads(text)["origin"]["name"] == "Earshot"


@pytest.mark.parametrize(
    "topic", ["earshot/attic/kitchen/sound/{}", "homeassistant/sensor/attic_{}/level/config"]
)
def test_endless_messages_on_our_topics_do_not_fill_the_memory(topic: str) -> None:
    with within(mebibytes=128, seconds=20.0):
        _, published = answered([(topic.format(number), b"ON") for number in range(100_000)])
    assert len(published) < 10_000


def test_large_announcements_are_not_kept() -> None:
    with within(mebibytes=128):
        message = announcement({}) + b" " * MEBIBYTE
        answered([(f"homeassistant/device/attic_{number}/config", bytes(message)) for number in range(1000)])


@pytest.mark.system
def test_a_real_broker_passes_anything_on_and_the_switch_still_turns(tmp_path: Path) -> None:
    require("mosquitto")
    turned: list[tuple[str, bool]] = []
    with Mosquitto(tmp_path) as broker, Subscriber(broker.port, STATUS) as other:
        sink = sink_at(broker.port, turned)
        thread = threading.Thread(target=sink.run)
        thread.start()
        try:
            other.wait_for(STATUS, "online")
            for topic in TOPICS:
                for payload in (
                    b"\xff\0",
                    b"[" * 100_000,
                    b"1" * 5000,
                    announcement({"a": {"platform": 1e999, "b": 1}}),
                ):
                    publish(other, topic, payload)
            publish(other, LISTEN, b"OFF")
            wait_until(lambda: turned == [("kitchen", False)], "the switch to turn")
            assert sink.state == "connected"
        finally:
            sink.close()
            thread.join(timeout=10)
    assert not thread.is_alive()


def publish(subscriber: Subscriber, topic: str, payload: bytes) -> None:
    information: Any = subscriber._client.publish(topic, payload, qos=1)
    information.wait_for_publish(10)
