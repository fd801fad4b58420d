"""Settings that are read again while a session listens."""

import logging
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.fakes import HOP, Memory, Tone, slow_scorer
from support.session import live_session
from support.waiting import wait_until

from streamer.errors import SourceError
from streamer.events.catalogue import Watch
from streamer.events.watchlist import WatchLists
from streamer.live import changes
from streamer.live.assembly import connect_watchlists
from streamer.live.changes import LiveSettings, Running
from streamer.live.channel import Channel
from streamer.runtime.threads import ThreadGroup
from streamer.settings.loading import load_settings
from streamer.settings.schema import Settings
from streamer.sinks import RankingSink
from streamer.sinks.clips.recorder import ClipLimits, Clips
from streamer.sinks.history.store import History
from streamer.sinks.notify.notifier import Notifier, Wording
from streamer.sinks.notify.outbox import NotifyOutbox
from streamer.sinks.notify.rules import Rules
from streamer.sources import open_source

LABELS = ("Dog", "Siren")


class Given:
    """Settings that change."""

    def __init__(self, **settings: object) -> None:
        self.wanted: dict[str, object] = settings

    def load(self) -> Settings:
        return load_settings(self.wanted, config=Path("/dev/null"), environment={})


class Rooms:
    """A session on two rooms, and settings that change."""

    def __init__(self, *sources: object, **settings: object) -> None:
        self.given = Given(source=list(sources), watch=["Dog"], **settings)
        loaded = self.given.load()
        self.lists = WatchLists(loaded.watched, loaded.watch_overrides, LABELS)
        self.session = live_session(
            [Tone("kitchen", 1.0, live=False), Tone("hall", 1.0, live=False)],
            sounds=self.lists.shared.sounds,
            own_sounds=self.lists.sound_overrides,
        )
        self.kept: list[list[str]] = []
        self.shown = Memory()
        self.shown.top = loaded.top  # type: ignore[attr-defined]
        connect_watchlists(self.lists, self.session, None)
        running = Running(self.session, self.lists, self._make_clips, sinks=[self.shown, None])
        self.settings = LiveSettings(loaded, self.given.load, None, running)

    def _make_clips(self, _settings: Settings, names: Sequence[str]) -> None:
        self.kept.append(list(names))

    def reload(self, *sources: object, **settings: object) -> None:
        self.given.wanted |= {"source": list(sources), **settings}
        self.settings.reload()

    def channel(self, name: str) -> Channel:
        return next(channel for channel in self.session.channels if channel.name == name)

    def watched(self, source: str) -> list[str]:
        """Sounds that become events."""
        return [entry.sound.name for entry in self.channel(source).sounds]

    @property
    def names(self) -> list[str]:
        return list(self.session.channels.names)


def room(name: str, **own: object) -> dict[str, object]:
    return {"name": name, "spec": "demo", **own}


BOTH = ("kitchen=demo", "hall=demo")


def test_each_setting_that_has_changed_is_applied_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rooms = Rooms(*BOTH, top=3)
    rooms.reload(*BOTH)
    assert (rooms.kept, caplog.messages) == ([], ["the settings have not changed"])
    for _ in range(2):
        rooms.reload(*BOTH, top=4, clips_days=2)
    assert isinstance(rooms.shown, RankingSink)
    assert (rooms.shown.top, rooms.kept) == (4, [[]])
    assert caplog.messages[1:] == ["settings changed: clips_days, top", "the settings have not changed"]
    assert rooms.settings.current == rooms.given.load()


def test_an_address_with_a_name_is_refused_for_a_source_that_has_one() -> None:
    rooms = Rooms("demo", "hall=demo")
    with pytest.raises(SourceError, match="neither a file nor a URL; check its spelling"):
        rooms.settings.choose("hall", "yard=rtsp://camera.local/live")
    assert rooms.settings.address_of("hall") == "demo"


def test_a_fast_window_is_switched_on_while_listening(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rooms = Rooms("kitchen=mic", "hall=mic")
    rooms.given.wanted["fast_window"] = 0.5
    rooms.settings.reload()
    assert [channel.lengths.fast for channel in rooms.session.channels] == [(8_000, 4_000)] * 2
    assert "settings changed: fast_window" in caplog.text


def test_settings_that_need_a_restart_are_logged_until_they_are_as_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rooms = Rooms(*BOTH)
    before = rooms.given.load()
    for _ in range(2):
        rooms.reload(*BOTH, model="tiny", json=True, mqtt_password="secret", node=before.node)
    assert caplog.messages == ["settings that need a restart: json, model, mqtt_password"] * 2
    assert rooms.settings.current == before
    rooms.given.wanted = {"source": list(BOTH), "watch": ["Dog"]}
    rooms.settings.reload()
    assert len(caplog.messages) == 2


def test_who_may_use_the_page_and_who_is_notified_change_without_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rooms = Rooms("demo", "hall=demo", web="8080")
    let_in: list[str | None] = []
    outbox = NotifyOutbox(tmp_path / "notifications.json", [])
    notifier = Notifier([], rules=Rules(), wording=Wording(), outbox=outbox)
    running = Running(
        rooms.session,
        rooms.lists,
        rooms._make_clips,
        notifier=notifier,
        set_access=lambda settings: let_in.append(settings.web_token),
    )
    settings = LiveSettings(rooms.given.load(), rooms.given.load, None, running)
    token = f"sha256:{'0' * 64}"
    rooms.given.wanted |= {"web_token": token, "notify_command": "true"}
    settings.reload()
    assert "settings changed: notify_command, web_token" in caplog.text
    assert let_in == [token]
    with ThreadGroup() as threads:
        threads.start("notify", notifier.run, notifier.close)
        wait_until(lambda: notifier.targets == ["the command true"], "the new target")
    # The addresses in a file follow it, though the settings are the same.
    addresses = tmp_path / "addresses"
    addresses.write_text("json://127.0.0.1:9/a\n")
    rooms.given.wanted |= {"notify_file": addresses}
    settings.reload()
    addresses.write_text("json://127.0.0.1:9/a\njson://127.0.0.1:9/b\n")
    caplog.clear()
    for line in ("settings changed: notify_file", "the settings have not changed"):
        settings.reload()
        assert caplog.messages[-1] == line
    notifier._take_plan()
    assert len(notifier.targets) == 3
    # With another address, who is let in waits for the restart too.
    rooms.given.wanted |= {"web": "8081", "web_token": None}
    settings.reload()
    assert "settings that need a restart: web, web_token" in caplog.text
    assert let_in == [token]


def test_the_noise_offset_of_each_source_follows_and_so_do_its_sensors() -> None:
    class Sensors(Memory):
        units: Mapping[str, str]

        def set_noise_units(self, units: Mapping[str, str]) -> None:
            self.units = units

    rooms, sensors = Rooms(*BOTH, noise=True), Sensors()
    running = Running(rooms.session, rooms.lists, rooms._make_clips, sinks=(sensors,))
    settings = LiveSettings(rooms.given.load(), rooms.given.load, None, running)
    rooms.given.wanted |= {"source": [room("kitchen", noise_offset_db=94.5), "hall=demo", "attic=demo"]}
    settings.reload()
    assert sensors.units == {"kitchen": "dBA", "hall": "dBFS", "attic": "dBFS"}
    rooms.given.wanted |= {"noise_offset_db": 110.0}
    settings.reload()
    assert set(sensors.units.values()) == {"dBA"}
    offsets = {name: rooms.channel(name).noise.offset_db for name in rooms.names}
    assert offsets == {"kitchen": 94.5, "hall": 110.0, "attic": 110.0}


def test_one_setting_that_is_wrong_keeps_all_from_changing(caplog: pytest.LogCaptureFixture) -> None:
    rooms = Rooms(*BOTH, top=3)
    rooms.reload(*BOTH, top=4, watch=["Dgo"])
    rooms.reload(*BOTH, top=-4, watch=["Siren"])
    assert caplog.messages[0].startswith("settings not reloaded: there is no sound called 'Dgo'")
    assert "--top must be" in caplog.messages[1]
    assert rooms.shown.top == 3  # type: ignore[attr-defined]
    assert rooms.watched("hall") == ["Dog"]


def test_nothing_changes_once_listening_is_over(caplog: pytest.LogCaptureFixture) -> None:
    rooms = Rooms(*BOTH, top=3)
    with ThreadGroup() as threads:
        rooms.session.start(threads)
        wait_until(lambda: not threads.is_running("tagger"), "both to end")
    rooms.reload(*BOTH, "attic=demo", top=4, watch=["Siren"])
    assert caplog.messages == ["settings not reloaded: 'attic' can't be added: listening is over"]
    assert rooms.shown.top == 3  # type: ignore[attr-defined]
    assert rooms.watched("hall") == ["Dog"]


def test_a_session_applies_sounds_sources_limits_and_clips_while_it_listens(tmp_path: Path) -> None:
    running = threading.active_count()
    first = tmp_path / "first.raw"
    given = Given(source=["room=demo", "street=demo"], watch=["Dog"])
    watchlists = WatchLists(given.load().watched, {}, LABELS)
    memory = Memory()
    memory.top = 5  # type: ignore[attr-defined]
    clips = Clips(
        tmp_path / "clips", sources=["room", "street"], model="", limits=ClipLimits(0, 0, 16_000), never=(),
        days=1.0, max_bytes=1000,
    )  # fmt: skip
    made: list[Settings] = []

    def make_clips(settings: Settings, names: Sequence[str]) -> Clips | None:
        assert tuple(names) == (("room", "street") if settings.clips else ())
        made.append(settings)
        return clips if settings.clips else None

    with History(tmp_path / "history.sqlite3") as history, ThreadGroup() as threads:
        session = live_session(
            [Tone("room", 60.0, live=True), Tone("street", 60.0, live=True)], sinks=[memory]
        )
        connect_watchlists(watchlists, session, None)
        parts = Running(session, watchlists, make_clips, history, [memory, None])
        live_settings = LiveSettings(given.load(), given.load, None, parts)
        session.start(threads)
        given.wanted |= {"clips": True, "history_days": 2, "history_events": 7, "top": 2, "watch": ["Siren"]}
        given.wanted["source"] = ["room=demo", f"street={first}"]
        live_settings.reload()  # there is no such file
        assert not made
        given.wanted["source"] = ["room=demo", "street=demo"]
        live_settings.reload()
        assert live_settings.current == given.load()
        assert isinstance(memory, RankingSink)
        assert memory.top == 2
        assert [entry.sound.name for entry in watchlists.shared.sounds] == ["Siren"]
        assert not watchlists.shared.changed
        assert (history.keep_seconds, history._keep_events) == (2 * 86_400.0, 7)
        assert all(channel.clips is clips for channel in session.channels)
        until = time.monotonic() + 10.0
        while not clips._recorders["room"].buffer.cut(0, 1_000_000):
            assert time.monotonic() < until
            time.sleep(0.01)
        given.wanted["clips"] = False
        live_settings.reload()
        assert not any(channel.clips for channel in session.channels)
    assert threading.active_count() == running


def test_a_source_gets_its_own_list_and_returns_to_the_shared_one(caplog: pytest.LogCaptureFixture) -> None:
    rooms = Rooms(room("kitchen", watch=["Siren"]), "hall=demo")
    before = rooms.channel("kitchen").source
    assert (rooms.watched("kitchen"), rooms.watched("hall")) == (["Siren"], ["Dog"])
    rooms.reload(room("kitchen", watch=["Siren", "Dog"]), room("hall", watch=[]))
    assert (rooms.watched("kitchen"), rooms.watched("hall")) == (["Siren", "Dog"], [])
    rooms.reload("kitchen=demo", "hall=demo", watch=["Siren"])
    assert rooms.watched("kitchen") == rooms.watched("hall") == ["Siren"]
    assert not rooms.lists.overrides
    assert rooms.channel("kitchen").source is before, "it is the same one"
    rooms.reload(room("kitchen", watch=["Dgo"]), "hall=demo")
    assert caplog.messages[-1].startswith("settings not reloaded: the source 'kitchen': there is no")
    assert rooms.watched("kitchen") == ["Siren"]


def test_clips_are_switched_for_each_source() -> None:
    rooms = Rooms("kitchen=demo", "hall=demo", clips=True)
    rooms.reload("kitchen=demo", room("hall", watch=[]))
    assert not rooms.kept, "what is kept goes on"
    rooms.reload("kitchen=demo", room("hall", watch=[], clips=False))
    rooms.reload("kitchen=demo", room("hall", watch=[], clips=False), clips_days=1.0)
    rooms.reload("kitchen=demo", room("hall", watch=[], clips=False), clips=False)
    assert rooms.kept == [["kitchen"], ["kitchen"], []]


def test_clips_continue_when_other_rooms_are_added_or_removed() -> None:
    rooms = Rooms("kitchen=demo", "hall=demo", clips=True)
    rooms.reload("kitchen=demo", "attic=demo", room("cellar", clips=False))
    rooms.reload("attic=demo")
    assert not rooms.kept, "what is kept goes on"
    assert rooms.names == ["attic"]
    silent = Rooms(room("kitchen", clips=False), room("hall", clips=False), clips=True)
    silent.reload(room("kitchen", clips=False), room("hall", clips=False), "attic=demo")
    assert silent.kept == [["attic"]]


def test_rooms_are_added_removed_reordered_and_change_their_lists_and_hops(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    rooms = Rooms(room("kitchen", watch=["Siren"]), "hall=demo")
    hall = rooms.channel("hall").source
    rooms.reload(room("attic", watch=["Siren"], hop=0.5), "hall=demo", "cellar=demo", hop=2.0)
    assert caplog.messages == ["settings changed: hop, source"]
    assert rooms.names == ["attic", "hall", "cellar"]
    assert rooms.channel("hall").source is hall, "it stays"
    assert [rooms.watched(name) for name in rooms.names] == [["Siren"], ["Dog"], ["Dog"]]
    assert [rooms.channel(name).hop_samples for name in rooms.names] == [8_000, 32_000, 32_000]
    assert rooms.lists.overrides.keys() == {"attic"}
    assert rooms.settings.current == rooms.given.load()
    rooms.reload("cellar=demo", "hall=demo")
    assert rooms.names == ["cellar", "hall"]
    assert not rooms.lists.overrides
    rooms.reload("landing=demo")
    assert rooms.names == ["landing"]


def test_a_room_on_a_socket_gets_another_name(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/door.pcm"
    rooms = Rooms(f"kitchen={address}", "hall=demo")
    with socket.socket(socket.AF_UNIX) as listening:  # as its reader does
        listening.bind(f"{tmp_path}/door.pcm")
        listening.listen()
        rooms.reload(f"front door={address}", "hall=demo")
        assert rooms.names == ["front door", "hall"]
        rooms.settings.choose("front door", address)
        assert rooms.settings.address_of("front door") == address
        with pytest.raises(SourceError, match="another program listens on"):
            open_source(address)


@pytest.mark.parametrize(
    ("sources", "complaint"),
    [
        (["kitchen=demo", "attic=/there/is/no/such.wav"], "such.wav"),
        (["attic=/there/is/no/such.wav"], "such.wav"),
        (
            ["kitchen=demo", "hall=demo", room("attic", watch=["Dgo"])],
            "the source 'attic': there is no sound",
        ),
        (["kitchen=demo", "attic=demo", "attic=demo"], "2 sources have the name 'attic'"),
        (["kitchen=demo", "hall=demo", "kitchen=demo"], "2 sources have the name 'kitchen'"),
    ],
)
def test_a_room_that_cannot_be_added_prevents_all_changes(
    sources: list[object], complaint: str, caplog: pytest.LogCaptureFixture
) -> None:
    rooms = Rooms("kitchen=demo", room("hall", watch=["Siren"]))
    before = list(rooms.session.channels)
    rooms.reload(*sources, hop=2.0, clips=True, watch=["Siren"])
    (line,) = caplog.messages
    assert line.startswith("settings not reloaded: ")
    assert complaint in line
    assert list(rooms.session.channels) == before
    assert (rooms.watched("kitchen"), rooms.watched("hall")) == (["Dog"], ["Siren"])
    assert rooms.channel("kitchen").hop_samples == HOP
    assert not rooms.kept


def test_a_room_added_while_it_is_still_ending_is_added_when_it_has_ended(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(changes, "_RETRY_SECONDS", 0.0)
    rooms = Rooms("kitchen=demo", "hall=demo")
    rooms.reload("kitchen=demo")  # and no tagger comes to the end of the hall
    caplog.clear()
    rooms.reload("kitchen=demo", "hall=demo")
    rooms.settings.go_on()
    assert not caplog.messages
    rooms.session.channels.end(rooms.channel("hall"))
    rooms.settings.go_on()
    assert caplog.messages[-1] == "settings changed: source"
    assert rooms.session.channels.names == ("kitchen", "hall")
    rooms.settings.go_on()
    assert len([line for line in caplog.messages if line == "settings changed: source"]) == 1


def test_a_room_added_while_it_never_ends_is_refused_after_a_while(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_ENDING_SECONDS", 0.0)
    rooms = Rooms("kitchen=demo", "hall=demo")
    rooms.reload("kitchen=demo")
    rooms.reload("kitchen=demo", "hall=demo")
    rooms.settings.go_on()
    assert caplog.messages == ["settings not reloaded: 'hall' is still shutting down; try again"]


def test_a_removed_room_detects_its_sounds_to_the_end() -> None:
    given = Given(
        source=[room("kitchen", watch=[]), "hall=demo"],
        watch=[{"sound": "Dog", "threshold": 0.05, "hits": 1, "of": 1}],
    )
    loaded, memory = given.load(), Memory()
    lists = WatchLists(loaded.watched, loaded.watch_overrides, LABELS)
    session = live_session(
        [Tone("kitchen", 60.0, live=True), Tone("hall", 60.0, live=True)],
        slow_scorer,
        sinks=[memory],
        sounds=lists.shared.sounds,
        own_sounds=lists.sound_overrides,
    )
    connect_watchlists(lists, session, None)
    live_settings = LiveSettings(loaded, given.load, None, Running(session, lists, lambda *_: None))
    with ThreadGroup() as threads:
        session.start(threads)
        wait_until(lambda: {tagging.source for tagging in memory.taggings} == {"kitchen", "hall"}, "both")
        given.wanted["source"] = ["hall=demo"]
        live_settings.reload()
        wait_until(lambda: memory.sources[-1:] == [("hall",)], "the kitchen to come to its end")
    assert {event.source for event in memory.events} == {"hall"}
    assert not lists.overrides


class Filed:
    """A session on a hall and a den, with settings in a file and in the environment."""

    def __init__(self, file: Path, text: str, **environment: str) -> None:
        self.file, self.environment = file, environment
        file.write_text(text)
        loaded = self.load()
        self.lists = WatchLists(loaded.watched, loaded.watch_overrides, LABELS)
        self.session = live_session([Tone(source.name, 1.0, live=False) for source in loaded.sources])
        running = Running(self.session, self.lists, lambda *_: None)
        self.settings = LiveSettings(loaded, self.load, file, running)

    def load(self) -> Settings:
        return load_settings({}, config=self.file, environment=self.environment)

    def request(self, source: str, sound: str, quiet: str) -> None:
        """Change quiet hours as over MQTT."""
        self.lists.request_quiet(source, sound, quiet)
        self.settings.go_on()

    def rules(self, source: str) -> dict[str, dict[str, object]]:
        return {name: dict(rule) for name, rule in self.lists.of(source).rules.items()}


ROOMS = """\
watch = ["dog", "Siren"]
[[source]]
name = "hall"
spec = "demo"
[[source]]
name = "den"
spec = "demo"
watch = ["Dog"]
"""


@pytest.mark.parametrize("source", ["hall", "den"])
def test_a_file_that_is_put_back_undoes_what_was_saved(source: str, tmp_path: Path) -> None:
    filed = Filed(tmp_path / "earshot.toml", ROOMS)
    before = filed.rules(source)
    filed.request(source, "Dog", "always")
    assert filed.load().changes_from(filed.settings.current) == set()
    assert filed.rules(source)["Dog"] == {"quiet": "always"}
    filed.file.write_text(ROOMS)
    filed.settings.reload()
    assert filed.rules(source) == before
    filed.lists.of(source).watch("Dog", 0.4)
    filed.settings.choose(source, "demo")
    filed.settings.save({})
    filed.file.write_text(ROOMS)
    filed.settings.reload()
    assert filed.rules(source) == before


def test_what_was_saved_is_not_a_change_and_what_was_not_saved_survives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    filed = Filed(tmp_path / "earshot.toml", ROOMS)
    filed.lists.of("hall").watch("Siren", 0.9)
    filed.request("hall", "Dog", "always")
    filed.settings.reload()
    assert caplog.messages == ["the settings have not changed"]
    assert filed.rules("hall") == {"Dog": {"quiet": "always"}, "Siren": {"threshold": 0.9}}
    assert '{sound = "dog", quiet = "always"}' in filed.file.read_text()
    assert "0.9" not in filed.file.read_text()


def test_a_change_of_the_file_by_hand_waits_for_its_reload_although_another_is_saved(tmp_path: Path) -> None:
    filed = Filed(tmp_path / "earshot.toml", 'watch = ["Dog"]\nsource = ["hall=demo"]\n')
    filed.file.write_text('watch = ["Dog", "Siren"]\nsource = ["hall=demo"]\n')
    filed.request("hall", "Dog", "always")
    assert filed.rules("hall") == {"Dog": {"quiet": "always"}}
    filed.settings.reload()
    assert filed.rules("hall") == {"Dog": {"quiet": "always"}, "Siren": {}}


def test_quiet_hours_that_a_restart_forgets_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = '[{"sound": "Dog", "threshold": 0.4}, "Siren"]'
    filed = Filed(tmp_path / "earshot.toml", 'source = ["hall=demo"]\n', EARSHOT_WATCH=watch)
    filed.request("hall", "Dog", "always")
    assert caplog.messages == [
        "watch is set in the environment or on the command line, so the quiet hours of Dog last only until the restart"
    ]
    assert filed.rules("hall")["Dog"] == {"threshold": 0.4, "quiet": "always"}
    filed.settings.reload()
    assert filed.rules("hall")["Dog"] == {"threshold": 0.4, "quiet": "always"}, "it holds until the restart"
    filed.environment.clear()
    assert filed.load().watched == [Watch("Dog", {"threshold": 0.4, "quiet": "always"}), Watch("Siren")]
