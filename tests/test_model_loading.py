"""Sound first: listening begins with the embedded model, and changes over to the requested one."""

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.fakes import HOP, Memory, Tone, scorer
from support.hub_server import Hub, serve
from support.model_request import REQUEST as AUTO_REQUEST
from support.program import Program, clean_environment
from support.session import live_session
from support.small_ast import save_small_ast
from support.waiting import PATIENCE_SECONDS, START_SECONDS, wait_until

from earshot import model_loading
from earshot.model_loading import ModelLoading
from earshot.tagger import ModelChoice, ModelRequest, load_requested
from models.catalogue import PUBLISHED
from models.checkpoints import load_checkpoint, save_checkpoint
from models.engines import EngineName
from models.errors import HubError
from models.known_labels import known_labels, scores_audioset
from models.labels import audioset_classes
from models.tagger import Tagger
from streamer.errors import SettingsError, SinkError
from streamer.events.catalogue import Watch, WatchedSound, resolve_sounds
from streamer.events.watchlist import WatchLists
from streamer.live.session import LiveSession
from streamer.live.tagger import Replacement
from streamer.messages import Samples, Tagging
from streamer.runtime.threads import ThreadGroup
from streamer.sinks.model_score_log import ModelScoreLog
from streamer.sinks.score_log import reading_scores
from streamer.stream.scoring import Scorer

ENTRY = PUBLISHED["base-16-16"]
LABELS = tuple(entry.name for entry in audioset_classes())
REQUEST = replace(AUTO_REQUEST, model=ENTRY.name, engine="auto")


def model(
    score: Scorer = scorer,
    *,
    name: str = "first",
    window_samples: int = 163_840,
    sounds: Sequence[WatchedSound] = (),
) -> Replacement:
    return Replacement(
        scorer=score,
        window_samples=window_samples,
        model=name,
        device="cpu",
        sounds_of=lambda _name: sounds,
    )


def constant(score: float) -> Scorer:
    """Return a scorer of one class that always returns this score."""
    return lambda batch: np.full((len(batch), 1), score, np.float32)


def watched(threshold: float) -> tuple[WatchedSound, ...]:
    rule = {"threshold": threshold, "off_threshold": threshold, "hits": 1, "of": 1}
    return resolve_sounds([Watch("Bell", rule)], ["Bell"])


class Listening:
    """Session that listens in the background of a test."""

    def __init__(self, session: LiveSession) -> None:
        self._session = session
        self._threads = ThreadGroup()

    def __enter__(self) -> ThreadGroup:
        self._session.start(self._threads)
        return self._threads

    def __exit__(self, *_: object) -> None:
        self._threads.stop()


class TestSession:
    def test_windows_wait_for_the_first_model_and_none_counts_as_dropped(self) -> None:
        memory = Memory()
        session = live_session([Tone("a", PATIENCE_SECONDS, live=True)], None, sinks=[memory])
        with Listening(session):
            wait_until(lambda: session.health().sources[0].samples > 10 * HOP, "a second of sound")
            assert memory.taggings == []
            assert session.health().windows == 0
            assert session.health().sources[0].state == "ok", "the source is reported before there is a model"
            session.set_tagger(model())
            wait_until(lambda: len(memory.taggings) > 3, "taggings")
            health = session.health()
        assert (health.model, health.device, health.dropped_windows) == ("first", "cpu", 0)
        source = health.sources[0]
        assert source.cut_windows <= source.windows + 2, "those that were replaced by newer ones do not count"
        ends = [tagging.end_sample for tagging in memory.taggings]
        assert np.diff(ends).tolist() == [HOP] * (len(ends) - 1)

    def test_no_window_is_lost_at_a_change_over(self) -> None:
        memory, used = Memory(), threading.Event()
        session = live_session([Tone("a", PATIENCE_SECONDS, live=True)], constant(0.25), sinks=[memory])
        with Listening(session):
            wait_until(lambda: len(memory.taggings) > 3, "taggings")
            session.set_tagger(replace(model(constant(0.75), name="better"), on_use=used.set))
            wait_until(lambda: memory.taggings[-1].scores[0] == 0.75, "taggings of the other model")
            health = session.health()
        assert used.is_set()
        assert (health.model, health.dropped_windows) == ("better", 0)
        scores = [tagging.scores[0] for tagging in memory.taggings]
        assert scores == sorted(scores), "the old model tags no window after the new one"
        ends = [tagging.end_sample for tagging in memory.taggings]
        assert ends == list(range(HOP, HOP * len(ends) + 1, HOP))

    def test_an_event_that_goes_on_survives_and_thresholds_follow_the_model(self) -> None:
        memory = Memory()
        session = live_session(
            [Tone("a", PATIENCE_SECONDS, live=True)], constant(0.5), sinks=[memory], sounds=watched(0.4)
        )
        with Listening(session):
            wait_until(lambda: memory.events, "an event")
            session.set_tagger(model(constant(0.9), sounds=watched(0.8)))
            count = len(memory.taggings)
            wait_until(lambda: len(memory.taggings) > count + 5, "taggings of the other model")
            assert [event.kind for event in memory.events] == ["started"]
            assert session.channels.names == ("a",)
            channel = next(iter(session.channels))
            assert channel.sounds == watched(0.8)

    def test_windows_are_as_long_as_those_of_the_model(self) -> None:
        memory, lengths = Memory(), set()

        def short(batch: Samples) -> Samples:
            lengths.add(batch.shape[1])
            return scorer(batch)

        session = live_session([Tone("a", PATIENCE_SECONDS, live=True)], scorer, sinks=[memory])
        with Listening(session):
            wait_until(lambda: len(memory.taggings) > 10, "windows of a second")
            session.set_tagger(model(short, window_samples=8_000))
            wait_until(lambda: len(lengths) > 0 and len(memory.taggings) > 15, "shorter windows")
        assert lengths == {8_000}
        last = memory.taggings[-1]
        assert last.end_sample - last.start_sample == 8_000

    def test_a_session_without_a_model_can_be_stopped(self) -> None:
        session = live_session([Tone("a", PATIENCE_SECONDS, live=True)], None)
        with Listening(session) as threads:
            wait_until(lambda: session.health().sources[0].samples > 2 * HOP, "sound")
        assert not threads.is_running("tagger")

    def test_the_end_of_all_sources_waits_for_the_first_model(self) -> None:
        memory = Memory()
        session = live_session([Tone("a", 0.5, live=True)], None, sinks=[memory])
        with Listening(session) as threads:
            wait_until(lambda: not threads.is_running("reader a"), "the end of the source")
            session.set_tagger(model())
            wait_until(lambda: not threads.is_running("tagger"), "the end of the session")
        assert memory.taggings[-1].end_sample == 8_000


class TestFollowers:
    def test_watched_sounds_keep_their_rules_and_take_the_thresholds_of_a_model(self) -> None:
        labels = ["Bell", "Dog"]
        lists = WatchLists(
            [Watch("Bell"), Watch("Dog", {"threshold": 0.9})], {"hall": [Watch("Bell")]}, labels
        )
        shown: list[float] = []
        lists.on_model = lambda: shown.append(lists.of("hall").sounds[0].thresholds[0])
        lists.set_model(labels, np.array([0.33, 0.44], np.float32))
        assert shown == [pytest.approx(0.33)], "the page shows it"
        bell, dog = lists.of("kitchen").sounds
        assert bell.thresholds == pytest.approx((0.33,))
        assert dog.thresholds == pytest.approx((0.9,)), "set by the user"
        assert lists.of("hall").sounds[0].thresholds == pytest.approx((0.33,))
        lists.shared.watch("Dog", 0.5)
        assert lists.of("kitchen").sounds[0].thresholds == pytest.approx((0.33,)), "later changes keep them"
        with pytest.raises(SettingsError):
            lists.set_model(["Cat"], None)

    def test_a_score_log_holds_one_model(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path = tmp_path / "scores.db"
        with ModelScoreLog(path) as log:
            assert not path.exists(), "the first model is not logged"
            log.begin("better", ["Bell"], None)
            log.go_on("better", ["Bell"], None)
            log.go_on("best", ["Bell"], None)
        assert "scores of best are not logged" in caplog.text
        with reading_scores(path) as logged:
            assert logged.model == "better"
        with ModelScoreLog(path) as log, pytest.raises(SinkError, match="is of the model better, not best"):
            log.begin("best", ["Bell"], None)
        with pytest.raises(SinkError, match="there is no folder"):
            ModelScoreLog(tmp_path / "missing" / "scores.db")

    @pytest.mark.parametrize(
        ("name", "is_known"),
        [
            *(("auto", True), ("tiny", True), ("base", True), ("ensemble-m", True)),
            *(("ensemble:base+base-16-16", True), ("ensemble:base+mine.safetensors", False)),
            *(("speech-commands", False), ("hub:some/one", False), ("mine.safetensors", False)),
        ],
    )
    def test_models_whose_classes_are_known_are_preceded_by_another(self, name: str, is_known: bool) -> None:
        assert scores_audioset(name) == is_known

    def test_classes_are_known_before_a_model_is_loaded(self, tmp_path: Path) -> None:
        assert known_labels("base") == LABELS
        folder = save_small_ast(tmp_path / "mine", ENTRY, ("Kettle", "Saw"))
        assert known_labels(str(folder)) == ("Kettle", "Saw")
        config = json.loads((folder / "config.json").read_text())
        for names in ({}, {"0": "Kettle"}, {"0": "Kettle", "1": "Saw", "2": "Cat"}):
            (folder / "config.json").write_text(json.dumps(config | {"id2label": names}))
            assert known_labels(str(folder)) is None
        whole = save_small_ast(tmp_path / "whole", ENTRY)
        config = json.loads((whole / "config.json").read_text())
        cut = {str(index): name.partition(",")[0] for index, name in enumerate(LABELS)}
        (whole / "config.json").write_text(json.dumps(config | {"id2label": cut}))
        assert known_labels(str(whole)) == load_checkpoint(str(whole)).labels == LABELS
        tiny = load_checkpoint("tiny")
        save_checkpoint(tiny, tmp_path / "own.safetensors")
        assert known_labels(str(tmp_path / "own.safetensors")) == tiny.labels
        (folder / "config.json").write_text('{"id2label": {"0": "Kettle", "2": "Saw"}}')
        (tmp_path / "damaged.safetensors").write_bytes(b"no tensors")
        for unknown in (folder, tmp_path, tmp_path / "damaged.safetensors", folder / "model.safetensors"):
            assert known_labels(str(unknown)) is None
        for name in ("speech-commands", "hub:some/one", "x" * 10_000, "~nobody/model", "a\0b"):
            assert known_labels(name) is None


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_ast(tmp_path_factory.mktemp("repository"), ENTRY)


@pytest.fixture
def hub(repository: Path) -> Iterator[Hub]:
    with serve({ENTRY.repository: repository}) as running:
        yield running


def connected(folder: Path, hub: Hub) -> dict[str, str]:
    """Return an environment with empty caches and this Hub."""
    own = {
        "EARSHOT_ENGINE": "auto",
        "HF_HUB_OFFLINE": "0",
        "HF_ENDPOINT": hub.endpoint,
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    return clean_environment(folder) | own


@pytest.mark.slow
class TestLoading:
    """The loader itself, with its process."""

    @pytest.fixture(autouse=True)
    def _environment(self, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in connected(tmp_path, hub).items():
            monkeypatch.setenv(name, value)

    def test_a_failed_download_is_tried_again(
        self, hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(model_loading, "_FIRST_PAUSE_SECONDS", 0.5)
        hub.misbehaviour.status = 503
        loading = ModelLoading(REQUEST, LABELS)
        with ThreadGroup() as threads:
            threads.start("model", loading.run, loading.stop)
            wait_until(lambda: "trying again in" in caplog.text, "a failure", START_SECONDS)
            first = loading.take()
            assert first is not None
            assert (first.tagger.name, first.is_first) == ("tiny", True)
            assert first.tagger.engine.description == "openvino cpu fp32"
            assert threads.is_running("model")
            loading.stop()
        assert f"{ENTRY.name} is not ready (" in caplog.text

    def test_offline_a_preparation_that_is_killed_is_tried_again(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(model_loading, "_FIRST_PAUSE_SECONDS", 0.1)
        results: list[ModelChoice | Exception] = [
            model_loading._NotPreparedError("its preparation ended with SIGKILL"),
            ModelChoice("tiny", "as requested"),
        ]

        def prepare(_self: ModelLoading) -> ModelChoice:
            result = results.pop(0)
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(ModelLoading, "_prepare", prepare)
        ModelLoading(replace(REQUEST, offline=True), LABELS).run()
        assert "its preparation ended with SIGKILL); trying again in" in caplog.text
        assert not results

    def test_a_prepared_model_that_does_not_fit_into_the_memory_is_tried_again(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(model_loading, "_FIRST_PAUSE_SECONDS", 0.1)
        monkeypatch.setattr(ModelLoading, "_prepare", lambda _self: ModelChoice("tiny", "the best"))
        failures = [RuntimeError("CUDA out of memory.\nTried to"), MemoryError()]

        def load(request: ModelRequest, name: str) -> Tagger:
            if failures:
                raise failures.pop(0)
            return load_requested(request, name)

        monkeypatch.setattr(model_loading, "load_requested", load)
        loading = ModelLoading(REQUEST, LABELS)
        loading.run()
        assert "is not ready (CUDA out of memory.); trying again in" in caplog.text
        assert "is not ready (MemoryError); trying again in" in caplog.text
        first, best = loading.take(), loading.take()
        assert (first and first.is_first, best and best.reason) == (True, "the best")

    def test_a_model_in_the_place_of_a_better_one_is_only_the_first(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(model_loading, "_FIRST_PAUSE_SECONDS", 0.1)
        choices = [
            ModelChoice("tiny", "the others can't be fetched", incomplete=True),
            ModelChoice("tiny", "the others can't be fetched", incomplete=True),
            ModelChoice("tiny", "the best"),
        ]
        monkeypatch.setattr(ModelLoading, "_prepare", lambda _self: choices.pop(0))
        loading = ModelLoading(REQUEST, LABELS)
        loading.run()
        offered = []
        while (loaded := loading.take()) is not None:
            offered.append((loaded.reason, loaded.is_first))
        assert offered[1:] == [("the others can't be fetched", True), ("the best", False)], (
            "a score log begins last"
        )

    def test_offline_a_missing_model_is_an_error(self) -> None:
        loading = ModelLoading(replace(REQUEST, offline=True), LABELS)
        with pytest.raises(HubError, match="offline mode prevents the download"):
            loading.run()

    @pytest.mark.parametrize(("engine", "library"), [("torch", "torch"), ("auto", "openvino")])
    def test_the_embedded_model_on_a_cpu_is_final(self, engine: EngineName, library: str) -> None:
        loading = ModelLoading(replace(REQUEST, model="tiny", device="cpu", engine=engine), LABELS)
        loading.run()
        loaded = loading.take()
        assert loaded is not None
        assert not loaded.is_first
        assert loaded.tagger.engine.description == f"{library} cpu fp32"
        assert loading.take() is None
        assert loading.state == ""


@pytest.mark.slow
class TestProgram:
    """The program as its users start it, at a Hub on the loopback."""

    def test_listening_begins_with_tiny_and_changes_over(self, hub: Hub, tmp_path: Path) -> None:
        size = (hub.repositories[ENTRY.repository] / "model.safetensors").stat().st_size
        hub.misbehaviour.bytes_per_second = size / 3
        scores = tmp_path / "scores.db"
        options = ("--source", "room=demo", "--model", ENTRY.name, "--headless", "--score-log", str(scores))
        long_hop = ("--hop", "4")  # so that a busy machine drops no window
        with Program(*options, *long_hop, environment=connected(tmp_path, hub)) as program:
            wait_until(lambda: program.taggings, "tags of tiny", START_SECONDS)
            assert program.logged(f"model tiny (until {ENTRY.name} is ready), 527 classes, openvino cpu fp32")
            wait_until(
                lambda: program.logged(f"model {ENTRY.name} (as requested)"), "the change", START_SECONDS
            )
            count = len(program.taggings)
            wait_until(lambda: len(program.taggings) > count + 1, "tags of the requested model")
            assert program.interrupt() == 130
        assert program.logged(f"fetching {ENTRY.name}: 50 %")
        assert not program.logged("dropped")
        ends = [line["end_seconds"] for line in program.taggings]
        assert set(np.diff(ends[:-1])) == {4.0}, (
            "a window each hop, across the change; the last one is shorter"
        )
        with reading_scores(scores) as logged:
            assert logged.model == ENTRY.name
            logged_ends = [
                tagging.end_sample / 16_000 for tagging in logged.messages() if isinstance(tagging, Tagging)
            ]
        assert logged_ends[-1] == ends[-1]
        assert 0 < len(logged_ends) < len(ends), "the scores of tiny are not in the log"

    def test_ctrl_c_ends_a_download_at_once(self, hub: Hub, tmp_path: Path) -> None:
        hub.misbehaviour.hold_after = 1000
        options = ("--source", "demo", "--model", ENTRY.name, "--headless")
        with Program(*options, environment=connected(tmp_path, hub)) as program:
            wait_until(lambda: program.logged("fetching MIT/"), "the download", START_SECONDS)
            assert program.interrupt() == 130
        assert not program.logged("Traceback")

    def test_a_duration_ends_while_the_model_is_fetched(self, hub: Hub, tmp_path: Path) -> None:
        hub.misbehaviour.hold_after = 1000
        options = ("--source", "demo", "--model", ENTRY.name, "--headless", "--duration", "20")
        with Program(*options, environment=connected(tmp_path, hub)) as program:
            assert program.wait(START_SECONDS) == 0

    def test_sound_that_ends_before_the_first_model_is_ready_is_tagged(self, tmp_path: Path) -> None:
        options = ("--source", "demo", "--headless", "--duration", "1")
        with Program(*options, environment=clean_environment(tmp_path)) as program:
            assert program.wait(START_SECONDS) == 0
        assert [line["end_seconds"] for line in program.taggings] == [1.0]

    def test_without_a_network_tiny_stays(self, tmp_path: Path) -> None:
        own = {"EARSHOT_ENGINE": "auto", "XDG_CACHE_HOME": str(tmp_path / "cache")}
        options = ("--source", "demo", "--model", "auto", "--headless")
        with Program(*options, environment=clean_environment(tmp_path) | own) as program:
            wait_until(lambda: program.logged("nothing is fetched offline"), "the choice", START_SECONDS)
            wait_until(lambda: program.taggings, "tags")
            assert program.interrupt() == 130

    def test_a_model_with_classes_of_its_own_is_waited_for(self, tmp_path: Path) -> None:
        folder = save_small_ast(tmp_path / "mine", ENTRY, ("Kettle", "Saw"))
        options = ("--source", "demo", "--model", str(folder), "--headless", "--watch", "Kettle")
        with Program(*options, environment=clean_environment(tmp_path)) as program:
            wait_until(lambda: program.taggings, "tags", START_SECONDS)
            assert program.interrupt() == 130
        assert program.logged("model mine (as requested), 2 classes")
        assert not program.logged("model tiny")
        assert {tag["label"] for tag in program.taggings[0]["tags"]} == {"Kettle", "Saw"}

    def test_a_recording_is_tagged_by_the_requested_model_alone(self, hub: Hub, tmp_path: Path) -> None:
        recording = tmp_path / "noise.wav"
        soundfile.write(recording, np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32), 16_000)
        options = ("--source", str(recording), "--model", ENTRY.name, "--headless")
        with Program(*options, environment=connected(tmp_path, hub)) as program:
            assert program.wait(START_SECONDS) == 0
        assert not program.logged("model tiny")
        assert [line["end_seconds"] for line in program.taggings] == [1.0, 2.0, 3.0]
