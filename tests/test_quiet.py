"""Quiet hours: what is heard in them is stored, and not announced."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.mosquitto import Mosquitto, Subscriber
from support.mqtt import running, sink_for
from support.program import Program, clean_environment
from support.waiting import START_SECONDS, wait_until
from support.zones import local_zone

from streamer.errors import SettingsError
from streamer.events.catalogue import Watch, resolve_sounds
from streamer.events.detector import EventDetector
from streamer.events.quiet import check_quiet, parse_quiet
from streamer.events.watchlist import WatchLists
from streamer.messages import Event, EventQuery, Tagging
from streamer.runtime.threads import ThreadGroup
from streamer.settings.file import save_quiet
from streamer.settings.loading import load_settings
from streamer.sinks.history import page
from streamer.sinks.history.store import History
from streamer.sinks.mqtt.homeassistant import Discovery
from streamer.sinks.notify.notifier import Notifier, Wording
from streamer.sinks.notify.outbox import NotifyOutbox
from streamer.sinks.notify.rules import Rules
from streamer.sinks.notify.targets import Note

LABELS = ("Speech", "Dog", "Siren")


@pytest.fixture
def berlin() -> Iterator[None]:
    """Clock of a country with summer time."""
    with local_zone("Europe/Berlin"):
        yield


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("hours", "moment", "is_quiet"),
    [
        ("12:00-14:00", "2026-03-03T12:00", True),
        ("12:00-14:00", "2026-03-03T14:00", False),
        ("22:00-07:00", "2026-03-03T23:30", True),
        ("22:00-07:00", "2026-03-04T06:59", True),
        ("22:00-07:00", "2026-03-04T12:00", False),
        ("22:00-24:00", "2026-03-03T23:59", True),
        ("22:00-24:00", "2026-03-04T00:00", False),
        ("fri 22:00-07:00", "2026-03-06T23:00", True),  # a Friday
        ("fri 22:00-07:00", "2026-03-07T06:00", True),  # its night ends on Saturday
        ("fri 22:00-07:00", "2026-03-06T06:00", False),
        ("fri 22:00-07:00", "2026-03-07T23:00", False),
        ("sun 22:00-07:00", "2026-03-02T06:00", True),  # a Monday
        ("mon-fri 22:00-06:00, sat, sun 20:00-09:00", "2026-03-08T08:59", True),
        ("Mon\u2013Fri 22:00 - 06:00; Saturday,Sunday 20:00-09:00", "2026-03-08T08:59", True),
        ("sat-mon 10:00-11:00", "2026-03-08T10:30", True),
        ("sat-mon 10:00-11:00", "2026-03-10T10:30", False),
        ("always", "2026-03-08T08:59", True),
        ("never", "2026-03-08T08:59", False),
        ("", "2026-03-08T08:59", False),
        # Clocks go from 2:00 to 3:00 on 29 March, and twice through 2:00 to 3:00 on 25 October.
        ("02:30-03:30", "2026-03-29T03:15+02:00", True),
        ("01:00-02:30", "2026-03-29T03:00+02:00", False),
        ("02:00-02:30", "2026-10-25T02:15+02:00", True),
        ("02:00-02:30", "2026-10-25T02:15+01:00", True),
        ("02:00-02:30", "2026-10-25T02:45+02:00", False),
    ],
)
@pytest.mark.usefixtures("berlin")
def test_hours_are_those_of_the_local_clock_and_of_the_day_on_which_they_begin(
    hours: str, moment: str, is_quiet: bool
) -> None:
    assert parse_quiet(hours).cover(at(moment)) is is_quiet


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("22:00-7:00", "22:00-07:00"),
        ("monday-Friday 22:00-07:00", "mon-fri 22:00-07:00"),
        ("Mon-Fri 22:00-06:30;sat,sun 23:00-09:00", "mon-fri 22:00-06:30, sat,sun 23:00-09:00"),
        ("mon,tue,wed,thu,fri,sat,sun 1:00-24:00", "01:00-24:00"),
        ("00:00-24:00", "always"),
        ("sat,sun 13:00-15:00, mon-sun 22:00-7:00", "sat,sun 13:00-15:00, mon-sun 22:00-07:00"),
        ("sat,sun 13:00-15:00 22:00-7:00", "sat,sun 13:00-15:00, 22:00-07:00"),
        ("22:00-7:00, sat 13:00-15:00", "22:00-07:00, sat 13:00-15:00"),
        (
            f"mon,tue,thu {' '.join(f'{hour}:00-{hour}:30' for hour in range(12))}",
            f"mon,tue,thu {', '.join(f'{hour:02}:00-{hour:02}:30' for hour in range(12))}",
        ),
        (" ", "never"),
    ],
)
def test_hours_are_shown_in_one_form_that_can_be_read_again(written: str, shown: str) -> None:
    assert str(parse_quiet(written)) == shown
    assert parse_quiet(shown) == parse_quiet(written)
    assert check_quiet(check_quiet(written)) == shown


def test_hours_that_are_too_long_as_they_are_shown_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="must be shorter: "):
        check_quiet(" ".join(f"{hour % 10}:00-{hour % 10}:30" for hour in range(20)))


@pytest.mark.parametrize(
    "wrong",
    [
        "22:00",
        "25:00-07:00",
        "nightly",
        "mon-fri",
        "mon 24:00-7:00",
        "saturn 9:00-10:00",
        "10:00-12:61",
        "9" * 300,
    ],
)
def test_wrong_hours_are_refused_with_an_example(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"such as 22:00-07:00"):
        parse_quiet(wrong)
    file = tmp_path / "earshot.toml"
    file.write_text(f'watch = [{{ sound = "Dog", quiet = "{wrong}" }}]\n')
    with pytest.raises(SettingsError, match=r"quiet.*such as 22:00-07:00"):
        load_settings({}, config=file, environment={})


def taggings(*scores: float, began_at: float) -> list[Tagging]:
    return [
        Tagging(
            "hall",
            0,
            16_000 * (number + 1),
            began_at + number + 1,
            np.array([0, score, 0], np.float32),
            -30.0,
            None,
        )
        for number, score in enumerate(scores)
    ]


@pytest.mark.usefixtures("berlin")
def test_an_event_is_announced_or_not_as_a_whole_by_the_time_at_which_it_began() -> None:
    def detected(quiet: str, began: str) -> list[tuple[str, bool]]:
        sounds = resolve_sounds([Watch("Dog", {"quiet": quiet, "minimum_off_seconds": 0.0})], LABELS)
        detector = EventDetector(sounds)
        events: list[Event] = []
        for number, tagging in enumerate(taggings(0.9, 0.9, 0.0, 0.0, 0.0, began_at=at(began))):
            if number == 3:  # a change of the hours does not tear an event apart
                events += detector.watch(resolve_sounds([Watch("Dog", {"quiet": "never"})], LABELS))
            events += detector.feed(tagging)
        return [(event.kind, event.announced) for event in [*events, *detector.close()]]

    assert detected("22:00-07:00", "2026-03-03T22:00") == [("started", False), ("ended", False)]
    assert detected("22:00-22:01", "2026-03-03T21:59:57") == [("started", True), ("ended", True)]


def event(kind: Any, *, announced: bool) -> Event:
    now = time.time()
    ended_at = now if kind == "ended" else None
    return Event(f"id-{announced}", kind, "Dog", "hall", 0.9, now - 5, ended_at, announced=announced)


def test_an_event_in_quiet_hours_is_stored_and_does_not_wait_for_the_broker(tmp_path: Path) -> None:
    file = tmp_path / "history.db"
    with History(file) as history:
        for announced in (False, True):
            for kind in ("started", "ended"):
                history.accept(event(kind, announced=announced))
        assert {waiting.id for waiting in history.pending(10)} == {"id-True"}
        assert {stored.id for stored in page.read_newest(file, EventQuery())} == {"id-True", "id-False"}


def test_a_start_in_quiet_hours_that_a_killed_program_left_ends_in_silence(tmp_path: Path) -> None:
    file = tmp_path / "history.db"
    with History(file) as history:
        history.accept(event("started", announced=False))
    with History(file) as history:
        assert not history.pending(10)


class Ear:
    """Target that keeps its notifications."""

    key = name = "ear"

    def __init__(self) -> None:
        self.told: list[str] = []

    def send(self, note: Note) -> None:
        self.told.append(note.values["id"])


def test_nobody_is_notified_in_quiet_hours(tmp_path: Path) -> None:
    ear = Ear()
    outbox = NotifyOutbox(tmp_path / "notifications.json", [ear.key])
    notifier = Notifier([ear], rules=Rules(), wording=Wording(), outbox=outbox)
    with ThreadGroup() as threads:
        threads.start("notify", notifier.run, notifier.close)
        notifier.accept(event("started", announced=False))
        notifier.accept(event("started", announced=True))
        wait_until(lambda: ear.told, "the notification")
    assert ear.told == ["id-True"]


def test_mqtt_says_nothing_in_quiet_hours_and_changes_them(broker: Mosquitto) -> None:
    lists = WatchLists([Watch("Dog", {"quiet": "22:00-07:00"})], {}, LABELS)
    base = "earshot/attic/front_door"
    with (
        Subscriber(broker.port) as subscriber,
        running(
            sink_for(
                broker.port,
                watched={"front door": ["Dog"]},
                quiet=lists,
                on_listen=lambda _source, _on: None,
                discovery=Discovery(),
            )
        ) as sink,
    ):
        subscriber.wait_for(f"{base}/quiet/dog", "22:00-07:00")
        silent = replace(event("started", announced=False), source="front door")
        sink.accept(silent)
        sink.accept(replace(silent, id="loud", announced=True))
        heard = subscriber.wait_for(f"{base}/events").json()
        assert heard["id"] == "loud"

        subscriber.publish(f"{base}/quiet/dog/set", "at night")  # ignored, with a line in the log
        subscriber.publish(f"{base}/quiet/dog/set", "", retain=True)  # clears a retained command
        subscriber.publish(f"{base}/quiet/dog/set", "sat,sun 23:00-9:00")
        wait_until(
            lambda: lists.take_quiet_requests() == [("front door", "Dog", "sat,sun 23:00-09:00")],
            "the request",
        )
        lists.of("front door").set_quiet("Dog", "sat,sun 23:00-09:00")
        sink.update_watched()
        subscriber.wait_for(f"{base}/quiet/dog", "sat,sun 23:00-09:00")
        config = subscriber.wait_for_retained("homeassistant/device/attic_front_door/config").json()
    entity = config["components"]["quiet_dog"]
    assert (entity["platform"], entity["command_topic"]) == ("text", f"{base}/quiet/dog/set")
    assert entity["enabled_by_default"] is False
    assert entity["min"] == 1, "an empty text is no command"


def test_quiet_hours_of_one_sound_are_written_and_the_rest_of_the_settings_stays(tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    lists = WatchLists([Watch("Dog"), Watch("Siren", {"threshold": 0.4})], {"den": [Watch("Dog")]}, LABELS)
    file.write_text('top = 3  # few\nwatch = [\n  "Dog",\n  { sound = "Siren", threshold = 0.4 },\n]\n')
    save_quiet(file, lists, "hall", {"Siren": "always"})
    save_quiet(file, lists, "hall", {"Dog": "22:00-07:00"})
    assert file.read_text() == (
        'top = 3  # few\nwatch = [\n  {sound = "Dog", quiet = "22:00-07:00"},\n'
        '  { sound = "Siren", threshold = 0.4, quiet = "always"},\n]\n'
    )
    watched = load_settings({}, config=file, environment={}).watched
    assert watched is not None
    assert [watch.rule.get("quiet") for watch in watched] == ["22:00-07:00", "always"]
    with pytest.raises(SettingsError, match="'den' has no table"):
        save_quiet(file, lists, "den", {"Dog": "always"})


@pytest.mark.system
def test_quiet_hours_set_over_mqtt_hold_at_once_and_after_a_restart(
    tmp_path: Path, broker: Mosquitto
) -> None:
    environment = clean_environment(tmp_path)
    file = tmp_path / "earshot.toml"
    file.write_text('watch = ["Speech", { sound = "Music", quiet = "always" }]\n')
    options = ("--config", str(file), "--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--node", "test")
    base = "earshot/test/room"
    with (
        Subscriber(broker.port) as subscriber,
        Program("--json-events", "--source", "room=demo", *options, environment=environment) as program,
    ):
        subscriber.wait_for(f"{base}/quiet/music", "always", timeout_seconds=START_SECONDS)
        subscriber.wait_for(f"{base}/tags", timeout_seconds=START_SECONDS)  # it is subscribed by now
        subscriber.publish(f"{base}/quiet/speech/set", "always")
        subscriber.wait_for(f"{base}/quiet/speech", "always")
        subscriber.publish(f"{base}/quiet/music/set", "never")
        subscriber.wait_for(f"{base}/quiet/music", "never")
        wait_until(lambda: 'quiet = "never"' in file.read_text(), "the settings")
        assert program.interrupt() == 130
    watched = load_settings({}, config=file, environment={}).watched
    assert watched is not None
    assert [(watch.sound, watch.rule) for watch in watched] == [
        ("Speech", {"quiet": "always"}),
        ("Music", {"quiet": "never"}),
    ]
