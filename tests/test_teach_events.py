"""Teaching from events of the history, kept examples, and corrections of sounds that the program knows."""

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from support.program import clean_environment
from support.teaching import RATE, WINDOW, Floats, Model, chime, examples, other_sounds, ring, run
from support.teaching import taught as taught_sound

from earshot.commands.teach_material import find_events
from earshot.own_sounds import with_own_sounds
from models.teaching import corrections, heads, lessons
from models.teaching.corrections import correct, live_windows
from models.teaching.kept_examples import read_examples, write_examples
from models.teaching.taught_sounds import TaughtSound, TaughtSounds
from models.teaching.taught_tagger import TaughtTagger
from models.teaching.variations import variations
from streamer.events.own_sounds import corrected_sound_names, own_sound_names, own_sounds_folder
from streamer.messages import Event
from streamer.settings.loading import load_settings
from streamer.sinks.history.notes import Notes
from streamer.sinks.history.store import History


class Alarms(Model):
    """Model that takes everything for a bell."""

    def scores_and_embeddings(self, samples: Any) -> tuple[Floats, Floats]:
        scores, embeddings = super().scores_and_embeddings(samples)
        return np.full_like(scores, 0.9), embeddings


@pytest.fixture(name="environment")
def make_environment(tmp_path: Path) -> dict[str, str]:
    return clean_environment(tmp_path) | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "EARSHOT_MODEL": "tiny"}


@pytest.fixture(name="general")
def use_few_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrections, "general_sounds", lambda *_: other_sounds())


def write_history(
    environment: dict[str, str], label: str, clips: list[str | None], *, wrong: int = 0
) -> list[str]:
    """Write a history of events with clips, the first of which are marked as wrong; return their ids."""
    file = Path(environment["XDG_DATA_HOME"]) / "earshot" / "history.sqlite3"
    file.parent.mkdir(parents=True, exist_ok=True)
    ids = [f"{label.lower().replace(' ', '-')}-{number}" for number in range(len(clips))]
    with History(file, days=30, events=1000, outgoing=False) as history:
        for number, (identifier, clip) in enumerate(zip(ids, clips, strict=True)):
            began = time.time() - 3600 + 60 * number
            started = Event(identifier, "started", label, "mic", 0.9, began, clip=clip)
            history.accept(started)
            history.accept(replace(started, kind="ended", ended_at=began + 3))
        for identifier in ids[:wrong]:
            Notes(history).mark(identifier, "wrong")
    return ids


def corrected(model: Model, *hertz: float) -> TaughtSound:
    recordings = [(f"{pitch}", np.tile(ring(pitch), 8)) for pitch in hertz]
    return correct(model, "Bell", ["Bell"], recordings).sound


@pytest.mark.usefixtures("general")
def test_what_was_taken_for_a_sound_lowers_it_and_nothing_else() -> None:
    model = Alarms()
    tagger = TaughtTagger(model, [corrected(model, 1000.0)])
    assert tagger.labels == model.labels
    random = np.random.default_rng(5)
    fridge = tagger(variations(ring(1000.0, seed=9), WINDOW, 20, random))
    other = tagger(variations(ring(3000.0, seed=9), WINDOW, 20, random))
    assert (fridge[:, 1] < 0.3).mean() > 0.7
    assert (fridge[:, 0] == np.float32(0.9)).all(), "another class"
    assert (other == np.float32(0.9)).all(), "another sound"


@pytest.mark.usefixtures("general")
def test_a_correction_grows_and_survives_its_file(tmp_path: Path) -> None:
    model = Alarms()
    first = corrected(model, 800.0)
    grown = correct(model, "Bell", ["Bell"], [("b", np.tile(ring(1200.0), 8))], first).sound
    assert (first.examples, grown.examples) == (1, 2)
    folder = TaughtSounds(tmp_path)
    folder.save(grown)
    tagger = TaughtTagger(model, folder.read())
    random = np.random.default_rng(5)
    for hertz in (800.0, 1200.0):
        assert (tagger(variations(ring(hertz, seed=9), WINDOW, 20, random))[:, 1] < 0.3).mean() > 0.6


@pytest.mark.usefixtures("general")
def test_a_recording_counts_once_however_often_it_is_called_wrong(tmp_path: Path) -> None:
    folder = TaughtSounds(tmp_path)
    folder.save(corrected(Alarms(), 800.0, 1000.0, 1200.0))
    again = [(str(hertz), np.tile(ring(hertz), 8)) for hertz in (1200.0, 1000.0, 1400.0)]
    grown = correct(Alarms(), "Bell", ["Bell"], again, folder.find("Bell")).sound
    assert grown.examples == 4
    (head,) = grown.heads.values()
    assert (len(head.windows), len(head.further)) == (4, 4)


@pytest.mark.usefixtures("general")
def test_a_correction_is_no_sound_to_watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    model = Alarms()
    TaughtSounds(own_sounds_folder()).save(corrected(model, 1000.0))
    assert own_sound_names() == ()
    assert corrected_sound_names() == ("Bell",)
    tagger = with_own_sounds(model)  # type: ignore[arg-type]
    assert tagger.labels == model.labels
    assert (tagger(variations(ring(1000.0), WINDOW, 5, np.random.default_rng(0)))[:, 1] < 0.9).any()


def test_a_large_correction_of_a_class_with_a_comma_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    name = "Vehicle horn, car horn, honking"
    (head,) = taught_sound().heads.values()
    large = replace(head, windows=(np.ones((2_000, len(head.head.weights)), np.float16),) * 3)
    sound = replace(taught_sound(name), heads={head.fingerprint: large}, lowers=(name,))
    assert TaughtSounds(own_sounds_folder()).save(sound).stat().st_size > 256 * 1024
    assert corrected_sound_names() == (name,)
    assert own_sound_names() == ()


def test_a_correction_for_another_model_is_said_to_be_missing() -> None:
    other = replace(taught_sound("Bell", "other"), lowers=("Bell",))
    assert TaughtTagger(Model(), [other]).describe_unknown() == (
        "the correction of Bell was taught to another model or window, and is unknown to bands: run earshot teach again, or choose "
        "that model and --window"
    )


def test_a_recording_has_the_windows_that_a_stream_has() -> None:
    recording = np.arange(5 * RATE, dtype=np.float32)
    windows = live_windows(recording, 2 * RATE)
    assert [int(window[0]) for window in windows] == [0, RATE, 2 * RATE, 3 * RATE]
    assert {len(window) for window in windows} == {2 * RATE}
    assert len(live_windows(recording, 6 * RATE)) == 1


def test_kept_examples_survive_their_file_for_their_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    write_examples(file, examples(count=3), [ring(3000.0)])
    assert file.stat().st_mode & 0o077 == 0
    kept = read_examples(file)
    assert kept is not None
    assert [example.name for example in kept.examples] == ["0.wav", "1.wav", "2.wav"]
    np.testing.assert_allclose(kept.examples[1].samples, examples()[1].samples, atol=1e-4)
    np.testing.assert_allclose(kept.others[0], ring(3000.0), atol=1e-4)
    file.write_bytes(file.read_bytes()[:1000])
    assert read_examples(file) is None


@pytest.mark.slow
def test_a_sound_with_kept_examples_is_learned_by_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sounds = TaughtSounds(own_sounds_folder())
    sounds.save(taught_sound("Our doorbell", "other"))
    write_examples(sounds.examples_file("Our doorbell"), examples(), [])
    with caplog.at_level("INFO"):
        tagger = with_own_sounds(Model())  # type: ignore[arg-type]
    assert "teaching 'Our doorbell' to bands from its kept examples, once" in caplog.text
    assert sounds.find("Our doorbell").heads.keys() == {"other", Model.fingerprint}
    assert isinstance(tagger, TaughtTagger)
    assert tagger.unknown == ()
    sounds.remove("Our doorbell")
    assert list(own_sounds_folder().iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("meanwhile", ["removed", "taught again"])
def test_what_is_done_to_a_sound_while_a_model_learns_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sounds = TaughtSounds(own_sounds_folder())
    sounds.save(taught_sound("Our doorbell", "other"))
    long = [
        replace(one, samples=np.tile(one.samples, 8)) for one in examples()
    ]  # of a model with longer windows
    write_examples(sounds.examples_file("Our doorbell"), long, [])
    newer = replace(taught_sound("Our doorbell", "third"), taught_at=datetime.now(UTC).replace(microsecond=0))
    learn = heads.learn

    def learn_slowly(*arguments: Any) -> Any:
        sounds.remove("Our doorbell")
        if meanwhile == "taught again":
            sounds.save(newer)
        return learn(*arguments)

    monkeypatch.setattr(lessons, "learn", learn_slowly)
    with_own_sounds(Model())  # type: ignore[arg-type]
    assert [sound.heads.keys() for sound in sounds.read()] == ([] if meanwhile == "removed" else [{"third"}])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["Our chime", "--events", "none"], "the history has no event 'none': list them with their ids"),
        (["Our chime", "--events", "crow-0"], "the event crow-0 has no clip: turn clips on"),
        (["Our chime", "--clips", "a.wav", "--not", "none"], "a.wav"),
        (["Our chime", "--clips", "a.wav", "b.wav", "--events", "crow-0"], "'b.wav' belongs to no option"),
        (["--wrong", "none"], "the history has no event 'none'"),
        (["--wrong", "crow-0"], "the event crow-0 has no clip"),
        (["--wrong", "marked"], "no event is marked as wrong: mark one on the page"),
        (["--wrong", "crow-0", "--keep"], "give --wrong without --keep"),
        (["--wrong", "crow-0", "--list"], "--list takes no recordings"),
    ],
)
def test_events_that_can_not_be_learned_from_are_refused_in_one_sentence(
    environment: dict[str, str], arguments: list[str], complaint: str
) -> None:
    write_history(environment, "Crow", [None])
    result = run(environment, "teach", *arguments)
    assert result.returncode in {1, 2}
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


def test_an_event_by_its_level_can_not_be_corrected(environment: dict[str, str]) -> None:
    (event,) = write_history(environment, "Loud noise", [None])
    result = run(environment, "teach", "--wrong", event)
    assert result.returncode == 2
    assert "'Loud noise' is detected by its level alone" in result.stderr


def test_an_event_of_a_taught_sound_is_corrected_by_teaching_it_again(environment: dict[str, str]) -> None:
    TaughtSounds(Path(environment["XDG_DATA_HOME"]) / "earshot" / "taught").save(taught_sound())
    (event,) = write_history(environment, "Our doorbell", [None])
    result = run(environment, "teach", "--wrong", event)
    assert f"teach it again, with --not {event} for the event that was wrong" in result.stderr


def test_marked_events_that_can_not_be_learned_from_are_left_out(
    environment: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = chime(tmp_path / "0.wav", 0)
    gone = str(tmp_path / "gone.flac")
    write_history(environment, "Crow", [None, gone, clip, clip], wrong=3)
    write_history(environment, "Our doorbell", [clip], wrong=1)
    file = Path(environment["XDG_DATA_HOME"]) / "earshot" / "history.sqlite3"
    settings = load_settings({"history": str(file)}, config=Path("/dev/null"), environment={})
    found = find_events(settings, ["crow-3", "marked"], taught=["our DOORBELL"])
    assert [event.id for event in found] == ["crow-3", "crow-2"]
    (line,) = caplog.messages
    assert line == (
        "left out of the events that are marked as wrong: 2 without a clip, 1 of sounds that you have taught "
        "(teach these again, with --not ID)"
    )


def test_marked_events_none_of_which_can_be_learned_from_are_refused(environment: dict[str, str]) -> None:
    TaughtSounds(Path(environment["XDG_DATA_HOME"]) / "earshot" / "taught").save(taught_sound())
    for label in ("Crow", "Our doorbell"):
        write_history(environment, label, [None], wrong=1)
    result = run(environment, "teach", "--wrong", "marked")
    assert result.returncode == 2
    assert "no event that is marked as wrong can be learned from: 1 without a clip, 1 of sounds" in " ".join(
        result.stderr.split()
    )


@pytest.mark.slow
def test_a_chime_is_taught_from_the_clips_of_events_and_its_examples_are_kept(
    environment: dict[str, str], tmp_path: Path
) -> None:
    ids = write_history(environment, "Doorbell", [chime(tmp_path / f"{n}.wav", n) for n in range(4)])
    soundfile.write(tmp_path / "hum.wav", 0.1 * ring(120.0, 4.0), RATE)
    (hum,) = write_history(environment, "Hum", [str(tmp_path / "hum.wav")])
    result = run(environment, "teach", "Our chime", "--events", *ids, "--not", hum, "--keep")
    assert result.returncode == 0, result.stderr
    assert f"found   event {ids[0]}" in result.stdout
    folder = Path(environment["XDG_DATA_HOME"]) / "earshot" / "taught"
    kept = read_examples(TaughtSounds(folder).examples_file("Our chime"))
    assert kept is not None
    assert (len(kept.examples), len(kept.others)) == (4, 1)
    assert "(examples" in run(environment, "teach", "--list").stdout
    run(environment, "teach", "Our chime", "--remove")
    assert os.listdir(folder) == []  # noqa: PTH208 - hidden files too


@pytest.mark.slow
def test_a_wrong_event_lowers_its_sound_until_the_correction_is_removed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    clips = [chime(tmp_path / f"{n}.wav", n) for n in range(3)]
    write_history(environment, "Doorbell", [*clips], wrong=2)
    new = chime(tmp_path / "new.wav", 77)

    def events() -> list[str]:
        printed = run(
            environment, "tag", new, "--events", "--watch", "doorbell", "--json"
        ).stdout.splitlines()
        return [json.loads(line)["label"] for line in printed]

    before = events()
    result = run(environment, "teach", "--wrong", "marked")
    assert result.returncode == 0, result.stderr
    assert "Doorbell: lowered where it sounds like 2 recordings that you call wrong" in result.stdout
    assert "Of the last 3 events of Doorbell with a clip, 3 would not have begun" in result.stdout
    assert "Doorbell, corrected" in run(environment, "teach", "--list").stdout
    assert events() == []
    assert (
        "the correction of 'Doorbell' is removed" in run(environment, "teach", "doorbell", "--remove").stderr
    )
    assert events() == before
