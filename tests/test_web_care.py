"""Looking after the program on the page: the doctor's checks, and the calibration while Earshot listens."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.web import HEALTH, serving

from streamer.commands.live_calibration import LiveCalibration
from streamer.doctor.running import check_running
from streamer.errors import SettingsError
from streamer.events.catalogue import Watch
from streamer.events.watchlist import WatchLists
from streamer.messages import Health, Losses, SourceHealth, Tagging
from streamer.settings.schema import Settings

LABELS = ("Speech", "Dog", "Siren")
HALL = SourceHealth(source="hall", samples=9, seconds_since_sound=0.1)
FINE = replace(HEALTH, dropped_windows=0, sources=(HALL,))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def tagging(dog: float, *, end: int, source: str = "hall", labels: int = 3) -> Tagging:
    scores = np.zeros(labels, np.float32)
    scores[1] = dog
    return Tagging(source, 0, end, 1_790_000_000.0, scores, -40.0, None)


def lists() -> WatchLists:
    return WatchLists([Watch("Dog", {"threshold": 0.3}), Watch("Siren")], {"den": [Watch("Dog")]}, LABELS)


def listening(watchlists: WatchLists, clock: Clock) -> LiveCalibration:
    calibration = LiveCalibration(watchlists, clock)
    calibration.accept(FINE)
    calibration.start(60.0)
    for number in range(1, 6):
        calibration.accept(tagging(0.6, end=16_000 * number))
        calibration.accept(tagging(0.1, end=16_000 * number, source="den"))
    return calibration


def test_thresholds_above_the_background_are_proposed_and_set_once_the_time_is_over() -> None:
    watchlists, clock = lists(), Clock()
    calibration = listening(watchlists, clock)
    clock.now += 15.0
    state = calibration.state()
    assert (state.phase, state.seconds, state.total_seconds) == ("running", 15.0, 60.0)
    with pytest.raises(SettingsError, match="no calibration has ended"):
        calibration.apply()
    clock.now += 45.0
    calibration.accept(tagging(0.99, end=16_000 * 9))  # too late to count
    state = calibration.state()
    assert state.phase == "done"
    first = state.proposals[0]
    assert first.stats.watched.sound.name == "Dog"
    assert first.threshold is not None
    assert first.threshold > 0.6
    watchlists.shared.unwatch("Siren")  # meanwhile
    assert calibration.apply() == 1
    assert watchlists.shared.shown[0].threshold == first.threshold
    assert [watched.name for watched in watchlists.shared.shown] == ["Dog"]
    assert watchlists.of("den").shown[0].threshold != first.threshold
    assert calibration.state().phase == "none"


def test_a_calibration_that_is_stopped_has_the_results_so_far() -> None:
    clock = Clock()
    calibration = listening(lists(), clock)
    clock.now += 5.0
    calibration.stop()
    state = calibration.state()
    assert (state.phase, state.seconds) == ("done", 5.0)
    assert state.proposals


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (replace(FINE, model="ced-base"), "another model tags now"),
        (tagging(0.5, end=99_999, labels=4), "the sounds of the model have changed"),
    ],
)
def test_scores_of_different_models_are_not_mixed(message: Any, reason: str) -> None:
    clock = Clock()
    calibration = listening(lists(), clock)
    calibration.accept(message)
    state = calibration.state()
    assert state.phase == "failed"
    assert reason in state.reason


def test_silence_and_wrong_times_are_refused() -> None:
    clock = Clock()
    calibration = LiveCalibration(lists(), clock)
    with pytest.raises(SettingsError, match="being loaded"):
        calibration.start(60.0)
    calibration.accept(FINE)
    for seconds in (1.0, 1e9):
        with pytest.raises(SettingsError, match="10 s to 24 h"):
            calibration.start(seconds)
    calibration.start(60.0)
    clock.now += 60.0
    assert calibration.state().phase == "failed"
    assert "nothing was heard" in calibration.state().reason


def checks(health: Health, folder: Path, **settings: Any) -> dict[str, Any]:
    chosen = Settings.model_validate({"history": str(folder / "history.sqlite3"), **settings})
    return {result.check: result for result in check_running(chosen, [], health)}


def test_a_program_that_is_well_has_nothing_to_do(tmp_path: Path) -> None:
    found = checks(FINE, tmp_path, web="8080")
    assert {name: result.state for name, result in found.items()} == {
        "settings": "ok",
        "source hall": "ok",
        "model": "ok",
        "speed": "ok",
        "history": "ok",
        "broker": "ok",
        "page": "ok",
    }
    assert not any(result.advice for result in found.values())


@pytest.mark.parametrize(
    ("health", "check", "state", "words"),
    [
        (replace(FINE, real_time_factor=1.3), "speed", "failed", "130%"),
        (replace(FINE, dropped_windows=7), "speed", "warning", "7 windows"),
        (replace(FINE, broker="refused: not authorised"), "broker", "failed", "not authorised"),
        (replace(FINE, broker="none"), "broker", "skipped", "no broker"),
        (replace(FINE, losses=Losses(lost_events=3)), "history", "failed", "3 are lost"),
        (replace(FINE, model="", loading="ced-base"), "model", "warning", "ced-base is being loaded"),
        (replace(FINE, sources=(replace(HALL, state="silent"),)), "source hall", "failed", "but zeros"),
        (replace(FINE, sources=(SourceHealth(source="hall"),)), "source hall", "warning", "no audio yet"),
        (
            replace(FINE, sources=(replace(HALL, activity="paused", seconds_since_sound=7201.0),)),
            "source hall",
            "skipped",
            "paused",
        ),
        (
            replace(FINE, sources=(replace(HALL, seconds_since_sound=7201.0),)),
            "source hall",
            "failed",
            "no audio for 2:00:01",
        ),
        (
            replace(FINE, sources=(replace(HALL, activity="ended", seconds_since_sound=12.0),)),
            "source hall",
            "warning",
            "it has ended; no audio for 12.0 s",
        ),
        (
            replace(FINE, sources=(SourceHealth(source="hall", activity="ended"),)),
            "source hall",
            "warning",
            "it has ended",
        ),
    ],
)
def test_what_is_wrong_is_found_without_opening_anything(
    health: Health, check: str, state: str, words: str, tmp_path: Path
) -> None:
    found = checks(health, tmp_path)[check]
    assert found.state == state
    assert words in found.found
    assert found.advice or state == "skipped"


def test_findings_are_fetched_once_for_many_who_ask() -> None:
    with serving() as page:
        page.fill()
        answers = [page.get("doctor").json for _ in range(3)]
        assert page.house.checked == 1
        assert answers[0] == answers[2]
        assert {check["state"] for check in answers[0]["checks"]} == {"ok", "warning", "failed"}


def test_a_calibration_is_begun_stopped_and_applied() -> None:
    with serving() as page:
        page.fill()
        assert page.post("calibration", {"seconds": "long"}).json == {"error": "seconds must be a number"}
        assert page.post("calibration", {}).status == 400
        assert "10 s to 24 h" in page.post("calibration", {"seconds": 1}).json["error"]
        assert page.post("calibration", {"seconds": 60}).status == 200
        assert page.get("calibration").json["phase"] == "running"
        assert page.post("calibration/stop", {}).status == 200
        assert page.post("calibration/apply", {}).json == {"file": "/home/me/earshot.toml"}
        assert page.house.thresholds["Dog"] == 0.605
