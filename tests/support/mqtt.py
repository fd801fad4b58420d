"""An MQTT sink on a thread, and taggings for it to publish."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from streamer.messages import Tagging
from streamer.sinks.mqtt.broker import Broker
from streamer.sinks.mqtt.sink import MqttSink
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


def sink_for(broker: int | Broker, **changes: Any) -> MqttSink:
    plain: dict[str, Any] = {
        "node": "attic",
        "sources": ["front door"],
        "label_set": VOCABULARY,
        "top": 2,
        "retry_seconds": 0.05,
        "longest_retry_seconds": 0.2,
    }
    if (watched := changes.pop("watched", None)) is not None:
        changes["watched_at"] = lambda source: watched.get(source, ())
    return MqttSink(Broker("127.0.0.1", broker) if isinstance(broker, int) else broker, **(plain | changes))


@contextmanager
def running(sink: MqttSink) -> Iterator[MqttSink]:
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


def wait_for_state(sink: MqttSink, beginning: str) -> None:
    wait_until(lambda: sink.state.startswith(beginning), f"the state {beginning!r}")


def retained(broker: Mosquitto, beginning: str) -> dict[str, str]:
    """All that the broker keeps on topics that begin like this."""
    marker = "test/marker"
    with Subscriber(broker.port) as latecomer:
        latecomer.publish(marker, "")
        latecomer.wait_for_several(marker, 1)
        return {m.topic: m.text for m in latecomer.messages if m.retained and m.topic.startswith(beginning)}
