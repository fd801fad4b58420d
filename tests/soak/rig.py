"""Earshot as users run it, with a broker that requires a password; the output of both is collected and checked."""

import json
import os
import secrets
import signal
import sqlite3
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from support.microphone import VirtualMicrophone
from support.mosquitto import Mosquitto, Received, Subscriber
from support.program import Program
from support.system import require
from support.waiting import START_SECONDS, wait_until

BASE = "earshot/soak"
SOUNDS = ("Speech", "Music", "Siren", "Telephone", "Alarm clock", "Piano")
PATIENCE_SECONDS = 60.0
_FEW_WINDOWS = 2
"""Windows of a source that may wait at once: one on the queue, and one at the tagger."""


class Earshot(Program):
    """Running program; each line of its output carries its arrival time by the monotonic clock."""

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self._process.kill()
        self.wait(PATIENCE_SECONDS)

    def tags_of(self, source: str) -> list[dict[str, Any]]:
        """Return all taggings of a source so far."""
        return [line for line in self.taggings if line["source"] == source]

    def wait_for_tags(self, source: str, count: int) -> list[dict[str, Any]]:
        """Wait for a number of further taggings of a source, and return them."""
        before = len(self.tags_of(source))
        wait_until(
            lambda: len(self.tags_of(source)) >= before + count, f"taggings of {source}", PATIENCE_SECONDS
        )
        return self.tags_of(source)[before:]

    def lateness_seconds(self, source: str, taggings: int = 12) -> float:
        """Return the delay of the index behind the clock: arbitrary, but constant. A busy machine adds to it, hence the minimum."""
        lateness: float = min(
            line["came"] - line["end_seconds"] for line in self.wait_for_tags(source, taggings)
        )
        return lateness

    def _read_taggings(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as written:
            for line in written:
                self.taggings.append(json.loads(line) | {"came": time.monotonic()})


class Rig:
    """Broker with an observer, and a home directory in which Earshot is started any number of times.

    Parameters
    ----------
    folder : Path
        Empty folder, whose path is short enough for a socket.

    Attributes
    ----------
    data : Path
        Folder of the program's history.
    """

    def __init__(self, folder: Path) -> None:
        require("mosquitto", "mosquitto_passwd")
        self.folder = folder
        self.data = folder / "data"
        self._password = secrets.token_hex(16)
        (folder / "mosquitto").mkdir()
        self.broker = Mosquitto(folder / "mosquitto", username="observer", password=self._password)
        self._observers: list[Subscriber] = []
        self._began = 0

    def __enter__(self) -> Self:
        self.start_broker()
        return self

    def __exit__(self, *_: object) -> None:
        for observer in self._observers:
            observer.__exit__()
        self.broker.stop()

    @contextmanager
    def listening(
        self, *options: str, environment: Mapping[str, str] | None = None, interrupt: bool = True
    ) -> Iterator[Earshot]:
        """Run the program from its first tagging until it is interrupted; then check what is promised whatever the fault.

        Parameters
        ----------
        options : str
            Options on its command line.
        environment : mapping of str to str
            Additional variables of its environment.
        interrupt : bool
            Interrupt the program at the end; False if it has ended by then.
        """
        self._began = len(self._messages)
        settings = self.folder / "earshot.toml"
        rule = "hits = 1, of = 1, minimum_off_seconds = 0.0"
        watched = ", ".join(f'{{ sound = "{sound}", threshold = 0.2, {rule} }}' for sound in SOUNDS)
        settings.write_text(f"watch = [{watched}]\n", encoding="utf-8")
        started = Earshot(
            *("--headless", "--offline", "--engine", "openvino", "--precision", "fp32", "--debug"),
            *("--config", str(settings), "--node", "soak"),
            *("--mqtt", f"mqtt://ear@127.0.0.1:{self.broker.port}", *options),
            environment=self._environment(environment or {}),
        )
        with started as program:
            try:
                wait_until(lambda: program.taggings, "the first tagging", START_SECONDS)
                command_line = program.command_line
                yield program
                if interrupt:
                    assert program.interrupt() == 130, "the program ends normally"
                    self.wait_for("status", "offline")
            except AssertionError as broken:
                broken.add_note("\n".join(line for line in program.log if line.startswith("20"))[-3000:])
                raise
        said = [*program.log, command_line, *(f"{each.topic} {each.text}" for each in self._messages)]
        assert not [line for line in said if self._password in line], "the password is nowhere in the output"
        assert not [line for line in program.log if "Traceback" in line], program.log
        for health in self.healths():
            self.check_account(health)
        if interrupt and not program.logged("left tagger behind"):  # it closes the account
            self.check_account(self.account, ended=True)

    def kill_broker(self) -> None:
        """Kill the broker."""
        self.broker.stop()
        self.broker.dismiss("ear")

    def start_broker(self) -> None:
        """Start the broker, and subscribe the observer before the program can connect."""
        self.broker.start()
        observer = Subscriber(self.broker.port, qos=0, username="observer", password=self._password)
        self._observers.append(observer.__enter__())
        self.broker.admit("ear", self._password)

    def publish(self, topic: str, text: str) -> None:
        """Publish on a topic of the node."""
        self._observers[-1].publish(f"{BASE}/{topic}", text)

    def said(self, topic: str) -> list[str]:
        """Return all messages on a topic of the node since the last start of the program, in order."""
        return [
            each.text
            for each in self._messages[self._began :]
            if each.topic == f"{BASE}/{topic}" and each.text
        ]

    @property
    def account(self) -> dict[str, Any]:
        """Newest health message: the final one once the program has ended."""
        return self.healths()[-1]

    def healths(self) -> list[dict[str, Any]]:
        """Return the health messages since the last start."""
        return [json.loads(text) for text in self.said("health")]

    @staticmethod
    def check_account(health: Mapping[str, Any], *, ended: bool = False) -> None:
        """Check the balance of an account exactly; at the end nothing waits."""
        for name, source in health["sources"].items():
            fates = ("windowed", "lost", "paused", "skipped", "waiting")
            accounted = sum(source[f"{fate}_samples"] for fate in fates)
            assert source["samples"] == accounted, f"{name}: {source}"
            waiting = source["cut_windows"] - source["windows"] - source["dropped_windows"]
            assert 0 <= waiting <= (0 if ended else _FEW_WINDOWS), f"{name}: {source}"
            assert not (ended and source["waiting_samples"]), f"{name}: {source}"

    def received(self) -> list[tuple[str, str]]:
        """Return the published events, (id, kind), with repetitions."""
        events = [
            each.json()
            for each in self._messages
            if each.topic.startswith(f"{BASE}/") and each.topic.endswith("/events")
        ]
        return [(event["id"], event["event_type"]) for event in events]

    def stored(self) -> list[tuple[str, str]]:
        """Return the events of the history, (id, kind), in order."""
        return [
            (identifier, kind) for identifier, kind in self.ask("SELECT id, kind FROM event ORDER BY seq")
        ]

    def ask(self, query: str) -> list[Any]:
        """Query the history."""
        file = self.data / "earshot" / "history.sqlite3"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10.0)) as connection:
            return connection.execute(query).fetchall()

    def check_events(self) -> str:
        """Wait until all events of the history have been published; check that none is lost or out of order."""
        stored = self.stored()
        assert stored, "there were events"
        wait_until(lambda: set(stored) <= set(self.received()), "all events to arrive", PATIENCE_SECONDS)
        received = self.received()
        firsts = [event for event in dict.fromkeys(received) if event in set(stored)]
        assert firsts == stored, "events arrive in order"
        twice = len(received) - len(set(received))
        return f"{len(stored)} events: 0 lost, 0 out of order, {twice} delivered twice"

    def wait_for(self, topic: str, text: str) -> float:
        """Wait for a text as the newest on a topic of the node; return the time by the monotonic clock."""
        wait_until(lambda: self.said(topic)[-1:] == [text], f"{topic} to be {text}", PATIENCE_SECONDS)
        return time.monotonic()

    @property
    def _messages(self) -> list[Received]:
        return [message for observer in self._observers for message in observer.messages]

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Return an environment without the user's settings, display and network."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("EARSHOT_")}
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            kept.pop(name, None)
        return kept | {
            "EARSHOT_MQTT_PASSWORD": self._password,
            "PYTHONWARNINGS": "error",
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_DATA_HOME": str(self.data),
            **more,
        }


def sound_server(microphone: VirtualMicrophone) -> int:
    """Return the process id of the sound server of a virtual microphone."""
    return int(
        (Path(microphone.environment["XDG_RUNTIME_DIR"]) / "pulse" / "pid").read_text(encoding="ascii")
    )


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process until the end of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def spread(seconds: Sequence[float], digits: int = 1) -> str:
    """Format the median and the maximum of some times."""
    return f"{statistics.median(seconds):.{digits}f} s (at most {max(seconds):.{digits}f} s)"
