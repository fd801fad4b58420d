"""Commands that turn the switches of sources over MQTT."""

import logging
from typing import Protocol

from ...runtime.timing import Every
from .wire import Received

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


class SwitchCommands:
    """Commands that are not carried out yet: of many that come at once, the last of each source counts."""

    def __init__(self) -> None:
        self._newest: dict[str, bool] = {}
        self._wrong = 0
        self._wrong_line_due = Every(_QUIET_SECONDS)
        self._complained: set[str] = set()

    def receive(self, source: str, message: Received) -> bool:
        """Process a message on the topic of a switch; return True if `take` has something to do."""
        on = _SWITCH.get(message.payload)
        if message.retained:
            self._complain_once(message)
        elif on is None:
            self._wrong += 1
            if self._wrong_line_due.due():
                _log.warning(
                    "ignored %r on %s (wrong commands so far: %d): send ON or OFF",
                    message.payload[:32],
                    message.topic,
                    self._wrong,
                )
        else:
            self._newest[source] = on
            return True
        return False

    def take(self) -> dict[str, bool]:
        """Return the commands by source, and forget them."""
        newest, self._newest = self._newest, {}
        return newest

    def _complain_once(self, message: Received) -> None:
        if message.payload and message.topic not in self._complained:
            self._complained.add(message.topic)
            _log.warning(
                "ignored a retained command on %s: it would hold again at each start; send it without retain, and clear it with "
                "an empty retained message",
                message.topic,
            )
