"""Notifications: which events they are for, in which words, to real servers and commands, through outages and restarts."""

import base64
import errno
import io
import json
import logging
import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from datetime import time as clock
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.program import Program
from support.system import free_port
from support.waiting import PATIENCE_SECONDS, START_SECONDS, wait_until

from earshot.pictures import draw_clip
from streamer.errors import SettingsError
from streamer.live.assembly import plan_notifications
from streamer.messages import Event
from streamer.runtime.threads import ThreadGroup
from streamer.settings.loading import load_settings
from streamer.settings.schema import Settings
from streamer.sinks.notify.notifier import Draw, Notifier, Plan, Wording
from streamer.sinks.notify.outbox import NotifyOutbox
from streamer.sinks.notify.rules import Rules, SoundSpan, check_template, values_of
from streamer.sinks.notify.targets import AppriseTarget, CommandTarget, NotDelivered, Note, Target

NOON = datetime(2026, 3, 1, 12, 0, 5).astimezone().timestamp()
SECRET = "s3cr3t-topic"


def started(number: int = 1, label: str = "Dog", *, at: float = NOON, source: str = "yard") -> Event:
    return Event(str(number), "started", label, source, 0.87, at)


def ended(event: Event, seconds: float = 4.5, **more: Any) -> Event:
    return replace(event, kind="ended", ended_at=event.started_at + seconds, **more)


class Desk:
    """Server that takes notifications, and refuses them while it is closed."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        self.is_open = True

    def texts(self) -> list[str]:
        return [note["message"] for note in self.taken]


@contextmanager
def desk(port: int = 0) -> Iterator[tuple[Desk, str]]:
    """Run such a server on this machine; yield it with its address for Apprise."""
    this = Desk()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            this.asked += 1
            if this.is_open:
                this.taken.append(json.loads(body))
            self.send_response(200 if this.is_open else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield this, f"json://127.0.0.1:{server.server_port}/{SECRET}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def notifying(
    file: Path,
    *targets: Target,
    rules: Rules | None = None,
    wording: Wording | None = None,
    pause_seconds: float = 5.0,
    draw: Draw | None = None,
) -> Iterator[Notifier]:
    """Run a notifier in its thread."""
    notifier = Notifier(
        targets,
        rules=rules or Rules(cooldown_seconds=0.0),
        wording=wording or Wording(),
        outbox=NotifyOutbox(file, [target.key for target in targets]),
        draw=draw,
        first_pause_seconds=pause_seconds,
    )
    with ThreadGroup() as threads:
        threads.start("notify", notifier.run, notifier.close, patience_seconds=10.0)
        yield notifier


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "notifications.json"


def told(rules: Rules, *events: Event) -> list[tuple[str, str]]:
    return [(event.id, event.kind) for event in events if rules.tells(event)]


def test_starts_ends_or_both_are_told() -> None:
    events = started(), ended(started())
    assert told(Rules(), *events) == [("1", "started")]
    assert told(Rules(when="ended"), *events) == [("1", "ended")]
    assert told(Rules(when="both"), *events) == [("1", "started"), ("1", "ended")]


def test_a_sound_is_not_told_again_within_the_cooldown() -> None:
    rules = Rules(when="both", cooldown_seconds=60.0)
    first, second, third = (started(number, at=NOON + 50.0 * number) for number in range(3))
    other = started(9, source="kitchen", at=NOON + 1.0)
    events = first, ended(first), other, second, ended(second), third, ended(third)
    assert told(rules, *events) == [
        ("0", "started"),
        ("0", "ended"),
        ("9", "started"),
        ("2", "started"),
        ("2", "ended"),
    ]


def test_only_the_named_sounds_are_told_in_any_case() -> None:
    rules = Rules(sounds=["smoke ALARM"])
    assert told(rules, started(1), started(2, "Smoke alarm")) == [("2", "started")]


@pytest.mark.parametrize(
    ("hours", "is_quiet"),
    [
        (SoundSpan("dog", clock(11), clock(13)), True),
        (SoundSpan("", clock(11), clock(13)), True),
        (SoundSpan("Siren", clock(11), clock(13)), False),
        (SoundSpan("Dog", clock(12, 0, 5), clock(12, 0, 6)), True),
        (SoundSpan("Dog", clock(11), clock(12, 0, 5)), False),
        (SoundSpan("Dog", clock(22), clock(6)), False),
        (SoundSpan("Dog", clock(11), clock(6)), True),
        (SoundSpan("Dog", clock(13), clock(12, 30)), True),
    ],
)
def test_a_sound_is_not_told_in_its_quiet_hours(hours: SoundSpan, is_quiet: bool) -> None:
    assert bool(told(Rules(quiet=[hours]), started())) is not is_quiet


def test_templates_name_what_there_is_and_nothing_else() -> None:
    wording = Wording("{sound}!", "{sound} at {source}, {percent}, {length}, {event}, {{x}}")
    note = wording.note(ended(started(), clip="/clips/1.flac"))
    assert (note.title, note.text) == ("Dog!", "Dog at yard, 87%, 4.5 s, ended, {x}")
    assert not note.files, "a clip leaves the machine only if that is wanted"
    assert replace(wording, attaches_clip=True).note(ended(started(), clip="/clips/1.flac")).files
    assert values_of(started())["time"] == "12:00:05"
    for template in ("{quux}", "{sound", "{}", "{0}", "{sound.__class__}", "{sound!r}", "{sound:>99}"):
        with pytest.raises(ValueError, match="must contain no fields but {sound}"):
            check_template(template)


def test_a_service_gets_an_event_through_apprise(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with desk() as (server, address), notifying(file, AppriseTarget(address)) as notifier:
        notifier.accept(started())
        wait_until(lambda: server.taken, "the notification")
    assert (server.taken[0]["title"], server.taken[0]["message"]) == ("Dog", "Dog at yard, 12:00:05 (87%)")
    assert not file.exists(), "nothing waits"
    assert SECRET not in caplog.text


def test_a_clip_is_attached_only_if_that_is_wanted(file: Path, tmp_path: Path) -> None:
    clip = tmp_path / "dog.flac"
    clip.write_bytes(b"fLaC")
    event = ended(started(), clip=str(clip))
    rules = Rules(when="ended", cooldown_seconds=0.0)
    with desk() as (server, address):
        with notifying(file, AppriseTarget(address), rules=rules) as notifier:
            notifier.accept(event)
            wait_until(lambda: len(server.taken) == 1, "the notification")
        wording = Wording(attaches_clip=True)
        with notifying(file, AppriseTarget(address), rules=Rules(when="ended"), wording=wording) as notifier:
            notifier.accept(event)
            wait_until(lambda: len(server.taken) == 2, "the notification with the clip")
    assert [len(note["attachments"]) for note in server.taken] == [0, 1]


def clip_of_a_tone(folder: Path) -> Path:
    """A clip of two seconds: silence, then a high tone."""
    soundfile = pytest.importorskip("soundfile")
    clip = folder / "dog.flac"
    tone = 0.3 * np.sin(np.arange(16_000) * 2.4)
    soundfile.write(clip, np.concatenate((np.zeros(16_000), tone)), 16_000)
    return clip


def test_the_picture_of_a_clip_shows_time_to_the_right_and_high_sounds_at_the_top(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    picture = np.asarray(image.open(io.BytesIO(draw_clip(clip_of_a_tone(tmp_path)))).convert("RGB")).astype(
        int
    )
    height, width, _ = picture.shape
    assert (height, width >= 480) == (256, True)
    brightness = picture.sum(axis=2)
    quarter = brightness[: height // 4, 3 * width // 4 :].max()
    assert quarter > 400
    assert brightness[:, : width // 3].max() < 100  # before the tone
    assert brightness[3 * height // 4 :, 3 * width // 4 :].mean() < quarter / 2  # below it


def test_a_picture_is_sent_beside_the_clip_and_its_file_is_gone_afterwards(
    file: Path, tmp_path: Path
) -> None:
    event = ended(started(), clip=str(clip_of_a_tone(tmp_path)))
    out = tmp_path / "out"
    script = f"import os, pathlib; p = pathlib.Path(os.environ['EVENT_PICTURE']); pathlib.Path({str(out)!r}).write_bytes(p.read_bytes() + str(p).encode())"
    wording = Wording(attaches_clip=True, attaches_picture=True)
    rules = Rules(when="ended", cooldown_seconds=0.0)
    with desk() as (server, address):
        targets = AppriseTarget(address), CommandTarget([sys.executable, "-c", script])
        with notifying(file, *targets, rules=rules, wording=wording, draw=draw_clip) as notifier:
            notifier.accept(event)
            wait_until(lambda: server.taken and not file.exists(), "the notifications")
    attached = {part["filename"]: part["base64"] for part in server.taken[0]["attachments"]}
    assert attached.keys() == {"dog.flac", "dog.png"}
    picture = base64.b64decode(attached["dog.png"])
    assert picture.startswith(b"\x89PNG")
    content = out.read_bytes()
    assert content.startswith(picture)
    assert not Path(content[len(picture) :].decode()).exists()


def test_a_picture_for_which_there_is_no_room_is_left_out(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    event = ended(started(), clip=str(clip_of_a_tone(tmp_path)))
    wording, rules = Wording(attaches_picture=True), Rules(when="ended")
    with (
        desk() as (server, address),
        notifying(file, AppriseTarget(address), rules=rules, wording=wording, draw=draw_clip) as notifier,
    ):
        notifier.accept(event)
        wait_until(lambda: server.taken, "the notification")
    assert not server.taken[0].get("attachments")
    assert "no picture of " in caplog.text


def test_a_clip_that_cannot_be_drawn_is_sent_without_a_picture(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = tmp_path / "dog.flac"
    clip.write_bytes(b"fLaC")
    wording = Wording(attaches_picture=True)
    with (
        desk() as (server, address),
        notifying(
            file, AppriseTarget(address), rules=Rules(when="ended"), wording=wording, draw=draw_clip
        ) as notifier,
    ):
        notifier.accept(ended(started(), clip=str(clip)))
        wait_until(lambda: server.taken, "the notification")
    assert not server.taken[0]["attachments"]
    assert "no picture of" in caplog.text


def test_others_are_notified_in_other_words_without_a_restart(file: Path) -> None:
    with desk() as (first, address), desk() as (second, other), notifying(file) as notifier:
        notifier.accept(started(1))  # nobody is to be notified yet
        notifier.change(Plan([AppriseTarget(address)], Rules(cooldown_seconds=0.0), Wording("one")))
        wait_until(lambda: notifier.targets, "the first target")
        notifier.accept(started(2))
        wait_until(lambda: first.taken, "the first notification")
        first.is_open = False
        notifier.accept(started(3))
        wait_until(lambda: first.asked > 1, "one that waits")
        notifier.change(Plan([AppriseTarget(other)], Rules(cooldown_seconds=0.0), Wording("two")))
        wait_until(lambda: notifier.targets and not file.exists(), "the second target")
        notifier.accept(started(4))
        wait_until(lambda: second.taken, "the second notification")
    assert [note["title"] for note in first.taken + second.taken] == ["one", "two"]


def test_a_notification_is_tried_again_after_an_outage(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with desk() as (server, address), notifying(file, AppriseTarget(address), pause_seconds=0.05) as notifier:
        server.is_open = False
        for number in range(3):
            notifier.accept(started(number, f"Sound {number}"))
        wait_until(lambda: server.asked > 4, "some attempts")
        assert json.loads(file.read_text()), "what waits is on the disk"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        server.is_open = True
        wait_until(lambda: len(server.taken) == 3, "all notifications")
        wait_until(lambda: not file.exists(), "the empty outbox")
    assert sorted(note["title"] for note in server.taken) == ["Sound 0", "Sound 1", "Sound 2"]
    assert "JSON (json) did not get a notification" in caplog.text
    assert "JSON (json) gets notifications again" in caplog.text
    assert SECRET not in caplog.text


def test_what_waits_is_delivered_after_a_restart(file: Path) -> None:
    port = free_port()
    target = AppriseTarget(f"json://127.0.0.1:{port}/{SECRET}")
    with notifying(file, target) as notifier:
        notifier.accept(started())
        wait_until(file.exists, "the outbox")
    assert SECRET not in file.read_text()
    with desk(port) as (server, _), notifying(file, target):
        wait_until(lambda: server.taken, "the notification")
    assert not file.exists()


def test_a_target_that_fails_does_not_hold_up_another(file: Path) -> None:
    dead = AppriseTarget(f"json://127.0.0.1:{free_port()}/")
    with desk() as (server, address), notifying(file, dead, AppriseTarget(address)) as notifier:
        for number in range(5):
            notifier.accept(started(number))
        wait_until(lambda: len(server.taken) == 5, "all notifications at the other")


class Slow:
    """Target that takes no notification before it may."""

    def __init__(self) -> None:
        self.key, self.name = "slow", "a slow target"
        self.asked, self.may_go_on = threading.Event(), threading.Event()
        self.taken: list[str] = []

    def send(self, note: Note) -> None:
        self.asked.set()
        assert self.may_go_on.wait(START_SECONDS)
        self.taken.append(note.title)


def test_a_target_that_takes_long_holds_up_no_other_and_no_event_on_its_way_to_the_disk(file: Path) -> None:
    slow = Slow()
    with desk() as (server, address), notifying(file, slow, AppriseTarget(address)) as notifier:
        notifier.accept(started(1, "Dog"))
        wait_until(slow.asked.is_set, "an attempt that lasts")
        for number in range(2, 5):
            notifier.accept(started(number, f"Sound {number}"))
        wait_until(lambda: len(server.taken) == 4, "all notifications at the other")
        stored = json.loads(file.read_text())
        assert [event["id"] for event in stored["slow"]] == ["1", "2", "3", "4"]
        slow.may_go_on.set()
        wait_until(lambda: not file.exists(), "the empty outbox")
    assert slow.taken == ["Dog", "Sound 2", "Sound 3", "Sound 4"]


def test_a_target_that_is_removed_during_an_attempt_gets_nothing_more(file: Path) -> None:
    slow = Slow()
    with desk() as (server, address), notifying(file, slow) as notifier:
        notifier.accept(started(1))
        notifier.accept(started(2))
        wait_until(slow.asked.is_set, "an attempt that lasts")
        notifier.change(Plan([AppriseTarget(address)], Rules(cooldown_seconds=0.0), Wording()))
        wait_until(lambda: notifier.targets == ["JSON (json)"], "the other target")
        notifier.accept(started(3))
        wait_until(lambda: server.taken, "the notification at the other")
        slow.may_go_on.set()
    assert slow.taken == ["Dog"]
    assert not file.exists()


def test_an_unexpected_error_of_a_target_ends_the_notifier(file: Path) -> None:
    class Broken:
        key, name = "broken", "a broken target"

        def send(self, note: Note) -> None:
            raise ZeroDivisionError(note.title)

    outbox = NotifyOutbox(file, ["broken"])
    notifier = Notifier([Broken()], rules=Rules(), wording=Wording(), outbox=outbox)
    notifier.accept(started())
    with pytest.raises(ZeroDivisionError, match="Dog"):
        notifier.run()
    assert file.exists(), "the event waits"


def test_a_notification_that_is_never_taken_does_not_hold_up_the_next(file: Path) -> None:
    class Choosy:
        key, name = "choosy", "a choosy target"
        taken: list[str] = []  # noqa: RUF012 - of this test

        def send(self, note: Note) -> None:
            if note.title == "bad":
                raise NotDelivered("it is bad")
            self.taken.append(note.title)

    with notifying(file, Choosy(), pause_seconds=0.01) as notifier:
        for number, name in enumerate(("bad", "good", "better")):
            notifier.accept(started(number, name))
        wait_until(lambda: sorted(Choosy.taken) == ["better", "good"], "the others")


def test_old_notifications_and_too_many_are_dropped_and_counted(file: Path) -> None:
    outbox = NotifyOutbox(file, ["a"])
    outbox.put([started(1), started(2)])
    stored = json.loads(file.read_text())
    stored["a"][0]["queued_at"] -= 2 * 86_400.0
    file.write_text(json.dumps(stored))
    outbox = NotifyOutbox(file, ["a"])
    assert [event.id for event in outbox.waiting("a")] == ["2"]
    outbox.put(started(number) for number in range(300))
    assert len(NotifyOutbox(file, ["a"]).waiting("a")) == 200
    assert outbox.dropped == 102


def test_what_is_dropped_is_logged(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    outbox = NotifyOutbox(file, ["a"])
    outbox.put(started(number) for number in range(201))
    outbox.put([started(201)])
    (line,) = caplog.messages
    assert line.startswith("notifications dropped so far: 1 ")


def test_a_clock_that_is_set_two_days_ahead_makes_no_notification_old(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = NotifyOutbox(file, ["a"])
    outbox.put([started(1)])
    right = time.time() + 2 * 86_400.0
    monkeypatch.setattr(time, "time", lambda: right)
    assert [event.id for event in outbox.waiting("a")] == ["1"]
    outbox.postpone("a", outbox.waiting("a")[0])  # it could still not be delivered
    assert [event.id for event in NotifyOutbox(file, ["a"]).waiting("a")] == ["1"], "after a restart, too"


def test_all_that_waits_for_several_targets_survives_a_restart(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    targets = ["a", "b", "c"]
    clip = "/home/ear/.local/share/earshot/clips/2026-03-01/120005_front_door_smoke_alarm.flac"
    NotifyOutbox(file, targets).put(ended(started(number), clip=clip * 3) for number in range(200))
    assert file.stat().st_size > 256 * 1024
    outbox = NotifyOutbox(file, targets)
    assert [len(outbox.waiting(target)) for target in targets] == [200] * 3
    assert not caplog.messages


def test_an_outbox_that_can_not_be_read_is_not_called_damaged(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.mkdir()
    assert NotifyOutbox(file, ["a"]).waiting("a") == []
    assert caplog.messages == [f"{file} can't be read (Is a directory): the notifications in it are lost"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"a": 1}', '{"a": [{"id": 1}]}', '{"a": [null]}', '{"a": [{}]}', "[" * 9999]
)
def test_a_damaged_outbox_is_reported_and_begun_again(
    file: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text(content)
    outbox = NotifyOutbox(file, ["a"])
    assert outbox.waiting("a") == []
    assert "is damaged" in caplog.text
    outbox.put([started()])
    assert len(NotifyOutbox(file, ["a"]).waiting("a")) == 1


def test_a_command_gets_the_facts_in_its_environment_and_no_secrets(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EARSHOT_MQTT_PASSWORD", "EARSHOT_NOTIFY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("EARSHOT_SOURCE", f"rtsp://me:{SECRET}@camera.local/live")
    monkeypatch.setenv("EARSHOT_MQTT", f"mqtt://me:{SECRET}@broker.local")
    monkeypatch.setenv("LAMP", "kitchen")
    out = tmp_path / "out.json"
    script = f"import json, os; f = open({str(out)!r} + '.part', 'w'); json.dump(dict(os.environ), f); f.close(); os.rename({str(out)!r} + '.part', {str(out)!r})"
    event = ended(started(label="Dog; rm -rf $HOME"), clip="/clips/1.flac")
    with notifying(
        file, CommandTarget([sys.executable, "-c", script]), rules=Rules(when="ended")
    ) as notifier:
        notifier.accept(event)
        wait_until(out.exists, "the command")
    environment = json.loads(out.read_text())
    found = {name: value for name, value in environment.items() if name.startswith("EVENT_")}
    assert found["EVENT_SOUND"] == "Dog; rm -rf $HOME"
    assert found["EVENT_SOURCE"] == "yard"
    assert found["EVENT_EVENT"] == "ended"
    assert found["EVENT_SCORE"] == "0.8700"
    assert found["EVENT_LENGTH"] == "4.5 s"
    assert found["EVENT_CLIP"] == "/clips/1.flac"
    assert found["EVENT_TEXT"].startswith("Dog; rm -rf $HOME at yard")
    assert found["EVENT_STARTED_AT"].endswith("Z")
    assert SECRET not in json.dumps(environment)
    assert environment["LAMP"] == "kitchen"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["/no/such/program"], "it can't be run: No such file or directory"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "it ended with the code 3"),
        ([sys.executable, "-c", "import time; time.sleep(600)"], "it took longer than 1 s"),
    ],
)
def test_a_command_that_fails_says_why(command: list[str], reason: str) -> None:
    with pytest.raises(NotDelivered, match=reason):
        CommandTarget(command, longest_seconds=1.0).send(Wording().note(started()))


def test_a_command_with_other_rights_that_takes_long_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_group: int, _signal: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.killpg", refuse)
    monkeypatch.setattr("streamer.sinks.notify.targets._END_SECONDS", PATIENCE_SECONDS)
    command = CommandTarget([sys.executable, "-c", "import time; time.sleep(2)"], longest_seconds=1.0)
    with pytest.raises(NotDelivered, match="it took longer than 1 s"):
        command.send(Wording().note(started()))


def test_a_clip_on_a_disk_that_is_away_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    status = os.stat

    def fail(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        if str(path).startswith("/mnt/nas"):
            raise OSError(errno.EHOSTDOWN, "Host is down")
        return status(path, *arguments, **options)

    monkeypatch.setattr("os.stat", fail)
    note = replace(Wording().note(started()), files=("/mnt/nas/x.flac",))
    with desk() as (this, address):
        AppriseTarget(address).send(note)
    assert len(this.taken) == 1


def test_an_address_that_apprise_does_not_know_is_refused_without_its_secrets() -> None:
    with pytest.raises(SettingsError, match="'quux://…' is not an address") as refused:
        AppriseTarget(f"quux://{SECRET}")
    for mistyped in (SECRET, f"tgram:/{SECRET}", f"mailto:me:{SECRET}@example.org", f"{SECRET}://x"):
        with pytest.raises(
            SettingsError, match="one without a scheme such as ntfys:// is not an address"
        ) as cause:
            AppriseTarget(mistyped)
        assert SECRET not in str(cause.value)
    assert SECRET not in str(refused.value)


def test_addresses_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    secrets = tmp_path / "addresses"
    secrets.write_text(f"# phones\nntfy://{SECRET}\n\njson://localhost\n")
    assert Settings.model_validate({"notify_file": secrets}).notify_addresses() == [
        f"ntfy://{SECRET}",
        "json://localhost",
    ]
    assert secrets in Settings.model_validate({"notify_file": secrets}).secret_files
    found = load_settings({}, environment={"EARSHOT_NOTIFY": f"ntfy://{SECRET}, json://localhost"})
    assert found.notify_addresses() == [f"ntfy://{SECRET}", "json://localhost"]
    assert SECRET not in repr(found)
    with pytest.raises(SettingsError, match="give notify or notify_file, not both"):
        load_settings({}, environment={"EARSHOT_NOTIFY": "a://b", "EARSHOT_NOTIFY_FILE": str(secrets)})
    with pytest.raises(SettingsError, match="check notify_file"):
        Settings.model_validate({"notify_file": tmp_path / "missing"}).notify_addresses()


def test_settings_of_notifications_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "earshot.toml"
    for text, words in (
        ('notify_text = "{quux}"', "must contain no fields but"),
        ('notify_when = "never"', "must be started, ended or both"),
        ("notify_cooldown = -1", "must be at least 0"),
        ('notify_command = "sh -c \'"', "must be a command"),
        ('notify_quiet = [{ sound = "Dog", from = "25:00", to = "06:00" }]', "notify_quiet"),
        ("notify_quiet = [{ from = 22, to = 6 }]", 'must be a local time such as "22:00"'),
        ('notify_quiet = [{ from = "22:00+01:00", to = "06:00" }]', "must be a local time"),
        ('notify_quiet = [{ from = "24:00", to = "06:00" }]', "must be a local time"),
        ("notify_quiet = [{ from = 2026-01-01T22:00:00Z, to = 06:00:00 }]", "must be a local time"),
    ):
        config.write_text(text)
        with pytest.raises(SettingsError, match=words):
            load_settings({}, config=config, environment={})
    config.write_text(
        'notify_command = "sh -c \'echo $EVENT_SOUND\'"\nnotify_quiet = [{ from = "22:00", to = "06:30" }]'
    )
    found = load_settings({}, config=config, environment={})
    assert found.notify_command == ["sh", "-c", "echo $EVENT_SOUND"]
    assert found.quiet_hours == [SoundSpan("", clock(22), clock(6, 30))]


@pytest.mark.parametrize(
    "text",
    [
        '[{"from": "9:00", "to": "24:00"}]',
        '[{"from": "09:00:00", "to": "00:00"}]',
    ],
)
def test_quiet_hours_can_be_set_in_the_environment(text: str) -> None:
    found = load_settings({}, environment={"EARSHOT_NOTIFY_QUIET": text})
    assert found.quiet_hours == [SoundSpan("", clock(9), clock(0))]


def test_sounds_of_notifications_are_named_as_those_to_watch_for() -> None:
    def rules(**settings: Any) -> Rules:
        return plan_notifications(Settings.model_validate(settings), ["Dog", "Bark"]).rules

    given = rules(notify_sounds=["smoke_alarm", "bark"])
    assert [given.tells(replace(started(), label=label)) for label in ("Smoke alarm", "Bark", "Dog")] == [
        True,
        True,
        False,
    ]
    quiet = rules(notify_quiet=[{"sound": "smoke_alarm", "from": "00:00", "to": "24:00"}])
    assert [quiet.tells(replace(started(), label=label)) for label in ("Smoke alarm", "Dog")] == [False, True]
    with pytest.raises(SettingsError, match="notify_sounds: there is no sound called 'Smoke alram': did you"):
        rules(notify_sounds=["Smoke alram"])
    with pytest.raises(SettingsError, match="notify_quiet: there is no sound called 'Smoke alram'"):
        rules(notify_quiet=[{"sound": "Smoke alram", "from": "00:00", "to": "24:00"}])


@pytest.mark.slow
def test_the_program_tells_of_a_sound(environment: dict[str, str]) -> None:
    with desk() as (server, address):
        with Program(
            *("--source", "demo", "--headless", "--fast", "--duration", "60", "--model", "tiny"),
            environment={**environment, "EARSHOT_NOTIFY": address},
        ) as program:
            wait_until(lambda: server.taken, "the notification", START_SECONDS)
            assert SECRET not in "".join(program.log)
        assert " at demo, " in server.texts()[0]


def test_the_working_directory_is_left_alone(file: Path) -> None:
    before = os.getcwd()  # noqa: PTH109 - the fact itself
    CommandTarget([sys.executable, "-c", "import os; os.chdir('/')"]).send(Wording().note(started()))
    assert os.getcwd() == before  # noqa: PTH109
    assert not file.exists()
