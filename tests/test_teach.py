"""Teaching: heads on embeddings, files of taught sounds, and a tagger with them."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.program import ROOT
from support.teaching import RATE, WINDOW, Floats, Model, examples, other_sounds, ring, taught

from models.errors import ExampleError, TeachingError
from models.teaching import corrections
from models.teaching.examples import Example, find_example, require_enough
from models.teaching.heads import Head, learn, tail_threshold
from models.teaching.lessons import teach
from models.teaching.taught_labels import with_taught_labels
from models.teaching.taught_sounds import (
    TaughtSounds,
    checked_name,
    read_sound,
    require_new_name,
)
from models.teaching.taught_tagger import THRESHOLD, TaughtTagger
from models.teaching.variations import variations
from streamer.events.catalogue import catalogue, resolve_sounds
from streamer.events.own_sounds import own_sound_names, own_sounds_folder


def test_a_taught_tone_is_found_and_others_are_not() -> None:
    model = Model()
    result = teach(model, "Our doorbell", examples(), other_sounds())
    assert result.recall > 0.6
    tagger = TaughtTagger(model, [result.sound])
    random = np.random.default_rng(5)
    same = variations(ring(1020.0, seed=7), WINDOW, 20, random)
    other = np.concatenate([variations(ring(hertz), WINDOW, 10, random) for hertz in (400.0, 2500.0, 5000.0)])
    assert (tagger(same)[:, -1] >= THRESHOLD).mean() > 0.6
    assert not (tagger(other)[:, -1] >= THRESHOLD).any()


def test_examples_without_anything_in_common_are_said_to_be_unreliable() -> None:
    model = Model()
    mixed = [Example(f"{hertz}.wav", ring(hertz)) for hertz in (350.0, 1900.0, 3300.0, 5100.0, 6500.0)]
    assert not teach(model, "Anything", mixed, other_sounds()).reliable


def test_teaching_again_gives_the_same_head() -> None:
    model = Model()
    one, other = (teach(model, "Our doorbell", examples(), other_sounds()).sound for _ in range(2))
    assert replace(one, taught_at=other.taught_at).to_json() == other.to_json()


def test_the_threshold_of_few_scores_continues_their_tail() -> None:
    scores = np.random.default_rng(0).exponential(size=300).astype(np.float32)
    assert tail_threshold(scores, 0.001) == pytest.approx(np.log(1000), rel=0.2)
    assert tail_threshold(scores, 0.001) >= np.quantile(scores, 0.999)


def test_a_head_needs_two_examples() -> None:
    with pytest.raises(ValueError, match="2 examples"):
        learn([np.zeros((2, 3), np.float32)], np.zeros((9, 3), np.float32))


def test_variations_contain_the_sound_and_stay_in_range() -> None:
    windows = variations(ring(1000.0), WINDOW, 8, np.random.default_rng(0))
    assert windows.shape == (8, WINDOW)
    assert windows.dtype == np.float32
    assert np.abs(windows).max() <= 1.0
    assert (np.sqrt(np.square(windows).mean(1)) > 0.01).all()
    starts = np.abs(windows).argmax(1)
    assert len(set(starts)) > 4, "at different places"


def test_the_sound_is_found_in_its_recording() -> None:
    quiet = np.random.default_rng(0).standard_normal(5 * RATE).astype(np.float32) * 0.0005
    quiet[2 * RATE : 2 * RATE + RATE // 2] += ring(1000.0)
    example = find_example("a.wav", quiet, WINDOW)
    assert 0.3 < example.seconds < 1.0
    assert np.abs(example.samples).max() > 0.3


def test_a_steady_sound_is_an_example_as_a_whole() -> None:
    fan = 0.1 * np.random.default_rng(0).standard_normal(3 * RATE).astype(np.float32)
    assert find_example("fan.wav", fan, 10 * RATE).seconds > 2.5
    assert len(find_example("fan.wav", fan, WINDOW).samples) == WINDOW


@pytest.mark.parametrize(
    ("recording", "complaint"),
    [
        (np.zeros(RATE, np.float32), r"^a\.wav is silent: check the microphone, and record it again$"),
        (ring(1000.0)[:100], r"^a\.wav is too short: record the whole sound$"),
        (
            np.clip(50 * ring(1000.0), -1, 1),
            r"^a\.wav is overdriven \(clipped\): record it again with less gain, or farther away$",
        ),
    ],
)
def test_a_recording_that_is_no_example_is_refused_in_one_sentence(recording: Floats, complaint: str) -> None:
    with pytest.raises(TeachingError, match=complaint):
        find_example("a.wav", recording, WINDOW)


def test_one_example_is_too_few() -> None:
    with pytest.raises(TeachingError, match=r"^1 example is too few: give at least 3, better 5"):
        require_enough(examples(count=1))


def test_the_same_recording_twice_is_refused_and_two_rings_of_a_bell_are_not() -> None:
    first, second, third = examples(count=3)
    louder = Example("louder.wav", 1.5 * first.samples)
    with pytest.raises(ExampleError, match=r"^0\.wav and louder\.wav are the same recording") as refusal:
        require_enough([first, second, louder])
    assert refusal.value.example == "louder.wav", "the window leaves it out"
    with pytest.raises(TeachingError, match=r"^0\.wav was given twice"):
        require_enough([first, first, first])
    require_enough([Example(f"{seed}.wav", ring(1000.0, seed=seed)) for seed in range(3)])
    assert third.seconds == pytest.approx(0.5)


def test_an_example_that_is_mostly_speech_is_refused() -> None:
    model = Model(speech=0.9)
    with pytest.raises(TeachingError, match=r"^0\.wav is mostly speech: record the sound alone"):
        teach(model, "Our doorbell", examples(), other_sounds())


def test_a_sound_survives_its_file(tmp_path: Path) -> None:
    folder = TaughtSounds(tmp_path)
    path = folder.save(taught())
    assert path.stat().st_size < 2_000
    assert path.stat().st_mode & 0o077 == 0
    read = folder.find(" our DOORBELL")
    assert read.to_json() == taught().to_json()
    assert folder.read()[0].name == "Our doorbell"
    assert folder.remove("Our doorbell").name == "Our doorbell"
    assert folder.read() == ()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"format": "earshot taught sound", "version": 2}',
        "[" * 5000,
        taught().to_json().replace('"bias": 0.25', '"bias": Infinity'),
        taught().to_json().replace('"recall": 0.8', '"recall": 7'),
        taught().to_json().replace("Our doorbell", "a,b"),
        taught().to_json()[:-20],
    ],
)
def test_a_file_that_is_no_taught_sound_is_refused_in_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(TeachingError, match="is not a taught sound of this version: delete it, or teach"):
        read_sound(path)


@pytest.mark.parametrize("name", ["Vehicle horn, car horn, honking", "A label of a model of one's own " * 3])
def test_a_correction_has_the_name_of_any_class(tmp_path: Path, name: str) -> None:
    folder = TaughtSounds(tmp_path)
    folder.save(replace(taught(name), lowers=(name,)))
    assert [sound.name for sound in folder.readable()] == [name]
    assert folder.find(name.upper()).lowers == (name,)
    assert folder.remove(name).name == name


def test_a_correction_of_forty_long_recordings_for_two_models_can_be_read_again(tmp_path: Path) -> None:
    windows = corrections._windows("a.wav", ring(1000.0, seconds=60.0), WINDOW, np.random.default_rng(0))
    assert len(windows) <= 22
    (head,) = taught().heads.values()
    rows = (np.ones((len(windows), 1024), np.float16),) * 40
    own = (Head(np.ones(1024, np.float32), 0.0),) * 40
    heads = {
        mark * 32: replace(head, fingerprint=mark * 32, head=own[0], windows=rows, further=own)
        for mark in "ab"
    }
    folder = TaughtSounds(tmp_path)
    folder.save(replace(taught("Bell"), heads=heads, lowers=("Bell",)))
    assert len(folder.find("bell").heads["a" * 32].windows) == 40


def test_a_sound_that_is_too_large_to_be_read_again_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = TaughtSounds(tmp_path)
    folder.save(taught())
    monkeypatch.setattr("models.teaching.taught_sounds._MOST_BYTES", len(taught().to_json()) + 10)
    with pytest.raises(TeachingError, match="'Our doorbell' was taught to too many models: remove it"):
        folder.save(replace(taught(), heads={**taught().heads, **taught("Kettle", "a" * 32).heads}))
    assert folder.find("Our doorbell").to_json() == taught().to_json()


def test_a_damaged_file_does_not_keep_the_others_from_being_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = TaughtSounds(tmp_path)
    folder.save(taught())
    (tmp_path / "x.json").write_text("{}")
    assert [sound.name for sound in folder.readable()] == ["Our doorbell"]
    assert "a taught sound is missing" in caplog.text


def test_a_sound_that_was_not_taught_is_named_with_those_that_were(tmp_path: Path) -> None:
    folder = TaughtSounds(tmp_path)
    with pytest.raises(TeachingError, match="no sound called 'Kettle' was taught: list"):
        folder.find("Kettle")
    folder.save(taught())
    with pytest.raises(TeachingError, match="no sound called 'Kettle' was taught: give one of Our doorbell"):
        folder.remove("Kettle")


@pytest.mark.parametrize("name", ["", "   ", "a,b", "x" * 61, "a\0b"])
def test_a_name_that_can_not_be_used_is_refused(name: str) -> None:
    with pytest.raises(TeachingError, match="^a sound needs a name of 1 to 60 printable characters"):
        checked_name(name)


def test_the_name_of_a_class_is_refused() -> None:
    with pytest.raises(TeachingError, match="^the sound 'Bell' is known already: choose another name"):
        require_new_name("bell", Model.labels)


def test_taught_sounds_are_further_columns_in_the_order_of_their_names() -> None:
    model = Model()
    tagger = TaughtTagger(model, [taught("Kettle"), taught("Our doorbell")])
    samples = ring(1000.0)[None]
    scores = tagger(samples)
    own, embeddings = model.scores_and_embeddings(samples)
    assert tagger.labels == ("Speech", "Bell", "Kettle", "Our doorbell")
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores[:, :2], own)
    logits = embeddings @ np.linspace(-0.02, 0.01, 32) + 0.25
    np.testing.assert_allclose(scores[0, 2:], np.repeat(1 / (1 + np.exp(-logits)), 2), rtol=1e-4)
    np.testing.assert_array_equal(tagger.thresholds, [0.0, 0.0, 0.5, 0.5])


def test_a_sound_that_was_taught_to_another_model_has_a_score_of_0() -> None:
    tagger = TaughtTagger(
        Model(), [taught("Kettle", "other"), taught()], ["Kettle", "Missing", "Our doorbell"]
    )
    assert tagger.unknown == ("Kettle", "Missing")
    scores = tagger(ring(1000.0)[None])
    assert scores[0, 2:4].tolist() == [0.0, 0.0]
    assert scores[0, 4] > 0


def test_a_label_of_the_model_is_never_repeated() -> None:
    assert with_taught_labels(("Speech", "Bell"), ("bell", "Kettle")) == ("Speech", "Bell", "Kettle")
    assert TaughtTagger(Model(), [taught("Bell"), taught("Kettle")]).labels == ("Speech", "Bell", "Kettle")


def test_a_taught_sound_is_in_the_catalogue_and_watched_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    before = catalogue()
    assert own_sound_names() == ()
    TaughtSounds(own_sounds_folder()).save(taught())
    (own_sounds_folder() / "broken.json").write_text(json.dumps({"name": 3}))
    assert [sound.name for sound in catalogue()] == [*(sound.name for sound in before), "Our doorbell"]
    labels = (*Model.labels, "Our doorbell")
    (watched,) = [entry for entry in resolve_sounds(None, labels) if entry.sound.name == "Our doorbell"]
    assert watched.indices == (2,)
    assert watched.thresholds == (0.5,)
    TaughtSounds(own_sounds_folder()).remove("Our doorbell")
    assert catalogue() == before


def test_a_taught_sound_is_scored_without_pytorch_and_scikit_learn() -> None:
    script = (
        "import sys, earshot.own_sounds, models.teaching.taught_sounds, models.teaching.taught_tagger\n"
        "print([name for name in ('torch', 'sklearn', 'scipy', 'httpx2', 'soundfile') if name in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    ).stdout
    assert printed.strip() == "[]"
