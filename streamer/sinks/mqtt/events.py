"""Publisher of events, which wait in the outbox until the broker has acknowledged them."""

import asyncio
import time
from collections.abc import Callable, Sequence

from ...messages import Event
from ..history.outbox import Outbox
from ..payloads import event_payload, to_json
from .topics import Topics
from .wire import Client, Outcome

_BATCH_EVENTS = 50
_MOST_REFUSALS = 6
"""Refusals of an event for a reason that may pass, other than a quota, after which it is left out."""


class EventPublisher:
    """Publishes the events that wait, in order. Used on the connection's thread only.

    An event that the broker refuses each time is left out, because later ones must not wait for it. If the reason may pass, all
    events wait for a while: as long as a quota is exceeded, and for a few attempts at an event otherwise.

    Parameters
    ----------
    outbox : Outbox
        Events that wait.
    wake : callable
        Called when a pause ends.
    pause_seconds : float
        Pause after a refusal that may pass.
    """

    def __init__(self, outbox: Outbox, wake: Callable[[], None], pause_seconds: float) -> None:
        self._outbox = outbox
        self._wake = wake
        self._pause_seconds = pause_seconds
        self._due_at = 0.0  # time.monotonic()
        self._refused_key, self._refusals = ("", ""), 0
        self.refused = 0
        """Number of events that were left out."""

    def start(self) -> None:
        """Start with a new connection: end the pause."""
        self._due_at = 0.0

    async def publish(self, client: Client, topics: Topics) -> bool:
        """Publish the oldest events that wait; return True if there may be more.

        They are marked together: if the program is killed before that, the next start publishes them again.
        """
        if time.monotonic() < self._due_at:
            return False
        batch = self._outbox.pending(_BATCH_EVENTS)
        done: list[Event] = []
        try:
            await self._publish(client, topics, batch, done)
        finally:
            if done:
                self._outbox.mark_published(done)
        return len(done) == _BATCH_EVENTS

    async def _publish(
        self, client: Client, topics: Topics, batch: Sequence[Event], done: list[Event]
    ) -> None:
        """Publish a batch until an event has to wait; add the others to `done`."""
        for event in batch:
            outcome = await client.publish(topics.events(event.source), to_json(event_payload(event)), qos=1)
            if self._waits(event, outcome):
                self._due_at = time.monotonic() + self._pause_seconds
                asyncio.get_running_loop().call_later(self._pause_seconds, self._wake)
                return
            self.refused += outcome is not Outcome.TAKEN
            done.append(event)

    def _waits(self, event: Event, outcome: Outcome) -> bool:
        """Return True if an event has to wait for another attempt."""
        if outcome is not Outcome.REFUSED_FOR_NOW:
            return outcome is Outcome.OVER_QUOTA
        key = event.id, event.kind
        self._refusals = self._refusals + 1 if key == self._refused_key else 1
        self._refused_key = key
        return self._refusals < _MOST_REFUSALS
