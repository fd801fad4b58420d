"""The HTTP interface: what is heard as JSON, and the switches."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .actions import Actions
from .answers import RequestError, flag_in, is_number, read_body, routes_of, text_in
from .calls import Calls
from .hub import Hub

_CALL_SECONDS = 15.0

Result = TypeVar("Result")


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
    can_listen : bool
        True if browsers can listen along.
    has_password : callable
        Returns True if browsers can log out.
    """

    def __init__(
        self,
        hub: Hub,
        actions: Actions,
        calls: Calls,
        *,
        has_password: Callable[[], bool],
        can_listen: bool = False,
    ) -> None:
        self._has_password = has_password
        self._can_listen = can_listen
        self._hub = hub
        self._actions = actions
        self._calls = calls

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            *routes_of(
                "GET",
                {
                    "status": self.status,
                    "sources": self.sources,
                    "tags": self.tags,
                    "health": self.health,
                    "sounds": self.sounds,
                    "names/{language}": self.names,
                },
            ),
            *routes_of(
                "POST",
                {
                    "listening": self.listening,
                    "watch": self.watch,
                    "unwatch": self.unwatch,
                    "quiet": self.quiet,
                    "save": self.save,
                },
            ),
        ]

    async def status(self, _request: Request) -> Response:
        """Return version, model, device, broker, sources and the number of browsers."""
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
                "has_password": self._has_password(),
                "can_listen": self._can_listen,
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
        """Return the health; status 503 until it is known."""
        health = self._hub.state.health
        if health is None:
            raise RequestError(503, "Earshot is starting; try again in a few seconds")
        return self._json(self._hub.describe(health))

    async def sounds(self, _request: Request) -> Response:
        """Return the names of all sounds that can be watched."""
        return self._json({"sounds": list(self._actions.sounds())})

    async def names(self, request: Request) -> Response:
        """Return the names of sounds on the page in a language such as "de", by those in the program; others are the same."""
        answer = self._json({"names": dict(self._actions.names(request.path_params["language"]))})
        answer.headers["cache-control"] = "private, max-age=3600"
        return answer

    async def listening(self, request: Request) -> Response:
        """Switch a source on or off."""
        body = await read_body(request)
        source, on = self._source(body), flag_in(body, "on")
        await self._call(lambda: self._actions.set_listening(source, on))
        self._hub.renew_sources()
        return self._json({})

    async def watch(self, request: Request) -> Response:
        """Watch for a sound, or change its threshold."""
        body = await read_body(request)
        source, sound, threshold = self._source(body), text_in(body, "sound"), body.get("threshold")
        if threshold is not None and not (is_number(threshold) and 0.0 < threshold <= 1.0):
            raise RequestError(400, "threshold must be a number above 0, up to 1")
        limit = None if threshold is None else float(threshold)
        await self._call(lambda: self._actions.watch(source, sound, limit))
        self._hub.renew_sources()
        return self._json({})

    async def unwatch(self, request: Request) -> Response:
        """Stop watching for a sound."""
        body = await read_body(request)
        source, sound = self._source(body), text_in(body, "sound")
        await self._call(lambda: self._actions.unwatch(source, sound))
        self._hub.renew_sources()
        return self._json({})

    async def quiet(self, request: Request) -> Response:
        """Change the hours in which a sound is not announced."""
        body = await read_body(request)
        source, sound, quiet = self._source(body), text_in(body, "sound"), text_in(body, "quiet")
        await self._call(lambda: self._actions.set_quiet(source, sound, quiet))
        self._hub.renew_sources()
        return self._json({})

    async def save(self, request: Request) -> Response:
        """Write the watched sounds and thresholds to the settings file."""
        await read_body(request)
        return self._json({"file": await self._call(self._actions.save_settings)})

    def _source(self, body: dict[str, Any]) -> str:
        source = text_in(body, "source")
        if source not in self._hub.sources:
            raise RequestError(404, "there is no source of this name")
        return source

    async def _call(self, call: Callable[[], Result]) -> Result:
        """Let the main thread call a function; return its result."""
        async with asyncio.timeout(_CALL_SECONDS):
            return await asyncio.wrap_future(self._calls.submit(call))

    def _json(self, payload: dict[str, Any]) -> Response:
        return Response(self._hub.descriptions.to_json(payload), media_type="application/json")
