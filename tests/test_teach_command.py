"""The command that teaches a sound, with the real program and the embedded model."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from support.program import clean_environment
from support.teaching import chime, run, taught

from earshot.commands.teach_lesson import watch_advice
from models.local import load_tagger
from models.teaching.heads import Head
from models.teaching.taught_sounds import TaughtSounds
from streamer.settings.loading import load_settings


@pytest.fixture(name="environment")
def make_environment(tmp_path: Path) -> dict[str, str]:
    return clean_environment(tmp_path) | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "EARSHOT_MODEL": "tiny"}


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["teach"], 2, "name the sound"),
        (["teach", "Our chime"], 2, "give recordings of 'Our chime'"),
        (["teach", __file__, "--clips", "a.wav"], 2, "is a recording: name the sound first"),
        (["teach", "--list", "Our chime"], 2, "--list takes no name of a sound"),
        (["teach", "Our chime", "--json"], 2, "--json goes with --list"),
        (["teach", "Our chime", "--remove", "--export", "x.json"], 2, "give one of --remove and --export"),
        (["teach", "Our chime", "--remove", "--clips", "a.wav"], 2, "--remove takes no recordings"),
        (["teach", "Our chime", "--remove"], 1, "no sound called 'Our chime' was taught"),
        (["teach", "smoke ALARM", "--clips", "a.wav"], 1, "the sound 'Smoke alarm' is known already"),
        (["teach", "bark", "--listen"], 1, "the sound 'Bark' is known already"),
        (["teach", "--import", "no.json"], 1, "no.json can't be read: No such file"),
        (["teach", "a,b", "--clips", "a.wav"], 1, "a sound needs a name of 1 to 60 printable characters"),
        (["teach", "Our chime", "--clips", "no.wav"], 1, "no.wav"),
    ],
)
def test_what_can_not_be_done_is_refused_in_one_sentence(
    environment: dict[str, str], arguments: list[str], code: int, complaint: str
) -> None:
    result = run(environment, *arguments)
    assert result.returncode == code
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_chime_is_taught_found_exported_removed_and_imported(
    environment: dict[str, str], tmp_path: Path
) -> None:
    clips = [chime(tmp_path / f"{number}.wav", number) for number in range(5)]
    result = run(environment, "teach", "Our chime", "--clips", *clips)
    assert result.returncode == 0, result.stderr
    assert "of 5 examples were found" in result.stdout
    folder = TaughtSounds(Path(environment["XDG_DATA_HOME"]) / "earshot" / "taught")
    assert folder.find("Our chime").examples == 5

    assert "Our chime" in run(environment, "teach", "--list").stdout
    assert "Our chime" in [entry["name"] for entry in json.loads(run(environment, "sounds", "--json").stdout)]
    new = chime(tmp_path / "new.wav", 77)
    events = run(environment, "tag", new, "--events", "--watch", "our_chime", "--json").stdout
    assert [json.loads(line)["label"] for line in events.splitlines()][:1] == ["Our chime"]

    exported = tmp_path / "chime.json"
    assert run(environment, "teach", "Our chime", "--export", str(exported)).returncode == 0
    assert run(environment, "teach", "our chime", "--remove").returncode == 0
    assert folder.read() == ()
    assert "no sound was taught" in run(environment, "teach", "--list").stdout
    kept = folder.examples_file("Our chime")
    kept.write_bytes(b"of a bell that was replaced")
    assert run(environment, "teach", "--import", str(exported)).returncode == 0
    assert run(environment, "teach", "--import", str(exported)).returncode == 0
    assert kept.exists(), "it is the same sound"
    folder.save(replace(folder.find("Our chime"), taught_at=datetime(2026, 1, 1, tzinfo=UTC)))
    assert run(environment, "teach", "--import", str(exported)).returncode == 0
    assert not kept.exists()
    assert folder.find("Our chime").to_json() == exported.read_text()


def test_models_of_one_name_are_told_apart_in_the_list(environment: dict[str, str]) -> None:
    one, other = taught("Our hum", "a" * 32), taught("Our hum", "c" * 32)
    both = replace(one, heads={**one.heads, **other.heads})
    TaughtSounds(Path(environment["XDG_DATA_HOME"]) / "earshot" / "taught").save(both)
    listed = run(environment | {"COLUMNS": "120"}, "teach", "--list").stdout
    assert "bands (aaaaaa)" in listed
    assert "bands (cccccc)" in listed
    [described] = json.loads(run(environment, "teach", "--list", "--json").stdout)
    assert (described["name"], described["corrects"], described["examples_kept"]) == ("Our hum", [], False)
    assert [model["fingerprint"] for model in described["models"]] == ["a" * 32, "c" * 32]


def test_a_list_of_no_taught_sounds_is_an_empty_list_in_json(environment: dict[str, str]) -> None:
    assert json.loads(run(environment, "teach", "--list", "--json").stdout) == []


@pytest.mark.slow
def test_doctor_knows_taught_sounds_and_says_which_the_model_does_not(environment: dict[str, str]) -> None:
    TaughtSounds(Path(environment["XDG_DATA_HOME"]) / "earshot" / "taught").save(taught())
    options = ("--json", "--headless", "--source", "demo", "--seconds", "1", "--watch", "Our doorbell")
    printed = json.loads(run(environment, "doctor", *options).stdout)
    checks = {entry["check"]: entry for entry in printed["checks"]}
    assert checks["sounds"]["state"] == "ok"
    assert checks["taught sounds"]["state"] == "warning"
    assert checks["taught sounds"]["advice"].startswith(
        "Our doorbell was taught to another model or window, and is unknown to tiny"
    )


def test_a_sound_that_the_settings_do_not_name_is_said_not_to_be_watched() -> None:
    def advice(**given: object) -> str:
        return watch_advice(load_settings(given, config=Path("/dev/null"), environment={}), "Our doorbell")

    assert advice() == ""
    assert advice(watch=["our_doorbell"]) == ""
    assert "'Our doorbell' is not one of them: add it to watch" in advice(watch=["Dog"])


@pytest.mark.slow
def test_a_recording_with_a_taught_sound_is_explained_by_the_models_own_classes(
    environment: dict[str, str], tmp_path: Path
) -> None:
    tiny = load_tagger("tiny", window_seconds=2.0)
    width = tiny.embed(np.zeros(16_000, np.float32)).shape[1]
    (other,) = taught().heads.values()
    certain = replace(other, fingerprint=tiny.fingerprint, head=Head(np.zeros(width, np.float32), 20.0))
    sound = replace(taught("Our hiss"), heads={tiny.fingerprint: certain})
    TaughtSounds(Path(environment["XDG_DATA_HOME"]) / "earshot" / "taught").save(sound)
    words = ("tag", chime(tmp_path / "a.wav", 0), "--window", "2")
    assert "Our hiss 1.00" in run(environment, *words).stdout
    result = run(environment, *words, "--explain", str(tmp_path / "why.png"))
    assert result.returncode == 0, result.stderr
    assert "why '" in result.stderr
    assert "why 'Our hiss'" not in result.stderr
