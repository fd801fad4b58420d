"""Microphones: real PortAudio processes on a virtual microphone that is unplugged, frozen and killed."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile
from support.gaps import end_of, lost_before
from support.microphone import EIGHT_CHANNELS, VirtualMicrophone
from support.program import ChildProcess
from support.waiting import PATIENCE_SECONDS, wait_until

from streamer.errors import DeviceError
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk, Samples
from streamer.sources import microphone, open_source
from streamer.sources.devices import choose_device
from streamer.sources.microphone import Microphone, play

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.system


def pretend(monkeypatch: pytest.MonkeyPatch, **differences: Any) -> None:
    """Let the devices be others than they are."""
    monkeypatch.setattr(
        microphone,
        "choose_device",
        lambda devices, wanted, _channel: replace(choose_device(devices, wanted), **differences),
    )


def runs(process: psutil.Process) -> bool:
    """Return True if the process still runs; a zombie does not."""
    try:
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and "streamer.sources.portaudio.child" in process.cmdline()
        )
    except psutil.NoSuchProcess:
        return False


def recorders() -> list[psutil.Process]:
    """PortAudio processes of this one, in the order of their start."""
    return sorted(filter(runs, psutil.Process().children()), key=psutil.Process.create_time)


def wait_for_their_end() -> None:
    """They get a moment to end by themselves, and are killed then."""
    wait_until(lambda: not recorders(), "the recorders to end")


def take(chunks: Iterator[AudioChunk], seconds: float) -> list[AudioChunk]:
    taken: list[AudioChunk] = []
    while sum(len(chunk.samples) for chunk in taken) < seconds * SAMPLE_RATE_HZ:
        taken.append(next(chunks))
    return taken


def take_loud(chunks: Iterator[AudioChunk], seconds: float) -> list[AudioChunk]:
    """Take chunks until so much of them has been loud."""
    taken: list[AudioChunk] = []
    loud = 0
    while loud < seconds * SAMPLE_RATE_HZ:
        taken.append(next(chunks))
        loud += len(taken[-1].samples) if np.abs(taken[-1].samples).max() > 0.1 else 0
    return taken


def timed(chunks: Iterator[AudioChunk], late: list[float]) -> Iterator[AudioChunk]:
    """Pass chunks on, and note how old the last sample of each is."""
    for chunk in chunks:
        late.append(time.time() - chunk.captured_at - len(chunk.samples) / SAMPLE_RATE_HZ)
        yield chunk


def joined(chunks: list[AudioChunk]) -> Samples:
    return np.concatenate([chunk.samples for chunk in chunks])


def assert_nothing_is_lost(chunks: list[AudioChunk]) -> None:
    starts = [chunk.start_sample for chunk in chunks]
    lengths = [len(chunk.samples) for chunk in chunks]
    assert np.array_equal(starts[1:], starts[0] + np.cumsum(lengths)[:-1]), "the index has no gap"


def fail(chunks: Generator[AudioChunk, None, None]) -> tuple[str, list[AudioChunk]]:
    """Read until the device fails: its sentence, and what came before."""
    came: list[AudioChunk] = []
    with pytest.raises(DeviceError) as caught:
        came.extend(iter(lambda: next(chunks), None))
    assert "\n" not in str(caught.value)
    return str(caught.value), came


def tone(path: Path, *, seconds: float = 6.0, channels: tuple[float, ...] = (0.5,)) -> Path:
    """440 Hz with an amplitude for each channel."""
    sine = np.sin(2 * np.pi * 440 * np.arange(round(seconds * 48_000)) / 48_000)
    soundfile.write(path, np.outer(sine, channels), 48_000)
    return path


def level(chunks: list[AudioChunk]) -> float:
    """Amplitude of a sine that has set in."""
    samples = joined(chunks)
    begins = int(np.argmax(np.abs(samples) > 0.1)) + SAMPLE_RATE_HZ // 4
    return float(np.sqrt(2 * np.mean(samples[begins : begins + SAMPLE_RATE_HZ] ** 2)))


def usual_level(chunks: list[AudioChunk]) -> float:
    """Return the median amplitude of tenths of a second; a busy machine may play with short gaps."""
    samples = joined(chunks)
    begins = int(np.argmax(np.abs(samples) > 0.1)) + SAMPLE_RATE_HZ // 4
    tenths = samples[begins : begins + SAMPLE_RATE_HZ].reshape(-1, SAMPLE_RATE_HZ // 10)
    return float(np.median(np.sqrt(2 * np.mean(tenths**2, axis=1))))


# What is recorded


@pytest.mark.parametrize("rate_hz", [44_100.0, 48_000.0, 1_000_000.0])
def test_a_tone_comes_back_at_any_rate_and_at_another_one_where_that_is_refused(
    plugged_in: VirtualMicrophone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rate_hz: float
) -> None:
    pretend(monkeypatch, rate_hz=rate_hz)
    late: list[float] = []
    with closing(Microphone("mic").chunks()) as chunks:
        recorded = timed(chunks, late)
        heard = [next(recorded)]
        plugged_in.play(tone(tmp_path / "tone.wav"), wait=False)
        heard += take_loud(recorded, 3.5)

    assert heard[0].start_sample == 0
    assert_nothing_is_lost(heard)
    assert (np.diff([chunk.captured_at for chunk in heard]) > 0).all()
    assert np.median(late[-20:]) > -0.05
    assert min(late[-20:]) < 0.3, "once the sound server has woken up"

    samples = joined(heard)
    begins = int(np.argmax(np.abs(samples) > 0.1)) + 4_000
    loud = samples[begins : begins + SAMPLE_RATE_HZ]
    assert np.argmax(np.abs(np.fft.rfft(loud))) == 440
    assert np.sqrt(np.mean(loud**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    wave = np.exp(2j * np.pi * 440 * np.arange(len(loud)) / SAMPLE_RATE_HZ)
    fitted = np.real(2 * np.mean(loud * wave.conj()) * wave)
    assert np.abs(loud - fitted).max() < 0.02, "one unbroken sine"


@pytest.mark.parametrize(("spec", "heard"), [("mic", 0.5), ("mic:#1", 0.5), ("mic:#2", 0.5)])
def test_channels_that_are_each_other_s_opposite_do_not_cancel_out(
    plugged_in: VirtualMicrophone, tmp_path: Path, spec: str, heard: float
) -> None:
    with closing(open_source(spec).chunks()) as chunks:
        next(chunks)
        plugged_in.play(tone(tmp_path / "tone.wav", channels=(0.5, -0.5)), wait=False)
        assert level(take_loud(chunks, 1.5)) == pytest.approx(heard, rel=0.02)


def test_each_of_eight_channels_can_be_taken(
    pulseaudio_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    virtual = VirtualMicrophone.start(pulseaudio_folder, 48_000, EIGHT_CHANNELS)
    virtual.plug_in(monkeypatch)
    amplitudes = np.arange(8) / 10 + 0.15
    path = tone(tmp_path / "tone.wav", seconds=30, channels=tuple(amplitudes))
    try:
        virtual.play(path, f"--channel-map={EIGHT_CHANNELS}", wait=False)
        for channel in (1, 3, 8):
            with closing(open_source(f"mic:#{channel}").chunks()) as chunks:
                assert level(take_loud(chunks, 1.5)) == pytest.approx(amplitudes[channel - 1], rel=0.02)
    finally:
        virtual.stop()


@pytest.mark.usefixtures("plugged_in")
def test_a_device_that_refuses_is_reported_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, channels=500)
    sentence, _ = fail(Microphone("mic", channel=400).chunks())
    assert "can't be recorded (Error opening RawInputStream: Invalid number of channels" in sentence


# What comes and goes


def test_a_replugged_microphone_continues_after_the_gap(
    pulseaudio_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    virtual = VirtualMicrophone.start(pulseaudio_folder, 44_100)
    virtual.plug_in(monkeypatch)
    source = Microphone("mic")
    assert source.retry_seconds == 2.0, "so that it is heard again within 5 s of its return"
    chunks = source.chunks()
    heard = take(chunks, 1.0)
    virtual.stop()
    sentence, rest = fail(chunks)
    assert sentence == "default has stopped recording; check that it is still plugged in"
    assert fail(source.chunks())[0].startswith("there is no microphone on this computer")
    wait_for_their_end()
    heard += rest
    virtual = VirtualMicrophone.start(pulseaudio_folder, 44_100)
    try:
        with closing(source.chunks()) as chunks:
            after = take(chunks, 0.1)
    finally:
        virtual.stop()
    last, first = heard[-1], after[0]
    (lost,) = lost_before([first], end_of(heard))
    assert lost > 0
    away = first.captured_at - last.captured_at - len(last.samples) / SAMPLE_RATE_HZ
    assert lost / SAMPLE_RATE_HZ == pytest.approx(away, abs=0.1)


def test_a_driver_that_stalls_is_given_up_after_two_seconds(plugged_in: VirtualMicrophone) -> None:
    source = Microphone("mic")
    chunks = source.chunks()
    heard = take(chunks, 0.5)
    pactl = ["pactl", "suspend-sink", "vmic"]
    subprocess.run([*pactl, "1"], env=plugged_in.environment, check=True, timeout=PATIENCE_SECONDS)
    began = time.monotonic()
    try:
        sentence, rest = fail(chunks)
        assert 1.5 < time.monotonic() - began < 8.0, "the sound system may take 10 s to answer"
    finally:
        subprocess.run([*pactl, "0"], env=plugged_in.environment, check=True, timeout=PATIENCE_SECONDS)
    assert "default has delivered no audio for 2 s" in sentence
    with closing(source.chunks()) as chunks:
        assert next(chunks).start_sample > end_of(heard + rest) + SAMPLE_RATE_HZ


@pytest.mark.usefixtures("plugged_in")
def test_a_process_that_hangs_is_killed() -> None:
    chunks = Microphone("mic").chunks()
    take(chunks, 0.5)
    (recorder,) = recorders()
    recorder.suspend()
    sentence, _ = fail(chunks)
    assert "has delivered no audio for 2 s" in sentence
    wait_for_their_end()


@pytest.mark.usefixtures("plugged_in")
def test_a_driver_that_crashes_takes_no_other_microphone_along() -> None:
    crashing, other = Microphone("a"), Microphone("b")
    with closing(other.chunks()) as others:
        heard = take(others, 0.5)
        chunks = crashing.chunks()
        before = take(chunks, 0.5)
        heard += take(others, 0.5)
        crashed = time.monotonic()
        recorders()[-1].send_signal(signal.SIGSEGV)
        sentence, rest = fail(chunks)
        assert sentence.startswith(
            "default: its driver has crashed (SIGSEGV); unplug it and plug it in again"
        )
        with closing(crashing.chunks()) as chunks:
            assert next(chunks).start_sample > end_of(before + rest)
        heard += take(others, 0.5 + time.monotonic() - crashed)
    assert_nothing_is_lost(heard)


@pytest.mark.usefixtures("plugged_in")
def test_the_terminal_s_signals_are_none_of_the_recorder_s() -> None:
    with closing(Microphone("mic").chunks()) as chunks:
        heard = take(chunks, 0.2)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            recorders()[0].send_signal(number)
        assert_nothing_is_lost(heard + take(chunks, 0.5))
    wait_for_their_end()


def test_a_program_that_is_killed_leaves_no_recorder_behind(virtual_microphone: VirtualMicrophone) -> None:
    code = "from streamer.sources.microphone import Microphone\nfor _ in Microphone('mic').chunks(): print(flush=True)"
    with ChildProcess[bytes](
        [sys.executable, "-c", code], cwd=ROOT, env=virtual_microphone.environment, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        (recorder,) = psutil.Process(program.pid).children()
        program.kill()
    wait_until(lambda: not runs(recorder), "the recorder to end")


# Its end


@pytest.mark.usefixtures("plugged_in")
def test_a_microphone_is_closed_at_once_from_another_thread() -> None:
    source = Microphone("mic")
    chunks = source.chunks()
    take(chunks, 0.2)
    closed: list[float] = []

    def close() -> None:
        closed.append(time.monotonic())
        source.close()

    threading.Timer(0.3, close).start()
    for _ in chunks:
        pass
    assert time.monotonic() - closed[0] < 10.0
    wait_for_their_end()


def test_a_microphone_is_closed_at_once_while_its_driver_hangs(plugged_in: VirtualMicrophone) -> None:
    source = Microphone("mic")
    with plugged_in.frozen():
        threading.Timer(0.5, source.close).start()
        began = time.monotonic()
        assert list(source.chunks()) == []
        assert time.monotonic() - began < 8.0, "the sound system may take 10 s to answer"
    wait_for_their_end()


def test_a_closed_microphone_delivers_nothing() -> None:
    source = Microphone("mic")
    source.close()
    assert list(source.chunks()) == []


# Loudspeakers


@pytest.mark.usefixtures("plugged_in")
def test_a_sound_is_played_until_another_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SINK", "vmic")
    sine = np.sin(np.arange(5 * SAMPLE_RATE_HZ) / 5).astype(np.float32)
    with closing(microphone._player), closing(Microphone("mic").chunks()) as chunks:
        next(chunks)
        play(np.float32(0.5) * sine)
        assert usual_level(take_loud(chunks, 1.5)) == pytest.approx(0.5, rel=0.02)
        play(np.float32(0.2) * sine)
        while np.abs(next(chunks).samples).max() > 0.3:
            pass
        assert usual_level(take_loud(chunks, 1.5)) == pytest.approx(0.2, rel=0.02)


def test_missing_playback_is_reported_in_one_sentence(
    plugged_in: VirtualMicrophone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{plugged_in.environment['XDG_RUNTIME_DIR']}/nobody")
    with pytest.raises(DeviceError, match=r"can.t play audio .*check that a loudspeaker is connected"):
        play(np.zeros(SAMPLE_RATE_HZ, np.float32))
