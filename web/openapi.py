"""Description of the HTTP interface for other programs, in the form of OpenAPI."""

import inspect
import re
from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .api_page import api_page

_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_FLAG = {"type": "boolean"}
_TIME = {"type": "string", "description": "Unix time in seconds, or a date such as 2026-03-01T18:30"}
_ZONE = {
    "type": "string",
    "description": "time zone such as Europe/Berlin; if it is not given or unknown, that of the machine",
}
_PLACE = {"type": "string", "description": "next of the previous answer"}
_FILTERS: dict[str, dict[str, Any]] = {
    "since": _TIME,
    "until": _TIME,
    "label": {"type": "array", "items": _TEXT},
    "source": {"type": "array", "items": _TEXT},
    "score": _NUMBER,
}
_QUERIES: dict[str, dict[str, dict[str, Any]]] = {
    "tags": {"source": _TEXT},
    "audio": {"source": _TEXT},
    "events": {**_FILTERS, "after": _PLACE, "limit": {"type": "integer"}},
    "summary": {**_FILTERS, "zone": _ZONE},
    "export/{format}": {**_FILTERS, "zero": _TIME},
}
_BODIES: dict[str, dict[str, dict[str, Any]]] = {
    "listening": {"source": _TEXT, "on": _FLAG},
    "watch": {"source": _TEXT, "sound": _TEXT, "threshold": _NUMBER},
    "unwatch": {"source": _TEXT, "sound": _TEXT},
    "quiet": {"source": _TEXT, "sound": _TEXT, "quiet": _TEXT},
    "calibration": {"seconds": _NUMBER},
    "events/{id}/mark": {"mark": {"enum": ["right", "wrong", None]}},
    "events/{id}/keep": {"keep": _FLAG},
    "login": {"password": _TEXT},
}
_PREFIX = "/api/v1/"


def description_routes(routes: Iterable[BaseRoute], version: str) -> list[Route]:
    """Return the routes of the description of others: for programs, and to read."""
    described = describe([route for route in routes if isinstance(route, Route)], version)
    page = api_page(described)

    async def answer(_request: Request) -> Response:
        """Return this description."""
        return JSONResponse(described)

    async def answer_page(_request: Request) -> Response:
        """Return this description to read."""
        return HTMLResponse(page)

    return [
        Route(f"{_PREFIX}openapi.json", answer, methods=["GET"]),
        Route(_PREFIX, answer_page, methods=["GET"]),
    ]


def describe(routes: Iterable[Route], version: str) -> dict[str, Any]:
    """Return the description of routes below ``/api/v1``."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        name = route.path.removeprefix(_PREFIX)
        for method in (route.methods or set()) - {"HEAD"}:
            paths.setdefault(f"/{name}", {})[method.lower()] = _operation(route, name, method)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Earshot", "version": version},
        "servers": [{"url": "."}],  # the folder of this description, under whatever path a proxy serves it
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}, {}],
        "paths": dict(sorted(paths.items())),
    }


def _operation(route: Route, name: str, method: str) -> dict[str, Any]:
    parameters = [
        {"name": found, "in": "path", "required": True, "schema": _TEXT}
        for found in re.findall(r"\{(\w+)\}", name)
    ]
    parameters += [
        {"name": found, "in": "query", "schema": schema} for found, schema in _QUERIES.get(name, {}).items()
    ]
    error = {"type": "object", "properties": {"error": _TEXT}}
    operation: dict[str, Any] = {
        "summary": (inspect.getdoc(route.endpoint) or "").partition("\n")[0],
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done"},
            "default": {
                "description": "A sentence that says what is wrong",
                "content": {"application/json": {"schema": error}},
            },
        },
    }
    if method == "POST":
        schema = {"type": "object", "properties": _BODIES.get(name, {})}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation
