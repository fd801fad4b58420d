"""Payloads of Home Assistant's MQTT discovery; nothing here connects to a broker."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from ...events.catalogue import Sound
from ...messages import EventKind, SoundState
from ...text import slug
from ..payloads import Payload, to_json
from .topics import Topics

ORIGIN = "Earshot"

Fits: TypeAlias = Callable[[str, str], bool]
"""Returns True if a text can be published on a topic."""

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
"""Diagnostic entities of the node, by attribute of `Health`."""

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
"""Platform and diagnostic entity of a source, by key of its health payload."""


NOISE: Mapping[str, str] = {
    "leq": "Noise level",
    "lmax": "Noise level, highest",
    "l10": "Noise level, L10",
    "l90": "Noise level, L90",
}
"""Name of each noise sensor of a source, by key of its noise payload."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """Options of Home Assistant's discovery.

    Attributes
    ----------
    sounds : sequence of Sound
        Icons and device classes of sounds; a sound that is not among them gets the default ones.
    style : {"device", "component"}
        One message per source, or one per entity, which versions before 2024.11 need.
    prefix : str
        Prefix of the discovery topics, as set in Home Assistant.
    version : str or None
        Version of Earshot.
    """

    sounds: Sequence[Sound] = ()
    style: Literal["device", "component"] = "device"
    prefix: str = "homeassistant"
    version: str | None = None


class HomeAssistant:
    """Discovery messages of one node.

    Names and identifiers depend on the node, the source and the sound only, so they are the same after each restart.

    Parameters
    ----------
    discovery : Discovery
        Options of the discovery.
    topics : Topics
        Topics of the node.
    node : str
        Name of the node.
    fits : callable
        Returns True if the broker takes a message; a device whose message is too large is announced entity by entity.
    """

    def __init__(self, discovery: Discovery, topics: Topics, *, node: str, fits: Fits | None = None) -> None:
        self._discovery = discovery
        self._topics = topics
        self._node = node
        self._sounds = {sound.name: sound for sound in discovery.sounds}
        self.messages: Mapping[str, Payload] = {
            topic: payload
            for source in topics.sources
            for topic, payload in self._messages(source, fits or fits_any)
        }
        """Retained payloads, by topic."""

    @property
    def birth_topic(self) -> str:
        """Topic on which Home Assistant says "online" when it has started."""
        return f"{self._discovery.prefix}/status"

    @property
    def filters(self) -> tuple[str, str]:
        """Topic filters of all announcements, by device and by component."""
        return f"{self._discovery.prefix}/device/+/config", f"{self._discovery.prefix}/+/+/+/config"

    def may_own(self, topic: str) -> bool:
        """Return True for a topic on which this node could have announced something."""
        parts = topic.removeprefix(f"{self._discovery.prefix}/").split("/")
        ours = (f"{self._node}_", f"{self._node}-")
        return len(parts) in {3, 4} and parts[-1] == "config" and parts[1].startswith(ours)

    def retraction(self, topic: str, payload: bytes) -> str | None:
        """Return the text that removes obsolete entities of an earlier announcement; None if there are none.

        Messages of others are left alone. If this node announces nothing on the topic any more, the text is empty. If it
        announces fewer entities, the text is its message plus, for each obsolete entity, nothing but the platform: that
        removes the entity. Publish the message itself afterwards.
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
            and isinstance(component["platform"], str)  # anyone may publish there
        }
        return to_json(message | {"components": present | gone}) if gone else None

    def left_behind(self, payload: bytes) -> set[str]:
        """Return the retained state topics of an earlier announcement that are obsolete.

        Anyone may have written the message, so only topics of sources are returned, and none that is in use.
        """
        found = _read(payload)
        frames = [found, *_mapping(found.get("components")).values(), *_listed(found.get("availability"))]
        named = (frame.get(key) for frame in map(_mapping, frames) for key in ("topic", "state_topic"))
        return {topic for topic in named if self._topics.is_state(topic)} - self._topics.retained()

    def _messages(self, source: str, fits: Fits) -> list[tuple[str, Payload]]:
        if self._discovery.style == "device":
            messages = list(self._device_messages(source))
            if all(fits(topic, to_json(payload)) for topic, payload in messages):
                return messages
        return list(self._component_messages(source))

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
        """Return the name of a source in topics and identifiers, unique among all nodes.

        A source's part has no ``-``, so the last one separates it from the node. A node without ``_`` is separated by the
        first ``_``.
        """
        joint = "-" if "_" in self._node else "_"
        return f"{self._node}{joint}{self._topics.part(source)}"

    def _frame(self, source: str) -> Payload:
        """Return what all entities of a source have in common."""
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
        """Yield the platform, the key and the configuration of each entity of a source."""
        for platform, key, entity in (
            *self._sound_entities(source),
            *_stream_entities(self._topics, source),
            *_noise_entities(self._topics, source),
            *_diagnostic_entities(self._topics),
            *_source_diagnostic_entities(self._topics, source),
            *(_switch_entities(self._topics, source) if self._topics.has_switches else ()),
            *_quiet_entities(self._topics, source),
        ):
            yield platform, key, {"unique_id": f"earshot_{self._place(source)}_{key}", **entity}

    def _sound_entities(self, source: str) -> Iterator[tuple[str, str, Payload]]:
        for name in self._topics.watched[source]:
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


def _stream_entities(topics: Topics, source: str) -> Iterator[tuple[str, str, Payload]]:
    yield (
        "event",
        "event",
        {
            "name": "Sound event",
            "state_topic": topics.events(source),
            "event_types": list(get_args(EventKind)),
            "icon": "mdi:waveform",
            "qos": 1,
        },
    )
    yield (
        "sensor",
        "loudest",
        {
            "name": "Loudest sound",
            "state_topic": topics.loudest(source),
            "icon": "mdi:ear-hearing",
        },
    )
    yield (
        "sensor",
        "level",
        {
            "name": "Level",
            "state_topic": topics.level(source),
            "unit_of_measurement": "dBFS",  # no unit of the class sound_pressure: it is not calibrated
            "state_class": "measurement",
            "icon": "mdi:volume-high",
        },
    )


def _noise_entities(topics: Topics, source: str) -> Iterator[tuple[str, str, Payload]]:
    """Yield the sensors of a source's noise; only levels with the offset of a reference meter are sound pressure."""
    unit = topics.noise.get(source)
    if unit is None:
        return
    for figure, name in NOISE.items():
        yield (
            "sensor",
            f"noise_{figure}",
            {
                "name": name,
                "state_topic": topics.noise_figure(source, figure),
                "unit_of_measurement": unit,
                "state_class": "measurement",
                "suggested_display_precision": 1,
                "icon": "mdi:volume-vibrate",
                **({"device_class": "sound_pressure"} if unit == "dBA" else {}),
            },
        )


def _diagnostic_entities(topics: Topics) -> Iterator[tuple[str, str, Payload]]:
    """Yield the sensors of the whole node, available while the node is online."""
    common = {"entity_category": "diagnostic", "availability": [{"topic": topics.status}]}
    for figure, entity in DIAGNOSTICS.items():
        yield "sensor", figure, entity | common | {"state_topic": topics.figure(figure)}


def _source_diagnostic_entities(topics: Topics, source: str) -> Iterator[tuple[str, str, Payload]]:
    """Yield the diagnostic sensors of a source."""
    for figure, (platform, entity) in SOURCE_DIAGNOSTICS.items():
        topic = topics.source_figure(source, figure)
        yield platform, figure, entity | {"entity_category": "diagnostic", "state_topic": topic}


def _switch_entities(topics: Topics, source: str) -> Iterator[tuple[str, str, Payload]]:
    """Yield the switch, available while the node is online, so that it can switch a paused source on."""
    yield (
        "switch",
        "listen",
        {
            "name": "Listen",
            "state_topic": topics.listen(source),
            "command_topic": topics.listen_set(source),
            "payload_on": "ON",
            "payload_off": "OFF",
            "icon": "mdi:microphone",
            "qos": 1,
            "availability": [{"topic": topics.status}],
        },
    )


def _quiet_entities(topics: Topics, source: str) -> Iterator[tuple[str, str, Payload]]:
    """Yield the quiet hours of each watched sound. They are off in Home Assistant until somebody turns one on: most need none."""
    for sound in topics.watched[source]:
        topic = topics.quiet.get((source, sound))
        if topic is not None:
            yield (
                "text",
                f"quiet_{topic.rpartition('/')[2]}",
                {
                    "name": f"{sound}: quiet hours",
                    "state_topic": topic,
                    "command_topic": f"{topic}/set",
                    "min": 1,
                    "max": 200,
                    "icon": "mdi:bell-sleep",
                    "entity_category": "config",
                    "enabled_by_default": False,
                    "qos": 1,
                    "availability": [{"topic": topics.status}],
                },
            )


def fits_any(_topic: str, _text: str) -> bool:
    """Return True: no limit of the size is known."""
    return True


def device_name(node: str, source: str) -> str:
    """Return the name of a source's device; with the node if the source's name does not say where it is."""
    if slug(source).split("_")[0] in _SAYS_NO_PLACE:
        return f"{ORIGIN} {node} {source}"
    return f"{ORIGIN} {source}"


def suggested_area(source: str) -> str | None:
    """Return the area of a source that is named like a room, such as "Living Room" or "Bedroom 2"; None for others."""
    name = source.replace("_", " ")
    if not _ROOM.fullmatch(name):
        return None
    return " ".join(word[:1].upper() + word[1:] for word in name.split())


def is_by_earshot(payload: bytes) -> bool:
    """Return True for a discovery message of Earshot, of any node."""
    return bool(_mapping(_read(payload).get("origin")).get("name") == ORIGIN)


def as_state(value: str | float) -> str:
    """Convert a value to a state of at most 255 characters that encodes to UTF-8."""
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
