"""The program as its users run it: a process, real sound, a real broker, real signals."""

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile
from support.decoders import decoders
from support.microphone import VirtualMicrophone
from support.mosquitto import Mosquitto, Subscriber
from support.program import ChildProcess, Program, command
from support.sound_servers import HttpServer, behind_password, encoded, stream
from support.system import free_port, require
from support.waiting import START_SECONDS, wait_until

from streamer.errors import SinkError
from streamer.messages import Tagging
from streamer.sinks.history.store import History
from streamer.sinks.score_log import reading_scores
from streamer.sources.recording import Recording

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
DEMO_NAMES = {
    "Speech": {"Speech"},
    "Piano": {"Music", "Musical instrument", "Piano"},
    "Siren": {"Siren", "Alarm"},
    "Violin, fiddle": {"Music", "Musical instrument", "Violin, fiddle", "Bowed string instrument"},
    "Telephone bell ringing": {"Telephone", "Telephone bell ringing", "Alarm", "Ringtone"},
    "Drum kit": {"Music", "Drum kit", "Drum", "Percussion"},
}
"""Right names for each part of the demo."""
UNSURE = "Electric piano"
"""A label that the demo's instruments bring to scores far from 0 and far from 1."""


def run(
    *options: str, environment: dict[str, str], stdin: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end; one that hangs is aborted, and shows where its threads are."""
    words = command(*options)
    with ChildProcess[bytes](
        words,
        env=environment | {"PYTHONFAULTHANDLER": "1"},
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        try:
            stdout, stderr = program.communicate(stdin, timeout=180)
        except subprocess.TimeoutExpired:
            program.send_signal(signal.SIGABRT)
            stdout, stderr = program.communicate(timeout=60)
            pytest.fail(f"it hangs:\n{stderr.decode(errors='replace')}")
    return subprocess.CompletedProcess(words, program.returncode, stdout, stderr)


@contextmanager
def running(*options: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run it beside the block, and interrupt it at the end."""
    with ChildProcess[bytes](command(*options), env=environment, stdout=subprocess.DEVNULL) as program:
        try:
            yield program
            program.send_signal(signal.SIGINT)
            assert program.wait(START_SECONDS) == 130
        finally:
            program.kill()


def test_without_a_display_it_listens_in_the_terminal(environment: dict[str, str]) -> None:
    done = run("--source", "demo", "--duration", "2", "--model", "tiny", environment=environment)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.decode().splitlines()
    assert lines[0] == "there is no display: listening in the terminal", "before the line of the model"
    assert lines[1].startswith("model tiny")
    assert b"Speech" in done.stdout
    kiosk = run("--source", "demo", "--kiosk", environment=environment)
    assert (kiosk.returncode, kiosk.stderr.count(b"there is no display; use --headless")) == (1, 1)


@pytest.mark.parametrize("view", ["terminal", "window"])
def test_a_second_program_on_the_same_data_says_so_first_and_what_follows(
    view: str, environment: dict[str, str]
) -> None:
    options = {"terminal": ["--headless"], "window": []}[view]
    screen = {"QT_QPA_PLATFORM": "offscreen"} if view == "window" else {}
    history = Path(environment["XDG_DATA_HOME"]) / "earshot" / "history.sqlite3"
    with History(history):
        done = run(
            *("--source", "demo", "--duration", "1", "--model", "tiny", *options),
            environment=environment | screen,
        )
    assert done.returncode == 0
    assert done.stderr.decode().splitlines()[0] == (
        f"another Earshot writes the history {history}: set history to another file, or to off; until then, events are not "
        "stored and can't be marked"
    )


def test_it_says_its_version(environment: dict[str, str]) -> None:
    done = run("--version", environment=environment)
    assert (done.returncode, done.stdout.decode().split()) == (0, ["earshot", metadata.version("earshot")])


def lines(output: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require("espeak-ng")
    path = tmp_path_factory.mktemp("sounds") / "speech.wav"
    words = (
        "Good evening. This is somebody who talks about the weather, and about nothing else, for a while. "
        * 2
    )
    subprocess.run(["espeak-ng", "-w", str(path), words], check=True, timeout=30)
    return path


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    path = tmp_path / "noise.wav"
    samples = 0.1 * np.random.default_rng(0).standard_normal(3 * 16_000)
    soundfile.write(path, samples.astype(np.float32), 16_000, subtype="PCM_16")
    return path


@pytest.mark.system
def test_a_recording_of_speech_is_named_speech(speech: Path, environment: dict[str, str]) -> None:
    result = run("tag", str(speech), "--json", environment=environment)
    assert result.returncode == 0
    tagged = lines(result.stdout)
    for line in tagged:
        assert line["start_seconds"] == pytest.approx(max(0, line["end_seconds"] - 10.24))
    assert all(line["tags"][0]["label"] == "Speech" for line in tagged[2:])
    assert tagged[-1]["tags"][0]["mid"] == "/m/09x0r"


@pytest.mark.system
def test_the_events_of_a_recording_have_the_right_times(
    speech: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    samples, rate = soundfile.read(speech, dtype="float32")
    padded = tmp_path / "padded.wav"
    soundfile.write(padded, np.pad(samples[: 4 * rate], (3 * rate, 14 * rate)), rate)
    result = run("tag", str(padded), "--events", "--watch", "speech", "--json", environment=environment)
    assert result.returncode == 0
    (event,) = lines(result.stdout)
    assert (event["label"], event["source"]) == ("Speech", str(padded))
    assert event["start_seconds"] == pytest.approx(3.0, abs=0.5)
    assert event["end_seconds"] == pytest.approx(7.0, abs=0.5)
    plain = run("tag", str(padded), "--events", "--watch", "Speech", environment=environment)
    assert plain.stdout.decode().splitlines()[1].split()[4:] == ["Speech", f"{event['score']:.2f}"]


def test_logged_scores_replay_the_same_events_and_those_of_other_settings(
    environment: dict[str, str], tmp_path: Path
) -> None:
    log, history, file = (str(tmp_path / name) for name in ("scores.sqlite3", "history.sqlite3", "new.toml"))
    live = ("--source", "demo", "--fast", "--headless", "--model", "tiny", "--watch", "Speech")
    assert (
        run(
            *live,
            "--score-log",
            log,
            environment=environment | {"EARSHOT_HISTORY": history},
        ).returncode
        == 0
    )
    told = lines(run("events", "--json", "--history", history, environment=environment).stdout)
    replayed = lines(run("replay", log, "--watch", "Speech", "--json", environment=environment).stdout)
    assert told
    for event in (*told, *replayed):
        del event["id"]
    assert replayed == told
    Path(file).write_text('watch = [{ sound = "Speech", threshold = 1.0 }]\n')
    assert not run("replay", log, "--config", file, "--json", environment=environment).stdout


def test_a_room_is_calibrated_until_it_is_silent(environment: dict[str, str], tmp_path: Path) -> None:
    file, log = tmp_path / "earshot.toml", str(tmp_path / "scores.sqlite3")
    file.write_text(f'# the attic\nwatch = [{{ sound = "{UNSURE}", threshold = 0.02 }}]\n')
    listening = ("calibrate", "--for", "45s", "--source", "demo", "--fast", "--model", "tiny")
    settings = ("--config", str(file))
    result = run(*listening, *settings, "--score-log", log, environment=environment)
    assert result.returncode == 0
    assert result.stdout.startswith(f"--- {file}\n".encode())
    assert b"+watch = " in result.stdout
    assert UNSURE.encode() in result.stderr
    assert "threshold = 0.02 " in file.read_text()
    assert lines(run("replay", log, *settings, "--json", environment=environment).stdout)
    applied = run("calibrate", "--log", log, "--apply", *settings, environment=environment)
    assert (applied.returncode, applied.stdout) == (0, result.stdout)
    assert file.read_text().startswith("# the attic\n")
    assert not run("replay", log, *settings, "--json", environment=environment).stdout
    assert b"EARSHOT_WATCH" not in applied.stderr
    again = run("calibrate", "--log", log, *settings, environment=environment)
    assert (again.returncode, again.stdout) == (0, b"")
    in_vain = environment | {"EARSHOT_WATCH": "Speech"}
    for outcome in (b": changed", b"needs no change"):
        overruled = run("calibrate", "--log", log, "--apply", *settings, environment=in_vain)
        assert outcome in overruled.stderr
        assert b"EARSHOT_WATCH is set and wins over the file: unset it" in overruled.stderr


def test_each_room_is_calibrated_by_itself_unless_it_is_switched_off(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "earshot.toml"
    rooms = "".join(
        f'\n[[source]]\nname = "{name}"\nspec = "demo"\nwatch = ["Speech"] # {name}\n'
        for name in ("den", "hall")
    )
    file.write_text(f'watch = ["Dog"] # all others\n{rooms}')
    switches = tmp_path / "data" / "earshot" / "switches.json"
    switches.parent.mkdir(parents=True)
    switches.write_text('{"off": ["hall"]}')
    options = ("--model", "tiny", "--offline", "--fast", "--for", "30s", "--config", str(file), "--apply")
    result = run("calibrate", *options, environment=environment)
    assert result.returncode == 0, result.stderr
    changed = [
        line for line in result.stdout.decode().splitlines() if line.startswith("+") and "watch" in line
    ]
    assert len(changed) == 1
    assert re.fullmatch(r'\+watch = \[\{sound = "Speech", minimum_threshold = 0\.\d+\}\] # den', changed[0])
    assert "den: " in result.stderr.decode()
    chosen = run("calibrate", *options, "--source", "den", environment=environment)
    assert chosen.returncode == 0
    assert not chosen.stdout, "the room is silent with what was proposed"


def test_an_interrupted_calibration_changes_nothing(environment: dict[str, str], tmp_path: Path) -> None:
    file, log = tmp_path / "earshot.toml", tmp_path / "scores.sqlite3"
    file.write_text('watch = ["Dog"]\n')
    listening = command(
        *("calibrate", "--for", "1h", "--lower", "--apply", "--source", "demo", "--model", "tiny"),
        *("--config", str(file), "--score-log", str(log)),
    )

    def heard() -> int:
        with suppress(SinkError), reading_scores(log) as scores:
            return sum(isinstance(message, Tagging) for message in scores.messages())
        return 0

    with ChildProcess[bytes](
        listening, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_until(lambda: heard() >= 3, "something to be heard", START_SECONDS)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=START_SECONDS)
    assert process.returncode == 130
    assert b"is unchanged" in said
    assert file.read_text() == 'watch = ["Dog"]\n'


def test_a_long_source_name_is_accepted_and_a_longer_one_refused(environment: dict[str, str]) -> None:
    for length, code, words in ((64, 0, ""), (400, 1, "use at most 64")):
        named = f"{'x' * length}=demo"
        result = run("--headless", "--source", named, "--fast", "--duration", "1", environment=environment)
        assert result.returncode == code
        assert words in result.stderr.decode()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), b"--for"),
        (("--for", "soon"), b"is not a duration"),
        (("--for", "0"), b"--for"),
        (("--for", "1m", "--log", "scores"), b"--log"),
        (("--log", "nowhere"), b"there is no score log"),
    ],
)
def test_an_impossible_calibration_is_reported_in_one_sentence(
    options: tuple[str, ...], complaint: bytes, environment: dict[str, str]
) -> None:
    result = run("calibrate", *options, environment=environment)
    assert result.returncode in (1, 2)
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_unknown_sound_is_answered_with_the_nearest_name(noise: Path, environment: dict[str, str]) -> None:
    result = run("tag", str(noise), "--events", "--watch", "Smoke alram", environment=environment)
    assert result.returncode == 2
    assert b"did you mean 'Smoke alarm'?" in result.stderr
    result = run("tag", str(noise), "--watch", "Dog", environment=environment)
    assert (result.returncode, b"--events" in result.stderr) == (2, True)


def test_a_file_and_its_samples_on_standard_input_are_tagged_alike(
    noise: Path, environment: dict[str, str]
) -> None:
    samples, _ = soundfile.read(noise, dtype="int16")
    tagged = run("tag", str(noise), "--json", "--hop", "0.5", environment=environment)
    fast = run("--source", str(noise), "--fast", "--json", "--hop", "0.5", environment=environment)
    piped = run(
        "--source", "-", "--fast", "--json", "--hop", "0.5", environment=environment, stdin=samples.tobytes()
    )
    results = [tagged, fast, piped]
    assert [result.returncode for result in results] == [0, 0, 0]
    named = [
        [(line["end_seconds"], line["level_dbfs"], line["tags"]) for line in lines(r.stdout)] for r in results
    ]
    assert named[0] == named[1] == named[2]
    assert [end for end, _, _ in named[0]] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]


def test_one_line_names_the_model_and_the_reason(noise: Path, environment: dict[str, str]) -> None:
    result = run("tag", str(noise), "--hop", "3", environment=environment)
    assert result.returncode == 0
    assert result.stderr.decode().startswith("model tiny (")
    assert len(result.stderr.splitlines()) == 1
    assert str(noise).encode() in result.stdout


def test_a_reader_that_stops_reading_ends_the_program_quietly(
    noise: Path, environment: dict[str, str]
) -> None:
    options = command("--source", str(noise), "--json", "--hop", "0.1", "--fast")
    with ChildProcess[bytes](
        options, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert json.loads(program.stdout.readline())["source"] == "noise"
        program.stdout.close()
        complaint = program.stderr.read()
        assert program.wait(timeout=START_SECONDS) == 0
    assert b"Traceback" not in complaint
    assert b"BrokenPipe" not in complaint


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--hop", "0"], 2, ["--hop must be at least 0.01 s"]),
        (["--hop", "0.015"], 2, ["--hop must be a multiple of 0.01 s"]),
        (["--hop", "soon"], 2, ["--hop must be a number"]),
        (["--window", "60"], 2, ["--window must be at most 10.24 s"]),
        (["--frobnicate"], 2, ["--frobnicate"]),
        (["--mqtt", "http://x"], 2, ["mqtt://"]),
        (["--mqtt", "mqtt://me:secret@x"], 2, ["EARSHOT_MQTT_PASSWORD"]),
        (["--source", "/no/such/file.wav"], 1, ["/no/such/file.wav"]),
        (["--source", "{empty}"], 1, ["empty"]),
        (["--source", "{text}"], 1, ["letter.wav", "read"]),
        (["--source", "x={noise}", "--source", "x={noise}"], 1, ["'x'", "NAME=SOURCE"]),
        (["--source", "a=-", "--source", "b=-"], 1, ["standard input"]),
        (["--source", "rtsp://me:secret@camera/1"], 2, ["other users", "EARSHOT_SOURCE"]),
        (["--source", "x=http://radio/1?token=secret"], 2, ["other users", "EARSHOT_SOURCE"]),
        (["--source", "tcp://0.0.0.0:7000"], 1, ["other machines"]),
        (["--source", "{noise}", "--model", "tinny"], 1, ["'tinny'", "tiny"]),
        (["--source", "{noise}", "--model", "{text}"], 1, ["letter.wav"]),
        (["--source", "{noise}", "--device", "cuda:9"], 1, ["cuda:9"]),
        (["--config", "{typo}"], 2, ["typo.toml", "'hopp'", "did you mean 'hop'"]),
        (["--config", "/no/such.toml"], 2, ["/no/such.toml"]),
        (["tag", "/no/such/file.wav"], 1, ["/no/such/file.wav"]),
        (["tag"], 2, ["FILE"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_bad_input_is_reported_in_one_sentence(
    options: list[str], code: int, words: list[str], noise: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    files = {
        "empty": tmp_path / "empty.wav",
        "text": tmp_path / "letter.wav",
        "typo": tmp_path / "typo.toml",
        "noise": noise,
    }
    files["empty"].touch()
    files["text"].write_text("Dear Sir or Madam")
    files["typo"].write_text("hopp = 1\n")
    filled = [option.format_map(files) for option in options]
    headless = [] if options[0] == "tag" else ["--headless"]
    result = run(*headless, *filled, environment=environment)
    complaint = result.stderr.decode()
    assert result.returncode == code
    assert result.stdout == b""
    sentences = [line for line in complaint.splitlines() if not line.startswith("model tiny")]
    assert len(sentences) == 1, complaint
    assert sentences[0].startswith("earshot: ")
    assert all(word in sentences[0] for word in words), sentences[0]
    assert "secret" not in complaint


def test_outputs_do_not_overwrite_other_files(
    noise: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    listed = tmp_path / "recordings.csv"
    listed.write_text(f"path,label\n{noise},White noise\n")
    for words, precious in (
        (("tag", str(noise), "--explain", str(noise)), noise),
        (("tag", str(noise), "--explain", str(tmp_path / "missing" / "x.png")), noise),
        (("evaluate", "--data", str(listed), "--csv", str(listed)), listed),
    ):
        before = precious.read_bytes()
        result = run(*words, environment=environment)
        assert (result.returncode, precious.read_bytes()) == (2, before)
        assert len(result.stderr.splitlines()) == 1


def test_a_recording_is_explained_in_a_picture(
    noise: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    picture = tmp_path / "noise.png"
    words = ("tag", str(noise), "--model", "tiny", "--window", "2", "--explain", str(picture))
    result = run(*words, environment=environment)
    assert result.returncode == 0, result.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"{picture}: why '".encode() in result.stderr


def test_offline_in_the_settings_holds_for_the_models_commands(
    noise: Path, environment: dict[str, str]
) -> None:
    asked = environment | {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "EARSHOT_OFFLINE": "1"}
    result = run("evaluate", "--data", str(noise.parent), "--model", "hub:someone/one", environment=asked)
    assert result.returncode == 1
    assert b"offline mode prevents the download" in result.stderr


def test_an_unreadable_recording_does_not_stop_the_others_from_being_tagged(
    noise: Path, environment: dict[str, str]
) -> None:
    result = run("tag", "/no/such/file.wav", str(noise), "--json", environment=environment)
    assert result.returncode == 1
    assert b"/no/such/file.wav" in result.stderr
    assert lines(result.stdout)[-1]["end_seconds"] == 3.0


def test_non_finite_samples_are_counted(tmp_path: Path, environment: dict[str, str]) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal((16_000, 2)).astype(np.float32)
    samples[100:110, 0] = np.nan
    samples[200, 1] = np.inf
    path = tmp_path / "odd.wav"
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    result = run("tag", str(path), "--json", environment=environment)
    assert result.returncode == 0
    assert b"11 samples" in result.stderr
    assert np.isfinite([tag["score"] for tag in lines(result.stdout)[0]["tags"]]).all()


def test_a_stalled_pipe_is_a_gap_and_does_not_outlast_the_duration(environment: dict[str, str]) -> None:
    second = (1_000 * np.random.default_rng(0).standard_normal(16_000)).astype("<i2").tobytes()
    options = command("--source", "-", "--json", "--duration", "10", "--hop", "0.5")
    with ChildProcess[bytes](
        options, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(second)
        program.stdin.flush()
        first = json.loads(program.stdout.readline())
        time.sleep(2)
        program.stdin.write(second)
        program.stdin.flush()
        second_line = json.loads(program.stdout.readline())
        while second_line["end_seconds"] <= 1.0:
            second_line = json.loads(program.stdout.readline())
        assert program.wait(timeout=START_SECONDS) == 0  # the pipe is still open
    assert first["end_seconds"] <= 1.0
    assert second_line["end_seconds"] > 2.0, "without the gap it would be 1.5"


def test_the_window_opens_and_the_program_ends_with_its_duration(
    noise: Path, environment: dict[str, str]
) -> None:
    display = os.environ.get("DISPLAY")
    screen = {"DISPLAY": display} if display else {"QT_QPA_PLATFORM": "offscreen"}
    result = run("--source", str(noise), "--duration", "2", environment=environment | screen)
    assert (result.returncode, result.stdout) == (0, b"")
    assert result.stderr.decode().startswith("model tiny (")


def test_prometheus_reads_figures_from_the_port_that_is_given(environment: dict[str, str]) -> None:
    port = free_port()
    options = command("--json", "--source", "room=demo", "--metrics-port", str(port))
    with ChildProcess[bytes](options, env=environment, stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline(), "a tagging"

            def counted() -> bool:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                    return b'earshot_latency_seconds_count{source="room"} ' in answer.read()

            wait_until(counted, "the tagging, which is printed before it is counted")
        finally:
            program.kill()


def test_an_occupied_metrics_port_is_reported_in_one_sentence(
    noise: Path, environment: dict[str, str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        result = run("--json", "--source", str(noise), "--metrics-port", port, environment=environment)
    assert (result.returncode, result.stdout) == (1, b"")
    last = result.stderr.decode().splitlines()[-1]
    assert last.startswith(
        f"earshot: metrics can't be served at 127.0.0.1:{port} (Address already in use): give"
    )


@pytest.mark.system
def test_sound_at_the_microphone_becomes_tags_at_the_broker(
    virtual_microphone: VirtualMicrophone, broker: Mosquitto, speech: Path, environment: dict[str, str]
) -> None:
    options = command(
        "--headless", "--node", "test", "--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--source", "mic"
    )
    heard = environment | virtual_microphone.environment
    with (
        Subscriber(broker.port) as subscriber,
        ChildProcess[bytes](options, env=heard, stdout=subprocess.DEVNULL) as program,
    ):
        try:
            subscriber.wait_for("earshot/test/status", "online", timeout_seconds=START_SECONDS)
            subscriber.wait_for("earshot/test/mic/status", "online")
            first = subscriber.wait_for("earshot/test/mic/tags")
            assert (first.qos, first.retained) == (0, False)
            began = time.time()
            virtual_microphone.play(speech, wait=False)
            taggings = [subscriber.wait_for("earshot/test/mic/tags").json()]
            while taggings[-1]["tags"][0]["label"] != "Speech":
                taggings.append(subscriber.wait_for("earshot/test/mic/tags").json())
                assert len(taggings) < 20, taggings
            payload = taggings[-1]
            captured = datetime.fromisoformat(payload["time"]).timestamp()
            sounded = [tagging["level_dbfs"] for tagging in taggings if tagging["level_dbfs"] > -60.0]
            assert len(sounded) <= 3, "two hops, and the one that had begun"
            assert began < captured
            assert set(payload) == {"time", "window_seconds", "level_dbfs", "latency_seconds", "tags"}
            assert all(tagging["latency_seconds"] > 0 for tagging in taggings)
            health = subscriber.wait_for("earshot/test/health").json()
            assert (health["model"], health["broker"], health["lost_seconds"]) == ("tiny", "connected", 0)
        finally:
            program.send_signal(signal.SIGINT)
        subscriber.wait_for("earshot/test/mic/status", "offline")
        subscriber.wait_for("earshot/test/status", "offline")
        assert program.wait(timeout=START_SECONDS) == 130


@pytest.mark.system
def test_a_dead_microphone_is_a_problem_until_it_delivers_sound(
    virtual_microphone: VirtualMicrophone,
    broker: Mosquitto,
    speech: Path,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    mqtt = f"mqtt://127.0.0.1:{broker.port}"
    options = command("--headless", "--node", "test", "--mqtt", mqtt, "--source", "mic", "--json")
    heard = environment | virtual_microphone.environment
    log = tmp_path / "log"
    with (
        Subscriber(broker.port) as subscriber,
        log.open("wb") as written,
        ChildProcess[bytes](options, env=heard, stdout=subprocess.DEVNULL, stderr=written) as program,
    ):
        try:
            subscriber.wait_for("earshot/test/mic/health/problem", "OFF", timeout_seconds=START_SECONDS)
            subscriber.wait_for("earshot/test/mic/health/problem", "ON")
            subscriber.wait_for("earshot/test/mic/health/state", "silent")
            virtual_microphone.play(speech, wait=False)
            subscriber.wait_for("earshot/test/mic/health/problem", "OFF")
            source = subscriber.wait_for("earshot/test/health").json()["sources"]["mic"]
        finally:
            program.send_signal(signal.SIGINT)
        assert program.wait(timeout=START_SECONDS) == 130
    fates = ("windowed", "lost", "paused", "skipped", "waiting")
    assert source["samples"] == sum(source[f"{fate}_samples"] for fate in fates)
    assert source["windowed_samples"] > 10 * 16_000
    assert "mic: audio is nothing but zeros; unmute it" in log.read_text()


@pytest.mark.system
def test_a_watched_sound_is_published_and_stored(
    broker: Mosquitto, speech: Path, environment: dict[str, str]
) -> None:
    mqtt = f"mqtt://127.0.0.1:{broker.port}"
    options = ("--headless", "--node", "test", "--mqtt", mqtt, "--watch", "Speech", "--watch", "Dog")
    with Subscriber(broker.port) as subscriber:
        result = run(*options, "--source", f"room={speech}", environment=environment)
        assert result.returncode == 0, result.stderr
        events = subscriber.wait_for_several("earshot/test/room/events", 2)
        states = subscriber.wait_for_several("earshot/test/room/sound/speech", 3)
    assert [(state.text, state.qos) for state in states] == [("OFF", 1), ("ON", 1), ("OFF", 1)]
    started, ended = (event.json() for event in events)
    assert [started["event_type"], ended["event_type"]] == ["started", "ended"]
    assert started["id"] == ended["id"]
    assert (events[0].qos, events[0].retained) == (1, False)
    listed = run("events", "--json", "--since", "1h", environment=environment)
    (line,) = lines(listed.stdout)
    assert (line["id"], line["label"], line["source"]) == (ended["id"], "Speech", "room")
    assert line["ended_at"] == ended["ended_at"]


@pytest.mark.system
def test_each_room_has_its_own_sounds_topics_device_and_clips(
    broker: Mosquitto, speech: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "earshot.toml"
    file.write_text(
        f'node = "test"\nmqtt = "mqtt://127.0.0.1:{broker.port}"\nheadless = true\nmodel = "tiny"\n'
        'clips = true\nclips_never = []\nwatch = ["Dog", "Siren"]\n'
        f'[[source]]\nname = "living room"\nspec = "{speech}"\nwatch = ["Speech"]\n'
        f'[[source]]\nname = "hall"\nspec = "{speech}"\nhop = 0.5\n'
        f'[[source]]\nname = "bedroom"\nspec = "{speech}"\nwatch = ["Speech", "Baby crying"]\nclips = false\n'
    )
    with Subscriber(broker.port) as subscriber:
        result = run("--config", str(file), environment=environment)
        assert result.returncode == 0, result.stderr
        wait_until(
            lambda: "offline" in [m.text for m in subscriber.messages if m.topic == "earshot/test/status"],
            "the end",
        )
        topics = {message.topic for message in subscriber.messages}
        events = [m.json() | {"topic": m.topic} for m in subscriber.messages if m.topic.endswith("/events")]
        devices = {
            message.json()["device"]["name"]: message.json()["components"]
            for message in subscriber.messages
            if re.fullmatch("homeassistant/device/.*/config", message.topic)
        }
    assert {topic.removeprefix("earshot/test/") for topic in topics if "/sound/" in topic} == {
        *("living_room/sound/speech", "bedroom/sound/speech", "bedroom/sound/baby_crying"),
        *("hall/sound/dog", "hall/sound/siren"),
    }
    assert {
        name: sorted(key for key in keys if key.startswith("sound_")) for name, keys in devices.items()
    } == {
        "Earshot living room": ["sound_speech"],
        "Earshot hall": ["sound_dog", "sound_siren"],
        "Earshot bedroom": ["sound_baby_crying", "sound_speech"],
    }
    ended = {event["topic"]: event for event in events if event["event_type"] == "ended"}
    assert ended["earshot/test/living_room/events"]["clip"]
    assert ended["earshot/test/bedroom/events"]["clip"] is None


@pytest.mark.system
def test_clips_are_kept_only_when_they_are_on_and_no_forbidden_sound_is_near(
    speech: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    heard = np.concatenate([chunk.samples for chunk in Recording("x", speech, live=False).chunks()])
    room = tmp_path / "room.wav"
    soundfile.write(room, np.pad(heard[: 4 * 16_000], (3 * 16_000, 14 * 16_000)), 16_000, subtype="PCM_16")
    options = ("--headless", "--fast", "--watch", "Speech", "--source", str(room))
    clips = Path(environment["XDG_DATA_HOME"]) / "earshot" / "clips"

    result = run(*options, environment=environment | {"EARSHOT_CLIPS_NEVER": "[]"})
    assert (result.returncode, clips.exists()) == (0, False)
    result = run(*options, "--clips", environment=environment)
    assert (result.returncode, list(clips.iterdir())) == (0, [])
    result = run(*options, "--clips", environment=environment | {"EARSHOT_CLIPS_NEVER": "[]"})
    assert result.returncode == 0, result.stderr

    told = [line["clip"] for line in lines(run("events", "--json", environment=environment).stdout)]
    ((day, (flac,)),) = [(day, list(day.glob("*.flac"))) for day in clips.iterdir()]
    assert told == [None, None, str(flac)]
    description = json.loads(flac.with_suffix(".json").read_bytes())
    assert (description["source"], description["model"], description["gaps"]) == ("room", "tiny", [])
    assert day.name == description["event"]["started_at"][:10]
    kept, _ = soundfile.read(flac, dtype="int16")
    samples, _ = soundfile.read(room, dtype="int16")
    start = samples.tobytes().find(kept.tobytes()) / 2 / 16_000
    assert start == pytest.approx(3.0 - 2.0, abs=0.5)
    assert len(kept) / 16_000 == pytest.approx(2.0 + 4.0 + 2.0, abs=0.5)
    assert len(kept) == description["samples"]


def test_a_wrong_name_in_clips_never_is_answered_with_the_nearest(
    noise: Path, environment: dict[str, str]
) -> None:
    unheard = environment | {"EARSHOT_CLIPS_NEVER": "Speach"}
    result = run("--headless", "--clips", "--source", str(noise), environment=unheard)
    assert result.returncode == 2
    assert b"clips_never: there is no sound called 'Speach': did you mean 'Speech'?" in result.stderr


@pytest.mark.system
def test_events_of_an_outage_reach_a_broker_that_starts_later(
    broker: Mosquitto, speech: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    port = broker.port
    broker.stop()
    options = ("--headless", "--node", "test", "--mqtt", f"mqtt://127.0.0.1:{port}", "--watch", "Speech")
    idle = ("--source", f"room=unix:{tmp_path / 'door'}")
    assert run(*options, "--source", f"room={speech}", "--fast", environment=environment).returncode == 0
    broker.start()
    with Subscriber(port) as subscriber, running(*options, *idle, environment=environment):
        events = subscriber.wait_for_several("earshot/test/room/events", 2, timeout_seconds=START_SECONDS)
    told = [event.json() for event in events]
    listed = run("events", "--json", environment=environment)
    (line,) = lines(listed.stdout)
    assert [event["event_type"] for event in told] == ["started", "ended"]
    assert {event["id"] for event in told} == {line["id"]}


@pytest.mark.system
def test_a_sound_that_was_on_when_the_program_was_killed_is_ended_by_the_next_start(
    broker: Mosquitto, speech: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    options = ("--headless", "--node", "test", "--mqtt", f"mqtt://127.0.0.1:{broker.port}")
    watching = command(*options, "--watch", "Speech", "--source", f"room={speech}")
    with Subscriber(broker.port) as subscriber:
        with ChildProcess[bytes](watching, env=environment, stdout=subprocess.DEVNULL) as program:
            began = subscriber.wait_for("earshot/test/room/events", timeout_seconds=START_SECONDS).json()
            program.kill()
        idle = ("--watch", "Dog", "--source", f"room=unix:{tmp_path / 'door'}")
        with running(*options, *idle, environment=environment):
            told = subscriber.wait_for("earshot/test/room/events", timeout_seconds=START_SECONDS).json()
            if told["event_type"] == "started":  # it was killed before it knew that this had been told
                assert told["id"] == began["id"]
                told = subscriber.wait_for("earshot/test/room/events").json()
    assert (told["event_type"], told["id"], told["label"]) == ("ended", began["id"], "Speech")
    (line,) = lines(run("events", "--json", environment=environment).stdout)
    assert (line["id"], line["ended_at"]) == (told["id"], told["ended_at"])


@pytest.mark.system
def test_a_source_is_switched_off_and_on_again(
    virtual_microphone: VirtualMicrophone, broker: Mosquitto, environment: dict[str, str]
) -> None:
    mqtt = f"mqtt://127.0.0.1:{broker.port}"
    options = command("--headless", "--node", "test", "--mqtt", mqtt, "--source", "mic", "--watch", "Speech")
    heard = environment | virtual_microphone.environment
    with (
        Subscriber(broker.port) as subscriber,
        ChildProcess[bytes](options, env=heard, stdout=subprocess.DEVNULL) as program,
    ):
        try:
            subscriber.wait_for("earshot/test/mic/listen", "ON", timeout_seconds=START_SECONDS)
            subscriber.wait_for("earshot/test/mic/tags", timeout_seconds=START_SECONDS)
            for switch, status in (("OFF", "offline"), ("ON", "online")):
                subscriber.publish("earshot/test/mic/listen/set", switch)
                subscriber.wait_for_all(
                    {"earshot/test/mic/listen": switch, "earshot/test/mic/status": status}
                )
            subscriber.wait_for("earshot/test/mic/status", "online")
            subscriber.wait_for("earshot/test/mic/tags")
        finally:
            program.send_signal(signal.SIGINT)
        assert program.wait(timeout=20) == 130


@pytest.mark.system
def test_a_source_that_was_switched_off_stays_off_when_the_program_is_started_again(
    broker: Mosquitto, environment: dict[str, str]
) -> None:
    options = ("--headless", "--json", "--node", "test", "--source", "room=demo")
    mqtt = ("--mqtt", f"mqtt://127.0.0.1:{broker.port}")
    with (
        Subscriber(broker.port) as subscriber,
        running(*options, *mqtt, environment=environment),
    ):
        subscriber.wait_for("earshot/test/room/tags", timeout_seconds=START_SECONDS)
        subscriber.publish("earshot/test/room/listen/set", "OFF")
        subscriber.wait_for("earshot/test/room/listen", "OFF")
    file = Path(environment["XDG_DATA_HOME"]) / "earshot" / "switches.json"
    short = (*options, "--duration", "3")
    for more in (mqtt, ()):
        with Subscriber(broker.port) as subscriber:
            result = run(*short, *more, environment=environment)
            assert (result.returncode, result.stdout) == (0, b"")
            assert b"room is still switched off; to listen to it, press P in the window" in result.stderr
            assert f"or delete {file} and restart".encode() in result.stderr
            assert subscriber.wait_for_retained("earshot/test/room/listen").text == "OFF"
            assert "ON" not in {
                message.text for message in subscriber.messages if message.topic == "earshot/test/room/listen"
            }
    file.unlink()
    assert run(*short, environment=environment).stdout


def test_the_program_can_be_its_own_broker(noise: Path, environment: dict[str, str]) -> None:
    options = command("--headless", "--json", "--node", "test", "--mqtt", "embedded", "--source", str(noise))
    with ChildProcess(
        options, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stderr is not None
        said = [program.stderr.readline() for _ in range(4)]
        assert any(
            re.search(r"embedded MQTT broker: listening at mqtt://127.0.0.1:\d+", line) for line in said
        )
        program.communicate(timeout=START_SECONDS)
    assert program.returncode == 0


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_in_order(
    number: signal.Signals, broker: Mosquitto, environment: dict[str, str]
) -> None:
    options = command(
        "--headless", "--node", "test", "--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--source", "demo"
    )
    with Subscriber(broker.port) as subscriber:
        with ChildProcess[bytes](
            options, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as program:
            subscriber.wait_for("earshot/test/demo/tags", timeout_seconds=START_SECONDS)
            program.send_signal(number)
            assert program.wait(timeout=START_SECONDS) == 130
            assert program.stderr is not None
            assert b"Traceback" not in program.stderr.read()
        subscriber.wait_for("earshot/test/demo/status", "offline")
        subscriber.wait_for("earshot/test/status", "offline")


@pytest.mark.system
def test_a_wrong_password_is_reported_and_listening_continues(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    require("mosquitto", "mosquitto_passwd")
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    with Mosquitto(folder, username="ear", password="right") as broker:
        wrong = environment | {"EARSHOT_MQTT_PASSWORD": "wrong-one"}
        with Program(
            "--source", "demo", "--mqtt", f"mqtt://ear@127.0.0.1:{broker.port}", environment=wrong
        ) as program:
            wait_until(lambda: program.logged("wrong user name or password"), "the refusal", START_SECONDS)
            before = program.newest("demo")
            wait_until(lambda: program.newest("demo") > before, "listening to go on")
            assert program.interrupt() == 130
    assert "wrong-one" not in json.dumps([program.log, program.taggings])


@pytest.mark.system
def test_a_broker_that_comes_later_gets_the_tags(tmp_path: Path, environment: dict[str, str]) -> None:
    require("mosquitto")
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(folder)
    options = command(
        "--headless", "--node", "test", "--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--source", "demo"
    )
    with ChildProcess[bytes](
        options, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline()
            with broker, Subscriber(broker.port) as subscriber:
                subscriber.wait_for("earshot/test/status", "online", timeout_seconds=START_SECONDS)
                assert subscriber.wait_for("earshot/test/demo/tags").json()["tags"]
        finally:
            program.terminate()


@pytest.mark.system
def test_an_unknown_microphone_is_answered_with_the_list_of_devices(
    virtual_microphone: VirtualMicrophone, environment: dict[str, str]
) -> None:
    result = run(
        "--headless",
        "--source",
        "mic:flux capacitor",
        environment=environment | virtual_microphone.environment,
    )
    assert result.returncode == 1
    assert b"flux capacitor" in result.stderr
    assert b"pulse" in result.stderr or b"default" in result.stderr


@pytest.mark.system
def test_devices_lists_the_virtual_microphone(
    virtual_microphone: VirtualMicrophone, environment: dict[str, str]
) -> None:
    result = run("devices", environment=environment | virtual_microphone.environment)
    assert result.returncode == 0
    assert b"default" in result.stdout
    described = json.loads(
        run("devices", "--json", environment=environment | virtual_microphone.environment).stdout
    )
    assert [device["source"] for device in described if device["default"]] == ["mic:default"]


@pytest.mark.system
def test_the_demo_is_named_as_it_plays(environment: dict[str, str]) -> None:
    result = run("--source", "demo", "--fast", "--json", environment=environment)
    assert result.returncode == 0
    cues = json.loads((ROOT / "streamer" / "assets" / "demo.json").read_text())
    assert [cue["label"] for cue in cues] == list(DEMO_NAMES)
    for cue in cues:
        wanted = DEMO_NAMES[cue["label"]]
        best = {
            tag["label"]
            for line in lines(result.stdout)
            if cue["start_seconds"] + 2 <= line["end_seconds"] <= cue["end_seconds"]
            for tag in line["tags"][:3]
        }
        assert wanted & best, f"{cue}: {best}"


@pytest.mark.system
def test_an_unplugged_microphone_is_waited_for_and_used_again(
    pulseaudio_folder: Path, environment: dict[str, str]
) -> None:
    microphone = VirtualMicrophone.start(pulseaudio_folder, 48_000)
    with Program("--hop", "0.5", environment=environment | microphone.environment) as program:
        wait_until(lambda: program.newest("mic"), "sound", START_SECONDS)
        microphone.stop()
        wait_until(lambda: program.logged("no audio from mic ("), "the end to be noticed")
        before = program.newest("mic")
        time.sleep(6.0)  # pauses have grown to their longest
        microphone = VirtualMicrophone.start(pulseaudio_folder, 48_000)
        try:
            wait_until(lambda: program.newest("mic") - before > 6 * 16_000, "sound behind the gap")
            wait_until(lambda: program.logged("audio from mic is back after "), "that to be said")
        finally:
            microphone.stop()
        wait_until(lambda: len([line for line in program.log if "no audio from" in line]) >= 2, "its end")
        assert program.interrupt() == 130


@pytest.mark.system
def test_a_service_waits_for_a_microphone_that_is_missing_at_the_start(
    pulseaudio_folder: Path, environment: dict[str, str]
) -> None:
    microphone = VirtualMicrophone.start(pulseaudio_folder, 48_000)
    microphone.stop()
    heard = environment | microphone.environment
    with Program("--wait-for-sources", environment=heard) as program:
        wait_until(lambda: program.logged("no audio from mic ("), "its absence to be noticed", START_SECONDS)
        microphone = VirtualMicrophone.start(pulseaudio_folder, 48_000)
        try:
            wait_until(lambda: program.newest("mic"), "sound")
        finally:
            microphone.stop()


@pytest.mark.system
def test_a_password_in_an_address_is_never_shown_anywhere(
    broker: Mosquitto, environment: dict[str, str], tmp_path: Path
) -> None:
    password, token = "tr0ub4dor", "c0rrecth0rse"
    tone = np.sin(np.arange(16_000) * 0.2).astype(np.float32) / 4
    mp3 = encoded("mp3", "libmp3lame", tone, 16_000, options={"write_xing": "0"})
    radio = behind_password("ann", password, stream(mp3 * 60, len(mp3)))
    port = free_port()
    url = f"http://ann:{password}@127.0.0.1:{port}/live?token={token}"
    settings = environment | {"EARSHOT_SOURCE": f"radio={url}"}
    with (
        Subscriber(broker.port) as subscriber,
        Program(
            *("--debug", "--node", "test", "--mqtt", f"mqtt://127.0.0.1:{broker.port}"),
            environment=settings,
        ) as program,
    ):
        wait_until(lambda: program.logged("no audio from radio ("), "the server to be missed", START_SECONDS)
        with HttpServer({"/live": radio}, port=port) as server:
            wait_until(lambda: program.newest("radio"), "sound")
            assert f"/live?token={token}" in server.asked
            subscriber.wait_for("earshot/test/radio/status", "online")
        subscriber.wait_for("earshot/test/radio/status", "offline")
        with HttpServer({"/live": behind_password("ann", "another", radio)}, port=port):
            wait_until(
                lambda: program.logged("refuses the user name and password"), "the password to be wrong"
            )
        seen = [program.command_line, *(f"{m.topic} {m.text}" for m in subscriber.messages)]
        assert program.interrupt() == 130
    doctored = run("doctor", "--json", "--model", "tiny", environment=settings)
    seen += [*program.log, json.dumps(program.taggings), doctored.stdout.decode(), doctored.stderr.decode()]
    seen += [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert any("http://127.0.0.1" in text for text in seen)
    assert not [text for text in seen if password in text or token in text]


def test_the_program_ends_in_order_while_its_tagger_is_busy(
    environment: dict[str, str],
) -> None:
    sources = [word for number in range(24) for word in ("--source", f"{number}=demo")]
    with Program("--hop", "0.05", *sources, environment=environment) as program:
        wait_until(lambda: program.taggings, "a tagging", START_SECONDS)
        time.sleep(1.0)
        assert program.interrupt() == 130
    assert not [line for line in program.log if "FATAL" in line or "Traceback" in line]


def test_a_recording_that_cannot_be_read_further_fails_at_the_end_of_the_others(
    environment: dict[str, str], tmp_path: Path
) -> None:
    hall = tmp_path / "hall.wav"
    minutes = 0.1 * np.random.default_rng(0).standard_normal(20 * 60 * 16_000)  # more than is decoded ahead
    soundfile.write(hall, minutes, 16_000)
    with Program("--source", "demo", "--source", str(hall), "--fast", environment=environment) as program:
        wait_until(lambda: program.newest("hall"), "sound", START_SECONDS)
        for decoder in decoders(psutil.Process(program.pid)):  # the demo is decoded in the program itself
            decoder.kill()
        assert program.wait(START_SECONDS) == 1
    assert program.logged("no audio from hall any more (")
    assert program.log[-1].startswith("earshot: ")
    assert str(hall) in program.log[-1]
    assert program.newest("demo") >= 60 * 16_000


@pytest.mark.system
def test_one_source_that_dies_does_not_disturb_the_others(
    environment: dict[str, str], tmp_path: Path
) -> None:
    sound = 0.1 * np.random.default_rng(0).standard_normal(20 * 16_000).astype(np.float32)
    soundfile.write(tmp_path / "whole.wav", sound, 16_000)
    soundfile.write(tmp_path / "torn.flac", sound[: 4 * 16_000], 16_000)
    torn = (tmp_path / "torn.flac").read_bytes()
    (tmp_path / "torn.flac").write_bytes(torn[: len(torn) // 2])
    mp3 = encoded("mp3", "libmp3lame", sound[:16_000], 16_000, options={"write_xing": "0"})
    port, door = free_port(), tmp_path / "door"
    sources = [
        *("--source", str(tmp_path / "whole.wav"), "--source", str(tmp_path / "torn.flac")),
        *("--source", f"unix:{door}", "--source", f"radio=http://127.0.0.1:{port}/live"),
    ]
    radio = HttpServer({"/live": stream(mp3 * 60, len(mp3))}, port=port)
    with Program(*sources, "--hop", "0.5", "--duration", "12", environment=environment) as program, radio:
        wait_until(door.exists, "the socket", START_SECONDS)
        with socket.socket(socket.AF_UNIX) as sender:
            wait_until(lambda: sender.connect_ex(str(door)) == 0, "a listener", START_SECONDS)
            pcm = (sound * 32_767).astype("<i2").tobytes()
            for start in range(0, 5 * 32_000, 3_200):
                sender.sendall(pcm[start : start + 3_200])
                time.sleep(0.1)
                if start == 2 * 32_000:
                    radio.stop()
        assert program.wait(START_SECONDS) == 0
    assert program.logged("torn.flac: cut off at second ")
    assert program.logged("no audio from radio (")
    assert program.logged("no audio from door (the sender to ")
    ends = [line["end_seconds"] for line in program.taggings if line["source"] == "whole"]
    assert ends[-1] == 12.0
    assert np.all(np.diff(ends) <= 4.0), "a busy machine drops a few windows here and there"
    assert program.newest("door") == 5 * 16_000
