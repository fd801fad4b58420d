"""What Home Assistant is told so that it shows what Earshot hears: the payloads of its MQTT discovery, and nothing of MQTT itself."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ...events.catalogue import Sound
from ...messages import SoundState
from ...text import slug
from ..payloads import Payload, to_json
from .topics import Topics

ORIGIN = "Earshot"

_ROOM = re.compile(
    r"(.*\s)?(attic|balcony|basement|bathroom|bedroom|cellar|conservatory|garage|garden|hall|hallway|kitchen|landing|laundry"
    r"|library|lobby|loft|lounge|nursery|office|pantry|porch|room|shed|stairs|studio|study|terrace|workshop)(\s\d+)?",
    re.IGNORECASE,
)
_LONGEST_STATE = 255
_SAYS_NO_PLACE = frozenset({"demo", "mic", "stdin"})

DIAGNOSTICS: Mapping[str, Payload] = {
    "model": {"name": "Model", "icon": "mdi:brain"},
    "latency_p50_seconds": {
        "name": "Latency",
        "device_class": "duration",
        "unit_of_measurement": "s",
        "state_class": "measurement",
        "suggested_display_precision": 2,
    },
    "latency_p95_seconds": {
        "name": "Latency, 95th percentile",
        "device_class": "duration",
        "unit_of_measurement": "s",
        "state_class": "measurement",
        "suggested_display_precision": 2,
    },
    "real_time_factor": {
        "name": "Real-time factor",
        "icon": "mdi:speedometer",
        "state_class": "measurement",
        "suggested_display_precision": 2,
    },
    "dropped_windows": {
        "name": "Dropped windows",
        "icon": "mdi:skip-next-outline",
        "state_class": "total_increasing",
    },
}
"""The attributes of `Health` that have a topic and a diagnostic entity of their own, and what the entity is like."""

SOURCE_DIAGNOSTICS: Mapping[str, tuple[str, Payload]] = {
    "problem": (
        "binary_sensor",
        {"name": "Sound problem", "device_class": "problem", "payload_on": "ON", "payload_off": "OFF"},
    ),
    "state": (
        "sensor",
        {
            "name": "Sound state",
            "device_class": "enum",
            "options": list(get_args(SoundState)),
            "icon": "mdi:microphone-message",
        },
    ),
    "lost_seconds": (
        "sensor",
        {
            "name": "Lost sound",
            "device_class": "duration",
            "unit_of_measurement": "s",
            "state_class": "total_increasing",
            "suggested_display_precision": 1,
        },
    ),
    "drift_ppm": (
        "sensor",
        {
            "name": "Clock drift",
            "unit_of_measurement": "ppm",
            "state_class": "measurement",
            "icon": "mdi:clock-fast",
            "suggested_display_precision": 0,
        },
    ),
}
"""The same for the figures of a source's health, behind the platform of each."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """How Home Assistant is told.

    Attributes
    ----------
    sounds : sequence of Sound
        What is known of the watched sounds; one that is not among them is shown like any sound.
    style : {"device", "component"}
        One message for each source, or one for each entity, which versions before 2024.11 need.
    prefix : str
        What the topics of its discovery begin with, as set in Home Assistant.
    version : str or None
        Of Earshot.
    """

    sounds: Sequence[Sound] = ()
    style: Literal["device", "component"] = "device"
    prefix: str = "homeassistant"
    version: str | None = None


class HomeAssistant:
    """What Home Assistant is told of one node.

    Names and identifiers come from the node, the source and the sound alone: they are the same after each restart.

    Parameters
    ----------
    discovery : Discovery
        How it is told.
    topics : Topics
        Where the node publishes.
    node : str
        Name of the node.
    watched : mapping of str to sequence of str
        By source, the names of the sounds that have an ON/OFF topic; every source stands here.
    switches : bool
        Whether sources can be paused.
    """

    def __init__(
        self,
        discovery: Discovery,
        topics: Topics,
        *,
        node: str,
        watched: Mapping[str, Sequence[str]],
        switches: bool,
    ) -> None:
        self._discovery = discovery
        self._topics = topics
        self._node = node
        self._watched = watched
        self._switches = switches
        self._sounds = {sound.name: sound for sound in discovery.sounds}
        by_device = discovery.style == "device"
        self.messages: Mapping[str, Payload] = {
            topic: payload
            for source in watched
            for topic, payload in (
                self._device_messages(source) if by_device else self._component_messages(source)
            )
        }
        """Payloads to be retained, by topic."""

    @property
    def birth_topic(self) -> str:
        """Where Home Assistant says "online" when it has started."""
        return f"{self._discovery.prefix}/status"

    @property
    def filters(self) -> tuple[str, str]:
        """Topic filters of all that anyone has announced, by device and by component."""
        return f"{self._discovery.prefix}/device/+/config", f"{self._discovery.prefix}/+/+/+/config"

    def may_own(self, topic: str) -> bool:
        """Whether a topic looks like one that this node announces itself on."""
        parts = topic.removeprefix(f"{self._discovery.prefix}/").split("/")
        ours = (f"{self._node}_", f"{self._node}-")
        return len(parts) in {3, 4} and parts[-1] == "config" and parts[1].startswith(ours)

    def retraction(self, topic: str, payload: bytes) -> str | None:
        """Say what to publish on a topic, to take back what an earlier run announced there and is no more; None if nothing.

        A message that is not this node's is left alone. Where this node announces nothing any more, an empty message takes
        all back. Where it announces less than before, it is its message with each entity that is gone, of which nothing is
        said but the platform: that removes it, and the message itself ought to follow.
        """
        found = _read(payload)
        availability = found.get("availability")
        ours = isinstance(availability, list) and {"topic": self._topics.status} in availability
        if not ours or not is_by_earshot(payload):
            return None
        message = self.messages.get(topic)
        if message is None:
            return ""
        present: Payload = message.get("components", {})
        gone = {
            key: {"platform": component["platform"]}
            for key, component in _mapping(found.get("components")).items()
            if key not in present
            and isinstance(component, dict)
            and component.keys() > {"platform"}
            and isinstance(component["platform"], str)  # anyone may have written anything there
        }
        return to_json(message | {"components": present | gone}) if gone else None

    def left_behind(self, payload: bytes) -> set[str]:
        """Return where the broker may keep states of what a message of this node announced, and is no more.

        They are within the folders of sources. Anyone may have written the message: other topics, and those of what is still
        there, are left alone.
        """
        found = _read(payload)
        frames = [found, *_mapping(found.get("components")).values(), *_listed(found.get("availability"))]
        named = (frame.get(key) for frame in map(_mapping, frames) for key in ("topic", "state_topic"))
        return {topic for topic in named if self._topics.is_state(topic)} - self._topics.retained()

    def _device_messages(self, source: str) -> Iterator[tuple[str, Payload]]:
        components = {
            key: {"platform": platform, **entity} for platform, key, entity in self._entities(source)
        }
        yield (
            f"{self._discovery.prefix}/device/{self._place(source)}/config",
            self._frame(source) | {"components": components},
        )

    def _component_messages(self, source: str) -> Iterator[tuple[str, Payload]]:
        for platform, key, entity in self._entities(source):
            yield (
                f"{self._discovery.prefix}/{platform}/{self._place(source)}/{key}/config",
                self._frame(source) | entity,
            )

    def _place(self, source: str) -> str:
        """Name a source of this node in topics and identifiers: no other node has a source of this name.

        What stands for a source has no ``-``, so that what is behind the last one is the source. A node without ``_`` needs
        none: the first ``_`` is behind it.
        """
        joint = "-" if "_" in self._node else "_"
        return f"{self._node}{joint}{self._topics.part(source)}"

    def _frame(self, source: str) -> Payload:
        """Say what holds for all entities of a source, unless they say otherwise."""
        version = {} if self._discovery.version is None else {"sw_version": self._discovery.version}
        area = suggested_area(source)
        return {
            "device": {
                "identifiers": [f"earshot_{self._place(source)}"],
                "name": device_name(self._node, source),
                "manufacturer": ORIGIN,
                "model": "Live audio tagger",
                **version,
                **({} if area is None else {"suggested_area": area}),
            },
            "origin": {"name": ORIGIN, **version},
            "availability": [
                {"topic": self._topics.status},
                {"topic": self._topics.source_status(source)},
            ],
            "availability_mode": "all",
        }

    def _entities(self, source: str) -> Iterator[tuple[str, str, Payload]]:
        """Make the entities of a source: platform, key within the source, and what is special to it."""
        for platform, key, entity in (
            *self._sound_entities(source),
            *self._stream_entities(source),
            *self._diagnostic_entities(),
            *self._source_diagnostic_entities(source),
            *(self._switch_entities(source) if self._switches else ()),
        ):
            yield platform, key, {"unique_id": f"earshot_{self._place(source)}_{key}", **entity}

    def _sound_entities(self, source: str) -> Iterator[tuple[str, str, Payload]]:
        for name in self._watched[source]:
            sound = self._sounds.get(name) or Sound(name, classes=(name,))
            topic = self._topics.sound(source, name)
            if topic is not None:
                yield (
                    "binary_sensor",
                    f"sound_{topic.rpartition('/')[2]}",
                    {
                        "name": name,
                        "state_topic": topic,
                        "payload_on": "ON",
                        "payload_off": "OFF",
                        "device_class": sound.device_class,
                        "icon": sound.icon,
                        "qos": 1,
                    },
                )

    def _stream_entities(self, source: str) -> Iterator[tuple[str, str, Payload]]:
        yield (
            "event",
            "event",
            {
                "name": "Sound event",
                "state_topic": self._topics.events(source),
                "event_types": ["started", "ended"],
                "icon": "mdi:waveform",
                "qos": 1,
            },
        )
        yield (
            "sensor",
            "loudest",
            {
                "name": "Loudest sound",
                "state_topic": self._topics.loudest(source),
                "icon": "mdi:ear-hearing",
            },
        )
        yield (
            "sensor",
            "level",
            {
                "name": "Level",
                "state_topic": self._topics.level(source),
                "unit_of_measurement": "dBFS",  # no unit of the class sound_pressure: it is not calibrated
                "state_class": "measurement",
                "icon": "mdi:volume-high",
            },
        )

    def _diagnostic_entities(self) -> Iterator[tuple[str, str, Payload]]:
        """Make the sensors for figures of the whole node, which are there as long as it is."""
        common = {"entity_category": "diagnostic", "availability": [{"topic": self._topics.status}]}
        for figure, entity in DIAGNOSTICS.items():
            yield "sensor", figure, entity | common | {"state_topic": self._topics.figure(figure)}

    def _source_diagnostic_entities(self, source: str) -> Iterator[tuple[str, str, Payload]]:
        """Make the sensors for figures of a source."""
        for figure, (platform, entity) in SOURCE_DIAGNOSTICS.items():
            topic = self._topics.source_figure(source, figure)
            yield platform, figure, entity | {"entity_category": "diagnostic", "state_topic": topic}

    def _switch_entities(self, source: str) -> Iterator[tuple[str, str, Payload]]:
        """Make the switch, which is there as long as the node is: it must turn a paused source on again."""
        yield (
            "switch",
            "listen",
            {
                "name": "Listen",
                "state_topic": self._topics.listen(source),
                "command_topic": self._topics.listen_set(source),
                "payload_on": "ON",
                "payload_off": "OFF",
                "icon": "mdi:microphone",
                "qos": 1,
                "availability": [{"topic": self._topics.status}],
            },
        )


def device_name(node: str, source: str) -> str:
    """Name a source among all devices of a home; with the node where its own name says nothing of the place."""
    if slug(source).split("_")[0] in _SAYS_NO_PLACE:
        return f"{ORIGIN} {node} {source}"
    return f"{ORIGIN} {source}"


def suggested_area(source: str) -> str | None:
    """Return the area of a source that is named like a room, such as "Living Room" or "Bedroom 2"; None for all others."""
    name = source.replace("_", " ")
    if not _ROOM.fullmatch(name):
        return None
    return " ".join(word[:1].upper() + word[1:] for word in name.split())


def is_by_earshot(payload: bytes) -> bool:
    """Whether a discovery message is Earshot's, on this machine or another."""
    return bool(_mapping(_read(payload).get("origin")).get("name") == ORIGIN)


def as_state(value: str | float) -> str:
    """Write a value as a state, which has at most 255 characters and always encodes to UTF-8."""
    return str(value)[:_LONGEST_STATE].encode("utf-8", "replace").decode("utf-8")


def _read(payload: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(payload))
    except (ValueError, RecursionError):
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []
