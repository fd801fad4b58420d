"""The HTTP interface of what looks after the program: the doctor's checks, and the calibration of thresholds."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .actions import MaintenanceActions, Payload
from .answers import RequestError, is_number, read_body, routes_of
from .calls import Calls
from .hub import Hub

_CALL_SECONDS = 15.0
_FRESH_SECONDS = 10.0
"""Age up to which findings are not looked for again."""
_PROGRESS_SECONDS = 1.0

Result = TypeVar("Result")


class MaintenanceApi:
    """Answers about checks and the calibration.

    Parameters
    ----------
    hub : Hub
        Browsers that hear of the progress.
    maintenance : MaintenanceActions
        Functions of the program.
    calls : Calls
        Way to the main thread.
    """

    def __init__(self, hub: Hub, maintenance: MaintenanceActions, calls: Calls) -> None:
        self._hub, self._maintenance, self._calls = hub, maintenance, calls
        self._checking = asyncio.Lock()
        self._findings: Sequence[Payload] = ()
        self._checked_at = 0.0
        self._fresh_until = 0.0
        self._following: asyncio.Task[None] | None = None

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            *routes_of("GET", {"doctor": self.doctor, "calibration": self.calibration}),
            *routes_of(
                "POST",
                {
                    "calibration": self.start,
                    "calibration/stop": self.stop,
                    "calibration/apply": self.apply,
                },
            ),
        ]

    async def doctor(self, _request: Request) -> Response:
        """Return the results of the checks of the running program, at most ten seconds old."""
        async with self._checking:
            if time.monotonic() > self._fresh_until:
                self._findings = await asyncio.to_thread(self._maintenance.findings)
                self._checked_at = time.time()
                self._fresh_until = time.monotonic() + _FRESH_SECONDS
        return self._json({"checked_at": self._checked_at, "checks": list(self._findings)})

    async def calibration(self, _request: Request) -> Response:
        """Return the progress of a calibration, and the thresholds that it proposes."""
        return self._json(dict(self._maintenance.calibration()))

    async def start(self, request: Request) -> Response:
        """Fit thresholds to the background noise: begin to listen, while none of the watched sounds occurs."""
        given = (await read_body(request)).get("seconds", "")
        if not is_number(given):
            raise RequestError(400, "seconds must be a number")
        seconds = float(given)
        await self._call(lambda: self._maintenance.start_calibration(seconds))
        self._tell()
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow(), name="calibration")
        return self._json({})

    async def stop(self, request: Request) -> Response:
        """End a calibration early; its results so far stay."""
        await read_body(request)
        await self._call(self._maintenance.stop_calibration)
        self._tell()
        return self._json({})

    async def apply(self, request: Request) -> Response:
        """Set the proposed thresholds, and write them to the settings file."""
        await read_body(request)
        file = await self._call(self._maintenance.apply_calibration)
        self._tell()
        self._hub.renew_sources()
        return self._json({"file": file})

    async def _follow(self) -> None:
        """Tell all browsers the progress until the calibration has ended."""
        while True:
            if not self._tell():
                return
            await asyncio.sleep(_PROGRESS_SECONDS)

    def _tell(self) -> bool:
        state = self._maintenance.calibration()
        self._hub.tell("calibration", state)
        return bool(state["phase"] == "running")

    async def _call(self, call: Callable[[], Result]) -> Result:
        async with asyncio.timeout(_CALL_SECONDS):
            return await asyncio.wrap_future(self._calls.submit(call))

    def _json(self, payload: dict[str, Any]) -> Response:
        return Response(self._hub.descriptions.to_json(payload), media_type="application/json")
