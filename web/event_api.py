"""The HTTP interface of events: the history, clips, notes and exports."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from .actions import Actions, NoteActions
from .answers import RequestError, flag_in, read_body, routes_of
from .event_query import event_query, place_in, place_of, time_in, zone_in
from .hub import Hub, clip_address, with_clip_address
from .spectrogram import clip_rows
from .summary import summarise

_SUMMARY_EVENTS = 50_000
_EXPORTED_EVENTS = 50_000
_READERS = 2
_MARKS = ("right", "wrong", None)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

Result = TypeVar("Result")


class EventApi:
    """Answers about events.

    Parameters
    ----------
    hub : Hub
        What is heard, and the browsers that hear of changes.
    actions : Actions
        Functions of the program.
    """

    def __init__(self, hub: Hub, actions: Actions) -> None:
        self._hub = hub
        self._actions = actions
        self._reading = asyncio.Semaphore(_READERS)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            *routes_of(
                "GET",
                {
                    "events": self.events,
                    "events/{id}/clip": self.clip,
                    "events/{id}/spectrogram": self.spectrogram,
                    "summary": self.summary,
                    "export/{format}": self.export,
                },
            ),
            *routes_of(
                "POST",
                {
                    "events/{id}/mark": self.mark,
                    "events/{id}/keep": self.keep,
                    "events/{id}/delete": self.delete,
                },
            ),
        ]

    async def events(self, request: Request) -> Response:
        """Return events of the history, newest first, and where the next page begins."""
        query, after = event_query(request), place_in(request, "after")
        occurrence = self._hub.descriptions.occurrence

        def read() -> dict[str, Any]:
            events = self._actions.read_events(query, after)
            found = [with_clip_address(dict(occurrence(event))) for event in events]
            return {"events": found, "next": place_of(events[-1]) if len(events) == query.limit else None}

        return self._json(await self._read(read))

    async def summary(self, request: Request) -> Response:
        """Return the number of starts of each sound by hour of the day, and of all sounds by weekday and by day."""
        query, zone = event_query(request, limit=_SUMMARY_EVENTS), zone_in(request)
        return self._json(await self._read(lambda: summarise(self._actions.read_events(query, None), zone)))

    async def clip(self, request: Request) -> Response:
        """Return the sound of an event as FLAC."""
        identifier = _identifier(request)
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

    async def spectrogram(self, request: Request) -> Response:
        """Return the spectrogram of a clip: at most 1,000 rows of 128 bytes, see `RowBlock`."""
        identifier = _identifier(request)

        def draw() -> bytes | None:
            samples = self._actions.read_clip(identifier)
            return None if samples is None else clip_rows(samples, self._hub.log_mel).tobytes()

        rows = await self._read(draw)
        if rows is None:
            raise RequestError(404, "this event has no clip, or it has been deleted")
        headers = {"cache-control": "private, max-age=3600"}
        return Response(rows, media_type="application/octet-stream", headers=headers)

    async def export(self, request: Request) -> Response:
        """Return events as a file: CSV, JSON, labels for Audacity or a selection table for Raven."""
        export = self._actions.exports.get(request.path_params["format"])
        if export is None:
            raise RequestError(
                404, f"there is no such format; choose one of {', '.join(self._actions.exports)}"
            )
        query, zero = event_query(request, limit=_EXPORTED_EVENTS), time_in(request, "zero")

        def write() -> str:
            events = [
                event if event.clip is None else replace(event, clip=clip_address(event.id))
                for event in self._actions.read_events(query, None)
            ]
            return export.write(events, zero)

        headers = {"content-disposition": f'attachment; filename="{export.name}"'}
        return Response(await self._read(write), media_type=export.media_type, headers=headers)

    async def mark(self, request: Request) -> Response:
        """Mark an event as right or wrong."""
        identifier, body = _identifier(request), await read_body(request)
        mark = body.get("mark", "")
        if mark not in _MARKS:
            raise RequestError(400, 'mark must be "right", "wrong" or null')
        await self._read(lambda: self._notes.mark(identifier, mark))
        self._hub.note(identifier, mark=mark)
        return self._json({"mark": mark})

    async def keep(self, request: Request) -> Response:
        """Keep an event and its clip, whatever their age and size."""
        identifier, keep = _identifier(request), flag_in(await read_body(request), "keep")
        await self._read(lambda: self._notes.keep_clip(identifier, keep))
        self._hub.note(identifier, clip_kept=keep)
        return self._json({"clip_kept": keep})

    async def delete(self, request: Request) -> Response:
        """Delete an event and its clip."""
        identifier = _identifier(request)
        await read_body(request)
        await self._read(lambda: self._notes.delete(identifier))
        self._hub.forget(identifier)
        return self._json({})

    @property
    def _notes(self) -> NoteActions:
        if self._actions.notes is None:
            raise RequestError(404, "there is no history; set history to a file")
        return self._actions.notes

    async def _read(self, read: Callable[[], Result]) -> Result:
        """Use the disk on another thread, a few at a time."""
        async with self._reading:
            return await asyncio.to_thread(read)

    def _json(self, payload: dict[str, Any]) -> Response:
        return Response(self._hub.descriptions.to_json(payload), media_type="application/json")


def _identifier(request: Request) -> str:
    identifier: str = request.path_params["id"]
    if not _ID.fullmatch(identifier):
        raise RequestError(404, "there is no such event")
    return identifier
