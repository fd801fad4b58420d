"""Notes of people on events of the history: right or wrong, clips to keep, events to delete."""

import sqlite3
from functools import partial

from ...errors import SinkError
from ...messages import Mark
from ..sqlite import storable
from .store import History


class Notes:
    """Changes that people make to the history; from any thread.

    Parameters
    ----------
    history : History
        The history.
    """

    def __init__(self, history: History) -> None:
        self._history = history

    def mark(self, identifier: str, mark: Mark | None) -> None:
        """Mark an event as right or wrong; None removes the mark.

        Raises
        ------
        SinkError
            There is no such event, or the history can't be written.
        """
        self._note(identifier, "mark", mark)

    def keep_clip(self, identifier: str, keep: bool) -> None:
        """Keep an event and its clip, whatever its age, or no longer.

        Raises
        ------
        SinkError
            There is no such event, or the history can't be written.
        """
        self._note(identifier, "keeps_clip", int(keep))

    def delete(self, identifier: str) -> None:
        """Delete an event that has ended.

        Raises
        ------
        SinkError
            There is no such event, it goes on or waits for the broker, or the history can't be written.
        """
        refusal = self._history.change(
            partial(_delete, identifier=storable(identifier), outgoing=self._history.outgoing)
        )
        if refusal:
            raise SinkError(refusal)

    def _note(self, identifier: str, column: str, value: str | int | None) -> None:
        there = self._history.change(
            partial(_write_note, identifier=storable(identifier), column=column, value=value)
        )
        if not there:
            raise SinkError(_UNKNOWN)


_UNKNOWN = "there is no such event in the history"


def _write_note(
    connection: sqlite3.Connection, *, identifier: str, column: str, value: str | int | None
) -> bool:
    """Write a column of a note; return False if there is no such event."""
    if connection.execute("SELECT 1 FROM event WHERE id = ?", (identifier,)).fetchone() is None:
        return False
    connection.execute(
        f"INSERT INTO note (event_id, {column}) VALUES (?, ?) "  # noqa: S608 - name of a column
        f"ON CONFLICT (event_id) DO UPDATE SET {column} = excluded.{column}",
        (identifier, value),
    )
    connection.execute("DELETE FROM note WHERE mark IS NULL AND NOT keeps_clip")
    return True


def _delete(connection: sqlite3.Connection, *, identifier: str, outgoing: bool) -> str:
    """Delete the rows of an event; return the reason if that is not possible."""
    rows = connection.execute("SELECT kind, published FROM event WHERE id = ?", (identifier,)).fetchall()
    if not rows:
        return _UNKNOWN
    if all(kind != "ended" for kind, _ in rows):
        return "this sound is still on; delete the event when it has ended"
    if outgoing and any(published == 0 for _, published in rows):
        return "this event waits for the MQTT broker; delete it when the broker has it"
    connection.execute("DELETE FROM event WHERE id = ?", (identifier,))
    return ""
