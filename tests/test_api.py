"""The Python interface: `from earshot import listen, load_tagger, tag`."""

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from numpy.typing import NDArray
from support.system import free_port

import earshot
from earshot import Event, Tagging, Taggings, api, listen, tag, tag_folder
from earshot.message_queue import MessageQueue
from models.local import load_tagger
from models.tagger import Tagger
from streamer.errors import RecordingError, SettingsError
from streamer.sources import DEMO_PATH
from streamer.sources.ffmpeg.decoder import Block
from streamer.sources.recording_file import RecordingFile

ROOT = Path(__file__).parent.parent
RATE = 16_000


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return load_tagger("tiny", device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def noise() -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(0).standard_normal(3 * RATE)).astype(np.float32)


def test_importing_it_is_instant_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, time; began = time.process_time(); import earshot; print(time.process_time() - began);"
        "print([name for name in ('numpy', 'torch', 'typer', 'pydantic', 'models', 'streamer') if name in sys.modules])"
    )
    seconds, heavy = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert float(seconds) < 0.3
    assert heavy == "[]"


def test_all_names_are_there_and_no_others() -> None:
    for name in earshot.__all__:
        assert getattr(earshot, name)
    with pytest.raises(AttributeError, match="has no attribute 'hear'"):
        _ = earshot.hear


@pytest.mark.slow
def test_the_commands_do_not_take_the_names_of_the_functions() -> None:
    code = "import earshot.cli; from earshot import tag, listen; print(callable(tag), callable(listen))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


@pytest.mark.slow
def test_an_array_is_tagged_with_times(tagger: Tagger, noise: NDArray[np.float32]) -> None:
    taggings = tag(noise, RATE, model=tagger, hop=0.5)
    assert [tagging.end_seconds for tagging in taggings] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert all(tagging.start_seconds == 0.0 for tagging in taggings)
    np.testing.assert_allclose(taggings[-1].scores, tagger(noise)[0], atol=1e-6)
    best = taggings[-1].top(2)
    assert best[0][0] == tagger.labels[int(taggings[-1].scores.argmax())]
    assert best[0][1] >= best[1][1]


@pytest.mark.parametrize("kind", [np.float64, np.int16, np.int32])
def test_samples_of_any_type_are_the_same_sound(
    kind: type, tagger: Tagger, noise: NDArray[np.float32]
) -> None:
    scale = 1 if kind is np.float64 else -float(np.iinfo(kind).min)
    (expected,) = tag(noise, RATE, model=tagger, hop=3.0)
    (tagging,) = tag((noise * scale).astype(kind), RATE, model=tagger, hop=3.0)
    np.testing.assert_allclose(tagging.scores, expected.scores, atol=0.01)


def test_any_rate_and_channels_are_converted_as_in_a_file(
    tagger: Tagger, tmp_path: Path, noise: NDArray[np.float32]
) -> None:
    stereo = np.stack([noise, np.roll(noise, 7)], axis=1)
    soundfile.write(tmp_path / "stereo.wav", stereo, 44_100, subtype="FLOAT")
    from_array = tag(stereo, 44_100, model=tagger, hop=0.5)
    from_file = tag(tmp_path / "stereo.wav", model=tagger, hop=0.5)
    assert len(from_array) == len(from_file) == 3
    assert from_file[-1].end_seconds == pytest.approx(3 * RATE / 44_100, abs=1e-3)
    for one, other in zip(from_array, from_file, strict=True):
        assert one.end_sample == other.end_sample
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


@pytest.mark.parametrize(
    ("samples", "rate", "error", "words"),
    [
        (np.zeros(100, np.float32), None, TypeError, "rate"),
        (np.zeros(100, np.float32), 0, ValueError, "from 1,000 to 3,000,000 Hz"),
        (np.zeros(100, np.uint8), RATE, TypeError, "uint8"),
        (np.zeros((2, 2, 2), np.float32), RATE, ValueError, "channels"),
        (np.zeros(0, np.float32), RATE, ValueError, "no samples"),
        (np.zeros(100, np.float32), "a", TypeError, "a number in Hz, not 'a'"),
    ],
)
def test_what_is_no_sound_is_an_error(
    samples: NDArray[np.float32], rate: float | None, error: type[Exception], words: str, tagger: Tagger
) -> None:
    with pytest.raises(error, match=words):
        tag(samples, rate, model=tagger)


def test_wrong_names_and_hops_are_errors_at_once(tagger: Tagger) -> None:
    with pytest.raises(RecordingError, match="no file"):
        tag("no-such.wav", model=tagger)
    with pytest.raises(RecordingError, match="no file"):
        listen("no-such.wav", model=tagger)
    for hop in (0.0, 0.015, 4000.0, float("nan")):
        with pytest.raises(ValueError, match="hop must be"):
            tag("no-such.wav", model=tagger, hop=hop)
    with pytest.raises(TypeError, match="hop must be a number of seconds, not 'a'"):
        tag(DEMO_PATH, model=tagger, hop="a")  # type: ignore[call-overload] # a mistake that people make
    with pytest.raises(TypeError, match=r"write watch=\['Dog'\]"):
        tag(DEMO_PATH, model=tagger, watch="Dog")
    with pytest.raises(SettingsError, match="did you mean 'Dog'"):
        tag(DEMO_PATH, model=tagger, watch=["dgo"])


def test_settings_of_the_user_do_not_count(
    tagger: Tagger, noise: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EARSHOT_HOP", "0.25")
    assert len(tag(noise, RATE, model=tagger)) == 3


@pytest.mark.slow
def test_events_of_watched_sounds_are_among_the_taggings(tagger: Tagger) -> None:
    found = tag(DEMO_PATH, model=tagger, watch=["speech"])
    events = [message for message in found if isinstance(message, Event)]
    assert [event.kind for event in events[:2]] == ["started", "ended"]
    assert {event.label for event in events} == {"Speech"}


def test_taggings_have_times_and_scores_as_arrays(tagger: Tagger, noise: NDArray[np.float32]) -> None:
    taggings = tag(noise, RATE, model=tagger, hop=1.0)
    assert taggings.times.tolist() == [[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]]
    assert taggings.scores.shape == (3, 527)
    assert taggings.scores.dtype == np.float32
    np.testing.assert_array_equal(taggings.scores[1], taggings[1].scores)
    (label, score), *_ = taggings.top(2)
    assert score == taggings.scores.max()
    assert taggings.labels[int(taggings.scores.max(0).argmax())] == label


def test_taggings_of_a_recording_have_events(tagger: Tagger) -> None:
    taggings = tag(DEMO_PATH, model=tagger)
    siren, telephone = taggings.events(["Siren", "Telephone"])
    assert (siren.label, telephone.label) == ("Siren", "Telephone")
    assert siren.start_seconds == pytest.approx(23.0, abs=5.0)  # as in streamer/assets/demo.json
    assert telephone.end_seconds == pytest.approx(55.0, abs=5.0)
    assert [event.label for event in taggings.events()] == ["Siren", "Telephone"], (
        "the sounds that the program watches"
    )
    with pytest.raises(SettingsError, match="there is no sound called 'Sirene'"):
        taggings.events(["Sirene"])
    with pytest.raises(SettingsError, match="'Loud noise' is detected by its level, not by the model"):
        taggings.events(["Loud noise"])
    with pytest.raises(TypeError, match=r"write watch=\['Dog'\]"):
        taggings.events("Dog")


def test_taggings_are_a_table_and_a_picture(
    tagger: Tagger, noise: NDArray[np.float32], tmp_path: Path
) -> None:
    taggings = tag(noise, RATE, model=tagger)
    for table in (taggings.to_pandas(), taggings.to_polars()):
        assert table.shape == (3, 529)
        assert list(table["end"]) == [1.0, 2.0, 3.0]
        assert table["Speech"].dtype in (np.float32, pl.Float32)
    axes = taggings.plot(4)
    assert [text.get_text() for text in axes.get_yticklabels()] == [label for label, _ in taggings.top(4)]
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.savefig(tmp_path / "tags.png")
    assert (tmp_path / "tags.png").stat().st_size > 1000


def test_labels_with_the_names_of_times_have_columns_of_their_own() -> None:
    one = Tagging("a", 0, RATE, 0.0, np.array([0.9, 0.2, 0.3], np.float32), -20.0, 0.0)
    table = Taggings([one], ("start", "end", "end")).to_pandas()
    assert list(table) == ["start", "end", "start (class)", "end (class)", "end (class) (class)"]
    assert table["end"][0] == 1.0
    assert table["start (class)"][0] == pytest.approx(0.9)


def test_an_empty_sound_has_no_taggings(tagger: Tagger) -> None:
    taggings = Taggings([], tagger.labels)
    assert (taggings.times.shape, taggings.scores.shape, taggings.events()) == ((0, 2), (0, 527), [])
    assert taggings.to_pandas().shape == (0, 529)
    with pytest.raises(ValueError, match="nothing to draw"):
        taggings.plot()


def test_a_folder_is_tagged_one_recording_after_the_other(
    tagger: Tagger, tmp_path: Path, noise: NDArray[np.float32], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "deep" / ".hidden").mkdir(parents=True)
    for name in ("b.wav", "deep/a.flac", "deep/.hidden/c.wav"):
        soundfile.write(tmp_path / name, noise, RATE)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    (tmp_path / "notes.txt").write_text("no sound")
    found = {
        path.relative_to(tmp_path).as_posix(): taggings
        for path, taggings in tag_folder(tmp_path, model=tagger)
    }
    assert list(found) == ["b.wav", "deep/a.flac"]
    np.testing.assert_allclose(found["b.wav"].scores, tag(noise, RATE, model=tagger).scores, atol=1e-3)
    assert "broken.wav is left out" in caplog.text
    with pytest.raises(RecordingError, match="there are no recordings in"):
        next(iter(tag_folder(tmp_path / "deep" / ".hidden" / "none", model=tagger)))


def test_live_taggings_come_one_by_one_and_closing_ends_the_threads(tagger: Tagger) -> None:
    before = set(threading.enumerate())
    taggings = listen("room=demo", model=tagger, hop=0.1)
    first, second = next(taggings), next(taggings)
    assert (first.source, first.labels) == ("room", tagger.labels)
    assert first.end_sample < second.end_sample
    assert first.latency_seconds is not None
    taggings.close()
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("samples", "rate", "complaint"),
    [
        (np.zeros((2, 160_000), np.float32), RATE, r"at most 64 channels, not \(2, 160000\): transpose them"),
        (np.zeros(100, np.float32), 1e12, "the sample rate must be from 1,000 to 3,000,000 Hz, not 1e"),
        (np.zeros(100, np.float32), float("inf"), "the sample rate must be from 1,000"),
        (np.zeros(100, np.float32), float("nan"), "the sample rate must be from 1,000"),
    ],
)
def test_arrays_that_are_no_sound_are_refused(
    tagger: Tagger, samples: NDArray[np.float32], rate: float, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        tag(samples, rate, model=tagger)
    with pytest.raises(TypeError, match="the sample rate must be a number in Hz, not True"):
        tag(np.zeros(100, np.float32), True, model=tagger)


def test_addresses_with_a_password_can_be_listened_to(tagger: Tagger) -> None:
    taggings = listen(f"http://ann:secret@127.0.0.1:{free_port()}/live", model=tagger, hop=0.5)
    taggings.close()
    assert api._settings(["rtsp://ann:secret@camera/live"], 1.0, None).sources[0].address.endswith("/live")


def test_listening_ends_with_its_sources(tagger: Tagger, tmp_path: Path, noise: NDArray[np.float32]) -> None:
    soundfile.write(tmp_path / "noise.wav", noise[:RATE], RATE)
    began = time.monotonic()
    taggings = list(listen(str(tmp_path / "noise.wav"), model=tagger, hop=0.5))
    assert time.monotonic() - began >= 1.0, "in real time"
    assert taggings[-1].end_seconds == 1.0


def test_a_source_that_breaks_off_is_an_error_after_its_taggings(
    tagger: Tagger, tmp_path: Path, noise: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "torn.wav", noise, RATE)
    all_blocks = RecordingFile.blocks

    def blocks(self: RecordingFile) -> Iterator[Block]:
        yield from itertools.islice(all_blocks(self), 5)
        raise RecordingError("the disk has failed")

    monkeypatch.setattr(RecordingFile, "blocks", blocks)
    taggings = listen(str(tmp_path / "torn.wav"), model=tagger, hop=0.5)
    assert next(taggings).end_sample > 0
    with pytest.raises(RecordingError, match="the disk has failed"):
        list(taggings)


def tagging(end_sample: int) -> Tagging:
    return Tagging("x", 0, end_sample, 0.0, np.zeros(1, np.float32), -120.0, None)


def test_the_oldest_waiting_taggings_are_dropped_and_events_are_not() -> None:
    queue = MessageQueue(waiting_taggings=2)
    event = Event("id", "started", "Dog", "x", 0.5, 0.0)
    for message in (tagging(1), event, tagging(2), event, tagging(3)):
        queue.accept(message)
    taken = queue.take(0.0)
    assert [message.end_sample for message in taken if isinstance(message, Tagging)] == [2, 3]
    assert sum(isinstance(message, Event) for message in taken) == 2
    assert queue.take(0.0) == []
