"""Tests of ``--model auto``: the choice by the speed of the machine, with and without a Hub."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import close_session, constants
from support.hub_server import Hub, Misbehaviour, point_at, serve
from support.model_request import REQUEST
from support.program import Program, clean_environment
from support.reference_ced import ReferenceCed
from support.small_ast import save_small_ast
from support.system import free_port
from support.waiting import START_SECONDS, wait_until

from earshot import model_loading
from earshot.model_loading import LoadedModel, ModelLoading
from earshot.tagger import require_window
from models import hub, load_tagger
from models.catalogue import PUBLISHED
from models.checkpoints import load_checkpoint
from models.engines import EngineName
from models.errors import EngineError
from models.labels import audioset_classes
from models.network_spec import NetworkConfig
from models.selection import candidates, speed
from models.selection.candidates import Estimate, Task, best_that_keeps_up, fetched_models, other_models
from models.selection.model_choice import choose
from models.selection.speed import SpeedEstimator, config_of
from streamer.errors import SettingsError
from streamer.runtime.threads import ThreadGroup
from streamer.settings.loading import load_settings

ROOT = Path(__file__).parent.parent
CED = ("ced-base", "ced-small", "ced-mini", "ced-tiny")
AST = ("base-10-10", "base-16-16")
SPEEDS = {
    "ced-base": 0.6,
    "ced-small": 0.2,
    "ced-mini": 0.1,
    "ced-tiny": 0.05,
    "base-10-10": 3.0,
    "base-16-16": 0.7,
    "base-14-14": 0.9,
}
"""Seconds for a window, in the tests that measure nothing."""
HERE = Task(hop_seconds=1.0, device="cpu")


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Small networks that pass for the published ones."""
    folder = tmp_path_factory.mktemp("repositories")
    ced = ReferenceCed(depth=2).save(folder / "ced", id2label=None)
    found = {PUBLISHED[name].repository: ced for name in CED}
    return found | {
        PUBLISHED[name].repository: save_small_ast(folder / name, PUBLISHED[name]) for name in AST
    }


@pytest.fixture
def server(repositories: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve a Hub with all candidates; there is no cache and no measurement."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with serve(repositories) as running:
        point_at(monkeypatch, running.endpoint)
        yield running
    close_session()


@pytest.fixture
def speed_file(server: Hub, tmp_path: Path) -> Path:
    """Return the file of measurements."""
    del server
    return tmp_path / "user" / "earshot" / "speed.json"


def save_speeds(rows: int | None = None, **changes: float) -> None:
    """Save the speeds of the candidates, as if both engines had been measured."""
    for name, seconds in (SPEEDS | {key.replace("_", "-"): value for key, value in changes.items()}).items():
        entry = PUBLISHED[name]
        estimator = SpeedEstimator("cpu", rows or entry.rows, 1)
        for engine in ("openvino", "torch"):
            estimator._cache.put(estimator._conditions(entry, engine), seconds)


@pytest.fixture
def known_speeds(server: Hub) -> None:
    """Save the speeds of all candidates."""
    del server
    save_speeds()


def fetched(server: Hub) -> list[str]:
    """Return the names of the models that were fetched, in order."""
    names = {entry.repository: name for name, entry in PUBLISHED.items()}
    paths = [path for method, path, _ in server.requests if method == "GET" and "/resolve/" in path]
    return list(dict.fromkeys(names[path.split("/resolve/")[0].strip("/")] for path in paths))


# Which model


@pytest.mark.usefixtures("known_speeds")
@pytest.mark.parametrize(
    ("hop", "sources", "model"),
    [
        (1.0, 1, "ced-base"),
        (0.76, 1, "ced-base"),
        (0.7, 1, "ced-small"),
        (1.0, 2, "ced-small"),
        (1.0, 5, "ced-mini"),
        (2.0, 5, "ced-small"),
        (0.1, 1, "ced-tiny"),
    ],
)
def test_the_best_that_keeps_up_is_taken(server: Hub, hop: float, sources: int, model: str) -> None:
    task = Task(hop_seconds=hop, sources=sources, device="cpu")
    choice = choose(task)
    assert choice.model == model
    assert f"the best model that keeps up with a hop of {hop:g} s here" in choice.reason
    assert not choice.incomplete
    assert fetched(server) == [model]
    assert best_that_keeps_up(task) == Estimate(model, sources * SPEEDS[model])


@pytest.mark.usefixtures("known_speeds")
def test_the_fastest_is_taken_where_none_keeps_up(server: Hub) -> None:
    task = Task(hop_seconds=0.05, device="cpu")
    assert choose(task).model == "ced-tiny", "it takes less time than tiny"
    assert choose(task).reason.startswith(
        "the fastest, because none keeps up; too slow for a hop of 0.05 s: "
    )
    assert fetched(server) == ["ced-tiny"]
    assert best_that_keeps_up(task) is None
    assert PUBLISHED["ced-tiny"].gigaflop < load_checkpoint("tiny").config.gigaflop()


@pytest.mark.usefixtures("known_speeds")
def test_a_fetched_model_is_not_fetched_again(server: Hub) -> None:
    choose(HERE)
    asked = len(server.requests)
    assert choose(HERE, offline=True) == choose(HERE)
    assert len(server.requests) == asked


def test_the_reason_is_one_phrase_with_the_figures(server: Hub) -> None:
    save_speeds(ced_base=1.5, ced_small=0.11)
    assert choose(HERE).reason == (
        "the best model that keeps up with a hop of 1 s here: 0.11 s for a window; too slow for it: ced-base (1.5 s)"
    )
    two = Task(hop_seconds=1.0, sources=2, device="cpu")
    assert "here: 0.22 s for 2 windows; too slow for it: ced-base (3 s)" in choose(two).reason
    assert server.requests


def test_a_window_that_no_ced_takes_means_an_ast(server: Hub) -> None:
    save_speeds(1024)
    choice = choose(Task(hop_seconds=1.0, window_seconds=10.24, device="cpu"))
    assert choice.model == "base-16-16"
    assert "CED models take windows of at most 10.08 s; too slow for it: base-10-10 (3 s)" in choice.reason
    assert fetched(server) == ["base-16-16"]


@pytest.mark.parametrize(
    ("model", "longest"), [("ced-base", 10.08), ("ensemble:ced-base+base-16-16", 10.08), ("base-16-16", None)]
)
def test_a_window_that_a_model_does_not_take_is_refused_before_a_download(
    server: Hub, model: str, longest: float | None
) -> None:
    given = {"source": ["mic=demo"], "model": model}
    for window in (2.56, 10.24):
        settings = load_settings({**given, "window": window}, config=Path("/dev/null"), environment={})
        if longest is None or window <= longest:
            require_window(settings, model)
        else:
            with pytest.raises(
                SettingsError, match="^--window must be at most 10.08 s with .*, not 10.24 s$"
            ):
                require_window(settings, model)
    assert not server.requests


def test_an_ast_is_chosen_for_what_only_an_ast_can_do(server: Hub) -> None:
    save_speeds()
    choice = choose(Task(hop_seconds=1.0, device="cpu", families=("ast",)))
    assert choice.model == "base-16-16"
    assert "CED" not in choice.reason
    assert fetched(server) == ["base-16-16"]


def test_the_speed_is_that_of_the_window_and_the_engine(server: Hub) -> None:
    save_speeds(500, ced_base=0.3)
    assert choose(Task(hop_seconds=0.5, window_seconds=5.0, device="cpu")).model == "ced-base"
    in_torch = SpeedEstimator("cpu", 500, 1, "torch")
    in_torch._cache.put(in_torch._conditions(PUBLISHED["ced-base"], "torch"), 0.45)
    slow = Task(hop_seconds=0.5, window_seconds=5.0, device="cpu", engine="torch")
    assert choose(slow).model == "ced-small"
    assert server.requests


def test_a_gpu_runs_an_ast_if_it_keeps_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "pick_device", torch.device)
    on_gpu = Task(hop_seconds=1.0, device="cuda")
    assert [entry.name for entry in fetched_models(on_gpu)] == ["base-10-10", *CED]
    assert [entry.name for entry in other_models(on_gpu)][:2] == ["base-10-10-450", "base-10-10-448"]
    assert "speech-commands" not in [entry.name for entry in other_models(on_gpu)]


def test_a_missing_device_is_reported() -> None:
    with pytest.raises(EngineError, match="no CUDA device 'cuda:99'"):
        choose(Task(hop_seconds=1.0, device="cuda:99"), offline=True)


# Without a Hub, or with one that fails


@pytest.mark.parametrize("way", ["argument", "environment"])
def test_nothing_is_requested_or_measured_offline(
    server: Hub, speed_file: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", way == "environment")
    choice = choose(HERE, offline=way == "argument")
    assert (choice.model, choice.incomplete) == ("tiny", False)
    assert choice.reason == (
        "part of Earshot; ced-base, ced-small, ced-mini and ced-tiny are not on this machine, and nothing is fetched offline"
    )
    assert server.requests == []
    assert not speed_file.exists()


@pytest.mark.usefixtures("known_speeds")
@pytest.mark.parametrize(
    ("cached", "model"),
    [
        (["ced-tiny", "ced-mini", "base-16-16"], "ced-mini"),
        (["base-16-16"], "base-16-16"),
        (["base-10-10", "base-16-16"], "base-16-16"),
        (["base-10-10"], "tiny"),
    ],
)
def test_without_a_hub_the_best_on_this_machine_is_taken(
    server: Hub, monkeypatch: pytest.MonkeyPatch, cached: list[str], model: str
) -> None:
    for name in cached:
        hub.fetch(PUBLISHED[name].repository)
    server.requests.clear()
    point_at(monkeypatch, f"http://127.0.0.1:{free_port()}")
    choice = choose(HERE)
    assert choice.model == model
    assert choice.incomplete
    assert "not on this machine, and the Hub does not answer within 3 s" in choice.reason
    assert ("the best on this machine that keeps up with a hop of 1 s" in choice.reason) == (model != "tiny")
    assert server.requests == []


def test_on_a_slow_machine_the_fastest_is_missing_while_the_hub_does_not_answer(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_speeds(ced_base=60.0, ced_small=60.0, ced_mini=60.0, ced_tiny=60.0)
    endpoint = server.endpoint
    point_at(monkeypatch, f"http://127.0.0.1:{free_port()}")
    choice = choose(HERE)
    assert (choice.model, choice.incomplete) == ("tiny", True)
    point_at(monkeypatch, endpoint)
    choice = choose(HERE)
    assert (choice.model, choice.incomplete) == ("ced-tiny", False)


@pytest.mark.usefixtures("known_speeds")
def test_a_late_hub_is_not_waited_for(server: Hub) -> None:
    server.misbehaviour.late_seconds = 8.0
    choice = choose(HERE)
    assert (choice.model, choice.incomplete) == ("tiny", True)
    assert "the Hub does not answer within 3 s" in choice.reason
    assert [path for _, path, _ in server.requests] == ["/"], "asked once"
    server.misbehaviour.late_seconds = 0.0
    assert choose(HERE).model == "ced-base"


@pytest.mark.usefixtures("known_speeds")
def test_the_next_is_taken_when_a_fetch_fails(server: Hub) -> None:
    server.repositories = {
        name: folder for name, folder in server.repositories.items() if name != "mispeech/ced-base"
    }
    choice = choose(HERE)
    assert (choice.model, choice.incomplete) == ("ced-small", True)
    assert "ced-base can't be used: there is no repository 'mispeech/ced-base'" in choice.reason


@pytest.mark.usefixtures("known_speeds")
def test_tiny_is_taken_when_all_fetches_fail(server: Hub) -> None:
    server.misbehaviour.gated = True
    choice = choose(HERE)
    assert (choice.model, choice.incomplete) == ("tiny", True)
    assert choice.reason.startswith(
        "part of Earshot; ced-base, ced-small, ced-mini and ced-tiny can't be used: "
    )
    assert choice.reason.count("is gated") == 1


@pytest.mark.usefixtures("known_speeds")
def test_a_repository_that_holds_another_network_is_passed_over(server: Hub, tmp_path: Path) -> None:
    other = ReferenceCed(depth=2, classes=20).save(tmp_path / "other")
    server.repositories = {**server.repositories, "mispeech/ced-base": other}
    for _ in range(2):
        choice = choose(HERE)
        assert choice.model == "ced-small"
        assert "ced-base can't be used: mispeech/ced-base is not 'ced-base'" in choice.reason


@pytest.mark.slow
def test_a_silent_hub_does_not_delay_the_choice(server: Hub, tmp_path: Path) -> None:
    server.misbehaviour.silent = True
    code = (
        "import time; from models.selection.model_choice import Task, choose; began = time.monotonic();"
        "print(choose(Task(hop_seconds=1.0)).model, time.monotonic() - began)"
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


@pytest.mark.usefixtures("known_speeds")
def test_a_tagger_of_the_chosen_model_is_loaded(server: Hub) -> None:
    tagger = load_tagger("auto", device="cpu", engine="torch")
    assert tagger.name == "ced-base"
    assert tagger(np.zeros(16_000, np.float32)).shape == (1, 527)
    assert server.requests


# Measuring


class Clock:
    """Engine times that are known beforehand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
        self.measured: list[str] = []

        def measure(_self: SpeedEstimator, _entry: object, engine: str, _limit: float) -> float:
            self.measured.append(engine)
            return seconds[engine]

        monkeypatch.setattr(SpeedEstimator, "_measure", measure)


def test_the_second_engine_is_measured_where_the_first_is_too_slow(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    del server
    entry, clock = PUBLISHED["ced-tiny"], Clock(monkeypatch, openvino=0.5, torch=0.3)
    estimator = SpeedEstimator("cpu", 100, 1)
    assert estimator.measure(entry, limit=0.6) == 0.5
    assert estimator.cached(entry, limit=0.6) == 0.5
    assert estimator.cached(entry, limit=0.4) is None
    assert estimator.measure(entry, limit=0.4) == 0.3
    assert estimator.cached(entry, limit=0.2) == 0.3
    assert clock.measured == ["openvino", "torch"]


def test_an_engine_that_is_not_available_counts_as_too_slow(
    server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    del server

    def refuse(*_: object, **__: object) -> None:
        raise EngineError("not here")

    monkeypatch.setattr(speed, "OpenVinoEngine", refuse)
    seconds = SpeedEstimator("cpu", 100, 1).measure(PUBLISHED["ced-tiny"], limit=100.0)
    assert 0 < seconds < 100


@pytest.mark.slow
class TestMeasuring:
    """Measurements on windows of one second, which are fast."""

    ENTRY = PUBLISHED["ced-tiny"]

    def test_a_measurement_is_cached(self, server: Hub, speed_file: Path) -> None:
        del server
        estimator = SpeedEstimator("cpu", 100, 1)
        assert estimator.cached(self.ENTRY, 100.0) is None
        seconds = estimator.measure(self.ENTRY, limit=100.0)
        assert seconds > 0
        assert SpeedEstimator("cpu", 100, 1).cached(self.ENTRY, 100.0) == seconds
        assert SpeedEstimator("cpu", 100, 3).cached(self.ENTRY, 100.0) == pytest.approx(3 * seconds)
        assert SpeedEstimator("cpu", 128, 1).cached(self.ENTRY, 100.0) is None
        assert estimator.cached(PUBLISHED["ced-mini"], 100.0) is None
        assert [path.name for path in speed_file.parent.iterdir()] == ["speed.json"]

    @pytest.mark.parametrize("name", ["ced-base", "base-16-16"])
    def test_a_model_that_is_clearly_too_slow_is_measured_with_one_block(
        self, server: Hub, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        del server
        depths = []
        time_of = SpeedEstimator._time

        def noted(self: SpeedEstimator, config: NetworkConfig, engine: EngineName) -> float:
            depths.append(config.depth)
            return time_of(self, config, engine)

        monkeypatch.setattr(SpeedEstimator, "_time", noted)
        assert SpeedEstimator("cpu", 100, 1, "openvino").measure(PUBLISHED[name], limit=1e-9) > 1e-9
        assert depths == [1]

    def test_such_an_approximation_is_of_no_use_where_a_block_is_fast_enough(
        self, server: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        del server
        monkeypatch.setattr(SpeedEstimator, "_time", lambda _self, config, _engine: 0.1 + 0.02 * config.depth)
        entry = PUBLISHED["ced-base"]
        twelve, one = (SpeedEstimator("cpu", 100, windows, "openvino") for windows in (12, 1))
        assert twelve.measure(entry, limit=0.8) == pytest.approx(12 * 12 * 0.12)
        assert twelve.cached(entry, limit=0.8) == pytest.approx(12 * 12 * 0.12)
        assert one.cached(entry, limit=0.8) is None
        assert one.measure(entry, limit=0.8) == pytest.approx(0.1 + 12 * 0.02)
        assert twelve.cached(entry, limit=0.8) == pytest.approx(12 * (0.1 + 12 * 0.02))

    def test_a_first_start_measures_and_takes_a_model_that_keeps_up(
        self, server: Hub, speed_file: Path
    ) -> None:
        choice = choose(Task(hop_seconds=600.0, window_seconds=1.0, device="cpu"))
        assert choice.model == "ced-base"
        (key,) = json.loads(speed_file.read_text())
        assert key == SpeedEstimator("cpu", 100, 1)._conditions(PUBLISHED["ced-base"], "openvino")
        assert server.requests


@pytest.mark.parametrize("content", ["", "not JSON", "[1]", '{"a": 1}', '{"a": ["x", "y"]}'])
def test_a_damaged_file_of_speeds_is_replaced(speed_file: Path, content: str) -> None:
    speed_file.parent.mkdir(parents=True)
    speed_file.write_text(content)
    entry = PUBLISHED["ced-base"]
    assert SpeedEstimator("cpu", 1008, 1).cached(entry, 1.0) is None
    save_speeds()
    assert SpeedEstimator("cpu", 1008, 1).cached(entry, 1.0) == 0.6


@pytest.mark.usefixtures("known_speeds")
def test_an_expired_measurement_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 8 * 24 * 3600)
    assert SpeedEstimator("cpu", 1008, 1).cached(PUBLISHED["ced-base"], 1.0) is None


def test_an_unwritable_folder_is_ignored(speed_file: Path) -> None:
    speed_file.parent.parent.mkdir()
    speed_file.parent.touch()
    save_speeds()
    assert SpeedEstimator("cpu", 1008, 1).cached(PUBLISHED["ced-base"], 1.0) is None


def test_the_sizes_of_downloads_are_those_of_the_networks() -> None:
    for entry in PUBLISHED.values():
        with torch.device("meta"):
            network = config_of(entry).network()
        megabytes = 4e-6 * sum(weights.numel() for weights in network.parameters())
        assert entry.megabytes == round(megabytes), entry.name


# A live session


@pytest.fixture
def connected(server: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the environment of a program at this Hub, with known speeds and an empty cache."""
    environment = clean_environment(tmp_path) | {
        "HF_HUB_OFFLINE": "0",
        "HF_ENDPOINT": server.endpoint,
        "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"],
        "EARSHOT_ENGINE": "torch",  # whose speeds are known
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    save_speeds()
    return environment


def taken(loading: ModelLoading) -> LoadedModel:
    """Wait for the next model."""
    found: list[LoadedModel] = []

    def look() -> bool:
        found.extend(filter(None, [loading.take()]))
        return bool(found)

    wait_until(look, "a model", START_SECONDS)
    return found[0]


@pytest.mark.slow
class TestLive:
    """Live sessions with models that are fetched."""

    @pytest.mark.usefixtures("connected")
    @pytest.mark.parametrize(
        "fault",
        [{"cut_after": 20_000, "ignores_ranges": True}, {"late_seconds": 8.0}, {"status": 503}],
        ids=["broken download", "late", "503"],
    )
    def test_tiny_stays_at_work_until_the_hub_gives_the_model(
        self, server: Hub, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
    ) -> None:
        monkeypatch.setattr(model_loading, "_FIRST_PAUSE_SECONDS", 0.5)
        server.misbehaviour = Misbehaviour(**fault)
        loading = ModelLoading(REQUEST, [entry.name for entry in audioset_classes()])
        with ThreadGroup() as threads:
            threads.start("model", loading.run, loading.stop)
            assert taken(loading).tagger.name == "tiny"
            again = taken(loading)
            assert again.tagger.name == "tiny"
            assert again.reason.startswith("part of Earshot; ced-base")
            server.misbehaviour = Misbehaviour()
            better = taken(loading)
            assert (better.tagger.name, better.is_first) == ("ced-base", False)
            loading.stop()

    def test_a_first_start_begins_with_tiny_and_says_what_it_takes(
        self, server: Hub, connected: dict[str, str]
    ) -> None:
        options = ("--source", "a=demo", "--source", "b=demo", "--model", "auto", "--headless", "--hop", "4")
        with Program(*options, environment=connected) as program:
            wait_until(lambda: program.taggings, "tags of tiny", START_SECONDS)
            assert program.logged("model tiny (until the best model is ready)")
            wait_until(lambda: program.logged("model ced-base (the best"), "the change", START_SECONDS)
            count = len(program.taggings)
            wait_until(lambda: len(program.taggings) > count + 3, "tags of the better model")
            assert program.interrupt() == 130
        assert program.logged(
            "keeps up with a hop of 4 s here: 1.2 s for 2 windows), 527 classes, torch cpu fp32"
        )
        assert fetched(server) == ["ced-base"]
        for name in ("a", "b"):
            ends = [line["end_seconds"] for line in program.taggings if line["source"] == name]
            assert set(np.diff(ends[:-1])) == {4.0}, "no window is lost; the last one is shorter"
