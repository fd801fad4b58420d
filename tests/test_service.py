"""Run as a service: what systemd is told, what its journal gets, and settings that are read again."""

import json
import logging
import math
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.mosquitto import Mosquitto, Subscriber
from support.program import ChildProcess, command
from support.system import require
from support.systemd import Systemd, service
from support.waiting import START_SECONDS, wait_until

from streamer.messages import Health
from streamer.runtime.logs import JournalFormatter, is_journal
from streamer.runtime.systemd import ServiceManager

HEALTH = Health(9.0, 120, 3, 1, 9.5, 0, 0.1, 0.25, 0.1, "tiny", "cpu", "connected", overrun_seconds=0.5)


@pytest.fixture(params=["a path", "an abstract name"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    address = str(tmp_path / "notify") if request.param == "a path" else f"@earshot-test-{os.getpid()}"
    with Systemd(address) as listener:
        yield listener


def test_systemd_is_notified_of_the_start_of_reloads_and_of_the_end(systemd: Systemd) -> None:
    manager = ServiceManager(systemd.environment)
    with manager.listening():
        assert systemd.hear() == ["READY=1"]
        before = time.monotonic_ns() // 1000
        with manager.reloading():
            first, second = systemd.hear()
            assert first == "RELOADING=1"
            assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
        assert systemd.hear() == ["READY=1"]
        manager.accept(HEALTH)
        assert systemd.hear() == [
            "STATUS=120 windows tagged, 3 dropped, 0.5 s of sound lost, latency 0.25 s, broker connected"
        ]
    assert systemd.hear() == ["STOPPING=1"]


def test_the_watchdog_is_notified_three_times_per_timeout_while_the_tagger_works(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    with monkeypatch.context() as clock:
        clock.setattr(time, "monotonic", lambda: now)
        manager = ServiceManager(systemd.environment | {"WATCHDOG_USEC": "600000"})
        for _ in range(100):
            manager.beat(busy_seconds=0.5)
            now += 0.01
    for _ in range(5):
        assert systemd.hear() == ["WATCHDOG=1"]
    with pytest.raises(TimeoutError):
        systemd.hear(0.1)
    manager.beat(busy_seconds=0.6)
    with pytest.raises(TimeoutError):
        systemd.hear(0.3)


@pytest.mark.parametrize(
    "watchdog", [{}, {"WATCHDOG_USEC": "100", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}]
)
def test_a_watchdog_without_a_timeout_or_for_another_process_is_not_notified(
    systemd: Systemd, watchdog: dict[str, str]
) -> None:
    ServiceManager(systemd.environment | watchdog).beat(busy_seconds=0.0)
    with pytest.raises(TimeoutError):
        systemd.hear(0.2)


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_nothing_is_sent_without_a_notify_socket(
    environment: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    manager = ServiceManager(environment | {"WATCHDOG_USEC": "1000"})
    with manager.listening(), manager.reloading():
        manager.accept(HEALTH)
        manager.beat(busy_seconds=0.0)
    assert not caplog.records


def test_the_journal_gets_the_priority_of_each_line() -> None:
    formatter = JournalFormatter("%(message)s")
    for level, priority in ((10, 7), (20, 6), (30, 4), (40, 3), (50, 2)):
        record = logging.LogRecord("earshot", level, "", 0, "first\nsecond", (), None)
        assert formatter.format(record) == f"<{priority}>first\n<{priority}>second"


def test_only_the_stream_that_systemd_names_is_the_journal(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w") as file, (tmp_path / "other").open("w") as other:
        status = os.fstat(file.fileno())
        environment = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        assert is_journal(file, environment)
        assert not is_journal(other, environment)
        assert not is_journal(file, {})
    assert not is_journal(file, environment), "it is closed"


def test_an_error_message_in_the_journal_has_the_priority_of_an_error(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with (tmp_path / "journal").open("w") as journal:
        status = os.fstat(journal.fileno())
        result = subprocess.run(
            command("--headless", "--hop", "7.001"),
            env=environment | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"},
            stderr=journal,
            timeout=START_SECONDS,
            check=False,
        )
    assert result.returncode == 2
    assert (tmp_path / "journal").read_text().startswith("<3>earshot: --hop must be ")


def said_of_settings(program: subprocess.Popen[str]) -> str:
    """Return the next line about settings, applied now or at the next start."""
    assert program.stderr is not None
    return next(line for line in program.stderr if "settings" in line.lower() or "next start" in line)


@pytest.mark.slow
@pytest.mark.parametrize("systemd", ["a path"], indirect=True)
def test_a_tagger_that_hangs_silences_the_watchdog(systemd: Systemd, environment: dict[str, str]) -> None:
    reading, writing = os.pipe()  # nobody reads what is printed: the tagger waits for ever
    watched = environment | {"WATCHDOG_USEC": "3000000"}
    options = ("--source", "demo", "--json", "--top", "500", "--hop", "0.25")
    with service(*options, environment=watched, systemd=systemd, stdout=writing) as program:
        assert ["WATCHDOG=1"] in systemd.hear_of("WATCHDOG=1")
        deadline = time.monotonic() + 60.0
        beats = [time.monotonic()]
        while time.monotonic() < min(deadline, beats[-1] + 4.0):
            with suppress(TimeoutError):
                if systemd.hear(0.5) == ["WATCHDOG=1"]:
                    beats.append(time.monotonic())
        assert time.monotonic() < deadline, "it never fell silent"
        assert program.poll() is None, "and nobody but systemd ends it"
        program.terminate()
        assert program.wait(timeout=START_SECONDS) == 130, "in order, though the tagger is left behind"
    os.close(reading)
    os.close(writing)


@pytest.mark.system
@pytest.mark.parametrize("systemd", ["a path"], indirect=True)
def test_sighup_applies_settings_without_a_gap_and_a_bad_file_changes_nothing(
    systemd: Systemd, environment: dict[str, str], tmp_path: Path
) -> None:
    require("mosquitto")
    file, folder = tmp_path / "earshot.toml", tmp_path / "mosquitto"
    folder.mkdir()
    file.write_text('watch = ["Dog"]\n')
    with Mosquitto(folder) as broker, Subscriber(broker.port, "earshot/#") as subscriber:
        options = (
            *("--source", "room=demo", "--node", "test", "--mqtt", f"mqtt://127.0.0.1:{broker.port}"),
            *("--json", "--config", str(file)),
        )
        with (
            (tmp_path / "lines").open("w") as output,
            service(*options, environment=environment, systemd=systemd, stdout=output.fileno()) as program,
        ):
            subscriber.wait_for("earshot/test/room/tags")

            def reload(text: str) -> str:
                file.write_text(text)
                program.send_signal(signal.SIGHUP)
                heard = systemd.hear_of("RELOADING=1") + systemd.hear_of("READY=1")
                assert heard[-1] == ["READY=1"]
                return said_of_settings(program)

            assert reload('watch = ["Dgo"]\n') == (
                "settings not reloaded: there is no sound called 'Dgo': did you mean 'Dog'?\n"
            )
            assert reload("watch = [\n").startswith("settings not reloaded: the settings file ")
            assert "top" in reload('watch = ["Siren"]\ntop = 0\n')
            watch = '[{ sound = "Speech", threshold = 0.01, hits = 1, of = 1 }]'
            assert reload(f"watch = {watch}\ntop = 2\nwindow = 5.0\nnode = 'x'\n") == (
                "settings changed: top, watch\n"
            )
            # the node's name was given
            assert said_of_settings(program) == "settings that need a restart: window\n"
            event = subscriber.wait_for("earshot/test/room/events").json()
            assert (event["event_type"], event["label"]) == ("started", "Speech")
            subscriber.wait_for("earshot/test/room/sound/speech", "ON")
            subscriber.wait_for("earshot/test/room/tags")
            assert len(subscriber.wait_for("earshot/test/room/tags").json()["tags"]) == 2
            program.send_signal(signal.SIGTERM)
            assert program.wait(timeout=START_SECONDS) == 130
            assert program.stderr is not None
            dropped = re.findall(r"(\d+) windows? (?:was|were) dropped because", program.stderr.read())
    tagged = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    ends = [line["end_seconds"] for line in tagged]
    whole = ends[:-1]  # the last one is what had come when the program was told to end
    assert whole == sorted({float(round(end)) for end in whole})
    since_model = math.ceil(ends[-1]) - math.ceil(ends[0]) + 1
    assert len(tagged) + sum(map(int, dropped)) == since_model, "a busy machine may drop some"
    assert (len(tagged[0]["tags"]), len(tagged[-1]["tags"])) == (5, 2)


def table(name: str, **own: object) -> str:
    """Write the table of a room that hears the demo."""
    lines = [f"{setting} = {json.dumps(value)}\n" for setting, value in own.items()]
    return f'[[source]]\nname = "{name}"\nspec = "demo"\n{"".join(lines)}'


@pytest.mark.system
@pytest.mark.parametrize("systemd", ["a path"], indirect=True)
def test_sighup_adds_and_removes_rooms_and_the_remaining_room_loses_nothing(
    systemd: Systemd, environment: dict[str, str], tmp_path: Path
) -> None:
    require("mosquitto")
    file, folder = tmp_path / "earshot.toml", tmp_path / "mosquitto"
    folder.mkdir()
    file.write_text('watch = ["Dog"]\n' + table("street") + table("hall"))
    with Mosquitto(folder) as broker, Subscriber(broker.port, "#") as subscriber:
        options = (
            *("--node", "test", "--mqtt", f"mqtt://127.0.0.1:{broker.port}"),
            *("--json", "--precision", "fp32", "--config", str(file)),
        )
        with (
            (tmp_path / "lines").open("w") as output,
            service(*options, environment=environment, systemd=systemd, stdout=output.fileno()) as program,
        ):
            assert program.stderr is not None
            subscriber.wait_for("homeassistant/device/test_street/config")
            subscriber.wait_for("earshot/test/street/level")

            def reload(*rooms: str) -> None:
                file.write_text('watch = ["Dog"]\n' + "".join(rooms))
                program.send_signal(signal.SIGHUP)

            reload(table("hall"), table("kitchen", watch=["Siren"], hop=0.5))
            assert said_of_settings(program) == "settings changed: source\n"
            assert "sound_siren" in subscriber.wait_for("homeassistant/device/test_kitchen/config").text
            subscriber.wait_for("earshot/test/kitchen/status", "online")
            subscriber.wait_for("earshot/test/kitchen/tags")
            wait_until(lambda: not kept(broker, "earshot/test/street/"), "nothing of the street")
            assert not kept(broker, "homeassistant/device/test_street/")
            assert {"status", "listen", "sound/siren"} <= kept(broker, "earshot/test/kitchen/")
            subscriber.publish("earshot/test/kitchen/listen/set", "OFF")
            subscriber.wait_for("earshot/test/kitchen/status", "offline")

            reload(table("hall"))
            assert said_of_settings(program) == "settings changed: source\n"
            subscriber.wait_for("earshot/test/kitchen/listen", "")
            reload(table("kitchen"), table("hall", hop=2.0))
            assert any(line.startswith("kitchen is still switched off") for line in program.stderr)
            assert said_of_settings(program) == "settings changed: source\n"
            subscriber.wait_for("earshot/test/kitchen/listen", "OFF")
            reload(table("kitchen"), table("hall"), '[[source]]\nname = "yard"\nspec = "gone.wav"\n')
            assert said_of_settings(program).startswith("settings not reloaded: there is no file gone.wav")
            for _ in range(3):
                subscriber.wait_for("earshot/test/hall/tags")
            program.send_signal(signal.SIGTERM)
            assert program.wait(timeout=START_SECONDS) == 130
            subscriber.wait_for_all({"earshot/test/status": "offline"})
            sources = subscriber.wait_for("earshot/test/health").json()["sources"]
    assert sources.keys() == {"kitchen", "hall"}
    assert_nothing_is_lost(sources["hall"], tmp_path / "lines")


def assert_nothing_is_lost(hall: dict[str, Any], lines: Path) -> None:
    """Compare the health of the hall, which had another hop at the end, with the taggings of hall and kitchen."""
    assert (hall["lost_samples"], hall["waiting_samples"]) == (0, 0)
    assert hall["samples"] == hall["windowed_samples"] + hall["skipped_samples"]
    tagged = [json.loads(line) for line in lines.read_text().splitlines()]
    ends = {
        room: [line["end_seconds"] for line in tagged if line["source"] == room]
        for room in ("hall", "kitchen")
    }
    assert len(ends["hall"]) + hall["dropped_windows"] == hall["cut_windows"], "a busy machine may drop some"
    whole = ends["hall"][:-1]  # the last one is what had come when the program was told to end
    assert whole == sorted({float(round(end)) for end in whole})
    assert [end % 2.0 for end in whole[-2:]] == [0.0, 0.0]
    assert whole[-1] - whole[-2] >= 2.0
    assert ends["kitchen"][0] % 0.5 == 0.0


def kept(broker: Mosquitto, beginning: str) -> set[str]:
    """The ends of those topics that begin like this on which the broker keeps something."""
    with Subscriber(broker.port) as latecomer:
        latecomer.publish("marker", "")
        latecomer.wait_for_several("marker", 1)
        topics = [message.topic for message in latecomer.messages if message.retained]
        return {topic.removeprefix(beginning) for topic in topics if topic.startswith(beginning)}


@pytest.mark.slow
@pytest.mark.parametrize("systemd", ["a path"], indirect=True)
def test_sighup_replaces_a_source(systemd: Systemd, environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('source = ["room=demo"]\n')
    with service("--config", str(file), environment=environment, systemd=systemd) as program:
        for text, said in (
            ('source = ["room=gone.wav"]', "settings not reloaded: "),
            ('source = ["room=demo", "street=demo"]', "settings changed: source"),
            ('source = ["room=demo", "street=demo", "yard=gone.wav"]', "settings not reloaded: "),
            (f'source = ["room={tmp_path / "empty.wav"}"]', "settings not reloaded: "),
            (
                f'source = ["room={Path(__file__).parent.parent / "streamer" / "assets" / "demo.ogg"}"]',
                "settings changed: source",
            ),
        ):
            file.write_text(text)
            program.send_signal(signal.SIGHUP)
            assert said_of_settings(program).startswith(said), text
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=START_SECONDS) == 130


@pytest.mark.slow
def test_sighup_during_the_start_takes_effect_once_the_program_listens(environment: dict[str, str]) -> None:
    with ChildProcess(
        command("--headless", "--model", "tiny", "--offline", "--source", "demo"),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        wait_until(lambda: catches_sighup(program), "signals to be caught")
        program.send_signal(signal.SIGHUP)
        assert said_of_settings(program) == "the settings have not changed\n"
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=START_SECONDS) == 130


def catches_sighup(program: subprocess.Popen[str]) -> bool:
    caught = re.search(r"^SigCgt:\s+(\w+)", Path(f"/proc/{program.pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) & 1 << signal.SIGHUP - 1)


@pytest.mark.slow
@pytest.mark.parametrize("systemd", ["a path"], indirect=True)
def test_sighup_reaches_the_window_too(systemd: Systemd, environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text('watch = ["Dog"]\n')
    screen = {"QT_QPA_PLATFORM": "offscreen"}
    with ChildProcess(
        command("--model", "tiny", "--offline", "--source", "demo", "--config", str(file)),
        env=environment | systemd.environment | screen,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        systemd.hear_of("READY=1", START_SECONDS)
        file.write_text('watch = ["Siren"]\n')
        program.send_signal(signal.SIGHUP)
        assert systemd.hear_of("RELOADING=1")
        assert systemd.hear_of("READY=1")
        program.send_signal(signal.SIGTERM)
        _, said = program.communicate(timeout=START_SECONDS)
    assert program.returncode == 130
    assert "settings changed: watch\n" in said


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.parametrize("systemd", ["a path"], indirect=True)
def test_closing_the_terminal_still_ends_the_program(systemd: Systemd, environment: dict[str, str]) -> None:
    require("setsid")
    outside, inside = pty.openpty()
    with ChildProcess[bytes](
        ["setsid", "--ctty", *command("--headless", "--model", "tiny", "--offline", "--source", "demo")],
        env=environment | systemd.environment,
        stdin=inside,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as program:
        os.close(inside)
        try:
            systemd.hear_of("READY=1", START_SECONDS)
        finally:
            os.close(outside)
        assert systemd.hear_of("STOPPING=1")
        assert program.wait(timeout=START_SECONDS) == 130
