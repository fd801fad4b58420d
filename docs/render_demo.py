"""Render demo.ogg, the recording of the source `demo`, and demo.json, its cue sheet.

    python -m docs.render_demo

Everything in it is synthetic: voices of espeak-ng, instruments of the General MIDI sound font FluidR3 (MIT
licence), a siren and a telephone bell computed here, and melodies in the public domain. It needs espeak-ng, fluidsynth
and the package fluid-soundfont-gm. The same versions render the same samples; only the serial number in the Ogg file
differs.
"""

import argparse
import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

from streamer.messages import SAMPLE_RATE_HZ, Samples
from streamer.sources.conversion import Converter

FOLDER = Path(__file__).parent.parent / "streamer" / "assets"
SOUND_FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
SEGMENT_SECONDS = 9.0
GAP_SECONDS = 2.5
LEVEL_DBFS = -20.0
GAP_LEVEL_DBFS = -75.0
DRUM_CHANNEL = 9
PIANO, VIOLIN, DRUMS = 0, 40, 0  # General MIDI programs, counted from 0


@dataclass(frozen=True, slots=True)
class Cue:
    """Start and end of a sound, with its AudioSet label."""

    start_seconds: float
    end_seconds: float
    label: str


@dataclass(frozen=True, slots=True)
class Note:
    """Note; times in quarter notes."""

    start: float
    length: float
    key: int
    velocity: int = 96


def main() -> None:
    """Render both files and print the cue sheet."""
    parser = argparse.ArgumentParser(description="Render the recording behind the source `demo`.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder for demo.ogg and demo.json")
    folder = parser.parse_args().folder
    sound, cues = rendered()
    soundfile.write(
        folder / "demo.ogg", sound, SAMPLE_RATE_HZ, format="OGG", subtype="VORBIS", compression_level=0.4
    )
    (folder / "demo.json").write_text(json.dumps([asdict(cue) for cue in cues], indent=2) + "\n")
    for cue in cues:
        sys.stdout.write(f"{cue.start_seconds:6.1f} s to {cue.end_seconds:6.1f} s  {cue.label}\n")


def rendered() -> tuple[Samples, list[Cue]]:
    """Render the demo.

    Returns
    -------
    sound : float32 (n,)
        16 kHz mono.
    cues : list of Cue
        Labelled segments in order; between them and at the end it is quiet.
    """
    segments: list[tuple[str, Callable[[], Samples]]] = [
        ("Speech", speech),
        ("Piano", piano),
        ("Siren", siren),
        ("Violin, fiddle", violin),
        ("Telephone bell ringing", telephone_bell),
        ("Drum kit", drums),
    ]
    segment_samples = round(SEGMENT_SECONDS * SAMPLE_RATE_HZ)
    stride = segment_samples + round(GAP_SECONDS * SAMPLE_RATE_HZ)
    sound = np.random.default_rng(0).standard_normal(stride * len(segments)) * 10 ** (GAP_LEVEL_DBFS / 20)
    cues = []
    for number, (label, render) in enumerate(segments):
        start = number * stride
        sound[start : start + segment_samples] += levelled(fitted(render(), segment_samples))
        cues.append(Cue(start / SAMPLE_RATE_HZ, (start + segment_samples) / SAMPLE_RATE_HZ, label))
    return sound.astype(np.float32), cues


def fitted(sound: Samples, length: int) -> Samples:
    """Cut or pad a sound to a length, with a fade at both ends."""
    sound = np.pad(sound[:length], (0, max(0, length - len(sound))))
    fade = np.linspace(0, 1, SAMPLE_RATE_HZ // 20, dtype=np.float32)
    sound[: len(fade)] *= fade
    sound[-len(fade) :] *= fade[::-1]
    return sound


def levelled(sound: Samples) -> Samples:
    """Scale a sound to the common RMS level, or lower if its peaks would clip."""
    gain = 10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(sound**2))
    return sound * np.float32(min(gain, 0.9 / np.abs(sound).max()))


def speech() -> Samples:
    """Return a conversation of three voices."""
    lines = [
        ("en-gb", 45, "Good morning. Did you hear that sound in the street last night?"),
        ("en-us+f3", 60, "Yes, I did. It was a siren, and then the telephone rang."),
        ("en-gb-scotland+m3", 35, "And nobody answered it. What a strange night that was."),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        said = []
        for voice, pitch, text in lines:
            run("espeak-ng", "-v", voice, "-p", str(pitch), "-s", "165", "-w", path, text)
            said.append(read(path))
    return np.concatenate(said)


def piano() -> Samples:
    """Return the Ode to Joy, with chords in the left hand."""
    melody = [64, 64, 65, 67, 67, 65, 64, 62, 60, 60, 62, 64]
    notes = [Note(quarter, 0.95, key) for quarter, key in enumerate(melody)]
    notes += [Note(12, 1.5, 64), Note(13.5, 0.5, 62), Note(14, 2, 62)]
    for bar, chord in enumerate([(48, 52, 55), (43, 47, 53), (48, 52, 55), (43, 47, 55)]):
        notes += [Note(4 * bar + half, 1.9, key, 70) for half in (0, 2) for key in chord]
    return performed(notes, program=PIANO, quarters_per_minute=116)


def violin() -> Samples:
    """Return Greensleeves, by a solo violin."""
    melody = [
        (69, 1),
        (72, 2),
        (74, 1),
        (76, 1.5),
        (77, 0.5),
        (76, 1),
        (74, 2),
        (71, 1),
        (67, 1.5),
        (69, 0.5),
    ]
    melody += [(71, 1), (72, 2), (69, 1), (69, 1.5), (68, 0.5), (69, 1), (71, 2), (68, 1), (64, 2)]
    notes, quarter = [], 0.0
    for key, length in melody:
        notes.append(Note(quarter, length, key, 105))
        quarter += length
    return performed(notes, program=VIOLIN, quarters_per_minute=160)


def drums() -> Samples:
    """Return a rock beat with a fill at the end of each second bar."""
    kick, snare, hat, crash, toms = 36, 38, 42, 49, (48, 47, 45, 43)
    notes = [Note(0, 1, crash), Note(8, 1, crash)]
    for bar in range(5):
        begin = 4 * bar
        notes += [Note(begin + eighth / 2, 0.4, hat, 80) for eighth in range(8)]
        notes += [Note(begin + beat, 0.5, kick, 115) for beat in (0, 2, 2.5)]
        notes += [Note(begin + beat, 0.5, snare, 110) for beat in (1, 3)]
        if bar % 2:
            notes += [Note(begin + 3 + sixteenth / 4, 0.2, tom, 110) for sixteenth, tom in enumerate(toms)]
    return performed(notes, program=DRUMS, quarters_per_minute=120, channel=DRUM_CHANNEL)


def siren() -> Samples:
    """Return a wailing siren: a rich tone that rises and falls in four and a half seconds."""
    seconds = np.arange(round(SEGMENT_SECONDS * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    pitch_hz = 600 + 400 * (1 - np.cos(2 * np.pi * seconds / 4.5))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    tone = sum(np.sin(overtone * phase) / overtone**1.3 for overtone in (1, 2, 3, 4, 5))
    return echoed(np.asarray(tone, np.float32))


def telephone_bell() -> Samples:
    """Return the two bells of an old telephone, struck in turn twenty times a second: two seconds on, one off."""
    strike_seconds = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    bells = [
        sum(
            loudness
            * np.exp(-strike_seconds * decay)
            * np.sin(2 * np.pi * fundamental_hz * ratio * strike_seconds)
            for ratio, loudness, decay in (
                (1, 1.0, 6),
                (2.01, 0.7, 9),
                (2.74, 0.5, 12),
                (3.76, 0.35, 18),
                (5.1, 0.2, 25),
            )
        )
        for fundamental_hz in (1_080, 1_290)
    ]
    sound = np.zeros(round((SEGMENT_SECONDS + 1) * SAMPLE_RATE_HZ))
    for ring in (0.0, 3.0, 6.0):
        for strike in range(40):
            begin = round((ring + strike / 20) * SAMPLE_RATE_HZ)
            sound[begin : begin + SAMPLE_RATE_HZ] += bells[strike % 2]
    return echoed(sound.astype(np.float32))


def echoed(sound: Samples) -> Samples:
    """Add a few reflections of a room, each fainter."""
    result = sound.copy()
    for delay_seconds, gain in ((0.031, 0.4), (0.053, 0.3), (0.097, 0.2), (0.151, 0.12)):
        delay = round(delay_seconds * SAMPLE_RATE_HZ)
        result[delay:] += np.float32(gain) * sound[:-delay]
    return result


def performed(notes: list[Note], *, program: int, quarters_per_minute: float, channel: int = 0) -> Samples:
    """Render notes on one instrument with FluidSynth."""
    with tempfile.TemporaryDirectory() as folder:
        score, path = Path(folder) / "score.mid", Path(folder) / "score.wav"
        score.write_bytes(
            midi(notes, program=program, quarters_per_minute=quarters_per_minute, channel=channel)
        )
        run("fluidsynth", "-ni", "-q", "-r", "48000", "-T", "wav", "-F", path, SOUND_FONT, score)
        return read(path)


def midi(notes: list[Note], *, program: int, quarters_per_minute: float, channel: int) -> bytes:
    """Return a MIDI file of format 0 with 480 ticks to the quarter."""
    events = [(0, bytes([0xC0 | channel, program]))]
    for note in notes:
        events.append((round(480 * note.start), bytes([0x90 | channel, note.key, note.velocity])))
        events.append((round(480 * (note.start + note.length)), bytes([0x80 | channel, note.key, 0])))
    events.sort(
        key=lambda event: (event[0], event[1][0] & 0xF0 == 0x90)
    )  # keys go up before they come down again
    track = b"\x00\xff\x51\x03" + round(60_000_000 / quarters_per_minute).to_bytes(3)
    before = 0
    for tick, message in events:
        track += bytes(variable_length(tick - before)) + message
        before = tick
    track += b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(track)) + track


def variable_length(number: int) -> Iterator[int]:
    """Yield the bytes of a variable-length number in a MIDI file: seven bits each, the high bit set on all but the last."""
    groups = max(1, -(-number.bit_length() // 7))
    for group in reversed(range(groups)):
        yield (number >> 7 * group & 0x7F) | (0x80 if group else 0)


def run(*command: str | Path) -> None:
    """Run a program on the path, and raise if it fails."""
    subprocess.run(command, check=True)  # noqa: S603 - the commands stand in this file


def read(path: Path) -> Samples:
    """Read a WAV file as 16 kHz mono."""
    frames, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    converter = Converter(rate_hz, frames.shape[1])
    return np.concatenate([converter.feed(frames), converter.flush()])


if __name__ == "__main__":
    main()
