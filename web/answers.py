"""Requests and answers of the HTTP interface: bodies, errors, values."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .errors import BusyError, WebError

MOST_BODY_BYTES = 16 * 1024
LONGEST_NAME = 300

_BODY_SECONDS = 15.0


class RequestError(Exception):
    """A request that can't be answered: a status, and a sentence for its sender."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def routes_of(method: str, answers: dict[str, Callable[[Request], Awaitable[Response]]]) -> list[Route]:
    """Return the routes of a method, by their names below ``/api/v1``."""
    return [
        Route(f"/api/v1/{name}", _answering(answer), methods=[method]) for name, answer in answers.items()
    ]


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

    @wraps(answer)
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


def text_in(body: dict[str, Any], what: str) -> str:
    """Return a text of a body.

    Raises
    ------
    RequestError
        It is missing, empty or too long.
    """
    text = body.get(what)
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_NAME:
        raise RequestError(400, f"{what} must be text of 1 to {LONGEST_NAME} characters")
    return text


def is_number(value: object) -> bool:
    """Return True for a finite number, of a size that a float can have."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def flag_in(body: dict[str, Any], what: str) -> bool:
    """Return a truth value of a body.

    Raises
    ------
    RequestError
        It is something else.
    """
    value = body.get(what)
    if not isinstance(value, bool):
        raise RequestError(400, f"{what} must be true or false")
    return value
