"""Logged scores with sounds and corrections that were taught later."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.program import clean_environment
from support.teaching import RATE, run, taught

from models.loading import load_tagger
from models.teaching.heads import Head
from models.teaching.taught_sounds import TaughtSounds
from streamer.messages import Tagging
from streamer.sinks.score_log import reading_scores
from streamer.sources import DEMO_PATH


@pytest.fixture(name="environment")
def make_environment(tmp_path: Path) -> dict[str, str]:
    return clean_environment(tmp_path) | {"EARSHOT_MODEL": "tiny", "EARSHOT_HEADLESS": "1"}


@pytest.fixture(name="log")
def make_log(tmp_path: Path, environment: dict[str, str]) -> Path:
    """Write the log of the demo, by the real program."""
    log = tmp_path / "scores"
    result = run(
        environment, "--fast", "--source", str(DEMO_PATH), "--score-log", str(log), "--duration", "60"
    )
    assert result.returncode == 0, result.stderr
    return log


def labels(environment: dict[str, str], log: Path, *options: str) -> list[str]:
    """Return the names of the events that a replay lists."""
    result = run(environment, "replay", str(log), "--json", *options)
    assert result.returncode == 0, result.stderr
    return [json.loads(line)["label"] for line in result.stdout.splitlines()]


def teach_hum(environment: dict[str, str]) -> TaughtSounds:
    """Teach a sound that is always there, and correct one that is then never there."""
    tiny = load_tagger("tiny")
    always = Head(np.zeros(tiny.embed(np.zeros((1, RATE), np.float32)).shape[1], np.float32), 3.0)
    sound = taught("Our hum", tiny.fingerprint)
    heads = {key: replace(head, head=always) for key, head in sound.heads.items()}
    folder = TaughtSounds(Path(environment["XDG_DATA_HOME"]) / "earshot" / "taught")
    folder.save(replace(sound, heads=heads))
    folder.save(replace(sound, name="Siren", heads=heads, lowers=("Siren", "Civil defense siren")))
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_replay_shows_what_was_taught_and_corrected_since(environment: dict[str, str], log: Path) -> None:
    watched = ("--watch", "Siren", "--watch", "Music")
    before = labels(environment, log, *watched)
    assert "Siren" in before
    assert labels(environment, log, *watched, "--taught") == before
    teach_hum(environment)
    assert labels(environment, log, *watched) == before
    after = run(environment, "replay", str(log), "--json", *watched, "--taught")
    assert "Siren" not in after.stdout
    count = before.count("Siren")
    assert f"Siren: {count} event{'s' * (count > 1)} as logged, 0 with what is taught now." in after.stderr
    assert "Music" not in after.stderr
    assert "Our hum" in labels(environment, log, "--watch", "Our hum", "--taught")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_correction_that_was_active_can_be_taken_back_in_a_replay(
    environment: dict[str, str], tmp_path: Path
) -> None:
    folder, log = teach_hum(environment), tmp_path / "corrected"
    given = ("--fast", "--source", str(DEMO_PATH), "--score-log", str(log), "--duration", "60")
    assert run(environment, *given).returncode == 0
    assert labels(environment, log, "--watch", "Siren") == []
    folder.remove("Siren")
    assert "Siren" in labels(environment, log, "--watch", "Siren", "--taught")
    with reading_scores(log) as logged:
        taggings = [message for message in logged.messages() if isinstance(message, Tagging)]
    siren = logged.labels.index("Siren")
    assert all(tagging.raw is not None for tagging in taggings)
    assert all(tagging.raw.scores[siren] > tagging.scores[siren] for tagging in taggings if tagging.raw)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_log_without_embeddings_is_read_continued_and_refused_for_what_is_taught(
    environment: dict[str, str], log: Path
) -> None:
    before = labels(environment, log, "--watch", "Siren")
    with closing(sqlite3.connect(log)) as connection:
        connection.execute("DROP TABLE raw")
        connection.commit()
    assert labels(environment, log, "--watch", "Siren") == before
    refused = run(environment, "replay", str(log), "--taught")
    assert refused.returncode == 1
    assert "this score log has no embeddings" in refused.stderr
    more = ("--fast", "--source", str(DEMO_PATH), "--score-log", str(log), "--duration", "20")
    assert run(environment, *more).returncode == 0
    assert labels(environment, log, "--watch", "Siren", "--taught")[: len(before)] == before
