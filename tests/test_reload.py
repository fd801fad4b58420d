"""Settings that are read again while a session listens."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.fakes import HOP, WINDOW, Memory, Tone, scorer, slow_scorer
from support.waiting import wait_until

from streamer.errors import SettingsError, SourceError
from streamer.events.watchlist import WatchLists
from streamer.live import session as live_session
from streamer.live.assembly import follow
from streamer.live.reload import Reloader, live_changes
from streamer.live.session import LiveSession
from streamer.runtime.threads import ThreadGroup
from streamer.settings.loading import load_settings
from streamer.settings.schema import Settings
from streamer.sinks import RankingSink
from streamer.sinks.clips.recorder import ClipLimits, Clips
from streamer.sinks.history.store import History

LABELS = ("Dog", "Siren")


class Given:
    """Settings that change, and what becomes of them."""

    def __init__(self, **settings: object) -> None:
        self.wanted: dict[str, object] = settings
        self.done: list[str] = []

    def load(self) -> Settings:
        return load_settings(self.wanted, config=Path("/dev/null"), environment={})

    def note(self, what: str) -> Callable[[Settings, Settings], Callable[[], None]]:
        return lambda old, new: lambda: self.done.append(f"{what} {old.top} {new.top}")


def test_what_has_changed_is_taken_up_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    given = Given(top=3)
    changes = {("top",): given.note("top"), ("clips", "clips_days"): given.note("clips")}
    reloader = Reloader(given.load(), given.load, changes)
    reloader.reload()
    assert (given.done, caplog.messages) == ([], ["The settings have not changed."])
    given.wanted = {"top": 4, "clips_days": 2}
    for _ in range(2):
        reloader.reload()
    assert given.done == ["top 3 4", "clips 3 4"]
    assert caplog.messages[1:] == [
        "Settings taken up: clips_days, top.",
        "The settings have not changed.",
    ]
    assert reloader.settings == given.load()


def test_what_waits_for_the_next_start_is_said_until_it_is_taken_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    given = Given()
    before = given.load()
    reloader = Reloader(before, given.load, {})
    given.wanted = {"model": "tiny", "json": True, "mqtt_password": "secret", "node": before.node}
    for _ in range(2):
        reloader.reload()
    assert caplog.messages == ["Only the next start takes up: json, model, mqtt_password."] * 2
    assert reloader.settings == before
    given.wanted = {}
    reloader.reload()
    assert len(caplog.messages) == 2


def test_one_thing_that_is_wrong_keeps_all_from_being_taken_up(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_old: Settings, _new: Settings) -> Callable[[], None]:
        raise SettingsError("the sound can't be watched")

    given = Given()
    reloader = Reloader(given.load(), given.load, {("top",): given.note("top"), ("watch",): refuse})
    given.wanted = {"top": 4, "watch": ["Dog"]}
    reloader.reload()
    assert caplog.messages == ["The settings stay as they are: the sound can't be watched"]
    given.wanted = {"top": -4}
    reloader.reload()
    assert "top" in caplog.messages[1]
    assert not given.done


def test_listening_that_ends_while_settings_are_taken_up_ends_as_usual(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def too_late() -> None:
        raise SourceError("'attic' can't be listened to: listening is over")

    given = Given()
    reloader = Reloader(given.load(), given.load, {("top",): lambda _old, _new: too_late})
    given.wanted = {"top": 4}
    reloader.reload()
    assert caplog.messages == [
        "The settings stay as they are: 'attic' can't be listened to: listening is over"
    ]


def test_a_session_takes_up_sounds_sources_limits_and_clips_while_it_listens(tmp_path: Path) -> None:
    running = threading.active_count()
    first = tmp_path / "first.raw"
    given = Given(source=["room=demo", "street=demo"], watch=["Dog"])
    watchlists = WatchLists(given.load().watched, {}, LABELS)
    memory = Memory()
    memory.top = 5  # type: ignore[attr-defined]
    clips = Clips(
        tmp_path / "clips", sources=["room", "street"], model="", limits=ClipLimits(0, 0, 16_000), never=(),
        days=1.0, most_bytes=1000,
    )  # fmt: skip
    made: list[Settings] = []

    def make_clips(settings: Settings, names: Sequence[str]) -> Clips | None:
        assert tuple(names) == (("room", "street") if settings.clips else ())
        made.append(settings)
        return clips if settings.clips else None

    with History(tmp_path / "history.sqlite3") as history, ThreadGroup() as threads:
        session = LiveSession(
            [Tone("room", 60.0, live=True), Tone("street", 60.0, live=True)],
            scorer,
            window_samples=WINDOW,
            hop_samples=HOP,
            sinks=[memory],
        )
        follow(watchlists, session, None)
        changes = live_changes(watchlists, session, history, [memory, None], make_clips)
        assert set().union(*changes) <= set(Settings.model_fields)
        reloader = Reloader(given.load(), given.load, changes)
        session.start(threads)
        given.wanted |= {"clips": True, "history_days": 2, "history_events": 7, "top": 2, "watch": ["Siren"]}
        given.wanted["source"] = ["room=demo", f"street={first}"]
        reloader.reload()  # there is no such file
        assert not made
        given.wanted["source"] = ["room=demo", "street=demo"]
        reloader.reload()
        assert reloader.settings == given.load()
        assert isinstance(memory, RankingSink)
        assert memory.top == 2
        assert [entry.sound.name for entry in watchlists.shared.sounds] == ["Siren"]
        assert not watchlists.shared.changed
        assert (history._keep_seconds, history._keep_events) == (2 * 86_400.0, 7)
        assert session._clips is clips
        until = time.monotonic() + 10.0
        while not clips._keepers["room"].buffer.cut(0, 1_000_000):
            assert time.monotonic() < until
            time.sleep(0.01)
        given.wanted["clips"] = False
        reloader.reload()
        assert session._clips is None
    assert threading.active_count() == running


class Rooms:
    """A session on two rooms, and what becomes of changed settings."""

    def __init__(self, *sources: object, **settings: object) -> None:
        self.given = Given(source=list(sources), watch=["Dog"], **settings)
        loaded = self.given.load()
        self.lists = WatchLists(loaded.watched, loaded.watch_overrides, LABELS)
        self.session = LiveSession(
            [Tone("kitchen", 1.0, live=False), Tone("hall", 1.0, live=False)],
            scorer,
            window_samples=WINDOW,
            hop_samples=HOP,
            sinks=[],
            sounds=self.lists.shared.sounds,
            own_sounds=self.lists.sound_overrides,
        )
        self.kept: list[list[str]] = []
        follow(self.lists, self.session, None)
        self.reloader = Reloader(
            loaded, self.given.load, live_changes(self.lists, self.session, None, [], self._make_clips)
        )

    def _make_clips(self, _settings: Settings, names: Sequence[str]) -> None:
        self.kept.append(list(names))

    def reload(self, *sources: object, **settings: object) -> None:
        self.given.wanted |= {"source": list(sources), **settings}
        self.reloader.reload()

    def watched(self, source: str) -> list[str]:
        """What the session decides on."""
        return [entry.sound.name for entry in self.session._watched_at(source)]


def room(name: str, **own: object) -> dict[str, object]:
    return {"name": name, "spec": "demo", **own}


def test_a_source_takes_up_its_own_list_and_gives_it_back(caplog: pytest.LogCaptureFixture) -> None:
    rooms = Rooms(room("kitchen", watch=["Siren"]), "hall=demo")
    before = rooms.session._seats["kitchen"].source
    assert (rooms.watched("kitchen"), rooms.watched("hall")) == (["Siren"], ["Dog"])
    rooms.reload(room("kitchen", watch=["Siren", "Dog"]), room("hall", watch=[]))
    assert (rooms.watched("kitchen"), rooms.watched("hall")) == (["Siren", "Dog"], [])
    rooms.reload("kitchen=demo", "hall=demo", watch=["Siren"])
    assert rooms.watched("kitchen") == rooms.watched("hall") == ["Siren"]
    assert not rooms.lists.overrides
    assert rooms.session._seats["kitchen"].source is before, "it is the same one"
    rooms.reload(room("kitchen", watch=["Dgo"]), "hall=demo")
    assert caplog.messages[-1].startswith("The settings stay as they are: the source 'kitchen': there is no")
    assert rooms.watched("kitchen") == ["Siren"]


def test_whose_sound_is_kept_changes_with_each_source() -> None:
    rooms = Rooms("kitchen=demo", "hall=demo", clips=True)
    rooms.reload("kitchen=demo", room("hall", watch=[]))
    assert not rooms.kept, "what is kept goes on"
    rooms.reload("kitchen=demo", room("hall", watch=[], clips=False))
    rooms.reload("kitchen=demo", room("hall", watch=[], clips=False), clips_days=1.0)
    rooms.reload("kitchen=demo", room("hall", watch=[], clips=False), clips=False)
    assert rooms.kept == [["kitchen"], ["kitchen"], []]


def test_whose_sound_is_kept_does_not_begin_anew_where_rooms_come_and_go() -> None:
    rooms = Rooms("kitchen=demo", "hall=demo", clips=True)
    rooms.reload("kitchen=demo", "attic=demo", room("cellar", clips=False))
    rooms.reload("attic=demo")
    assert not rooms.kept, "what is kept goes on"
    assert list(rooms.session.names) == ["attic"]
    silent = Rooms(room("kitchen", clips=False), room("hall", clips=False), clips=True)
    silent.reload(room("kitchen", clips=False), room("hall", clips=False), "attic=demo")
    assert silent.kept == [["attic"]]


def test_rooms_come_go_and_change_their_order_their_lists_and_their_hops(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    rooms = Rooms(room("kitchen", watch=["Siren"]), "hall=demo")
    hall = rooms.session._seats["hall"].source
    rooms.reload(room("attic", watch=["Siren"], hop=0.5), "hall=demo", "cellar=demo", hop=2.0)
    assert caplog.messages == ["Settings taken up: hop, source."]
    assert list(rooms.session.names) == ["attic", "hall", "cellar"]
    assert rooms.session._seats["hall"].source is hall, "it stays"
    assert [rooms.watched(name) for name in rooms.session.names] == [["Siren"], ["Dog"], ["Dog"]]
    assert [rooms.session._hop_at(name) for name in rooms.session.names] == [8_000, 32_000, 32_000]
    assert rooms.lists.overrides.keys() == {"attic"}
    assert rooms.reloader.settings == rooms.given.load()
    rooms.reload("cellar=demo", "hall=demo")
    assert list(rooms.session.names) == ["cellar", "hall"]
    assert not rooms.lists.overrides
    rooms.reload("landing=demo")
    assert list(rooms.session.names) == ["landing"]


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
def test_one_room_that_can_not_come_keeps_all_as_it_is(
    sources: list[object], complaint: str, caplog: pytest.LogCaptureFixture
) -> None:
    rooms = Rooms("kitchen=demo", room("hall", watch=["Siren"]))
    before = rooms.session._seats
    rooms.reload(*sources, hop=2.0, clips=True, watch=["Siren"])
    (line,) = caplog.messages
    assert line.startswith("The settings stay as they are: ")
    assert complaint in line
    assert rooms.session._seats is before
    assert (rooms.watched("kitchen"), rooms.watched("hall")) == (["Dog"], ["Siren"])
    assert rooms.session._hop_at("kitchen") == HOP
    assert not rooms.kept


def test_a_room_that_comes_while_it_is_still_about_to_go_is_asked_to_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rooms = Rooms("kitchen=demo", "hall=demo")
    rooms.reload("kitchen=demo")  # and no tagger comes to the end of the hall
    rooms.reload("kitchen=demo", "hall=demo")
    assert caplog.messages == [
        "The settings stay as they are: 'hall' has not come to its end yet: try again in a moment"
    ]


def test_a_room_that_goes_decides_to_its_end_on_what_was_watched_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_session, "_REMOVAL_SECONDS", 0.0)  # the tagger comes to its end later
    given = Given(
        source=[room("kitchen", watch=[]), "hall=demo"],
        watch=[{"sound": "Dog", "threshold": 0.05, "hits": 1, "of": 1}],
    )
    loaded, memory = given.load(), Memory()
    lists = WatchLists(loaded.watched, loaded.watch_overrides, LABELS)
    session = LiveSession(
        [Tone("kitchen", 60.0, live=True), Tone("hall", 60.0, live=True)],
        slow_scorer,
        window_samples=WINDOW,
        hop_samples=HOP,
        sinks=[memory],
        sounds=lists.shared.sounds,
        own_sounds=lists.sound_overrides,
    )
    follow(lists, session, None)
    reloader = Reloader(loaded, given.load, live_changes(lists, session, None, [], lambda *_: None))
    with ThreadGroup() as threads:
        session.start(threads)
        wait_until(lambda: {tagging.source for tagging in memory.taggings} == {"kitchen", "hall"}, "both")
        given.wanted["source"] = ["hall=demo"]
        reloader.reload()
        wait_until(lambda: memory.rosters[-1:] == [("hall",)], "the kitchen to come to its end")
    assert {event.source for event in memory.events} == {"hall"}
    assert not lists.overrides
    assert not session._own_sounds
