"""Quiet hours: times of the week in which a sound is not announced."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, time

NEVER = "never"
ALWAYS = "always"

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_EVERY_DAY = frozenset(range(len(_DAYS)))
_TIMES = re.compile(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)")
_MIDNIGHT = time()
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Span:
    """Span of local time on some days of the week.

    Attributes
    ----------
    begin, end : time
        Local times of day. With an end that is not after the begin, the span lasts until the next day.
    days : collection of int
        Days on which it begins; 0 is Monday.
    """

    begin: time
    end: time
    days: Collection[int] = _EVERY_DAY

    def cover(self, at: float) -> bool:
        """Return True if a Unix time in seconds is within this span, by the local clock."""
        try:
            local = datetime.fromtimestamp(at).astimezone()
        except (ValueError, OverflowError, OSError):
            return False
        today, now = local.weekday() in self.days, local.time()
        if self.begin < self.end:
            return today and self.begin <= now < self.end
        yesterday = (local.weekday() - 1) % len(_DAYS) in self.days
        return (today and now >= self.begin) or (yesterday and now < self.end)

    def __str__(self) -> str:
        days = "" if len(self.days) == len(_DAYS) else f"{_days_text(self.days)} "
        return f"{days}{self.times}"

    @property
    def times(self) -> str:
        """Begin and end, as they are shown."""
        return f"{self.begin:%H:%M}-{'24:00' if self.end == _MIDNIGHT else f'{self.end:%H:%M}'}"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Spans in which a sound is not announced; none by default."""

    spans: tuple[Span, ...] = ()

    def cover(self, at: float) -> bool:
        """Return True if a Unix time in seconds is within these hours."""
        return any(span.cover(at) for span in self.spans)

    def __str__(self) -> str:
        whole = Span(_MIDNIGHT, _MIDNIGHT)
        if whole in self.spans:
            return ALWAYS
        parts, days = [], frozenset(_EVERY_DAY)
        for span in self.spans:  # one without days has those of the span before it
            is_same, days = frozenset(span.days) == days, frozenset(span.days)
            parts.append(span.times if is_same else f"{_days_text(days)} {span.times}")
        return ", ".join(parts) or NEVER


def parse_quiet(text: str) -> QuietHours:
    """Parse quiet hours such as ``22:00-07:00``, ``mon-fri 22:00-06:30, sat,sun 23:00-09:00``, ``always`` or ``never``.

    Raises
    ------
    ValueError
        The text is something else.
    """
    words = (
        re.sub(r"\s*[-\u2013]\s*", "-", text[: _LONGEST + 1].casefold())
        .replace(",", " ")
        .replace(";", " ")
        .split()
    )
    if len(text) > _LONGEST:
        raise _fault(text)
    if words in ([], [NEVER]):
        return QuietHours()
    if words == [ALWAYS]:
        return QuietHours((Span(_MIDNIGHT, _MIDNIGHT),))
    spans: list[Span] = []
    days: set[int] = set()
    takes_days = True
    for word in words:
        if times := _TIMES.fullmatch(word):
            begin, end = _time(times[1], times[2], text), _end(times[3], times[4], text)
            spans.append(Span(begin, end, frozenset(days) or _EVERY_DAY))
            takes_days = False
            continue
        if not takes_days:
            days, takes_days = set(), True
        days |= _days(word, text)
    if takes_days:  # days without hours
        raise _fault(text)
    return QuietHours(tuple(spans))


def check_quiet(text: str) -> str:
    """Return quiet hours as they are shown.

    Raises
    ------
    ValueError
        The text can't be parsed, or is too long.
    """
    shown = str(parse_quiet(text))
    if len(shown) > _LONGEST:
        raise ValueError(f"must be shorter: {shown[:60]}… has more than {_LONGEST} characters")
    return shown


def _end(hour: str, minute: str, text: str) -> time:
    """Return an end; only an end can be 24:00, because a begin would be on the next day."""
    return _MIDNIGHT if (int(hour), int(minute)) == (24, 0) else _time(hour, minute, text)


def _time(hour: str, minute: str, text: str) -> time:
    try:
        return time(int(hour), int(minute))
    except ValueError:
        raise _fault(text) from None


def _days(word: str, text: str) -> set[int]:
    """Return the days of ``sat`` or ``mon-fri``; a range may go past Sunday."""
    first, _, last = word.partition("-")
    begin, end = _day(first, text), _day(last or first, text)
    return {(begin + number) % len(_DAYS) for number in range((end - begin) % len(_DAYS) + 1)}


def _day(name: str, text: str) -> int:
    for number, day in enumerate(_DAY_NAMES):
        if len(name) >= len(_DAYS[number]) and day.startswith(name):
            return number
    raise _fault(text)


def _days_text(days: Collection[int]) -> str:
    """Return days as ``mon-fri`` or ``mon,wed``."""
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        f"{_DAYS[run[0]]}-{_DAYS[run[-1]]}" if len(run) > 2 else ",".join(_DAYS[day] for day in run)
        for run in runs
    )


def _fault(text: str) -> ValueError:
    return ValueError(f"must be hours such as 22:00-07:00 or sat,sun 23:00-09:00, not {text[:60]!r}")
