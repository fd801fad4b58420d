"""The model that is part of Earshot names the sounds of the demo, with room to spare."""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models import load_tagger
from models.training.agreement import Scorer

pytestmark = pytest.mark.slow

ASSETS = Path(__file__).parent.parent / "streamer" / "assets"
RATE = 16_000
TELEPHONES = ("Telephone", "Telephone bell ringing", "Ringtone")
SMOKE_ALARMS = ("Smoke detector, smoke alarm", "Fire alarm")
SIRENS = ("Siren", "Police car (siren)", "Emergency vehicle", "Civil defense siren")


@lru_cache
def tiny() -> Scorer:
    return load_tagger("tiny", device="cpu", engine="torch", precision="fp32")


@lru_cache
def heard(label: str) -> dict[str, list[float]]:
    """The scores of each class in the windows that end with a sound of the demo, and one and two seconds earlier."""
    sound, _ = soundfile.read(ASSETS / "demo.ogg", dtype="float32")
    (cue,) = (entry for entry in json.loads((ASSETS / "demo.json").read_text()) if entry["label"] == label)
    ends = [round((cue["end_seconds"] - earlier) * RATE) for earlier in range(3)]
    windows = np.stack([np.pad(sound[:end], (163_840, 0))[-163_840:] for end in ends])
    return dict(zip(tiny().labels, tiny()(windows).T.tolist(), strict=True))


def lowest(label: str, *classes: str) -> float:
    """The lowest score over the windows of a sound of the best of some classes."""
    return float(np.max([heard(label)[name] for name in classes], 0).min())


def highest(label: str, *classes: str) -> float:
    return float(np.max([heard(label)[name] for name in classes]))


def test_a_human_voice_is_speech_and_no_animal() -> None:
    assert lowest("Speech", "Speech") > 0.6
    assert highest("Speech", "Animal", "Dog", "Wild animals", "Music") < 0.2


def test_a_siren_is_a_siren() -> None:
    assert lowest("Siren", *SIRENS) > highest("Siren", *SMOKE_ALARMS, *TELEPHONES, "Speech") + 0.2


def test_a_telephone_is_a_telephone_and_no_smoke_alarm() -> None:
    assert lowest("Telephone bell ringing", *TELEPHONES) > 0.3
    assert highest("Telephone bell ringing", *SMOKE_ALARMS) < 0.5 * lowest(
        "Telephone bell ringing", *TELEPHONES
    )


@pytest.mark.parametrize("label", ["Piano", "Violin, fiddle", "Drum kit"])
def test_instruments_are_music(label: str) -> None:
    assert lowest(label, "Music") > highest(label, "Speech", *SIRENS, *SMOKE_ALARMS, *TELEPHONES) + 0.3
