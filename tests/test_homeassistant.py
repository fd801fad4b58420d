"""Discovery for Home Assistant against its documentation, and the page that shows how to use it."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from models.labels import audioset_classes
from streamer.errors import SettingsError
from streamer.events.catalogue import catalogue, resolve_sounds
from streamer.messages import Health, SourceHealth
from streamer.settings.schema import Settings
from streamer.sinks.mqtt.homeassistant import (
    DIAGNOSTICS,
    SOURCE_DIAGNOSTICS,
    Discovery,
    HomeAssistant,
    as_state,
    suggested_area,
)
from streamer.sinks.mqtt.topics import FIGURES, SOURCE_FIGURES, Topics
from streamer.sinks.payloads import source_health_payload
from streamer.text import slug

PAGE = (Path(__file__).parent.parent / "docs" / "home-assistant.md").read_text(encoding="utf-8")
LABELS = tuple(entry.name for entry in audioset_classes())

# From Home Assistant's documentation of MQTT discovery and of each platform, without abbreviations. For anything else in the
# message of a device it refuses the whole.
DEVICE_MESSAGE = {"device", "origin", "components", "availability", "availability_mode", "qos", "encoding"}
DEVICE = {
    "configuration_url",
    "connections",
    "hw_version",
    "identifiers",
    "manufacturer",
    "model",
    "model_id",
    "name",
    "serial_number",
    "suggested_area",
    "sw_version",
    "via_device",
}
ORIGIN = {"name", "sw_version", "support_url"}
AVAILABILITY = {"topic", "payload_available", "payload_not_available", "value_template"}
COMMON = {
    "availability",
    "availability_mode",
    "availability_template",
    "availability_topic",
    "default_entity_id",
    "device",
    "device_class",
    "enabled_by_default",
    "encoding",
    "entity_category",
    "entity_picture",
    "icon",
    "json_attributes_template",
    "json_attributes_topic",
    "name",
    "origin",
    "payload_available",
    "payload_not_available",
    "platform",
    "qos",
    "unique_id",
    "value_template",
}
PLATFORMS: dict[str, tuple[set[str], set[str]]] = {  # required, and allowed beside what is common
    "binary_sensor": (
        {"state_topic"},
        {"expire_after", "force_update", "off_delay", "payload_off", "payload_on"},
    ),
    "event": ({"state_topic", "event_types"}, set()),
    "sensor": (
        {"state_topic"},
        {
            "expire_after",
            "force_update",
            "last_reset_value_template",
            "options",
            "state_class",
            "suggested_display_precision",
            "unit_of_measurement",
        },
    ),
    "switch": (
        {"command_topic"},
        {
            "command_template",
            "optimistic",
            "payload_off",
            "payload_on",
            "retain",
            "state_off",
            "state_on",
            "state_topic",
        },
    ),
    "text": (
        {"command_topic"},
        {"command_template", "max", "min", "mode", "pattern", "retain", "state_topic"},
    ),
}
DEVICE_CLASSES: dict[str, set[str | None]] = {
    "binary_sensor": {"sound", "running", "problem"},
    "event": {None},
    "sensor": {None, "duration", "enum", "sound_pressure"},
    "switch": {None},
    "text": {None},
}


def home_for(
    *sources: str,
    sounds: tuple[str, ...] = ("Smoke alarm", "Dog"),
    switches: bool = True,
    **how: Any,
) -> HomeAssistant:
    watched = dict.fromkeys(sources, sounds)
    return HomeAssistant(
        Discovery(sounds=catalogue(), **how),
        Topics("earshot/attic", sources, watched, has_switches=switches, has_quiet=switches),
        node="attic",
    )


def entities(home: HomeAssistant) -> Iterator[tuple[str, dict[str, Any]]]:
    """Platform and configuration of each entity, with what its device's message says for all of them."""
    for topic, message in home.messages.items():
        if "components" not in message:
            yield topic.split("/")[1], dict(message)
            continue
        shared = {key: value for key, value in message.items() if key != "components"}
        for component in message["components"].values():
            yield component["platform"], shared | component


def by_id(home: HomeAssistant) -> dict[str, dict[str, Any]]:
    return {entity["unique_id"]: entity | {"platform": platform} for platform, entity in entities(home)}


@pytest.mark.parametrize("style", ["device", "component"])
def test_payloads_have_the_fields_that_home_assistant_documents(style: str) -> None:
    home = home_for("kitchen", "front door", style=style, version="1.2.3")
    for message in home.messages.values():
        assert set(message["device"]) <= DEVICE
        assert message["device"]["identifiers"]
        assert set(message["origin"]) <= ORIGIN
        assert message["origin"] == {"name": "Earshot", "sw_version": "1.2.3"}
        assert style == "component" or set(message) <= DEVICE_MESSAGE
        json.dumps(message, allow_nan=False)
    seen = set()
    for platform, entity in entities(home):
        seen.add(platform)
        required, more = PLATFORMS[platform]
        assert required | {"unique_id", "name"} <= set(entity) <= required | more | COMMON
        assert entity.get("device_class") in DEVICE_CLASSES[platform]
        assert entity["availability_mode"] == "all"
        assert all({"topic"} <= set(place) <= AVAILABILITY for place in entity["availability"])
        assert "icon" in entity or "device_class" in entity
        assert entity.get("entity_category") in {None, "diagnostic", "config"}
        assert entity.get("state_class") in {None, "measurement", "total_increasing"}
        assert "value_template" not in entity
    assert seen == set(PLATFORMS)


def test_topics_are_those_of_the_contract() -> None:
    assert list(home_for("kitchen", "front door").messages) == [
        "homeassistant/device/attic_kitchen/config",
        "homeassistant/device/attic_front_door/config",
    ]
    single = home_for("front door", style="component", prefix="ha").messages
    assert "ha/binary_sensor/attic_front_door/sound_smoke_alarm/config" in single
    assert "ha/event/attic_front_door/event/config" in single
    assert all(re.fullmatch(r"ha/\w+/attic_front_door/\w+/config", topic) for topic in single)


def test_both_styles_announce_the_same_entities() -> None:
    by_device = by_id(home_for("kitchen", "mic"))
    assert by_device == by_id(home_for("kitchen", "mic", style="component"))
    assert len(by_device) == 2 * (2 + 2 + 3 + len(DIAGNOSTICS) + len(SOURCE_DIAGNOSTICS) + 1)


def test_identifiers_are_unique_and_the_same_after_a_restart() -> None:
    first, second = (
        home_for("kitchen", "front door"),
        home_for("front door", "kitchen", sounds=("Dog", "Cat")),
    )
    for home in (first, second):
        assert len(by_id(home)) == len(list(entities(home)))
    assert "earshot_attic_kitchen_sound_dog" in by_id(first)
    assert by_id(first).keys() - by_id(second).keys() == {
        f"earshot_attic_{source}_{kind}_smoke_alarm"
        for source in ("kitchen", "front_door")
        for kind in ("sound", "quiet")
    }


def test_no_two_entities_of_a_source_share_a_state_topic() -> None:
    topics = [entity["state_topic"] for _, entity in entities(home_for("kitchen"))]
    assert len(topics) == len(set(topics))


def test_the_entities_of_a_source_are_there_while_the_node_and_the_source_are() -> None:
    announced = by_id(home_for("kitchen"))
    both = [{"topic": "earshot/attic/status"}, {"topic": "earshot/attic/kitchen/status"}]
    node_only = {"listen", "quiet_smoke_alarm", "quiet_dog", *DIAGNOSTICS}
    for unique_id, entity in announced.items():
        key = unique_id.removeprefix("earshot_attic_kitchen_")
        assert entity["availability"] == (both[:1] if key in node_only else both)


def test_a_sound_is_shown_as_in_the_catalogue() -> None:
    announced = by_id(home_for("kitchen", sounds=("Smoke alarm", "Vacuum cleaner", "A sound of mine")))
    alarm = announced["earshot_attic_kitchen_sound_smoke_alarm"]
    assert (alarm["name"], alarm["device_class"], alarm["icon"]) == (
        "Smoke alarm",
        "sound",
        "mdi:smoke-detector-alert",
    )
    assert alarm["state_topic"] == "earshot/attic/kitchen/sound/smoke_alarm"
    assert announced["earshot_attic_kitchen_sound_vacuum_cleaner"]["device_class"] == "running"
    own = announced["earshot_attic_kitchen_sound_a_sound_of_mine"]
    assert (own["name"], own["device_class"]) == ("A sound of mine", "sound")


def test_without_switches_no_switch_is_announced() -> None:
    assert "switch" not in {platform for platform, _ in entities(home_for("kitchen", switches=False))}


def test_every_diagnostic_is_a_figure_of_the_health() -> None:
    assert tuple(DIAGNOSTICS) == FIGURES
    assert tuple(SOURCE_DIAGNOSTICS) == SOURCE_FIGURES
    assert DIAGNOSTICS.keys() <= set(Health.__slots__)
    assert SOURCE_DIAGNOSTICS.keys() <= source_health_payload(SourceHealth(source="kitchen")).keys()


def test_a_problem_of_a_source_is_a_problem_of_its_device() -> None:
    announced = by_id(home_for("kitchen", "front door"))
    problem = announced["earshot_attic_front_door_problem"]
    assert (problem["platform"], problem["device_class"]) == ("binary_sensor", "problem")
    assert problem["state_topic"] == "earshot/attic/front_door/health/problem"
    state = announced["earshot_attic_kitchen_state"]
    assert state["options"] == ["ok", "silent", "faint", "clipping"]
    assert state["state_topic"] == "earshot/attic/kitchen/health/state"


@pytest.mark.parametrize(
    ("source", "area"),
    [
        ("kitchen", "Kitchen"),
        ("living room", "Living Room"),
        ("kids_bedroom 2", "Kids Bedroom 2"),
        ("mic", None),
        ("demo", None),
        ("front door", None),
        ("recording of 2026-03-01", None),
        ("mushroom", None),
        ("", None),
    ],
)
def test_only_a_room_is_suggested_as_an_area(source: str, area: str | None) -> None:
    assert suggested_area(source) == area


def test_a_source_without_an_area_is_named_with_its_node() -> None:
    names = [m["device"]["name"] for m in home_for("mic", "mic 2", "kitchen").messages.values()]
    assert names == ["Earshot attic mic", "Earshot attic mic 2", "Earshot kitchen"]


def test_an_unwatched_sound_is_removed_by_naming_only_its_platform() -> None:
    before, now = home_for("kitchen"), home_for("kitchen", sounds=("Dog",))
    ((topic, announced),) = before.messages.items()
    retraction = now.retraction(topic, json.dumps(announced).encode())
    assert retraction is not None
    left = now.messages[topic]
    stub = {
        "sound_smoke_alarm": {"platform": "binary_sensor"},
        "quiet_smoke_alarm": {"platform": "text"},
    }
    assert json.loads(retraction) == left | {"components": left["components"] | stub}
    assert now.retraction(topic, retraction.encode()) is None
    assert now.retraction(topic, json.dumps(left).encode()) is None


@pytest.mark.parametrize("style", ["device", "component"])
def test_a_removed_source_and_the_other_discovery_style_are_cleared_with_an_empty_message(style: str) -> None:
    for topic, payload in home_for("kitchen", style=style).messages.items():
        announced = json.dumps(payload).encode()
        assert home_for("bedroom", style=style).retraction(topic, announced) == ""
        assert home_for("kitchen", style=style).retraction(topic, announced) is None
        other = "component" if style == "device" else "device"
        assert home_for("kitchen", style=other).retraction(topic, announced) == ""


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"availability": [{"topic": "earshot/attic/status"}]}',
        b'{"availability": [{"topic": "earshot/attic/status"}], "origin": "Earshot"}',
        b'{"availability": [{"topic": "earshot/attic_2/status"}], "origin": {"name": "Earshot"}}',
        b'{"availability": {"topic": "earshot/attic/status"}, "origin": {"name": "Earshot"}}',
    ],
)
def test_announcements_of_others_are_left_alone(payload: bytes) -> None:
    assert home_for("kitchen").retraction("homeassistant/device/attic_2_mic/config", payload) is None


@pytest.mark.parametrize(
    "components", ["[]", "null", '{"a": 1, "b": [], "c": {"platform": "sensor"}, "d": {"name": 1}}']
)
def test_invalid_components_are_ignored(components: str) -> None:
    text = f'{{"availability": [{{"topic": "earshot/attic/status"}}], "origin": {{"name": "Earshot"}}, "components": {components}}}'
    assert home_for("kitchen").retraction("homeassistant/device/attic_kitchen/config", text.encode()) is None


@pytest.mark.parametrize("style", ["device", "component"])
def test_the_states_of_a_removed_source_are_found_in_its_announcement(style: str) -> None:
    before = home_for("kitchen", "hall", sounds=("Dog",), style=style)
    now = home_for("hall", sounds=("Dog",), style=style)
    found = {
        topic
        for payload in before.messages.values()
        for topic in now.left_behind(json.dumps(payload).encode())
    }
    own = {"status", "listen", "loudest", "level", "sound/dog", "quiet/dog"}
    own |= {f"health/{figure}" for figure in ("problem", "state", "lost_seconds", "drift_ppm")}
    assert found == {f"earshot/attic/kitchen/{topic}" for topic in own}


def test_no_announcement_has_the_topics_of_others_cleared() -> None:
    topics: list[object] = [
        *(
            "earshot/attic/status",
            "earshot/attic/health",
            "earshot/attic/health/model",
            "earshot/attic/+/status",
        ),
        *("earshot/attic/kitchen/events", "earshot/attic/kitchen/sound/#", "earshot/attic_2/hall/status", ""),
        *(
            "homeassistant/hall/status",
            "earshot/attic/hall/status\n",
            "earshot/attic/kitchen/status",
            None,
            [],
            {},
        ),
    ]
    components = {str(number): {"state_topic": topic} for number, topic in enumerate(topics)}
    payload = {"components": components, "availability": [*topics, *({"topic": topic} for topic in topics)]}
    assert not home_for("kitchen").left_behind(json.dumps(payload).encode())
    assert not home_for("kitchen").left_behind(b'{"components": [], "availability": {"topic": "a"}}')


def test_only_discovery_topics_that_begin_with_the_node_are_looked_at() -> None:
    home = home_for("kitchen", prefix="a/b")
    assert home.may_own("a/b/device/attic_cellar/config")
    assert home.may_own("a/b/sensor/attic_cellar/level/config")
    for topic in (
        "a/b/status",
        "a/b/device/zigbee/config",
        "a/b/sensor/attic/level/config",
        "a/b/x/attic_/set",
    ):
        assert not home.may_own(topic)


def node_home(node: str, source: str, style: Literal["device", "component"] = "device") -> HomeAssistant:
    return HomeAssistant(
        Discovery(style=style),
        Topics(f"earshot/{node}", [source], {source: ("Dog",)}, has_switches=True),
        node=node,
    )


@pytest.mark.parametrize("style", ["device", "component"])
def test_no_two_nodes_share_a_topic_or_an_identifier(style: Literal["device", "component"]) -> None:
    places = [("a", "b c"), ("a_b", "c"), ("a-b", "c"), ("a_b-c", "d"), ("a_b", "c d"), ("a", "b c d")]
    homes = [node_home(node, source, style) for node, source in places]
    topics = [topic for home in homes for topic in home.messages]
    identifiers = [identifier for home in homes for identifier in by_id(home)]
    assert len(topics) == len(set(topics))
    assert len(identifiers) == len(set(identifiers))


def test_only_nodes_with_an_underscore_are_written_in_another_way_than_before() -> None:
    assert list(node_home("attic-2", "front door").messages) == [
        "homeassistant/device/attic-2_front_door/config"
    ]
    home = node_home("attic_2", "front door")
    assert list(home.messages) == ["homeassistant/device/attic_2-front_door/config"]
    assert home.may_own("homeassistant/device/attic_2_front_door/config"), (
        "what an earlier version has announced"
    )


def test_a_state_is_at_most_as_long_as_home_assistant_takes_and_always_text() -> None:
    assert as_state("x" * 300) == "x" * 255
    assert as_state("a\udcff") == "a?"
    assert as_state(0.25) == "0.25"


def test_discovery_is_on_by_default() -> None:
    usual = Settings.model_validate({})
    assert (usual.discovery, usual.discovery_prefix) == ("device", "homeassistant")
    assert Settings.model_validate({"discovery": "off"}).discovery == "off"
    with pytest.raises(ValueError, match="discovery"):
        Settings.model_validate({"discovery": "on"})
    with pytest.raises(SettingsError, match="'home/#'"):
        Settings.model_validate({"discovery_prefix": "home/#"})


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def shown_home() -> HomeAssistant:
    """Return the discovery that the settings on the page cause."""
    settings = Settings.model_validate(tomllib.loads(blocks("toml")[0]))
    sources = [source.name for source in settings.sources]
    sounds = [entry.sound for entry in resolve_sounds(settings.watched, LABELS)]
    watched = {source: [sound.name for sound in sounds] for source in sources}
    noise = dict.fromkeys(sources, "dBA")  # the page describes these entities too
    topics = Topics(settings.base_topic, sources, watched, has_switches=True, has_quiet=True, noise=noise)
    return HomeAssistant(Discovery(sounds), topics, node=settings.node)


def entity_ids(home: HomeAssistant) -> set[str]:
    """Make the names that Home Assistant makes of those of device and entity."""
    return {
        f"{platform}.{slug(entity['device']['name'])}_{slug(entity['name'])}"
        for platform, entity in entities(home)
    }


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield str(value)


def test_the_documentation_names_only_existing_entities_and_topics() -> None:
    home = shown_home()
    named = set(re.findall(r"\b(?:binary_sensor|event|sensor|switch|text)\.\w+", PAGE))
    assert len(named) >= 7
    assert named <= entity_ids(home)
    topics = {entity["state_topic"] for _, entity in entities(home)}
    rows = re.findall(r"^\| `\w+\.earshot_kitchen\w+`.*\| `([^|]+)` \|$", PAGE, re.MULTILINE)
    shown = {f"earshot/attic/kitchen/{topic}" for row in rows for topic in row.split("`, `")}
    assert len(shown) == 16
    assert shown <= topics | {entity.get("command_topic") for _, entity in entities(home)}


def test_the_automations_in_the_documentation_refer_to_existing_entities() -> None:
    home = shown_home()
    automations = [yaml.safe_load(block) for block in blocks("yaml")]
    assert len(automations) == 3
    event = next(entity for platform, entity in entities(home) if platform == "event")
    labels = {entity["name"] for platform, entity in entities(home) if platform == "binary_sensor"}
    topics = {entity["state_topic"] for _, entity in entities(home)}
    for automation in automations:
        assert {"alias", "triggers", "actions", "mode"} <= set(automation)
        texts = list(leaves(automation["triggers"]))
        ours = [text for text in texts if text.startswith(("binary_sensor.", "event.", "earshot/"))]
        assert ours
        assert set(ours) <= entity_ids(home) | topics
        for template in leaves(automation.get("conditions", [])):
            assert set(re.findall(r"event_type == '(\w+)'", template)) <= set(event["event_types"])
            assert set(re.findall(r"label == '([^']+)'", template)) <= labels
        for trigger in automation["triggers"]:
            assert trigger["trigger"] in {"state", "mqtt"}
            assert trigger["trigger"] == "mqtt" or trigger["to"] == "on"
        assert all("action" in action for action in automation["actions"])
