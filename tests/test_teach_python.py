"""Taught sounds in Python: only where they are asked for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.teaching import RATE, ring, taught

import earshot
from models.teaching.heads import Head
from models.teaching.taught_sounds import TaughtSounds
from models.teaching.taught_tagger import TaughtTagger
from streamer.errors import SettingsError
from streamer.events.own_sounds import own_sounds_folder
from streamer.messages import Samples


@pytest.fixture(name="sound")
def make_sound() -> Samples:
    return np.concatenate([ring(1000.0, 1.0, seed) for seed in range(4)])


@pytest.fixture(name="tagger", autouse=True)
def make_tagger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Return the embedded model; a sound that is always there was taught to it, and the score of speech was corrected away."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    tagger = earshot.load_tagger("tiny")
    width = tagger.embed(np.zeros((1, RATE), np.float32)).shape[1]
    always = Head(np.zeros(width, np.float32), 3.0)
    sound = taught("Our hum", tagger.fingerprint)
    heads = {key: replace(head, head=always) for key, head in sound.heads.items()}
    folder = TaughtSounds(own_sounds_folder())
    folder.save(replace(sound, heads=heads))
    folder.save(replace(sound, name="Speech", heads=heads, lowers=("Speech",)))
    return tagger


def test_taught_sounds_and_corrections_are_off_unless_they_are_asked_for(sound: Samples) -> None:
    plain, own = (earshot.tag(sound, RATE, taught=taught) for taught in (False, True))
    assert plain.labels[-1] != "Our hum"
    assert own.labels == (*plain.labels, "Our hum")
    assert own.scores[:, -1].min() > 0.9
    speech = plain.labels.index("Speech")
    others = [column for column in range(len(plain.labels)) if column != speech]
    np.testing.assert_allclose(own.scores[:, others], plain.scores[:, others], atol=1e-6)
    assert (own.scores[:, speech] < plain.scores[:, speech]).all()


def test_a_taught_sound_becomes_an_event(sound: Samples) -> None:
    found = earshot.tag(sound, RATE, watch=["Our hum"], taught=True)
    assert "Our hum" in [message.label for message in found if isinstance(message, earshot.Event)]
    with pytest.raises(SettingsError, match="can't recognise 'Our hum'"):
        earshot.tag(sound, RATE, watch=["Our hum"])


def test_a_live_source_has_them_too(sound: Samples, tmp_path: Path) -> None:
    path = tmp_path / "hum.wav"
    soundfile.write(path, sound, RATE)
    (first, *_) = earshot.listen(str(path), taught=True)
    assert first.top(1)[0][0] == "Our hum"
    (plain, *_) = earshot.listen(str(path))
    assert "Our hum" not in plain.labels


def test_a_tagger_gets_them_once(tagger: object, sound: Samples) -> None:
    own = earshot.with_taught(tagger)  # type: ignore[arg-type]
    assert isinstance(own, TaughtTagger)
    assert earshot.with_taught(own) is own
    assert earshot.tag(sound, RATE, model=own, taught=True).labels[-1] == "Our hum"
    assert own(sound[None]).shape == (1, 528)
