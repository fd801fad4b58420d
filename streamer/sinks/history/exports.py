"""Events as tables of programs that show recordings: Audacity's labels and Raven's selections."""

from collections.abc import Iterable, Iterator, Sequence

from ...messages import SAMPLE_RATE_HZ, Event
from ..payloads import rfc3339

_RAVEN_COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Sound",
    "Score",
    "Source",
    "Begin Date Time (UTC)",
)


def audacity_labels(events: Sequence[Event], zero: float | None = None) -> str:
    """Return events as a label track of Audacity: start, end and name, separated by tabs.

    Parameters
    ----------
    events : sequence of Event
        Latest state of each occurrence.
    zero : float or None
        Unix time in seconds at which the recording begins; None for the start of the first event. Earlier events are left out.
    """
    return "".join(
        f"{start:.6f}\t{end:.6f}\t{_cell(event.label)}\n" for event, start, end in _spans(events, zero)
    )


def raven_table(events: Sequence[Event], zero: float | None = None) -> str:
    """Return events as a selection table of Raven, over all frequencies that the model hears.

    Parameters
    ----------
    events, zero
        See `audacity_labels`.
    """
    lines = ["\t".join(_RAVEN_COLUMNS)]
    for number, (event, start, end) in enumerate(_spans(events, zero), 1):
        cells = (
            str(number),
            "Spectrogram 1",
            "1",
            f"{start:.6f}",
            f"{end:.6f}",
            "0.0",
            f"{SAMPLE_RATE_HZ / 2:.1f}",
            event.label,
            f"{event.score:.4f}",
            event.source,
            rfc3339(event.started_at) or "",
        )
        lines.append("\t".join(map(_cell, cells)))
    return "\n".join(lines) + "\n"


def _spans(events: Iterable[Event], zero: float | None) -> Iterator[tuple[Event, float, float]]:
    """Yield events in order, with their start and end in seconds, but for those that were taken back; one that goes on ends where it starts."""
    ordered = sorted((event for event in events if not event.withdrawn), key=lambda event: event.started_at)
    if zero is None:
        zero = ordered[0].started_at if ordered else 0.0
    for event in ordered:
        end = event.started_at if event.ended_at is None else event.ended_at
        if event.started_at >= zero:
            yield event, event.started_at - zero, max(event.started_at, end) - zero


def _cell(text: str) -> str:
    """Return a text without tabs and line ends, which separate cells."""
    return " ".join(text.split())
