"""When there is no more to listen to."""

import math
import time
from collections.abc import Callable

from ..runtime.threads import ThreadGroup
from ..settings.schema import Settings

_STALL_SECONDS = 2.0
"""How much longer than the time that is set listening may take when a source stalls."""


def ending(settings: Settings, threads: ThreadGroup) -> Callable[[], bool]:
    """Return what tells, from now on, whether there is no more to listen to, or something has failed.

    A window stays open when its sources have ended, unless a time is set.

    Parameters
    ----------
    settings : Settings
        How long to listen, and whether in a window.
    threads : ThreadGroup
        Whose ``tagger`` listens.
    """
    ends = settings.windowless or settings.duration is not None
    seconds = math.inf if settings.fast or settings.duration is None else settings.duration + _STALL_SECONDS
    latest = time.monotonic() + seconds

    def over() -> bool:
        return threads.failed or time.monotonic() > latest or (ends and not threads.is_running("tagger"))

    return over
