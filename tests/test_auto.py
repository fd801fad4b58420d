"""Tests of ``--model auto``: the choice by the speed of the machine, with and without a Hub."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import close_session, constants
from safetensors.numpy import save_file
from support.hub_server import Hub, point_at, serve
from support.system import free_port

from models import hub
from models.errors import EngineError
from models.selection.model_choice import CANDIDATES, choose
from models.selection.speed import SpeedEstimator

ROOT = Path(__file__).parent.parent
BEST, SECOND = CANDIDATES


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve a Hub with both candidates; there is no cache and no measurement."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "audio-spectrogram-transformer"}))
    save_file({"weights": np.zeros(1000, np.float32)}, folder / "model.safetensors")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with serve({entry.repository: folder for entry in CANDIDATES}) as running:
        point_at(monkeypatch, running.endpoint)
        yield running
    close_session()


@pytest.fixture
def speed_file(server: Hub, tmp_path: Path) -> Path:
    """Return the file of measurements."""
    del server
    return tmp_path / "user" / "earshot" / "speed.json"


SaveSpeeds = Callable[..., None]


@pytest.fixture
def save_speeds(server: Hub) -> SaveSpeeds:
    """Return a function that saves the speeds of the candidates."""
    del server

    def put(best: float, second: float, rows: int = 1024) -> None:
        speed = SpeedEstimator("cpu", rows, 1)
        for entry, seconds in ((BEST, best), (SECOND, second)):
            speed._cache.put(speed._conditions(entry), seconds)

    return put


@pytest.mark.parametrize(
    ("hop", "sources", "model"),
    [
        (1.0, 1, BEST.name),
        (0.7, 1, BEST.name),
        (0.6, 1, SECOND.name),
        (1.0, 2, SECOND.name),
        (1.0, 5, "tiny"),
        (0.2, 1, "tiny"),
    ],
)
def test_the_best_that_keeps_up_is_taken(
    server: Hub, save_speeds: SaveSpeeds, hop: float, sources: int, model: str
) -> None:
    save_speeds(0.6, 0.2)
    choice = choose(hop_seconds=hop, sources=sources, device="cpu")
    assert choice.model == model
    assert ("keeps up" in choice.reason) == (model != "tiny")
    fetched = {path.split("/resolve/")[0].strip("/") for _, path, _ in server.requests if "/resolve/" in path}
    assert fetched == {entry.repository for entry in CANDIDATES if entry.name == model}
    if model == "tiny":
        assert f"too slow for a hop of {hop:g} s: base-10-10" in choice.reason
        assert server.requests == []


def test_a_fetched_model_is_not_fetched_again(server: Hub, save_speeds: SaveSpeeds) -> None:
    save_speeds(0.6, 0.2)
    choose(hop_seconds=1.0, device="cpu")
    asked = len(server.requests)
    assert choose(hop_seconds=1.0, device="cpu", offline=True) == choose(hop_seconds=1.0, device="cpu")
    assert len(server.requests) == asked


def test_the_reason_is_one_phrase_with_the_figures(server: Hub, save_speeds: SaveSpeeds) -> None:
    save_speeds(1.5, 0.61)
    assert choose(hop_seconds=1.0, device="cpu").reason == (
        "the best AST that keeps up with a hop of 1 s here: 0.61 s a window; too slow for it: base-10-10 (1.5 s)"
    )
    assert server.requests


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_nothing_is_requested_or_measured_offline(
    server: Hub, speed_file: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", way == "environment")
    choice = choose(hop_seconds=1.0, device="cpu", offline=way == "argument")
    assert choice.model == "tiny"
    assert "nothing is fetched offline" in choice.reason
    assert server.requests == []
    assert not speed_file.exists()


def test_the_second_is_taken_if_only_it_is_cached(
    server: Hub, save_speeds: SaveSpeeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_speeds(0.5, 0.2)
    hub.fetch(SECOND.repository)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    choice = choose(hop_seconds=1.0, device="cpu")
    assert choice.model == SECOND.name
    assert "base-10-10 is not on this machine" in choice.reason
    assert server.requests


def test_the_next_is_taken_when_a_fetch_fails(server: Hub, save_speeds: SaveSpeeds) -> None:
    save_speeds(0.5, 0.2)
    server.repositories = {SECOND.repository: server.repositories[SECOND.repository]}
    choice = choose(hop_seconds=1.0, device="cpu")
    assert choice.model == SECOND.name
    assert "base-10-10 can't be fetched: there is no repository" in choice.reason


def test_tiny_is_taken_when_all_fetches_fail(server: Hub, save_speeds: SaveSpeeds) -> None:
    save_speeds(0.5, 0.2)
    server.misbehaviour.gated = True
    choice = choose(hop_seconds=1.0, device="cpu")
    assert choice.model == "tiny"
    assert choice.reason.startswith("embedded in Earshot; ")
    assert choice.reason.count("is gated") == 2


def test_a_hub_that_refuses_connections_means_tiny(
    server: Hub, speed_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, f"http://127.0.0.1:{free_port()}")
    choice = choose(hop_seconds=1.0, device="cpu")
    assert choice.model == "tiny"
    assert "base-10-10 and base-16-16 are not on this machine, and the Hub does not answer" in choice.reason
    assert not speed_file.exists()
    assert server.requests == []


@pytest.mark.slow
def test_a_silent_hub_does_not_delay_the_choice(server: Hub, tmp_path: Path) -> None:
    server.misbehaviour.silent = True
    code = (
        "import time; from models.selection.model_choice import choose; began = time.monotonic();"
        "print(choose(hop_seconds=1.0).model, time.monotonic() - began)"
    )
    environment = os.environ | {"HF_ENDPOINT": server.endpoint, "HF_HOME": str(tmp_path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, timeout=120, check=True
    )
    model, seconds = done.stdout.split()
    assert model == "tiny"
    assert float(seconds) < 40, "the server is silent for a minute"
    assert len(server.requests) == 1


@pytest.mark.slow
class TestMeasuring:
    """Measurements on windows of one second, which are fast."""

    def test_a_measurement_is_cached(self, server: Hub, speed_file: Path) -> None:
        del server
        speed = SpeedEstimator("cpu", 100, 1)
        assert speed.cached(SECOND) is None
        seconds = speed.measure(SECOND, limit=100.0)
        assert seconds > 0
        assert SpeedEstimator("cpu", 100, 1).cached(SECOND) == seconds
        assert SpeedEstimator("cpu", 100, 3).cached(SECOND) == pytest.approx(3 * seconds)
        assert SpeedEstimator("cpu", 128, 1).cached(SECOND) is None
        assert speed.cached(BEST) is None
        assert [path.name for path in speed_file.parent.iterdir()] == ["speed.json"]

    def test_a_model_that_is_clearly_too_slow_is_measured_only_once(self, server: Hub) -> None:
        del server
        speed = SpeedEstimator("cpu", 100, 1)
        assert speed.measure(SECOND, limit=1e-9) > 1e-9

    def test_a_first_start_measures_and_takes_a_model_that_keeps_up(
        self, server: Hub, speed_file: Path
    ) -> None:
        choice = choose(hop_seconds=600.0, window_seconds=1.0, device="cpu")
        assert choice.model == BEST.name
        assert list(json.loads(speed_file.read_text())) == [SpeedEstimator("cpu", 100, 1)._conditions(BEST)]
        assert server.requests

    @pytest.mark.parametrize("content", ["", "not JSON", "[1]", '{"a": 1}', '{"a": ["x", "y"]}'])
    def test_a_damaged_file_is_replaced(
        self, save_speeds: SaveSpeeds, speed_file: Path, content: str
    ) -> None:
        speed_file.parent.mkdir(parents=True)
        speed_file.write_text(content)
        assert SpeedEstimator("cpu", 1024, 1).cached(BEST) is None
        save_speeds(0.5, 0.2)
        assert SpeedEstimator("cpu", 1024, 1).cached(BEST) == 0.5

    def test_an_expired_measurement_is_ignored(
        self, save_speeds: SaveSpeeds, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        save_speeds(0.5, 0.2)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 8 * 24 * 3600)
        assert SpeedEstimator("cpu", 1024, 1).cached(BEST) is None

    def test_an_unwritable_folder_is_ignored(self, save_speeds: SaveSpeeds, speed_file: Path) -> None:
        speed_file.parent.parent.mkdir()
        speed_file.parent.touch()
        save_speeds(0.5, 0.2)
        assert SpeedEstimator("cpu", 1024, 1).cached(BEST) is None


def test_a_missing_device_is_reported() -> None:
    with pytest.raises(EngineError, match="no CUDA device 'cuda:99'"):
        choose(hop_seconds=1.0, device="cuda:99", offline=True)
