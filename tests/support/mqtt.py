"""An MQTT sink on a thread, and taggings for it to publish."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import numpy as np

from streamer.messages import Tagging
from streamer.sinks.mqtt.broker import Broker
from streamer.sinks.mqtt.publisher import MqttOptions, MqttPublisher
from streamer.sinks.payloads import LabelSet
from support.mosquitto import Mosquitto, Subscriber
from support.waiting import PATIENCE_SECONDS, wait_until

VOCABULARY = LabelSet(("Speech", "Dog", "Siren"), ("/m/09x0r", "/m/0bt9lr", None))


PASSWORD = "correct-horse-battery"


def tagging(score: float = 0.5, *, age_seconds: float = 0.25, paced: bool = True) -> Tagging:
    return Tagging(
        source="front door",
        start_sample=0,
        end_sample=163_840,
        ended_at=time.time() - age_seconds,
        scores=np.array([0.1, score, 0.0], np.float32),
        level_dbfs=-30.0,
        latency_seconds=0.001 if paced else None,
    )


class FakeSwitches:
    """Switches that call a function when they are turned."""

    def __init__(self, on_turn: Callable[[str, bool], None], is_on: Callable[[str], bool]) -> None:
        self.turn, self.is_on = on_turn, is_on


def sink_for(broker: int | Broker, **changes: Any) -> MqttPublisher:
    plain: dict[str, Any] = {
        "node": "attic",
        "sources": ["front door"],
        "label_set": VOCABULARY,
        "top": 2,
        "retry_seconds": 0.05,
        "longest_retry_seconds": 0.2,
    } | changes
    if (watched := plain.pop("watched", None)) is not None:
        plain["watched_at"] = lambda source: watched.get(source, ())
    if (on_listen := plain.pop("on_listen", None)) is not None:
        plain["switches"] = FakeSwitches(on_listen, plain.pop("is_on", lambda _source: True))
    names = {field.name for field in fields(MqttOptions)} & plain.keys()
    options = MqttOptions(**{name: plain.pop(name) for name in names})
    return MqttPublisher(
        Broker("127.0.0.1", broker) if isinstance(broker, int) else broker, options=options, **plain
    )


@contextmanager
def running(sink: MqttPublisher) -> Iterator[MqttPublisher]:
    """Run a sink on a thread; leaving closes it, which must wait for no broker and raise nothing."""
    errors: list[BaseException] = []

    def work() -> None:
        try:
            sink.run()
        except BaseException as error:
            errors.append(error)
            raise

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        began = time.monotonic()
        sink.close()
        thread.join(timeout=PATIENCE_SECONDS)
        seconds = time.monotonic() - began
    assert not errors
    assert seconds < 4.0, "a broker may take 5 s to answer"
    assert sink.state == "closed"


def wait_for_state(sink: MqttPublisher, beginning: str) -> None:
    wait_until(lambda: sink.state.startswith(beginning), f"the state {beginning!r}")


def retained(broker: Mosquitto, beginning: str) -> dict[str, str]:
    """Return the retained messages on topics with this beginning."""
    marker = "test/marker"
    with Subscriber(broker.port) as latecomer:
        latecomer.publish(marker, "")
        latecomer.wait_for_several(marker, 1)
        return {m.topic: m.text for m in latecomer.messages if m.retained and m.topic.startswith(beginning)}
