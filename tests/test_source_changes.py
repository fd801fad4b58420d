"""Sources that come and go, and sounds that are watched anew, at the sinks that know them by name; MQTT against a real broker."""

import json
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from support.fakes import Tone
from support.metrics import samples, serving
from support.mosquitto import Mosquitto, Subscriber
from support.mqtt import PASSWORD, VOCABULARY, retained, running, sink_for, tagging, wait_for_state
from support.session import live_session
from support.system import require
from support.terminal import live_table, picture
from support.waiting import wait_until

from streamer.events.catalogue import Watch, catalogue
from streamer.events.watchlist import WatchLists
from streamer.live import assembly
from streamer.live.switches import Switches
from streamer.messages import Event, Health, SourceHealth, SourceStatus, Tagging
from streamer.runtime.threads import ThreadGroup
from streamer.settings.loading import load_settings
from streamer.sinks import SourceListSink
from streamer.sinks.health_log import HealthLog
from streamer.sinks.history.store import History
from streamer.sinks.metrics import Metrics
from streamer.sinks.mqtt.broker import Broker
from streamer.sinks.mqtt.homeassistant import Discovery
from streamer.sinks.mqtt.memory import AnnouncedNames
from streamer.sinks.mqtt.publisher import MqttPublisher
from streamer.sinks.terminal.table import LiveTable
from streamer.text import slugs

NODE = "earshot/attic"
DEVICE = "homeassistant/device/attic"


class Home:
    """Rooms with what is watched in each, and a sink that publishes of them."""

    def __init__(self, broker: int | Broker, *rooms: str, **changes: Any) -> None:
        self.watched = {room: ["Dog"] for room in ("hall", "kitchen", "attic room")}
        self.off: set[str] = set()
        self.turned: list[tuple[str, bool]] = []
        plain: dict[str, Any] = {
            "sources": rooms,
            "watched_at": lambda source: self.watched.get(source, []),
            "is_on": lambda source: source not in self.off,
            "on_listen": lambda source, on: self.turned.append((source, on)),
            "discovery": Discovery(catalogue()),
            "gauge_seconds": 0.0,
        }
        self.sink = sink_for(broker, **(plain | changes))

    def hear(self, room: str) -> None:
        """Publish everything that there can be of a room."""
        self.sink.accept(SourceStatus(room, online=True))
        self.sink.accept(heard(room))
        self.sink.accept(bark(room))
        self.sink.accept(health_of("hall", "kitchen", "attic room"))


def heard(room: str) -> Tagging:
    plain = tagging()
    return Tagging(room, 0, 163_840, plain.ended_at, plain.scores, -30.0, 0.1)


def bark(room: str, kind: Any = "started") -> Event:
    return Event(
        f"of {room}", kind, "Dog", room, 0.5, 1_772_366_400.0, None if kind == "started" else 1_772_366_401.0
    )


def health_of(*rooms: str) -> Health:
    return Health(12.0, 11, 1, 0, 0.0, 0, 0.2, 0.3, 0.4, "tiny", "cpu", "", sources=tuple(map(of, rooms)))


def of(room: str) -> SourceHealth:
    return SourceHealth(source=room, drift_ppm=1.0)


def kept_of(broker: Mosquitto, part: str) -> dict[str, str]:
    """Return the retained messages of a room, without the prefix of their topics."""
    beginning = f"{NODE}/{part}/"
    return {topic.removeprefix(beginning): text for topic, text in retained(broker, beginning).items()}


ALL_OF_A_ROOM = {
    *("status", "sound/dog", "loudest", "level", "listen"),
    *(f"health/{figure}" for figure in ("problem", "state", "lost_seconds", "drift_ppm")),
}


def components(broker: Mosquitto, part: str) -> set[str]:
    """Return the discovery of a room."""
    told = retained(broker, f"{DEVICE}_{part}/").get(f"{DEVICE}_{part}/config", "{}")
    return {
        key for key, entity in json.loads(told).get("components", {}).items() if entity.keys() > {"platform"}
    }


@pytest.mark.system
def test_a_source_is_added_and_another_removed_on_the_open_connection(broker: Mosquitto) -> None:
    home = Home(broker.port, "hall", "kitchen")
    with Subscriber(broker.port) as subscriber, running(home.sink) as sink:
        home.hear("hall")
        home.hear("kitchen")
        wait_until(lambda: kept_of(broker, "hall").keys() == ALL_OF_A_ROOM, "all of the hall")
        wait_until(lambda: kept_of(broker, "kitchen").keys() == ALL_OF_A_ROOM, "all of the kitchen")
        home.off.add("attic room")
        sink.set_sources(["kitchen", "attic room"])
        subscriber.wait_for(f"{DEVICE}_hall/config", "")
        subscriber.wait_for(f"{NODE}/attic_room/listen", "OFF")
        home.hear("hall")  # nobody listens to it any more
        home.hear("attic room")
        wait_until(lambda: kept_of(broker, "attic_room").keys() == ALL_OF_A_ROOM, "all of the attic")
        assert not kept_of(broker, "hall")
        assert "binary_sensor" not in components(broker, "hall")
        assert "sound_dog" in components(broker, "attic_room")
        kitchen = kept_of(broker, "kitchen")
        assert (kitchen["status"], kitchen["sound/dog"], kitchen["level"]) == ("online", "ON", "-30")
        subscriber.publish(f"{NODE}/attic_room/listen/set", "ON")
        subscriber.publish(f"{NODE}/hall/listen/set", "OFF")
        subscriber.publish(f"{NODE}/kitchen/listen/set", "OFF")
        wait_until(lambda: len(home.turned) == 2, "the switches")
        assert home.turned == [("attic room", True), ("kitchen", False)]
        home.off = {"kitchen"}
        sink.set_sources(["hall", "kitchen"])
        home.hear("hall")
        wait_until(lambda: kept_of(broker, "hall").keys() == ALL_OF_A_ROOM, "the hall to be there again")
        wait_until(lambda: not kept_of(broker, "attic_room"), "the attic to be gone")
        states = [message.text for message in subscriber.messages if message.topic == f"{NODE}/status"]
    assert "offline" not in states[:-1], "it is one connection"
    assert kept_of(broker, "hall")["status"] == "offline"


@pytest.mark.system
def test_a_newly_watched_sound_gets_its_topic_and_entity_at_once_and_loses_them_at_once(
    broker: Mosquitto,
) -> None:
    home = Home(broker.port, "hall", "kitchen")
    with Subscriber(broker.port) as subscriber, running(home.sink) as sink:
        home.hear("hall")
        subscriber.wait_for(f"{NODE}/hall/sound/dog", "ON")
        home.watched["hall"] = ["Dog", "Siren"]
        sink.update_watched()
        sink.accept(Event("2", "started", "Siren", "hall", 0.5, 1_772_366_400.0))
        subscriber.wait_for(f"{NODE}/hall/sound/siren", "ON")
        wait_until(lambda: {"sound_dog", "sound_siren"} <= components(broker, "hall"), "the new entity")
        assert "sound_siren" not in components(broker, "kitchen")
        assert kept_of(broker, "hall")["sound/dog"] == "ON"
        home.watched["hall"] = ["Siren"]
        sink.update_watched()
        subscriber.wait_for(f"{NODE}/hall/sound/dog", "")
        wait_until(lambda: "sound_dog" not in components(broker, "hall"), "the old entity to go")
        sink.accept(bark("hall", "ended"))
        subscriber.wait_for(f"{NODE}/hall/events")
        assert "sound/dog" not in kept_of(broker, "hall")
        assert kept_of(broker, "hall")["sound/siren"] == "ON"
        assert kept_of(broker, "kitchen")["sound/dog"] == "OFF"


@pytest.mark.system
def test_an_active_sound_is_on_again_when_it_is_watched_again(
    broker: Mosquitto,
) -> None:
    home = Home(broker.port, "hall")
    with Subscriber(broker.port) as subscriber, running(home.sink) as sink:
        home.hear("hall")
        subscriber.wait_for(f"{NODE}/hall/sound/dog", "ON")
        home.watched["hall"] = []
        sink.update_watched()
        subscriber.wait_for(f"{NODE}/hall/sound/dog", "")
        home.watched["hall"] = ["Dog"]
        sink.update_watched()
        subscriber.wait_for(f"{NODE}/hall/sound/dog", "ON")
        home.watched["hall"] = []
        sink.update_watched()
        sink.accept(bark("hall", "ended"))
        home.watched["hall"] = ["Dog"]
        sink.update_watched()
        subscriber.wait_for(f"{NODE}/hall/sound/dog", "OFF")


@pytest.mark.system
def test_a_sound_watched_in_the_window_is_published_until_it_is_unwatched(
    broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    settings = load_settings({"node": "attic"}, config=Path("/dev/null"), environment={})
    lists = WatchLists([Watch("Dog")], {"kitchen": [Watch("Dog")]}, VOCABULARY.labels)
    sources = [Tone("hall", 60.0, live=True), Tone("kitchen", 60.0, live=True)]
    with Subscriber(broker.port) as subscriber, ThreadGroup() as threads:
        sink = assembly.start_mqtt(
            threads,
            Broker("127.0.0.1", broker.port),
            settings,
            ["hall", "kitchen"],
            label_set=VOCABULARY,
            watchlists=lists,
            history=None,
            switches=Switches(tmp_path / "off.json"),
        )
        session = live_session(sources)
        assembly.connect_watchlists(lists, session, sink)
        subscriber.wait_for(f"{NODE}/hall/sound/dog", "OFF")
        lists.of("hall").watch("Siren")
        subscriber.wait_for(f"{NODE}/hall/sound/siren", "OFF")
        wait_until(lambda: {"sound_siren", "quiet_siren"} <= components(broker, "hall"), "the entities")
        assert "sound_siren" not in components(broker, "kitchen")
        lists.of("hall").unwatch("Siren")
        subscriber.wait_for(f"{NODE}/hall/sound/siren", "")
        wait_until(lambda: "sound_siren" not in components(broker, "hall"), "the entity to go")


@contextmanager
def open_to(broker: Mosquitto, name: str) -> Iterator[Subscriber]:
    """Start a broker that a client of this name can only reach once the block has begun."""
    broker.start()
    with ExitStack() as failed:
        failed.callback(broker.stop)
        with Subscriber(broker.port, qos=1, username="observer", password=PASSWORD) as subscriber:
            yield subscriber
        failed.pop_all()
    broker.dismiss(name)


@pytest.mark.system
def test_a_source_removed_during_an_outage_is_cleared_when_the_broker_returns(tmp_path: Path) -> None:
    require("mosquitto", "mosquitto_passwd")
    guarded = Mosquitto(tmp_path, username="observer", password=PASSWORD)
    home = Home(Broker("127.0.0.1", guarded.port, username="ear", password=PASSWORD), "hall", "kitchen")
    with running(home.sink) as sink:
        with open_to(guarded, "ear"):
            guarded.admit("ear", PASSWORD)
            home.hear("hall")
            with Subscriber(guarded.port, username="observer", password=PASSWORD) as latecomer:
                for part in ALL_OF_A_ROOM:
                    latecomer.wait_for_retained(f"{NODE}/hall/{part}")
                latecomer.wait_for_retained(f"{DEVICE}_kitchen/config")
                kept = {message.topic: message.text for message in latecomer.messages if message.retained}
        guarded.stop()
        wait_for_state(sink, "unreachable")
        home.watched["kitchen"] = ["Siren"]
        sink.set_sources(["kitchen", "attic room"])
        home.hear("attic room")
        with open_to(guarded, "ear") as subscriber:
            for topic, text in kept.items():  # it has kept them over its absence
                subscriber.publish(topic, text, retain=True)
            guarded.admit("ear", PASSWORD)
            subscriber.wait_for(f"{NODE}/attic_room/sound/dog", "ON")
            wait_for_state(sink, "connected")
            subscriber.wait_for_several(f"{NODE}/attic_room/events", 1)
            gone = {topic for topic in kept if "/hall/" in topic or "_hall/" in topic}
            gone.add(f"{NODE}/kitchen/sound/dog")
            assert len(gone) == len(ALL_OF_A_ROOM) + 2
            wait_until(
                lambda: gone <= {message.topic for message in subscriber.messages if not message.text},
                "all that is gone to be cleared",
            )
    guarded.stop()


@pytest.mark.system
@pytest.mark.parametrize("style", ["device", "component"])
def test_a_source_removed_between_two_runs_is_cleared(
    broker: Mosquitto, style: Literal["device", "component"]
) -> None:
    discovery = Discovery(catalogue(), style)
    home = Home(broker.port, "hall", "kitchen", discovery=discovery)
    with running(home.sink):
        home.hear("hall")
        home.hear("kitchen")
        wait_until(lambda: kept_of(broker, "hall").keys() == ALL_OF_A_ROOM, "all of the hall")
        wait_until(lambda: kept_of(broker, "kitchen").keys() == ALL_OF_A_ROOM, "all of the kitchen")
    with running(Home(broker.port, "kitchen", discovery=discovery).sink):
        wait_until(lambda: not kept_of(broker, "hall"), "nothing of the hall")
        assert kept_of(broker, "kitchen").keys() == ALL_OF_A_ROOM
        assert not [topic for topic in retained(broker, "homeassistant/") if "hall" in topic]


@pytest.mark.system
def test_events_of_a_removed_source_are_still_delivered(broker: Mosquitto, tmp_path: Path) -> None:
    with History(tmp_path / "history.sqlite3", days=36_500.0) as history:
        home = Home(broker.port, "hall", "kitchen", outbox=history)
        for message in (bark("hall"), bark("hall", "ended")):
            history.accept(message)
            home.sink.accept(message)
        home.sink.set_sources(["kitchen"])
        with Subscriber(broker.port) as subscriber, running(home.sink):
            told = subscriber.wait_for_several(f"{NODE}/hall/events", 2)
            wait_until(lambda: not history.pending(1), "all to be published")
    assert [message.json()["event_type"] for message in told] == ["started", "ended"]
    assert not kept_of(broker, "hall")


@pytest.mark.system
def test_a_source_keeps_its_topics_and_state_when_one_of_a_similar_name_is_removed(broker: Mosquitto) -> None:
    home = Home(broker.port, "Hall", "hall")
    part = slugs(["Hall", "hall"])["hall"]
    assert part != "hall"
    with running(home.sink) as sink:
        home.sink.accept(SourceStatus("hall", online=True))
        wait_until(lambda: kept_of(broker, part).get("status") == "online", "its status")
        assert kept_of(broker, "hall")["status"] == "offline"
        sink.set_sources(["hall"])
        wait_until(lambda: not kept_of(broker, "hall"), "nothing of the other")
        assert kept_of(broker, part)["status"] == "online"


@pytest.mark.system
def test_sources_added_and_removed_faster_than_they_are_published_leave_nothing(broker: Mosquitto) -> None:
    home = Home(broker.port, "kitchen")
    with running(home.sink) as sink:
        wait_for_state(sink, "connected")
        for _ in range(20):
            sink.set_sources(["kitchen", "hall"])
            home.hear("hall")
            sink.set_sources(["kitchen"])
        sink.set_sources(["kitchen", "attic room"])
        home.hear("attic room")
        wait_until(lambda: kept_of(broker, "attic_room").keys() == ALL_OF_A_ROOM, "all of the attic")
        wait_until(lambda: not kept_of(broker, "hall"), "nothing of the hall")
        wait_until(lambda: not components(broker, "hall"), "no device of the hall")


class Wanderer:
    """Changes rooms and what is watched in them at random, as somebody does who can't make up their mind."""

    NAMES = ("Hall", "hall", "hall 2", "living room", "living_room", "厨房", "🐶", "a/b")  # some share a slug
    SOUNDS = ("Dog", "Siren", "Speech")

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rooms = ["Hall", "hall"]
        self.watched: dict[str, list[str]] = {}

    def go_on(self) -> None:
        choose = self.random.choice
        absent = [name for name in self.NAMES if name not in self.rooms]
        match choose(("come", "go", "rename", "move", "watch", "watch")):
            case "come" if absent:
                self.rooms.insert(self.random.randrange(len(self.rooms) + 1), choose(absent))
            case "go" if len(self.rooms) > 1:
                self.rooms.remove(choose(self.rooms))
            case "rename" if absent:
                self.rooms[self.random.randrange(len(self.rooms))] = choose(absent)
            case "move":
                self.random.shuffle(self.rooms)
            case _:
                self.watched[choose(self.rooms)] = self.random.sample(self.SOUNDS, self.random.randrange(4))


@pytest.mark.system
@pytest.mark.parametrize("style", ["device", "component"])
@pytest.mark.parametrize("seed", range(2))
def test_after_any_changes_the_broker_keeps_what_a_fresh_start_would_publish(
    broker: Mosquitto, tmp_path: Path, seed: int, style: Literal["device", "component"]
) -> None:
    names = AnnouncedNames()

    def home_of(port: int, wanderer: Wanderer) -> Home:
        return Home(
            port,
            *wanderer.rooms,
            watched_at=lambda source: wanderer.watched.get(source, ["Dog"]),
            discovery=Discovery(catalogue(), style),
            birth_seconds=0.0,
            names=names,
        )

    def hear_all(home: Home) -> None:
        for room in wanderer.rooms:
            home.sink.accept(SourceStatus(room, online=True))
            home.sink.accept(heard(room))
            home.sink.accept(bark(room))
        home.sink.accept(health_of(*wanderer.rooms))

    wanderer = Wanderer(seed)
    home = home_of(broker.port, wanderer)
    with Subscriber(broker.port, "marker") as other, running(home.sink) as sink:
        for _ in range(60):
            wanderer.go_on()
            sink.set_sources(wanderer.rooms)
            hear_all(home)
            if wanderer.random.random() < 0.1:
                other.publish("homeassistant/status", "online")
            time.sleep(wanderer.random.choice((0.0, 0.0, 0.02, 0.1)))
        (tmp_path / "fresh").mkdir()
        with Mosquitto(tmp_path / "fresh") as fresh:
            beginner = home_of(fresh.port, wanderer)
            with running(beginner.sink):
                wait_for_state(beginner.sink, "connected")
                hear_all(beginner)
                last = f"{NODE}/{names.parts(wanderer.rooms)[wanderer.rooms[-1]]}/level"
                wait_until(lambda: last in retained(fresh, NODE), "all to be published")
                wanted = retained(fresh, "")

                def same() -> bool:
                    hear_all(home)  # as with the next hop: nothing but what is newest waits for its turn
                    return retained(broker, "") == wanted

                wait_until(same, "the same to be kept")


def test_sinks_that_know_sources_by_name_follow_changes() -> None:
    assert all(issubclass(kind, SourceListSink) for kind in (MqttPublisher, LiveTable, Metrics, HealthLog))
    assert not issubclass(History, SourceListSink)


def test_the_view_shows_the_current_sources_in_order() -> None:
    def shown(table: LiveTable) -> list[str]:
        rows = [line for line in picture(table) if line.strip().startswith(("●", "○"))]
        return [row.split()[1] for row in rows]

    table = live_table()
    table.set_sources(["desk", "hall"])
    table.accept(heard("desk"))
    table.set_sources(["kitchen", "desk"])
    assert shown(table) == ["kitchen", "desk"]
    assert any("●" in line and "desk" in line for line in picture(table)), (
        "what was heard there is still shown"
    )


def test_the_figures_of_a_removed_source_are_not_served() -> None:
    with serving() as metrics:
        for room in ("hall", "kitchen"):
            for message in (SourceStatus(room, online=True), heard(room), bark(room)):
                metrics.accept(message)
        metrics.accept(health_of("hall", "kitchen"))

        def labels() -> set[str]:
            return {word for key in samples(metrics) for word in key}

        assert any("hall" in label for label in labels())
        metrics.set_sources(["kitchen"])
        assert not any("hall" in label for label in labels())
        assert any("kitchen" in label for label in labels())
        metrics.set_sources(["kitchen", "hall"])
        metrics.accept(SourceStatus("hall", online=True))
        assert any("hall" in label for label in labels())


def test_losses_of_a_source_that_is_added_again_are_counted_from_zero(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = HealthLog(pause_seconds=0.0)

    def lose(overruns: int) -> None:
        source = SourceHealth(source="hall", overruns=overruns, overrun_samples=16_000 * overruns)
        log.accept(Health(1.0, 1, 0, 0, 0.0, 0, 0.2, 0.3, 0.4, "tiny", "cpu", "none", sources=(source,)))

    lose(5)
    log.set_sources(["kitchen"])
    log.set_sources(["kitchen", "hall"])
    lose(2)
    assert [message.partition(": ")[2].partition(";")[0] for message in caplog.messages] == [
        "5.00 s of audio lost in 5 gaps",
        "2.00 s of audio lost in 2 gaps",
    ]
