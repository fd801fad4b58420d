"""Program that writes and publishes events as fast as it can until it is killed, and the outcome."""

import multiprocessing
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from streamer.messages import Event
from streamer.sinks.history.store import History
from streamer.sinks.mqtt.broker import Broker
from streamer.sinks.mqtt.publisher import MqttOptions, MqttPublisher
from streamer.sinks.payloads import LabelSet
from support.mosquitto import Received, Subscriber
from support.waiting import wait_until

TOPIC = "earshot/attic/door/events"
_LONGEST_LIFE_SECONDS = 0.25


@contextmanager
def publishing(path: Path, port: int) -> Iterator[tuple[History, MqttPublisher]]:
    """Open a history and publish its events on a thread."""
    with History(path) as history:
        sink = MqttPublisher(
            Broker("127.0.0.1", port),
            node="attic",
            sources=["door"],
            label_set=LabelSet((), ()),
            outbox=history,
            options=MqttOptions(retry_seconds=0.02, longest_retry_seconds=0.1),
        )
        thread = threading.Thread(target=sink.run, daemon=True)
        thread.start()
        try:
            yield history, sink
        finally:
            sink.close()
            thread.join(timeout=10)


def make_events(path: Path, port: int, run: int, accepted: Connection) -> None:
    """Begin and end sounds endlessly; send the number of each sound whose beginning and end were accepted."""
    with publishing(path, port) as (history, sink):
        accepted.send(0)
        number = 0
        while True:
            number += 1
            now = time.time()
            for event in (
                Event(f"{run}-{number}", "started", "Dog", "door", 0.5, now),
                Event(f"{run}-{number}", "ended", "Dog", "door", 0.75, now, now + 1.0),
            ):
                history.accept(event)
                sink.accept(event)
            accepted.send(number)


@dataclass(frozen=True)
class Outcome:
    """Outcome of killing the program again and again.

    Attributes
    ----------
    kills : int
        How often it was killed.
    accepted, stored, received : list of (str, str)
        Events that the program had taken, that are in the history, and that arrived (each one once, in the order
        in which they first came): (id, kind).
    duplicates : int
        Deliveries beyond the first.
    integrity : set of str
        What SQLite said about the file after each kill.
    unpublished : int
        Events in the history that wait, after all.
    """

    kills: int
    accepted: list[tuple[str, str]]
    stored: list[tuple[str, str]]
    received: list[tuple[str, str]]
    duplicates: int
    integrity: set[str]
    unpublished: int


def kill_again_and_again(path: Path, port: int, kills: int, chance: random.Random) -> Outcome:
    """Kill the program at random moments of its life, then let it end its work in peace."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["aiomqtt", "filelock", "numpy"])
    accepted: list[tuple[str, str]] = []
    integrity: set[str] = set()
    with Subscriber(port, TOPIC, qos=0) as subscriber:
        for run in range(kills):
            receiver, sender = processes.Pipe(duplex=False)
            process = processes.Process(target=make_events, args=(path, port, run, sender))
            process.start()
            sender.close()
            assert receiver.poll(30.0), "the program does not begin"
            time.sleep(chance.uniform(0.0, _LONGEST_LIFE_SECONDS))
            process.kill()
            process.join()
            accepted += [
                (f"{run}-{number}", kind) for number in _said(receiver) for kind in ("started", "ended")
            ]
            integrity.add(_ask(path, "PRAGMA integrity_check")[0][0])
        with publishing(path, port) as (history, _):
            wait_until(lambda: not history.pending(1), "all to be published", 60.0)
        messages = subscriber.messages
        stored = [(row[0], row[1]) for row in _ask(path, "SELECT id, kind FROM event ORDER BY seq")]
        wait_until(lambda: set(stored) <= set(_events(subscriber.messages)), "all to arrive")
        messages = subscriber.messages
    received = _events(messages)
    return Outcome(
        kills=kills,
        accepted=accepted,
        stored=stored,
        received=list(dict.fromkeys(received)),
        duplicates=len(received) - len(set(received)),
        integrity=integrity,
        unpublished=_ask(path, "SELECT count(*) FROM event WHERE published IS NOT 1")[0][0],
    )


def _said(receiver: Connection) -> list[int]:
    numbers = []
    try:
        while True:
            numbers.append(receiver.recv())
    except EOFError:
        return [number for number in numbers if number > 0]


def _events(messages: list[Received]) -> list[tuple[str, str]]:
    return [(payload["id"], payload["event_type"]) for payload in (message.json() for message in messages)]


def _ask(path: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
