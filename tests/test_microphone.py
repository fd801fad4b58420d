"""Microphones: real PortAudio on a virtual microphone, and the arithmetic of gaps and clocks without one."""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from conftest import VirtualMicrophone

from streamer.errors import DeviceError, SourceError
from streamer.messages import SAMPLE_RATE_HZ, AudioChunk
from streamer.sources import microphone, open_source
from streamer.sources.conversion import Converter, Frames
from streamer.sources.microphone import InputDevice, Microphone, find_device

ROOT = Path(__file__).parent.parent

# Which microphone is meant

DEVICES = [
    InputDevice(0, "HDA Intel: ALC662 Analog (hw:0,0)", "ALSA", 2, 44_100.0, is_default=False),
    InputDevice(3, "USB PnP Sound Device: Audio (hw:1,0)", "ALSA", 1, 48_000.0, is_default=False),
    InputDevice(4, "USB PnP Sound Device: Audio (hw:2,0)", "ALSA", 1, 48_000.0, is_default=False),
    InputDevice(6, "default", "ALSA", 32, 44_100.0, is_default=True),
    InputDevice(7, "Array (Realtek)", "MME", 2, 44_100.0, is_default=False),
    InputDevice(8, "Array (Realtek)", "ALSA", 2, 48_000.0, is_default=False),
]


@pytest.fixture
def _devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "list_devices", lambda: DEVICES)


@pytest.mark.usefixtures("_devices")
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (None, 6),
        (3, 3),
        ("DEFAULT", 6),
        ("hda", 0),
        ("HDA Intel", 0),
        ("hw:2,0", 4),
        ("usb pnp sound device: audio (hw:1,0), alsa", 3),
        ("Array", 8),
        ("Array (Realtek), MME", 7),
    ],
)
def test_a_device_is_found_by_its_number_or_a_part_of_its_name(wanted: str | int | None, index: int) -> None:
    assert find_device(wanted).index == index


@pytest.mark.usefixtures("_devices")
def test_a_device_that_is_not_there_gets_a_list_of_those_that_are() -> None:
    with pytest.raises(
        DeviceError, match="no microphone called Blue Yeti; there are 0 .HDA Intel.* 6 .default, ALSA"
    ):
        find_device("Blue Yeti")
    with pytest.raises(DeviceError, match="no microphone number 1; there are 0 "):
        find_device(1)


@pytest.mark.usefixtures("_devices")
def test_a_name_that_may_mean_several_says_which() -> None:
    with pytest.raises(DeviceError, match=r"USB may mean 3 \(USB.*, 4 \(USB.*mic:3$"):
        find_device("USB")


def test_a_computer_without_a_microphone_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "list_devices", list)
    with pytest.raises(DeviceError, match="--source demo"):
        find_device(None)


@pytest.mark.usefixtures("_devices")
@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("mic", "mic"),
        ("mic:0", "HDA Intel"),
        ("mic:hda#2", "HDA Intel 2"),
        ("mic:hw:1,0", "USB PnP Sound Device"),
        ("mic:#1", "mic 1"),
        ("garden=mic:4", "garden"),
    ],
)
def test_a_microphone_is_called_by_its_short_name_or_as_asked(spec: str, name: str) -> None:
    source = open_source(spec)
    assert source.name == name
    assert source.live


@pytest.mark.usefixtures("_devices")
def test_a_channel_that_the_device_lacks_is_refused_before_it_is_opened() -> None:
    with pytest.raises(DeviceError, match="HDA Intel.* has 2 channels, not 3"):
        open_source("mic:hda#3")


def test_without_portaudio_the_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(SourceError, match="apt-get install libportaudio2.*--source demo") as caught:
        open_source("mic")
    assert "\n" not in str(caught.value)


# Blocks to chunks: gaps and clocks


class Device:
    """A device that delivers blocks of what it hears; the driver's clock is the time of their first frame."""

    def __init__(self, rate_hz: int, *, speed: float = 1.0, latency_seconds: float = 0.02) -> None:
        self.rate_hz = rate_hz
        self.timeline = microphone._Timeline()
        self.wall_ahead = 1_000_000.0
        self.frames = 0
        self._speed = speed
        self._latency_seconds = latency_seconds
        self.reopen()

    def reopen(self) -> None:
        self._assembler = microphone._Assembler(Converter(self.rate_hz, 1), self.rate_hz, 0.1, self.timeline)

    def wall(self, frame: int) -> float:
        return self.wall_ahead + frame / self.rate_hz / self._speed

    def lose(self, frames: int) -> None:
        self.frames += frames

    def play(
        self, frames: Frames, *, overflowed: bool = False, refused_frames: int = 0, no_clock: bool = False
    ) -> list[AudioChunk]:
        captured = 100 + self.frames / self.rate_hz / self._speed
        self.frames += len(frames)
        now = 100 + self.frames / self.rate_hz / self._speed + self._latency_seconds
        block = microphone._Block(
            frames=frames,
            captured=0.0 if no_clock else captured,
            now=now,
            wall_now=now - 100 + self.wall_ahead,
            overflowed=overflowed,
            refused_frames=refused_frames,
        )
        return list(self._assembler.accept(block))


def quiet(seconds: float, rate_hz: int) -> Frames:
    return np.full((round(seconds * rate_hz), 1), 0.1, np.float32)


def assert_index_is_whole(chunks: list[AudioChunk]) -> None:
    """Each chunk begins where the one before ended, plus what was lost between."""
    for before, after in itertools.pairwise(chunks):
        assert after.start_sample == before.start_sample + len(before.samples) + after.lost_samples


def test_refused_blocks_are_a_jump_of_exactly_as_many_samples() -> None:
    device = Device(48_000)
    chunks = device.play(quiet(0.5, 48_000))
    device.lose(4_800)
    chunks += device.play(quiet(0.5, 48_000), refused_frames=4_800)
    chunks += device.play(quiet(0.5, 48_000))
    assert_index_is_whole(chunks)
    assert sum(chunk.lost_samples for chunk in chunks) == 1_600
    after = next(chunk for chunk in chunks if chunk.lost_samples)
    assert after.start_sample == 9_600
    assert after.captured_at == pytest.approx(device.wall(28_800), abs=1e-6)


def test_an_overflow_is_as_long_as_the_drivers_clock_says() -> None:
    device = Device(44_100)
    chunks = list(itertools.chain.from_iterable(device.play(quiet(0.1, 44_100)) for _ in range(10)))
    device.lose(11_025)
    chunks += device.play(quiet(0.1, 44_100), overflowed=True)
    chunks += device.play(quiet(0.1, 44_100))
    assert_index_is_whole(chunks)
    assert sum(chunk.lost_samples for chunk in chunks) == pytest.approx(4_000, abs=2)
    assert chunks[-1].captured_at == pytest.approx(
        device.wall(0) + chunks[-1].start_sample / SAMPLE_RATE_HZ, abs=1e-3
    )


def test_an_overflow_without_a_gap_in_time_loses_nothing() -> None:
    device = Device(SAMPLE_RATE_HZ)
    chunks = device.play(quiet(0.1, SAMPLE_RATE_HZ)) + device.play(
        quiet(0.1, SAMPLE_RATE_HZ), overflowed=True
    )
    assert_index_is_whole(chunks)
    assert [chunk.lost_samples for chunk in chunks] == [0, 0]


def test_sound_after_a_gap_knows_nothing_of_the_sound_before() -> None:
    frames = np.random.default_rng(0).uniform(-0.5, 0.5, (48_000, 1)).astype(np.float32)
    device = Device(48_000)
    device.play(frames[::-1])
    device.lose(480)
    chunks = device.play(frames, refused_frames=480)
    after = list(itertools.dropwhile(lambda chunk: not chunk.lost_samples, chunks))
    assert np.array_equal(
        np.concatenate([chunk.samples for chunk in after]), Converter(48_000, 1).feed(frames)
    )


def test_capture_times_follow_a_crystal_that_is_fast() -> None:
    device = Device(SAMPLE_RATE_HZ, speed=1.0001)
    for _ in range(5_999):
        device.play(quiet(0.1, SAMPLE_RATE_HZ))
    chunk = device.play(quiet(0.1, SAMPLE_RATE_HZ))[-1]
    true_time = device.wall(chunk.start_sample)
    assert chunk.captured_at == pytest.approx(true_time, abs=0.01)
    uncorrected = device.wall(0) + chunk.start_sample / SAMPLE_RATE_HZ
    assert abs(uncorrected - true_time) > 0.05


def test_a_wall_clock_that_is_set_moves_the_times_but_not_the_index(caplog: pytest.LogCaptureFixture) -> None:
    device = Device(SAMPLE_RATE_HZ)
    chunks = device.play(quiet(0.1, SAMPLE_RATE_HZ))
    device.wall_ahead += 3_600
    chunks += device.play(quiet(0.1, SAMPLE_RATE_HZ))
    assert_index_is_whole(chunks)
    assert chunks[1].lost_samples == 0
    assert chunks[1].captured_at - chunks[0].captured_at == pytest.approx(3_600.1)
    assert "the clock has been set" in caplog.text


def test_a_driver_without_a_clock_is_timed_by_the_arrival_of_its_blocks() -> None:
    device = Device(SAMPLE_RATE_HZ)
    chunk = device.play(quiet(0.1, SAMPLE_RATE_HZ), no_clock=True)[0]
    arrived_at = device.wall(1_600) + 0.02
    assert chunk.captured_at == pytest.approx(arrived_at - 0.1 - 0.1)


def test_a_reopened_device_goes_on_behind_the_time_it_was_away() -> None:
    device = Device(48_000)
    before = device.play(quiet(1.0, 48_000))
    device.timeline.heard_monotonic -= 2.5
    device.lose(round(1.5 * 48_000))
    device.reopen()
    after = device.play(quiet(1.0, 48_000))
    assert_index_is_whole(before + after)
    assert after[0].lost_samples == pytest.approx(1.5 * SAMPLE_RATE_HZ, abs=0.05 * SAMPLE_RATE_HZ)


# The virtual microphone

RECORDER = """
import json, sys, threading, time
from dataclasses import replace
import numpy as np
from streamer.errors import DeviceError
from streamer.sources import microphone

options = json.loads(sys.argv[1])
found = microphone.find_device(None)
microphone.find_device = lambda wanted: replace(found, **options.get("device", {}))
microphone._SILENT_SECONDS = options.get("silent_seconds", 5.0)
source = microphone.Microphone("mic", channel=options.get("channel"))
deadline = time.monotonic() + 20
for opening in range(options.get("openings", 1)):
    if opening:
        sys.stdin.readline()
    chunks, arrivals, loud = [], [], 0
    try:
        for chunk in source.chunks():
            arrivals.append(time.time())
            if not chunks:
                print(json.dumps([chunk.start_sample, chunk.lost_samples]), flush=True)
            chunks.append(chunk)
            loud += len(chunk.samples) if np.abs(chunk.samples).max() > 0.1 else 0
            if loud > options.get("loud_seconds", 1e9) * 16000 or time.monotonic() > deadline:
                threading.Timer(0, source.close).start()
                closed = time.monotonic()
    except DeviceError as error:
        print(json.dumps(str(error)), flush=True)
if "path" in options:
    np.savez(
        options["path"],
        samples=np.concatenate([chunk.samples for chunk in chunks]),
        starts=[chunk.start_sample for chunk in chunks],
        lengths=[len(chunk.samples) for chunk in chunks],
        lost=[chunk.lost_samples for chunk in chunks],
        captured=[chunk.captured_at for chunk in chunks],
        arrivals=arrivals,
        close_seconds=time.monotonic() - closed,
    )
"""


class Recorder:
    """A process that records the virtual microphone and says what it hears, a JSON line each."""

    def __init__(self, environment: dict[str, str], **options: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", RECORDER, json.dumps(options)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def next_line(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def noise(self) -> str:
        """Wait for the end and return what came out of standard error."""
        _, errors = self._process.communicate(timeout=30)
        assert self._process.returncode == 0, errors
        return errors

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def recorders() -> Iterator[list[Recorder]]:
    """What is left of these processes ends with the test."""
    started: list[Recorder] = []
    yield started
    for recorder in started:
        recorder.kill()


@pytest.mark.system
@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_a_tone_comes_back_from_the_microphone(
    virtual_microphone: VirtualMicrophone, recorders: list[Recorder], tmp_path: Path, rate_hz: int
) -> None:
    sine = 0.5 * np.sin(2 * np.pi * 440 * np.arange(6 * 48_000) / 48_000)
    soundfile.write(tmp_path / "tone.wav", sine, 48_000)
    options = {"device": {"rate_hz": rate_hz}, "loud_seconds": 2.5, "path": str(tmp_path / "heard.npz")}
    recorder = Recorder(virtual_microphone.environment, **options)
    recorders.append(recorder)
    assert recorder.next_line() == [0, 0]
    virtual_microphone.play(tmp_path / "tone.wav", wait=False)
    assert recorder.noise() == ""
    virtual_microphone.hush()
    heard = np.load(tmp_path / "heard.npz")

    assert np.array_equal(heard["starts"][1:], np.cumsum(heard["lengths"])[:-1]), "the index has no gap"
    assert not heard["lost"].any()
    assert (np.diff(heard["captured"]) > 0).all()
    late = heard["arrivals"] - heard["captured"] - heard["lengths"] / SAMPLE_RATE_HZ
    assert -0.05 < np.median(late[len(late) // 2 :]) < 0.3
    assert heard["close_seconds"] < 0.5

    begins = int(np.argmax(np.abs(heard["samples"]) > 0.1)) + 4_000
    loud = heard["samples"][begins : begins + SAMPLE_RATE_HZ]
    assert np.argmax(np.abs(np.fft.rfft(loud))) == 440
    assert np.sqrt(np.mean(loud**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    wave = np.exp(2j * np.pi * 440 * np.arange(len(loud)) / SAMPLE_RATE_HZ)
    fitted = np.real(2 * np.mean(loud * wave.conj()) * wave)
    assert np.abs(loud - fitted).max() < 0.02, "one unbroken sine"


@pytest.mark.system
def test_a_device_that_refuses_gets_a_sentence(
    virtual_microphone: VirtualMicrophone, recorders: list[Recorder]
) -> None:
    recorder = Recorder(virtual_microphone.environment, device={"channels": 500}, channel=400)
    recorders.append(recorder)
    assert "can't be recorded (Error opening InputStream: Invalid number of channels" in recorder.next_line()
    assert recorder.noise() == ""


@pytest.mark.system
def test_a_device_that_falls_silent_is_given_up(
    virtual_microphone: VirtualMicrophone, recorders: list[Recorder]
) -> None:
    pactl = ["pactl", "suspend-sink", "vmic"]
    recorder = Recorder(virtual_microphone.environment, silent_seconds=3.0)
    recorders.append(recorder)
    assert recorder.next_line() == [0, 0]
    subprocess.run([*pactl, "1"], env=virtual_microphone.environment, check=True, timeout=10)
    try:
        assert "has delivered no sound for 3 s" in recorder.next_line()
    finally:
        subprocess.run([*pactl, "0"], env=virtual_microphone.environment, check=True, timeout=10)
    assert recorder.noise() == ""


@pytest.mark.system
def test_a_microphone_that_is_unplugged_and_comes_back_goes_on_behind_the_gap(
    pulseaudio_folder: Path, recorders: list[Recorder]
) -> None:
    virtual = VirtualMicrophone.start(pulseaudio_folder, 44_100)
    recorder = Recorder(virtual.environment, openings=2)
    recorders.append(recorder)
    began_at = time.monotonic()
    assert recorder.next_line() == [0, 0]
    virtual.stop()
    assert "has stopped recording" in recorder.next_line()
    virtual = VirtualMicrophone.start(pulseaudio_folder, 44_100)
    try:
        recorder.go_on()
        start_sample, lost_samples = recorder.next_line()
        assert 0 < lost_samples <= start_sample < (time.monotonic() - began_at) * SAMPLE_RATE_HZ
    finally:
        recorder.kill()
        virtual.stop()


def test_a_closed_microphone_delivers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "list_devices", lambda: DEVICES)
    source = Microphone("mic")
    source.close()
    assert list(source.chunks()) == []


@pytest.mark.system
def test_what_is_played_is_heard(virtual_microphone: VirtualMicrophone, tmp_path: Path) -> None:
    code = (
        "import time, numpy as np; from streamer.sources.microphone import play;"
        "play((0.5 * np.sin(np.arange(32000) / 5)).astype(np.float32)); time.sleep(2.5)"
    )
    environment = virtual_microphone.environment | {"PULSE_SINK": "vmic"}
    recording = tmp_path / "heard.raw"
    command = ["parec", "--latency-msec=50", "--device=vmic.monitor", "--format=float32le", "--channels=1"]
    with recording.open("wb") as file:
        recorder = subprocess.Popen(command, env=environment, stdout=file)
    try:
        subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, check=True, timeout=30)
    finally:
        recorder.terminate()
        recorder.wait(timeout=10)
    assert np.abs(np.fromfile(recording, np.float32)).max() == pytest.approx(0.5, abs=0.05)
