"""Of whom is published, and what: one value for all that changes when sources come and go, or other sounds are watched."""

from collections.abc import Mapping
from dataclasses import dataclass

from .homeassistant import HomeAssistant
from .topics import Topics


@dataclass(frozen=True, slots=True)
class Roster:
    """The sources and their watched sounds at one moment.

    Attributes
    ----------
    topics : Topics
        Where is published what comes of them.
    switches : mapping of str to str
        By the topic on which it is turned, the source of each switch.
    home : HomeAssistant or None
        What Home Assistant is told of them; None where nobody tells it.
    """

    topics: Topics
    switches: Mapping[str, str]
    home: HomeAssistant | None
