"""Teaching from a microphone: takes that are found by themselves, and the whole way from a real sound server to a real broker."""

import json
import os
import pty
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.microphone import VirtualMicrophone
from support.mosquitto import Mosquitto, Subscriber
from support.mqtt import retained
from support.program import ChildProcess, Program, clean_environment, command
from support.system import require
from support.teaching import RATE, Floats, chime, ring, run
from support.waiting import START_SECONDS, wait_until

from earshot.commands.teach_listen import Acceptance, take_example
from models.errors import TeachingError
from models.teaching.examples import Example
from streamer.commands.takes import Frames, Take, background_level
from streamer.errors import DeviceError, SourceError
from streamer.messages import AudioChunk, Tagging
from streamer.sinks.score_log import reading_scores

DEVICE = "homeassistant/device/attic_mic/config"


def chunks(samples: Floats, count: int = 700) -> Iterator[AudioChunk]:
    """Yield sound in pieces of an odd length."""
    for start in range(0, len(samples), count):
        yield AudioChunk(samples[start : start + count], start, 0.0)


def room(seconds: float, level: float = 1e-3) -> Floats:
    noise = np.random.default_rng(0).standard_normal(round(seconds * RATE)) * level
    return noise.astype(np.float32)


def with_sound(seconds: float, at: float, sound: Floats) -> Floats:
    samples = room(seconds)
    begin = round(at * RATE)
    samples[begin : begin + len(sound)] += sound
    return samples


def example_of(samples: Floats) -> float:
    """Return the length of the example that is found in what a microphone hears, in seconds."""
    return take_example(Frames(chunks(samples)), "take 1", "1 of 5", lambda _text, _level: None).seconds


def test_a_take_is_the_sound_with_a_little_before_and_after_it() -> None:
    frames = Frames(chunks(with_sound(20.0, 4.0, ring(1000.0, 2.0))))
    take = Take(background_level(frames.read(3.0)))
    assert any(take.write(frame) for frame in frames.read(10.0))
    assert take.began
    assert 1.8 < len(take.samples) / RATE < 4.0
    assert np.abs(take.samples).max() > 0.3


def test_a_sound_with_short_pauses_is_one_take() -> None:
    pauses = np.concatenate((ring(1000.0, 0.5), np.zeros(RATE // 2, np.float32), ring(1200.0, 0.5)))
    assert 1.2 < example_of(with_sound(20.0, 5.0, pauses)) < 2.0


def test_a_sound_without_an_end_is_cut() -> None:
    frames = Frames(chunks(0.2 * room(20.0, 1.0)))
    take = Take(-70.0)
    assert any(take.write(frame) for frame in frames.read(15.0))
    assert 9.0 < len(take.samples) / RATE < 11.0


def test_a_sound_that_is_not_heard_or_clipped_is_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    clipped = np.clip(20 * ring(1000.0, 1.0), -1, 1)
    heard = np.concatenate(
        (
            room(3.0 + 12.0),  # the countdown, and nothing in the time for the sound
            with_sound(3.0 + 1.0 + 2.0, 3.5, clipped),
            with_sound(20.0, 6.0, ring(1000.0, 1.0)),
        )
    )
    assert 0.5 < example_of(heard) < 1.5
    first, second = (record.getMessage() for record in caplog.records)
    assert first == "take 1 was not heard: check the microphone, or come closer to it; once more"
    assert second.startswith("take 1 is overdriven (clipped): record it again with less gain")


def test_after_three_attempts_the_reason_is_the_end() -> None:
    with pytest.raises(TeachingError, match=r"^take 1 was not heard: check the microphone"):
        example_of(room(60.0))


def test_a_source_that_ends_is_refused_in_one_sentence() -> None:
    with pytest.raises(SourceError, match="has ended before all sounds were heard: choose a live one"):
        example_of(room(2.0))


@pytest.fixture(name="microphone_environment")
def make_environment(tmp_path: Path, virtual_microphone: VirtualMicrophone) -> dict[str, str]:
    names = ("ALSA_CONFIG_PATH", "PULSE_COOKIE", "PULSE_SERVER", "PULSE_SOURCE", "XDG_RUNTIME_DIR")
    environment = clean_environment(tmp_path) | {name: virtual_microphone.environment[name] for name in names}
    return environment | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "EARSHOT_MODEL": "tiny"}


def ring_when_asked(microphone: VirtualMicrophone, environment: dict[str, str], clips: list[str]) -> str:
    """Teach 'Our chime', and play a clip each time that it is asked for; return what the command prints."""
    options = ("teach", "Our chime", "--listen", "--times", str(len(clips)), "--source", "mic")
    rings = iter(clips)
    with ChildProcess(
        command(*options), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        log = []
        for line in process.stderr:
            log.append(line)
            if "make the sound now" in line:
                microphone.play(next(rings), wait=False)
        printed = process.stdout.read()
        assert process.wait(START_SECONDS) == 0, log
    return printed


def rung_again(path: Path, clips: Sequence[str]) -> Path:
    """Write one recording of all rings, one after the other."""
    rings = [soundfile.read(clip, dtype="float32") for clip in clips]
    soundfile.write(path, np.concatenate([samples for samples, _ in rings]), rings[0][1])
    return path


def test_what_came_while_a_take_was_played_is_skipped() -> None:
    def stream() -> Iterator[AudioChunk]:
        for number in range(40):
            if number >= 20:
                time.sleep(0.05)  # live from here on
            yield AudioChunk(np.full(RATE // 20, number, np.float32), number * RATE // 20, 0.0)

    frames = Frames(stream())
    frames.skip_waiting(30.0)
    assert 20 <= next(frames.read(0.05))[0] <= 22


def test_without_an_output_takes_are_not_played_and_still_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_output(_samples: Floats) -> None:
        raise DeviceError("there is no output; plug one in")

    monkeypatch.setattr("streamer.sources.microphone.play", no_output)
    answers = iter(("p", "?", "r", ""))
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(answers))
    accept, take = Acceptance(playback=True), Example("take 1", ring(1000.0))
    assert not accept(take)
    assert accept(take)
    assert [record.getMessage() for record in caplog.records] == [
        "takes are not played back: there is no output; plug one in"
    ]


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.timeout(900)
def test_a_take_is_played_back_and_can_be_repeated(
    tmp_path: Path, virtual_microphone: VirtualMicrophone, microphone_environment: dict[str, str]
) -> None:
    clips = iter([chime(tmp_path / f"{number}.wav", number) for number in range(4)])
    answers = iter(("r\n", "\n", "\n", "\n"))
    keyboard, terminal = pty.openpty()
    options = ("teach", "Our chime", "--listen", "--times", "3", "--source", "mic")
    with ChildProcess(
        command(*options),
        env=microphone_environment,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        log, seen = "", 0
        while more := os.read(process.stderr.fileno(), 4096):
            log += more.decode()
            for words in re.findall(r"make the sound now|r: repeat it", log[seen:]):
                seen = log.index(words, seen) + len(words)
                if words == "r: repeat it":
                    os.write(keyboard, next(answers).encode())
                else:
                    virtual_microphone.play(next(clips), wait=False)
        printed = process.stdout.read()
        assert process.wait(START_SECONDS) == 0, log
    os.close(keyboard)
    os.close(terminal)
    assert log.count("1 of 3: heard") == 2
    assert "not played back" not in log
    assert "of 3 examples were found" in printed


def live_options(broker: Mosquitto) -> tuple[str, ...]:
    address = f"mqtt://127.0.0.1:{broker.port}"
    return ("--headless", "--source", "mic", "--node", "attic", "--mqtt", address)


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.timeout(900)
def test_a_chime_is_taught_at_a_microphone_told_to_home_assistant_and_unlearned(
    tmp_path: Path, virtual_microphone: VirtualMicrophone, microphone_environment: dict[str, str]
) -> None:
    require("mosquitto")
    clips = [chime(tmp_path / f"{number}.wav", number) for number in range(5)]
    printed = ring_when_asked(virtual_microphone, microphone_environment, clips[:4])
    assert "found   take 1" in printed
    assert "of 4 examples were found" in printed
    with Mosquitto(tmp_path) as broker, Subscriber(broker.port) as house:
        with Program(*live_options(broker), environment=microphone_environment) as program:
            discovered = house.wait_for(DEVICE).json()["components"]
            own = {entry["name"] for key, entry in discovered.items() if "our_chime" in key}
            assert own == {"Our chime", "Our chime: quiet hours"}
            wait_until(lambda: program.taggings, "taggings")
            virtual_microphone.play(rung_again(tmp_path / "rings.wav", clips), wait=False)
            house.wait_for("earshot/attic/mic/sound/our_chime", "ON")

            def kinds() -> set[str]:
                told = [message for message in house.messages if message.topic == "earshot/attic/mic/events"]
                events = [message.json() for message in told]
                return {event["event_type"] for event in events if event["label"] == "Our chime"}

            wait_until(kinds, "an event of the chime")
            assert kinds() <= {"started", "ended"}
            house.wait_for("earshot/attic/mic/sound/our_chime", "OFF")
            program.interrupt()
        assert run(microphone_environment, "teach", "our chime", "--remove").returncode == 0
        with Program(*live_options(broker), environment=microphone_environment) as program:
            again = house.wait_for(DEVICE).json()["components"]
            assert not [entry for key, entry in again.items() if "our_chime" in key and "name" in entry]
            program.interrupt()


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.timeout(900)
def test_a_running_program_takes_up_a_chime_that_is_taught_and_forgets_it_when_it_is_removed(
    tmp_path: Path, virtual_microphone: VirtualMicrophone, microphone_environment: dict[str, str]
) -> None:
    require("mosquitto")
    clips = [chime(tmp_path / f"{number}.wav", number) for number in range(5)]
    topic = "earshot/attic/mic/sound/our_chime"
    log = ("--score-log", str(tmp_path / "scores"))
    with (
        Mosquitto(tmp_path) as broker,
        Subscriber(broker.port) as house,
        Program(*live_options(broker), *log, environment=microphone_environment) as program,
    ):
        house.wait_for(DEVICE)
        wait_until(lambda: program.taggings, "taggings")
        result = run(microphone_environment, "teach", "Our chime", "--clips", *clips[:4])
        assert result.returncode == 0, result.stderr
        wait_until(lambda: program.logged("listening for 'Our chime' from now on"), "the sound")
        house.wait_for(topic, "OFF")
        virtual_microphone.play(rung_again(tmp_path / "rings.wav", clips), wait=False)
        house.wait_for(topic, "ON")
        wait_until(
            lambda: any("Our chime" in [tag["label"] for tag in line["tags"]] for line in program.taggings),
            "the sound among the tags",
        )
        house.wait_for(topic, "OFF")
        assert topic in retained(broker, "earshot/attic/mic/sound/")
        assert run(microphone_environment, "teach", "our chime", "--remove").returncode == 0
        wait_until(
            lambda: not any("our_chime" in name for name in retained(broker, "earshot/attic/mic/")),
            "the end of its topics",
        )
        components = json.loads(retained(broker, DEVICE)[DEVICE])["components"]
        assert not [key for key, entry in components.items() if "our_chime" in key and "name" in entry]
        assert program.logged("'Our chime' was removed")
        count = len(program.taggings)
        wait_until(lambda: len(program.taggings) > count + 6, "more taggings")
        program.interrupt()
    with reading_scores(tmp_path / "scores") as logged:
        assert logged.labels[-1] == "Our chime"
        scores = [message.scores[-1] for message in logged.messages() if isinstance(message, Tagging)]
    assert scores[0] == 0
    assert max(scores) > 0.5
    assert scores[-1] == 0
