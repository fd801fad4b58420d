"""The page and its files, which are in memory: no path of a request ever leads to the disk."""

import hashlib
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
}


@cache
def static_files() -> dict[str, tuple[bytes, str, str]]:
    """Return the content, the type and the tag of each file by its path."""
    found = {}
    for file in (files("web") / "static").iterdir():
        kind = file.name.rpartition(".")[2]
        if kind in _TYPES:
            content = file.read_bytes()
            tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            path = "/" if file.name == "index.html" else f"/{file.name}"
            found[path] = content, _TYPES[kind], tag
    return found


def routes() -> list[Route]:
    """Return the routes of all files."""
    return [Route(path, _answer, methods=["GET"]) for path in static_files()]


async def _answer(request: Request) -> Response:
    content, kind, tag = static_files()[request.scope["path"]]
    headers = {"etag": tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)
