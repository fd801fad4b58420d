"""The HTTP interface: what is heard as JSON, and the switches."""

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from streamer.messages import EventQuery

from .actions import Actions
from .calls import Calls
from .errors import BusyError, WebError
from .hub import Hub, with_clip_address
from .summary import summarise

MOST_BODY_BYTES = 16 * 1024
MOST_EVENTS = 1_000

_CALL_SECONDS = 15.0
_BODY_SECONDS = 15.0
_SUMMARY_EVENTS = 50_000
_READERS = 2
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST_NAME = 300

Result = TypeVar("Result")


class RequestError(Exception):
    """A request that can't be answered: a status, and a sentence for its sender."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Api:
    """Answers of the HTTP interface.

    Parameters
    ----------
    hub : Hub
        What is heard.
    actions : Actions
        Functions of the program.
    calls : Calls
        Way to the main thread.
    has_password : bool
        True if browsers can log out.
    """

    def __init__(self, hub: Hub, actions: Actions, calls: Calls, *, has_password: bool) -> None:
        self._has_password = has_password
        self._hub = hub
        self._actions = actions
        self._calls = calls
        self._reading = asyncio.Semaphore(_READERS)

    def routes(self) -> list[Route]:
        """Return the routes."""
        get: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "status": self.status,
            "sources": self.sources,
            "tags": self.tags,
            "health": self.health,
            "sounds": self.sounds,
            "events": self.events,
            "events/{id}/clip": self.clip,
            "summary": self.summary,
        }
        post: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "listening": self.listening,
            "watch": self.watch,
            "unwatch": self.unwatch,
            "save": self.save,
        }
        return [
            *(Route(f"/api/v1/{name}", _answering(answer), methods=["GET"]) for name, answer in get.items()),
            *(
                Route(f"/api/v1/{name}", _answering(answer), methods=["POST"])
                for name, answer in post.items()
            ),
        ]

    async def status(self, _request: Request) -> Response:
        """Return what runs, and who follows."""
        health = self._hub.state.health
        return self._json(
            {
                "version": self._actions.version,
                "model": "" if health is None else health.model,
                "device": "" if health is None else health.device,
                "broker": "none" if health is None else health.broker,
                "uptime_seconds": None if health is None else round(health.uptime_seconds, 1),
                "sources": list(self._hub.sources),
                "browsers": self._hub.client_count,
                "missed_packets": self._hub.dropped,
                "has_password": self._has_password,
            }
        )

    async def sources(self, _request: Request) -> Response:
        """Return the sources, with their state and watched sounds."""
        state = self._hub.state
        entries = []
        for entry in self._hub.sources_payload()["sources"]:
            status, tagging = state.statuses.get(entry["name"]), state.taggings.get(entry["name"])
            entries.append(
                {
                    **entry,
                    "online": status is not None and status.online,
                    "reason": "" if status is None else status.reason,
                    "level_dbfs": None if tagging is None else round(tagging.level_dbfs, 1),
                }
            )
        return self._json({"sources": entries})

    async def tags(self, request: Request) -> Response:
        """Return the newest tags of all sources, or of one."""
        taggings = self._hub.state.taggings
        names = [request.query_params["source"]] if "source" in request.query_params else self._hub.sources
        found = [self._hub.describe(taggings[name]) for name in names if name in taggings]
        return self._json({"tags": found})

    async def health(self, _request: Request) -> Response:
        """Return the health; 503 before the first."""
        health = self._hub.state.health
        if health is None:
            raise RequestError(503, "Earshot is starting; try again in a few seconds")
        return self._json(self._hub.describe(health))

    async def sounds(self, _request: Request) -> Response:
        """Return the names of all sounds that can be watched."""
        return self._json({"sounds": list(self._actions.sounds)})

    async def events(self, request: Request) -> Response:
        """Return events of the history, newest first."""
        query = _event_query(request)
        occurrence = self._hub.descriptions.occurrence
        found = await self._read(
            lambda: [with_clip_address(dict(occurrence(event))) for event in self._actions.read_events(query)]
        )
        return self._json({"events": found})

    async def summary(self, request: Request) -> Response:
        """Return the number of starts of each sound in each hour of the day."""
        query = _event_query(request, limit=_SUMMARY_EVENTS)
        return self._json(await self._read(lambda: summarise(self._actions.read_events(query))))

    async def clip(self, request: Request) -> Response:
        """Return the sound of an event as FLAC."""
        identifier = request.path_params["id"]
        if not _ID.fullmatch(identifier):
            raise RequestError(404, "there is no such event")
        file = await self._read(lambda: self._actions.find_clip(identifier))
        if file is None:
            raise RequestError(404, "this event has no clip, or it has been deleted")
        headers = {"cache-control": "private, max-age=3600"}
        kind = "attachment" if "download" in request.query_params else "inline"
        return FileResponse(
            file,
            media_type="audio/flac",
            filename=file.name,
            headers=headers,
            content_disposition_type=kind,
        )

    async def listening(self, request: Request) -> Response:
        """Switch a source on or off."""
        body = await read_body(request)
        source, on = self._source(body), body.get("on")
        if not isinstance(on, bool):
            raise RequestError(400, "on must be true or false")
        await self._call(lambda: self._actions.set_listening(source, on))
        self._hub.renew_sources()
        return self._json({})

    async def watch(self, request: Request) -> Response:
        """Watch for a sound, or change its threshold."""
        body = await read_body(request)
        source, sound, threshold = self._source(body), _text(body, "sound"), body.get("threshold")
        if threshold is not None and not (_is_number(threshold) and 0.0 < threshold <= 1.0):
            raise RequestError(400, "threshold must be a number above 0, up to 1")
        limit = None if threshold is None else float(threshold)
        await self._call(lambda: self._actions.watch(source, sound, limit))
        self._hub.renew_sources()
        return self._json({})

    async def unwatch(self, request: Request) -> Response:
        """Stop watching for a sound."""
        body = await read_body(request)
        source, sound = self._source(body), _text(body, "sound")
        await self._call(lambda: self._actions.unwatch(source, sound))
        self._hub.renew_sources()
        return self._json({})

    async def save(self, request: Request) -> Response:
        """Write the watched sounds and thresholds to the settings file."""
        await read_body(request)
        return self._json({"file": await self._call(self._actions.save_settings)})

    def _source(self, body: dict[str, Any]) -> str:
        source = _text(body, "source")
        if source not in self._hub.sources:
            raise RequestError(404, "there is no source of this name")
        return source

    async def _call(self, call: Callable[[], Result]) -> Result:
        """Let the main thread call a function; return its result."""
        async with asyncio.timeout(_CALL_SECONDS):
            return await asyncio.wrap_future(self._calls.submit(call))

    async def _read(self, read: Callable[[], Result]) -> Result:
        """Read from the disk on another thread, a few at a time."""
        async with self._reading:
            return await asyncio.to_thread(read)

    def _json(self, payload: dict[str, Any]) -> Response:
        return Response(self._hub.descriptions.to_json(payload), media_type="application/json")


async def read_body(request: Request) -> dict[str, Any]:
    """Return the JSON object that a request brings.

    Raises
    ------
    RequestError
        It is too large, comes too slowly, or is no JSON object.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # a form of another site can't send it
        raise RequestError(415, "send JSON, with the header Content-Type: application/json")
    content = b""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.stream():
                content += part
                if len(content) > MOST_BODY_BYTES:
                    raise RequestError(413, f"the body must not be larger than {MOST_BODY_BYTES} bytes")
    except TimeoutError:
        raise RequestError(408, "the body did not arrive in time") from None
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise RequestError(400, "the body is not valid JSON") from None
    if not isinstance(body, dict):
        raise RequestError(400, "the body must be a JSON object")
    return body


def refused(error: RequestError) -> Response:
    """Return the answer to a request that can't be answered."""
    return JSONResponse({"error": str(error)}, error.status)


def _answering(
    answer: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """Turn errors into answers."""

    async def answering(request: Request) -> Response:
        try:
            return await answer(request)
        except RequestError as error:
            return refused(error)
        except BusyError as error:
            return refused(RequestError(503, str(error)))
        except WebError as error:
            return refused(RequestError(400, str(error)))
        except TimeoutError:
            return refused(RequestError(503, "Earshot is busy; try again"))
        except ClientDisconnect:
            return refused(RequestError(400, "the connection was closed"))

    return answering


def _event_query(request: Request, *, limit: int | None = None) -> EventQuery:
    """Return what a request asks for.

    Raises
    ------
    RequestError
        A value is malformed.
    """
    given = request.query_params
    wanted = _number(given.get("limit", "100"), "limit")
    if not 1 <= wanted <= MOST_EVENTS:
        raise RequestError(400, f"limit must be 1 to {MOST_EVENTS}")
    return EventQuery(
        since=_time(given.get("since"), "since"),
        until=_time(given.get("until"), "until"),
        labels=_names(given.getlist("label"), "label"),
        sources=_names(given.getlist("source"), "source"),
        least_score=_number(given.get("score", "0"), "score"),
        limit=int(wanted) if limit is None else limit,
    )


def _names(names: Sequence[str], what: str) -> tuple[str, ...]:
    if len(names) > 50 or any(len(name) > _LONGEST_NAME for name in names):
        raise RequestError(400, f"{what} can be given 50 times, with {_LONGEST_NAME} characters each")
    return tuple(names)


def _number(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RequestError(400, f"{what} must be a number")
    return number


def _time(text: str | None, what: str) -> float | None:
    """Return a Unix time in seconds, from one or from an ISO date."""
    if not text:
        return None
    try:
        return _number(text, what)
    except RequestError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise RequestError(400, f"{what} must be a Unix time, or a date such as 2026-03-01T18:30") from None


def _text(body: dict[str, Any], what: str) -> str:
    text = body.get(what)
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_NAME:
        raise RequestError(400, f"{what} must be text of 1 to {_LONGEST_NAME} characters")
    return text


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
