"""A page that is really served, above a program without sound or model, and ways to ask it."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from earshot.recordings import read_recording
from earshot.web_events import exports
from models.log_mel import log_mel
from streamer.events.names import names_in
from streamer.events.quiet import check_quiet
from streamer.messages import (
    AudioChunk,
    Event,
    EventQuery,
    Health,
    Mark,
    Occurrence,
    SourceStatus,
    Tagging,
    Watched,
)
from streamer.runtime.threads import ThreadGroup
from streamer.sinks import payloads
from support.waiting import PATIENCE_SECONDS, wait_until
from web.actions import Actions, Descriptions, MaintenanceActions, NoteActions, Place
from web.calls import Calls
from web.errors import WebError
from web.guard import Access
from web.hub import Hub
from web.listening import Listening
from web.server import WebServer

LABELS = ("Speech", "Dog", "Smoke detector, smoke alarm")
LABEL_SET = payloads.LabelSet(LABELS, (None, None, None))
DESCRIPTIONS = Descriptions(
    tagging=lambda one, top: payloads.tags_payload(one, LABEL_SET, top, one.latency_seconds),
    label=lambda index: LABEL_SET.labels[index],
    event=payloads.event_payload,
    occurrence=payloads.occurrence_payload,
    health=payloads.health_payload,
    to_json=payloads.to_json,
)
KEY = bytes(range(32))


def tagging(source: str = "kitchen", *scores: float, ended_at: float = 1_790_000_000.0) -> Tagging:
    """Return a tagging with a score for each label."""
    given = np.array(scores or (0.1, 0.8, 0.2), np.float32)
    return Tagging(source, 0, 16_000, ended_at, given, -30.0, 0.2)


def event(identifier: str, label: str = "Dog", *, source: str = "kitchen", **more: Any) -> Event:
    """Return the end of a sound."""
    values = {"score": 0.8, "started_at": 1_790_000_000.0, "ended_at": 1_790_000_004.5} | more
    return Event(identifier, "ended", label, source, **values)


HEALTH = Health(12.0, 7, 2, 1, 0.0, 0, 0.2, 0.3, 0.4, "tiny", "cpu", "connected")


@dataclass
class House:
    """Stand-in for the program: watched sounds, switches and a history."""

    thresholds: dict[str, float] = field(default_factory=lambda: {"Dog": 0.5, "Smoke alarm": 0.25})
    quiet: dict[str, str] = field(default_factory=dict)
    switched: list[tuple[str, bool]] = field(default_factory=list)
    history: list[Event] = field(default_factory=list)
    clips: dict[str, Path] = field(default_factory=dict)
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)
    has_history: bool = True
    saved: int = 0
    checked: int = 0
    calibration: dict[str, Any] = field(
        default_factory=lambda: {
            "phase": "none",
            "seconds": 0.0,
            "total_seconds": 0.0,
            "reason": "",
            "sounds": [],
        }
    )
    called_on: set[str] = field(default_factory=set)

    def actions(self) -> Actions:
        """Return what the page is handed."""
        return Actions(
            version="1.2.3",
            sounds=lambda: ("Dog", "Smoke alarm", "Siren", *LABELS),
            watched=lambda _source: [
                Watched(name, (1,) if name == "Dog" else (2,), (threshold,), self.quiet.get(name, "never"))
                for name, threshold in self.thresholds.items()
            ],
            watch=self._watch,
            unwatch=lambda _source, name: self.thresholds.__delitem__(name),
            names=names_in,
            set_quiet=self._set_quiet,
            set_listening=self._switch,
            is_listening=lambda source: dict(self.switched).get(source, True),
            save_settings=self._save,
            read_events=self._read,
            find_clip=self.clips.get,
            maintenance=MaintenanceActions(
                findings=self._check,
                calibration=self._progress,
                start_calibration=self._start_calibration,
                stop_calibration=lambda: self.calibration.update(phase="done"),
                apply_calibration=self._apply_calibration,
            ),
            notes=NoteActions(mark=self._mark, keep_clip=self._keep_clip, delete=self._delete)
            if self.has_history
            else None,
            read_clip=lambda identifier: (
                read_recording(self.clips[identifier]) if identifier in self.clips else None
            ),
            exports=exports(),
        )

    def _mark(self, identifier: str, mark: Mark | None) -> None:
        self._note(identifier, mark=mark)

    def _keep_clip(self, identifier: str, keep: bool) -> None:
        self._note(identifier, keeps_clip=keep)

    def _delete(self, identifier: str) -> None:
        self.history.remove(self._find(identifier))

    def _note(self, identifier: str, **note: Any) -> None:
        self._find(identifier)
        self.notes[identifier] = {**self.notes.get(identifier, {}), **note}

    def _find(self, identifier: str) -> Event:
        for found in self.history:
            if found.id == identifier:
                return found
        raise WebError("there is no such event in the history")

    def _watch(self, _source: str, name: str, threshold: float | None) -> None:
        self.called_on.add(threading.current_thread().name)
        if name == "quux":
            raise WebError("there is no sound 'quux': see earshot sounds")
        self.thresholds[name] = threshold or 0.3

    def _set_quiet(self, _source: str, name: str, quiet: str) -> None:
        try:
            self.quiet[name] = check_quiet(quiet)
        except ValueError as error:
            raise WebError(f"quiet hours of '{name}' {error}") from None

    def _switch(self, source: str, on: bool) -> None:
        self.switched.append((source, on))

    def _save(self) -> str:
        self.saved += 1
        return "/home/me/earshot.toml"

    def _check(self) -> list[dict[str, Any]]:
        self.checked += 1
        return [
            {"check": "source kitchen", "state": "ok", "found": "good sound", "advice": "", "figures": {}},
            {
                "check": "speed",
                "state": "warning",
                "found": "inference takes 93% of the time",
                "advice": "use a smaller model, a longer hop or fewer sources",
                "figures": {},
            },
            {"check": "broker", "state": "failed", "found": "refused", "advice": "check it", "figures": {}},
        ]

    def _progress(self) -> dict[str, Any]:
        """Return the progress; each look is a step."""
        if self.calibration["phase"] == "running":
            self.calibration["seconds"] += 1.0
        return dict(self.calibration)

    def _start_calibration(self, seconds: float) -> None:
        if seconds < 10.0:
            raise WebError("calibrate for 10 s to 24 h")
        sounds = [
            {
                "source": None,
                "sound": name,
                "threshold": threshold,
                "highest": 0.55,
                "events": 1,
                "proposed": 0.605 if threshold < 0.55 else None,
                "hopeless": False,
            }
            for name, threshold in self.thresholds.items()
        ]
        self.calibration |= {"phase": "running", "seconds": 0.0, "total_seconds": seconds, "sounds": sounds}

    def _apply_calibration(self) -> str:
        for entry in self.calibration["sounds"]:
            self.thresholds[entry["sound"]] = entry["proposed"] or entry["threshold"]
        self.calibration |= {"phase": "none", "sounds": []}
        return self._save()

    def _read(self, query: EventQuery, after: Place | None) -> list[Occurrence]:
        found = [
            Occurrence(**asdict(one), **self.notes.get(one.id, {}))
            for one in self.history
            if (not query.labels or one.label in query.labels)
            and (query.since is None or one.started_at >= query.since)
            and (query.until is None or one.started_at < query.until)
            and (after is None or (one.started_at, one.id) < after)
        ]
        return sorted(found, key=lambda one: (one.started_at, one.id), reverse=True)[: query.limit]


@dataclass(frozen=True)
class Answer:
    """Answer to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: Sequence[str] = ()

    @property
    def json(self) -> Any:
        """Content."""
        return json.loads(self.body)


class Page:
    """A page that is served.

    Parameters
    ----------
    server : WebServer
        Its server.
    hub : Hub
        Its sink.
    house : House
        The program behind it.
    listening : Listening, optional
        Lets browsers listen along.
    """

    def __init__(self, server: WebServer, hub: Hub, house: House, listening: Listening | None = None) -> None:
        self.server, self.hub, self.house, self.listening = server, hub, house, listening

    @property
    def address(self) -> str:
        """Address of the page."""
        return self.server.address

    def ask(self, path: str, body: object = None, **headers: str) -> Answer:
        """Send a request, with a body of JSON or of bytes; underscores in the names of headers become hyphens."""
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if content is not None:
            named.setdefault("content-type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET" if content is None else "POST", path, content, named)
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read(), answer.headers.get_all("set-cookie") or ())
        finally:
            connection.close()

    def get(self, name: str, **headers: str) -> Answer:
        """Ask for a part of the interface."""
        return self.ask(f"/api/v1/{name}", **headers)

    def post(self, name: str, body: object, **headers: str) -> Answer:
        """Call an action of the interface."""
        return self.ask(f"/api/v1/{name}", body, **headers)

    def log_in(self, password: str) -> str:
        """Log in; return the header of the session."""
        answer = self.post("login", {"password": password})
        assert answer.status == 200, answer.body
        return answer.headers["set-cookie"].partition(";")[0]

    def hear(self, source: str = "kitchen", seconds: float = 1.0, start_sample: int = 0) -> None:
        """Pass on a tone."""
        tone = 0.3 * np.sin(np.arange(round(seconds * 16_000)) * 0.4).astype(np.float32)
        chunk = AudioChunk(tone, start_sample, time.time())
        self.hub.add_chunk(source, chunk)
        if self.listening is not None:
            self.listening.add_chunk(source, chunk)

    def fill(self) -> None:
        """Pass on a message of each kind."""
        for message in (SourceStatus("kitchen", True), tagging(), event("1"), HEALTH):
            self.hub.accept(message)
        wait_until(lambda: self.get("health").status == 200, "the messages")


@contextmanager
def serving(
    *,
    password: str = "",
    token: str = "",
    path: str = "",
    ingress: str = "",
    audio: bool = False,
    sources: tuple[str, ...] = ("kitchen",),
    house: House | None = None,
    before: Callable[[Hub], None] = lambda _hub: None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[Page]:
    """Serve a page in a thread of the group, as the program does; another thread takes the part of the main thread."""
    house = house or House()
    hub, calls, ending = Hub(sources, DESCRIPTIONS, log_mel), Calls(), threading.Event()
    access = Access(password=password, token=token, path=path, ingress=ingress)
    listening = Listening(hub) if audio else None
    server = WebServer(
        hub,
        calls,
        host=host,
        port=port,
        access=access,
        key=KEY + password.encode(),
        listening=listening,
    )
    server.set_actions(house.actions())
    before(hub)

    def main() -> None:
        while not ending.wait(0.02):
            calls.carry_out()

    with ThreadGroup(PATIENCE_SECONDS) as threads:
        threads.start("web", server.run, server.close)
        threads.start("main thread", main, ending.set)
        yield Page(server, hub, house, listening)
