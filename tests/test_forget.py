"""The command that takes a node back from the broker, and the notice after a node has got another name."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from support.mosquitto import Mosquitto, Subscriber
from support.mqtt import retained, running, sink_for, tagging
from support.system import free_port
from typer.testing import CliRunner, Result

from earshot.cli import app
from earshot.failures import EXIT_USAGE
from streamer.errors import SettingsError, SinkError
from streamer.events.catalogue import catalogue
from streamer.live import assembly
from streamer.messages import SourceStatus
from streamer.settings.loading import load_settings
from streamer.sinks.mqtt.homeassistant import Discovery
from streamer.sinks.mqtt.memory import AnnouncedNames, Place
from streamer.sinks.mqtt.publisher import MqttPublisher

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))


def run(broker: Mosquitto, *options: str, answer: str = "") -> Result:
    return CliRunner().invoke(
        app, ["forget", "--mqtt", f"mqtt://127.0.0.1:{broker.port}", *options], input=answer
    )


def publisher(broker: Mosquitto, node: str, **changes: Any) -> MqttPublisher:
    plain: dict[str, Any] = {
        "node": node,
        "watched": {"front door": ["Dog"], "hall": ["Siren"]},
        "sources": ["front door", "hall"],
        "discovery": Discovery(catalogue()),
        "on_listen": lambda _source, _on: None,
    }
    return sink_for(broker.port, **(plain | changes))


def leave(broker: Mosquitto, node: str, **changes: Any) -> None:
    """Run a node for a moment, and let it end."""
    base = changes.get("base_topic", f"earshot/{node}")
    with Subscriber(broker.port) as subscriber, running(publisher(broker, node, **changes)) as sink:
        subscriber.wait_for(f"{base}/status", "online")
        sink.accept(SourceStatus("front door", online=True))
        sink.accept(tagging())
        subscriber.wait_for(f"{base}/front_door/level")


@pytest.mark.parametrize("style", ["device", "component"])
def test_everything_of_a_node_is_removed_and_nothing_of_others(broker: Mosquitto, style: Any) -> None:
    for node in ("attic", "attic_2", "attic-front"):
        leave(broker, node, discovery=Discovery(catalogue(), style=style))
    with Subscriber(broker.port) as other:
        other.publish("earshot/attic/notes", "of somebody else", retain=True)
        other.publish(
            "homeassistant/sensor/attic_heating/level/config", json.dumps({"name": "x"}), retain=True
        )
    before = retained(broker, "")
    result = run(broker, "--node", "attic", answer="y\n")
    assert result.exit_code == 0, result.output
    after = retained(broker, "")
    removed = before.keys() - after.keys()
    assert removed
    assert all(
        topic.startswith(("earshot/attic/", "homeassistant/"))
        and "attic_2" not in topic
        and "attic-front" not in topic
        for topic in removed
    )
    left = [topic for topic in after if topic.startswith("earshot/attic/") or "/attic_" in topic]
    assert {topic for topic in left if "attic_2" not in topic} == {
        "earshot/attic/notes",
        "homeassistant/sensor/attic_heating/level/config",
    }
    assert f"Removed {len(removed)} retained messages." in result.output
    assert all(topic in result.output for topic in removed)


@pytest.mark.parametrize(
    ("options", "answer"), [((), "n\n"), ((), ""), (("--dry-run",), ""), (("--dry-run", "--yes"), "")]
)
def test_nothing_is_removed_without_consent(broker: Mosquitto, options: tuple[str, ...], answer: str) -> None:
    leave(broker, "attic")
    before = retained(broker, "")
    result = run(broker, "--node", "attic", *options, answer=answer)
    assert "homeassistant/device/attic_front_door/config" in result.output
    assert retained(broker, "") == before


def test_a_base_topic_is_taken_back_too(broker: Mosquitto) -> None:
    leave(broker, "attic", base_topic="home/sounds")
    assert run(broker, "--node", "attic", "--mqtt-topic", "home/sounds", "--yes").exit_code == 0
    assert not retained(broker, "")
    assert (
        "Nothing was removed."
        in run(broker, "--node", "attic", "--mqtt-topic", "home/sounds", "--yes").output
    )


def test_a_node_that_is_running_is_left_alone(broker: Mosquitto) -> None:
    with Subscriber(broker.port) as subscriber, running(publisher(broker, "attic")):
        subscriber.wait_for("earshot/attic/hall/status")
        result = run(broker, "--node", "attic", "--yes")
        assert isinstance(result.exception, SinkError)
        assert str(result.exception).startswith("an Earshot is running under earshot/attic: stop it first")
        assert retained(broker, "earshot/attic/")


def test_without_a_broker_the_reason_is_named() -> None:
    result = CliRunner().invoke(app, ["forget", "--node", "attic"])
    assert isinstance(result.exception, SettingsError)
    away = CliRunner().invoke(app, ["forget", "--mqtt", f"mqtt://127.0.0.1:{free_port()}"])
    assert isinstance(away.exception, SinkError)
    assert re.match(r"MQTT broker 127.0.0.1:\d+ can't be reached: .*; check --mqtt", str(away.exception))


def test_a_question_that_nobody_answers_names_the_option(broker: Mosquitto) -> None:
    leave(broker, "attic")
    result = run(broker, "--node", "attic", answer="")
    assert "give --yes" in result.output
    assert result.exit_code == EXIT_USAGE


def test_a_node_with_another_name_says_once_how_to_remove_the_old_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "announced.json"

    def start(**given: Any) -> list[str]:
        caplog.clear()
        assembly._report_move(load_settings(given), AnnouncedNames(file))
        return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]

    assert not start(node="attic")
    assert not start(node="attic")
    (line,) = start(node="loft")
    assert line.startswith(
        "the topics are under earshot/loft now, and those under earshot/attic remain at the broker"
    )
    assert line.endswith("run: earshot forget --node attic")
    assert not start(node="loft", discovery="off")
    (line,) = start(node="loft", mqtt_topic="home/loft")
    assert line.endswith("run: earshot forget --node loft --mqtt-topic 'earshot/loft'"), (
        "the settings name another"
    )
    (line,) = start(node="den")
    assert line.endswith("run: earshot forget --node loft --mqtt-topic 'home/loft'")


def test_a_removed_node_is_not_mentioned_any_more(broker: Mosquitto) -> None:
    leave(broker, "attic")
    file = load_settings({}).announced_file
    AnnouncedNames(file).move_to(Place("attic", "earshot/attic"))
    assert run(broker, "--node", "attic", "--yes").exit_code == 0
    assert AnnouncedNames(file).move_to(Place("loft", "earshot/loft")) is None
