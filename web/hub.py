"""The sink of the page: what is heard goes to all browsers, and none of them is waited for."""

import asyncio
import math
import struct
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeAlias

from streamer.messages import (
    SAMPLE_RATE_HZ,
    AudioChunk,
    Event,
    Health,
    Message,
    Occurrence,
    SourceStatus,
    Tagging,
    Watched,
)

from .actions import Descriptions, LogMelFunction, Payload
from .errors import BusyError
from .queues import Mailbox
from .spectrogram import RowBlock, Rows

Packet: TypeAlias = str | bytes
"""Packet for a browser: JSON, or rows of a spectrogram."""

MOST_CLIENTS = 64
KEPT_EVENTS = 100

_WAITING_EVENTS = 256
_WAITING_ROWS = 64
"""Packets of rows that wait for a slow browser, of each source: the last six seconds."""
_WAITING_SAMPLES = 4 * SAMPLE_RATE_HZ
_PERIOD_SECONDS = 0.1

_HEADER = struct.Struct("<HHhhHxxId")
"""Kind (1), number of the source, level and peak in tenths of a dB, number of rows, first row, time of row 0."""
_ROWS_KIND = 1


class Client:
    """A browser or a script that follows what is heard. Used on the server's thread only.

    Parameters
    ----------
    sees_sound : bool
        True if it gets the rows of spectrograms.
    """

    def __init__(self, *, sees_sound: bool) -> None:
        self.sees_sound = sees_sound
        self.closed = False
        self._news = asyncio.Event()
        self.mailbox: Mailbox[Packet] = Mailbox(_WAITING_EVENTS, self._news.set)

    def put(self, packet: Packet, key: Hashable | None) -> None:
        """Add a packet; one with a key replaces the one that waits with this key.

        A client that misses one without a key is closed: when it connects again, it gets the newest of everything.
        """
        if not self.mailbox.put(packet, key):
            self.close()

    async def packets(self, timeout_seconds: float) -> list[Packet]:
        """Wait for packets and return all that wait; none after the timeout, or once the client is closed."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._news.wait()
        except TimeoutError:
            return []
        self._news.clear()
        return [] if self.closed else self.mailbox.take()

    def close(self) -> None:
        """Let the connection end."""
        self.closed = True
        self._news.set()


class _Sound:
    """Chunks of all sources on their way to rows of spectrograms; the oldest are dropped beyond four seconds."""

    def __init__(self, log_mel: LogMelFunction) -> None:
        self._log_mel = log_mel
        self._rows: dict[str, Rows] = {}
        self._lock = threading.Lock()
        self._waiting: dict[str, deque[AudioChunk]] = {}
        self._round = 0

    def put(self, source: str, chunk: AudioChunk) -> None:
        """Add a chunk, from any thread."""
        with self._lock:
            waiting = self._waiting.setdefault(source, deque())
            waiting.append(chunk)
            while len(waiting) > 1 and chunk.start_sample - waiting[0].start_sample > _WAITING_SAMPLES:
                waiting.popleft()
            while len(waiting) > _WAITING_SAMPLES // 16:  # tiny chunks
                waiting.popleft()

    def clear(self) -> None:
        """Forget all sound: what comes next is no continuation."""
        with self._lock:
            self._waiting = {}
        self._rows.clear()

    def packets(self, names: Sequence[str]) -> Iterator[tuple[Hashable, bytes]]:
        """Yield the new rows of these sources, each with its key, and forget the others.

        Keys come again after some rounds, so that the newest rows replace the oldest that wait.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        self._round = (self._round + 1) % _WAITING_ROWS
        for source, chunks in waiting.items():
            if source in names:
                block = self._rows.setdefault(source, Rows(self._log_mel)).extend(chunks)
                if block is not None:
                    yield ("rows", source, self._round), _packed(names.index(source), block)
        for gone in self._rows.keys() - set(names):
            del self._rows[gone]


class Hub:
    """Newest results of all sources, and the browsers that follow them.

    `accept`, `add_chunk`, `set_sources`, `renew_sources` and `note_elsewhere` may be called from any thread and return at once;
    everything else happens on the server's thread, in `run`.

    Parameters
    ----------
    sources : sequence of str
        Names of the sources at the start.
    descriptions : Descriptions
        Functions that turn messages into JSON objects.
    log_mel : callable
        See `LogMelFunction`.
    top : int
        Number of tags; it can change at any time.
    """

    def __init__(
        self, sources: Sequence[str], descriptions: Descriptions, log_mel: LogMelFunction, top: int = 5
    ) -> None:
        self.descriptions, self.log_mel, self.top = descriptions, log_mel, top
        self.watched: Callable[[str], Sequence[Watched]] = lambda _source: ()
        self.is_listening: Callable[[str], bool] = lambda _source: True
        self._names = self._numbered = tuple(sources)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._inbox: Mailbox[Message | None] = Mailbox(_WAITING_EVENTS, partial(self._call, self._news.set))
        self._sound = _Sound(log_mel)
        self._clients: set[Client] = set()
        self._dropped = 0
        self.state = _State()

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources."""
        return self._names

    @property
    def client_count(self) -> int:
        """Number of browsers and scripts that follow."""
        return len(self._clients)

    @property
    def dropped(self) -> int:
        """Number of packets that slow browsers have missed."""
        return self._dropped + sum(client.mailbox.dropped for client in self._clients)

    def accept(self, message: Message) -> None:
        """Pass a message on."""
        key = None if isinstance(message, Event) else (type(message), getattr(message, "source", ""))
        self._inbox.put(message, key)

    def add_chunk(self, source: str, chunk: AudioChunk) -> None:
        """Pass sound on, if anybody sees it."""
        if self._clients:
            self._sound.put(source, chunk)

    def set_sources(self, sources: Sequence[str]) -> None:
        """Replace the list of sources."""
        self._names = tuple(sources)
        self.renew_sources()

    def renew_sources(self) -> None:
        """Tell the browsers the sources once more: their watched sounds or switches have changed."""
        self._inbox.put(None, "sources")

    def note(self, identifier: str, **note: object) -> None:
        """Tell all browsers about a note on an event."""
        self.state.add_note(identifier, note)
        self._send(self._text("note", {"id": identifier, **note}), None)

    def note_elsewhere(self, identifier: str, **note: object) -> None:
        """Tell all browsers about a note that was not made on the page."""
        self._call(partial(self.note, identifier, **note))

    def tell(self, kind: str, payload: Payload) -> None:
        """Tell all browsers the newest of a kind, and those that come later."""
        self.state.told[kind] = payload
        self._send(self._text(kind, payload), kind)

    def forget(self, identifier: str) -> None:
        """Tell all browsers that an event was deleted."""
        self.state.forget(identifier)
        self._send(self._text("deleted", {"id": identifier}), None)

    async def run(self) -> None:
        """Pass messages and sound on until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._news.set()  # messages may have come before
        while True:
            await self._wait()
            for message in self._inbox.take():
                self._pass_on(message)
            if self._is_seen:
                for key, packet in self._sound.packets(self._numbered):
                    self._send(packet, key, sound=True)

    def close(self) -> None:
        """Let all connections end."""
        for client in self._clients:
            client.close()

    @contextmanager
    def following(self, *, sees_sound: bool) -> Iterator[Client]:
        """Add a client, which first gets the newest of everything.

        Raises
        ------
        BusyError
            There are too many.
        """
        if len(self._clients) >= MOST_CLIENTS:
            raise BusyError(f"{MOST_CLIENTS} browsers are connected; close one of them")
        if sees_sound and not self._is_seen:
            self._sound.clear()
        client = Client(sees_sound=sees_sound)
        for key, packet in self.greeting():
            client.put(packet, key)
        self._clients.add(client)
        self._news.set()
        try:
            yield client
        finally:
            self._clients.discard(client)
            self._dropped += client.mailbox.dropped

    def greeting(self) -> Iterator[tuple[Hashable, Packet]]:
        """Yield the newest of everything, each with its key."""
        yield "sources", self._text("sources", self.sources_payload(self._numbered))
        for message in self.state.messages(self._names):
            yield self._described(message)
        events = [self.describe(event) for event in self.state.events]
        yield "events", self._text("events", {"events": events})
        for kind, payload in self.state.told.items():
            yield kind, self._text(kind, payload)

    def sources_payload(self, names: Sequence[str] | None = None) -> Payload:
        """Return the sources, or those with these names, with their watched sounds and switches."""
        return {
            "sources": [
                _source_payload(name, self.watched(name), listening=self.is_listening(name))
                for name in (self._names if names is None else names)
            ]
        }

    def describe(self, message: Message) -> dict[str, Any]:
        """Return the JSON object of a message."""
        match message:
            case Tagging():
                watched = self.watched(message.source)
                return _tagging_payload(message, self.descriptions, self.top, watched)
            case Event():
                payload = {"source": message.source, **self.descriptions.event(message)}
                return with_clip_address({**payload, **self.state.notes.get(message.id, {})})
            case SourceStatus():
                return {"source": message.source, "online": message.online, "reason": message.reason}
            case Health():
                return dict(self.descriptions.health(message))

    @property
    def _is_seen(self) -> bool:
        """True if a browser shows spectrograms."""
        return any(client.sees_sound for client in self._clients)

    def _call(self, do: Callable[[], None]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the server has ended, and listening goes on for a moment
                self._loop.call_soon_threadsafe(do)

    async def _wait(self) -> None:
        """Wait for news; while somebody sees sound, at most for a tenth of a second."""
        if self._is_seen:
            await asyncio.sleep(_PERIOD_SECONDS)
        else:
            await self._news.wait()
        self._news.clear()

    def _pass_on(self, message: Message | None) -> None:
        if message is None:
            self._numbered = self._names  # rows have the numbers of the list that browsers have
            self._send(self._text("sources", self.sources_payload(self._numbered)), "sources")
            return
        self.state.add(message)
        if self._clients:
            key, packet = self._described(message)
            self._send(packet, None if isinstance(message, Event) else key)

    def _described(self, message: Message) -> tuple[Hashable, Packet]:
        kind = type(message).__name__.lower()
        return (kind, getattr(message, "source", "")), self._text(kind, self.describe(message))

    def _text(self, kind: str, payload: Payload) -> str:
        return self.descriptions.to_json({"type": kind, **payload})

    def _send(self, packet: Packet, key: Hashable | None, *, sound: bool = False) -> None:
        for client in self._clients:
            if client.sees_sound or not sound:
                client.put(packet, key)


class _State:
    """Newest message of each kind and source, the newest events, and what else the browsers were told. A source that is offline has no tags."""

    def __init__(self) -> None:
        self.taggings: dict[str, Tagging] = {}
        self.statuses: dict[str, SourceStatus] = {}
        self.health: Health | None = None
        self.notes: dict[str, dict[str, object]] = {}
        self.told: dict[str, Payload] = {}
        self._events: OrderedDict[str, Event] = OrderedDict()

    @property
    def events(self) -> list[Event]:
        """Newest state of the newest events, in the order in which they began."""
        return list(self._events.values())

    def add(self, message: Message) -> None:
        """Keep a message."""
        match message:
            case Tagging():
                if self._may_be_on(message.source):
                    self.taggings[message.source] = message
            case SourceStatus():
                self.statuses[message.source] = message
                if not message.online:
                    self.taggings.pop(message.source, None)
            case Health():
                self.health = message
            case Event():
                self._events[message.id] = message
                if len(self._events) > KEPT_EVENTS:
                    self.notes.pop(self._events.popitem(last=False)[0], None)

    def add_past(self, events: Iterable[Event]) -> None:
        """Keep events of the history, in the order in which they began, before the hub runs."""
        for event in events:
            self.add(event)
            if isinstance(event, Occurrence):
                self.add_note(event.id, {"mark": event.mark, "clip_kept": event.keeps_clip})

    def add_note(self, identifier: str, note: dict[str, object]) -> None:
        """Keep a note on an event, unless the event is old."""
        if identifier in self._events:
            self.notes[identifier] = {**self.notes.get(identifier, {}), **note}

    def forget(self, identifier: str) -> None:
        """Forget an event."""
        self._events.pop(identifier, None)
        self.notes.pop(identifier, None)

    def _may_be_on(self, source: str) -> bool:
        status = self.statuses.get(source)
        return status is None or status.online

    def messages(self, sources: Sequence[str]) -> Iterator[Message]:
        """Yield what a new browser needs, of these sources."""
        for source in sources:
            if source in self.statuses:
                yield self.statuses[source]
            if source in self.taggings:
                yield self.taggings[source]
        if self.health is not None:
            yield self.health


def _tagging_payload(
    tagging: Tagging, descriptions: Descriptions, top: int, watched: Sequence[Watched]
) -> dict[str, Any]:
    heard = [descriptions.label(label) for label in _heard(tagging, watched)]
    scores = [[one.name, _rounded(tagging.score_of(one.labels))] for one in watched]
    return {
        "source": tagging.source,
        **descriptions.tagging(tagging, top),
        "watched": scores,
        "heard": heard,
    }


def _source_payload(name: str, watched: Sequence[Watched], *, listening: bool) -> Payload:
    sounds = [
        {"sound": one.name, "threshold": round(one.threshold, 4), "quiet": one.quiet} for one in watched
    ]
    return {"name": name, "listening": listening, "watched": sounds}


def clip_address(identifier: str) -> str:
    """Return the address of an event's clip, below that of the page."""
    return f"api/v1/events/{identifier}/clip"


def with_clip_address(payload: dict[str, Any]) -> dict[str, Any]:
    """Replace the path of a clip, which is nobody's business, by its address."""
    if payload.get("clip") is not None:
        payload["clip"] = clip_address(payload["id"])
    return payload


def _heard(tagging: Tagging, watched: Sequence[Watched]) -> list[int]:
    """Return the labels of watched sounds that reach their thresholds."""
    pairs = (pair for one in watched for pair in zip(one.labels, one.thresholds, strict=True))
    return sorted({label for label, threshold in pairs if tagging.score_of((label,)) >= threshold})


def _rounded(score: float) -> float | None:
    return round(score, 4) if math.isfinite(score) else None


def _packed(number: int, block: RowBlock) -> bytes:
    header = _HEADER.pack(
        _ROWS_KIND,
        number,
        round(10 * block.level_dbfs),
        round(10 * block.peak_dbfs),
        len(block.values),
        block.first & 0xFFFFFFFF,
        block.started_at,
    )
    return header + block.values.tobytes()
