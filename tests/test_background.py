"""Backgrounds: how they sound, and what is counted as heard in them."""

import itertools
import json
from collections.abc import Sequence

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from earshot.cli import add_commands
from earshot.commands.background import measure_background as measure
from earshot.commands.background import seconds_of
from models.labels import audioset_classes
from models.training.background import BACKGROUNDS, measure_background, windows_of

Floats = NDArray[np.float32]
SECOND = 16_000


class Dreamer:
    """Scores that are known beforehand, the same for each background."""

    name = "dreamer"
    window_samples = SECOND

    def __init__(self, labels: Sequence[str], scores: Sequence[Sequence[float]]) -> None:
        self.labels = tuple(labels)
        self.lengths: list[int] = []
        self._scores = itertools.cycle(scores)

    def __call__(self, samples: Floats) -> Floats:
        self.lengths.append(len(samples))
        return np.array([next(self._scores)], np.float32)


def sound(name: str, seconds: int, seed: int = 0) -> Floats:
    blocks = itertools.islice(windows_of(name, seed, SECOND, SECOND), seconds)
    return np.concatenate(list(blocks))


def level_dbfs(samples: Floats) -> float:
    return float(10 * np.log10(np.mean(np.square(samples.astype(np.float64)))))


def power(samples: Floats, low_hz: float, high_hz: float) -> float:
    """Mean power per hertz in a band, in dB."""
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / SECOND)
    return float(10 * np.log10(spectrum[(hertz >= low_hz) & (hertz < high_hz)].mean()))


# How they sound


def test_all_names_are_audiosets() -> None:
    known = {entry.name for entry in audioset_classes()}
    assert all(background.names <= known for background in BACKGROUNDS.values())
    assert all("Silence" in background.names for background in BACKGROUNDS.values())


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_the_same_seed_renders_the_same_sound(name: str) -> None:
    first = sound(name, 5, seed=3)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(sound(name, 5, seed=3), first)
    assert np.array_equal(sound(name, 5, seed=4), first) == (name == "silence")


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_the_hop_does_not_change_the_sound(name: str) -> None:
    whole = sound(name, 12)
    for hop in (SECOND // 2, 2 * SECOND, 3 * SECOND):
        windows = windows_of(name, 0, 4 * SECOND, hop)
        for end, window in zip(range(hop, len(whole) + 1, hop), windows, strict=False):
            np.testing.assert_array_equal(window, whole[max(0, end - 4 * SECOND) : end])


def test_silence_is_digital() -> None:
    assert not sound("silence", 3).any()


def test_hiss_is_white_and_pink_faint_and_loud_by_turns() -> None:
    turns = sound("hiss", 240).reshape(8, -1)[:, SECOND:-SECOND]
    levels = [level_dbfs(turn) for turn in turns]
    assert levels == pytest.approx([-55, -55, -35, -35] * 2, abs=0.3)
    falls = [power(turn, 250, 500) - power(turn, 4000, 8000) for turn in turns]
    assert falls == pytest.approx([0, 12, 0, 12] * 2, abs=0.5)  # 3 dB an octave


def test_hum_is_mains_and_its_harmonics_at_all_levels() -> None:
    hum = sound("hum", 120)
    levels = [level_dbfs(part) for part in hum.reshape(60, -1)]
    assert min(levels) == pytest.approx(-50, abs=0.5)
    assert max(levels) == pytest.approx(-30, abs=0.5)
    for harmonic in (50, 100, 500):
        assert power(hum, harmonic - 1, harmonic + 1) > power(hum, harmonic + 10, harmonic + 40) + 20


def test_wind_is_low_and_comes_in_gusts() -> None:
    wind = sound("wind", 120)
    levels = [level_dbfs(part) for part in wind.reshape(120, -1)]
    assert max(levels) - min(levels) > 15
    assert -60 < min(levels) < max(levels) < -20
    assert power(wind, 50, 150) > power(wind, 2000, 4000) + 30


def test_a_fan_is_broad_and_turns() -> None:
    turns = sound("fan", 90).reshape(3, -1)[:, SECOND:-SECOND]
    assert [level_dbfs(turn) for turn in turns] == pytest.approx([-47.4, -41.4, -35.4], abs=0.5)
    for turn, shaft_hz in zip(turns, (18, 22, 27), strict=True):
        blades_hz = 7 * shaft_hz
        assert power(turn, blades_hz - 1, blades_hz + 1) > power(turn, blades_hz + 3, blades_hz + 10) + 15


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_nothing_clicks_where_blocks_meet(name: str) -> None:
    steps = np.abs(np.diff(sound(name, 70)))
    between = steps[SECOND - 1 :: SECOND]
    assert between.max() <= steps.max()
    assert np.sqrt(np.mean(between**2)) <= 1.5 * np.sqrt(np.mean(steps**2))


# What is counted


def test_a_false_event_is_counted_once_until_its_score_falls() -> None:
    scores = [[0.5, 0.1], [0.4, 0.1], [0.2, 0.1], [0.31, 0.1], [0.1, 0.9]]
    heard = measure_background(Dreamer(("Dog", "Cat"), scores), 10, hop_seconds=2)
    assert heard.keys() == BACKGROUNDS.keys()
    for there in heard.values():
        assert (there.label, there.windows) == ("Cat", 5)
        assert there.score == pytest.approx(0.9)
        assert there.false_events_per_hour == pytest.approx(3 * 360)
        assert there.highest == pytest.approx([0.5, 0.9])


def test_a_label_that_names_the_background_is_not_a_false_event() -> None:
    labels, scores = ("Silence", "Mains hum", "Wind", "Dog"), [[0.9, 0.9, 0.9, 0.2]]
    heard = measure_background(Dreamer(labels, scores), 36, hop_seconds=12)
    assert [there.false_events_per_hour for there in heard.values()] == [200, 200, 100, 100, 200]
    assert heard["hum"].highest == pytest.approx([0, 0, 0.9, 0.2])
    assert heard["hum"].label == "Wind"


def test_a_models_own_thresholds_count() -> None:
    listener = Dreamer(("Dog", "Cat"), [[0.5, 0.6]])
    thresholds = np.array([0.5, 0.61], np.float32)
    heard = measure_background(listener, 36, hop_seconds=18, thresholds=thresholds)
    assert {there.false_events_per_hour for there in heard.values()} == {100.0}


def test_a_session_begins_with_a_partial_window() -> None:
    listener = Dreamer(("Dog",), [[0.0]])
    told: list[tuple[int, int]] = []
    measure_background(listener, 2, hop_seconds=0.4, progress=lambda done, total: told.append((done, total)))
    assert listener.lengths == [6400, 12_800, SECOND, SECOND, SECOND] * 5
    assert told == [(done, 25) for done in range(1, 26)]


@pytest.mark.parametrize(("seconds", "hop_seconds"), [(4, 5), (4, 0), (4, 0.01), (0, 1)])
def test_an_invalid_hop_is_refused(seconds: float, hop_seconds: float) -> None:
    with pytest.raises(ValueError, match="a hop must last"):
        measure_background(Dreamer(("Dog",), [[0.0]]), seconds, hop_seconds=hop_seconds)


# What is printed


def command(*words: str) -> Result:
    app = typer.Typer()
    add_commands(app)
    return CliRunner().invoke(app, ["evaluate", *words, "--device", "cpu"], catch_exceptions=False)


@pytest.mark.slow
def test_the_embedded_model_is_measured() -> None:
    figures = json.loads(command("--background", "8s", "--hop", "4", "--json").stdout)
    assert figures["model"] == "tiny"
    assert figures["silence"]["windows"] == 2
    assert all(0 <= figures[name]["score"] <= 1 for name in BACKGROUNDS)


@pytest.mark.parametrize(
    "words",
    [
        ("--background", "soon"),
        ("--background", "4", "--hop", "5"),
        ("--background", "10", "--data", "."),
        ("--background", "10", "--pack", "."),
        ("--background", "10", "--reliability", "a.png"),
        ("--background", "10", "--model", "teacher"),
    ],
)
def test_wrong_usage_is_refused(words: tuple[str, ...]) -> None:
    assert command(*words).exit_code == 2


def test_a_table_says_which_thresholds_count(capsys: pytest.CaptureFixture[str]) -> None:
    measure(Dreamer(("Dog",), [[0.5]]), 36, 12, as_json=False)
    printed = capsys.readouterr().out
    assert "a threshold of 0.3 for all classes" in printed
    assert all(name in printed for name in BACKGROUNDS)
    assert "100.0" in printed


def test_lengths_of_time_are_read() -> None:
    assert [seconds_of(text) for text in ("90", "90s", "2.5m", "1h")] == [90, 90, 150, 3600]
    for text in ("", "0", "h", "-5", "1d", "nan"):
        with pytest.raises(typer.BadParameter, match="is not a duration"):
            seconds_of(text)
