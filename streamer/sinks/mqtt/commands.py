"""Commands over MQTT: those that turn the switches of sources, and those that change quiet hours."""

import logging
from collections.abc import Callable, Collection
from typing import Protocol

from ...events.quiet import check_quiet
from ...runtime.timing import Every
from .topics import Topics
from .wire import Client, Received

_log = logging.getLogger(__name__)

_QUIET_SECONDS = 60.0
_SWITCH = {b"ON": True, b"OFF": False}


class SwitchBoard(Protocol):
    """Switches that pause sources."""

    def turn(self, source: str, on: bool, /) -> None:
        """Switch a source on or off, and return at once."""
        ...

    def is_on(self, source: str, /) -> bool:
        """Return True if a source is switched on."""
        ...


class QuietBoard(Protocol):
    """Quiet hours of sounds."""

    def quiet_of(self, source: str, sound: str, /) -> str:
        """Return the quiet hours of a source's sound, as text."""
        ...

    def request_quiet(self, source: str, sound: str, quiet: str, /) -> None:
        """Have the quiet hours of a source's sound changed soon."""
        ...


class _Complaints:
    """Log lines about commands that are ignored."""

    def __init__(self) -> None:
        self._wrong = 0
        self._wrong_line_due = Every(_QUIET_SECONDS)
        self._complained: set[str] = set()

    def wrong(self, message: Received, wanted: str) -> None:
        """Log a command that makes no sense."""
        self._wrong += 1
        if self._wrong_line_due.due():
            _log.warning(
                "ignored %r on %s (wrong commands so far: %d): send %s",
                message.payload[:32],
                message.topic,
                self._wrong,
                wanted,
            )

    def retained(self, message: Received) -> None:
        """Log a retained command, once for each topic."""
        if message.topic not in self._complained:
            self._complained.add(message.topic)
            _log.warning(
                "ignored a retained command on %s: it would take effect again at each start; send it without retain, and clear it with "
                "an empty retained message",
                message.topic,
            )


class _SwitchCommands:
    """Commands that are not carried out yet: of many that come at once, the last of each source counts."""

    def __init__(self) -> None:
        self._newest: dict[str, bool] = {}
        self._complaints = _Complaints()

    def receive(self, source: str, message: Received) -> bool:
        """Process a message on the topic of a switch; return True if `take` has something to do."""
        on = _SWITCH.get(message.payload)
        if message.retained:
            self._complaints.retained(message)
        elif on is None:
            self._complaints.wrong(message, "ON or OFF")
        else:
            self._newest[source] = on
            return True
        return False

    def take(self) -> dict[str, bool]:
        """Return the commands by source, and forget them."""
        newest, self._newest = self._newest, {}
        return newest


class Commands:
    """Commands on the topics of switches and quiet hours. Used on the connection's thread only.

    Parameters
    ----------
    switches : SwitchBoard or None
        Switches; None if nothing can be turned.
    quiet : QuietBoard or None
        Quiet hours, which change soon after a command; None if nothing can change them.
    on_turn : callable
        Called with the source and its new state when a switch was turned.
    """

    def __init__(
        self,
        switches: SwitchBoard | None,
        quiet: QuietBoard | None,
        on_turn: Callable[[str, bool], None],
    ) -> None:
        self._switches, self._quiet, self._on_turn = switches, quiet, on_turn
        self._turns = _SwitchCommands()
        self._complaints = _Complaints()

    async def subscribe(self, client: Client, topics: Topics, *, known: Collection[str] = ()) -> None:
        """Subscribe to the topics of commands; to those of switches unless they are known already."""
        for topic in topics.switches:
            if topic not in known:
                await client.subscribe(topic, is_needed=True)
        for source in topics.sources if topics.quiet else ():
            await client.subscribe(topics.quiet_filter(source))

    def receive(self, topics: Topics, message: Received) -> bool | None:
        """Process a message; return True if `carry_out` has something to do, None if it is not a command.

        An empty message is no command: it clears a retained one.
        """
        source, key = topics.switches.get(message.topic), topics.quiet_sets.get(message.topic)
        if source is None and key is None:
            return None
        if source is not None and message.payload:
            return self._turns.receive(source, message)
        if key is not None and message.payload:
            self._change_quiet(*key, message)
        return False

    def carry_out(self, sources: Collection[str]) -> None:
        """Turn the switches that were commanded, unless their source is gone."""
        for source, on in self._turns.take().items():
            if self._switches is not None and source in sources:
                self._switches.turn(source, on)
                self._on_turn(source, on)

    def _change_quiet(self, source: str, sound: str, message: Received) -> None:
        if self._quiet is None:
            return
        if message.retained:
            self._complaints.retained(message)
            return
        try:
            quiet = check_quiet(message.payload.decode())
        except ValueError:  # UnicodeDecodeError too
            self._complaints.wrong(message, "hours such as 22:00-07:00, always or never")
            return
        self._quiet.request_quiet(source, sound, quiet)
