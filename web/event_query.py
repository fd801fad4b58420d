"""Filters of events, from the address of a request."""

import math
from collections.abc import Sequence
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from starlette.requests import Request

from streamer.messages import Event, EventQuery

from .actions import Place
from .answers import LONGEST_NAME, RequestError

MOST_EVENTS = 1_000


def time_in(request: Request, what: str) -> float | None:
    """Return a time of an address as Unix seconds; None if it is not given.

    Raises
    ------
    RequestError
        It is malformed.
    """
    return _time(request.query_params.get(what), what)


def zone_in(request: Request) -> tzinfo | None:
    """Return the time zone of an address, such as ``Europe/Berlin``; None if it is not given, or this machine does not know it."""
    try:
        return ZoneInfo(request.query_params["zone"])
    except (KeyError, ValueError, OSError):
        return None


def event_query(request: Request, *, limit: int | None = None) -> EventQuery:
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


def place_of(event: Event) -> str:
    """Return the place of an event in the history, as text of an address."""
    return f"{event.started_at!r},{event.id}"


def place_in(request: Request, what: str) -> Place | None:
    """Return a place of an address; None if it is not given.

    Raises
    ------
    RequestError
        It is malformed.
    """
    given = request.query_params.get(what)
    if not given:
        return None
    start, _, identifier = given.partition(",")
    try:
        began = _number(start, what)
    except RequestError:
        began = math.nan
    if math.isnan(began) or not 0 < len(identifier) <= LONGEST_NAME:
        raise RequestError(400, f"{what} must be the value of next in an earlier answer")
    return began, identifier


def _names(names: Sequence[str], what: str) -> tuple[str, ...]:
    if len(names) > 50 or any(len(name) > LONGEST_NAME for name in names):
        raise RequestError(
            400, f"{what} can be given at most 50 times, with at most {LONGEST_NAME} characters each"
        )
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
