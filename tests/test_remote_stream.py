"""The stream with a tagger on other machines: windows without an answer are counted, and everything goes on."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.fakes import HOP, Memory, Tone, scorer
from support.metrics import samples, serving
from support.program import Program, clean_environment
from support.score_server import score_server
from support.session import live_session
from support.system import free_port
from support.waiting import START_SECONDS, wait_until

from models.loading import load_tagger
from models.local import load_tagger as load_local
from streamer.doctor.workers import check_workers
from streamer.errors import SettingsError
from streamer.live.assembly import make_session
from streamer.live.switches import Switches
from streamer.live.tagger import Replacement
from streamer.messages import Health, Samples, Window, WorkerHealth
from streamer.runtime.threads import ThreadGroup
from streamer.settings.loading import load_settings
from streamer.sinks.health_log import HealthLog
from streamer.sinks.payloads import health_payload, to_json
from streamer.stream.fallback import FallbackScorer
from streamer.stream.scoring import answer_seconds, score

HEALTH = Health(1.0, 37, 5, 0, 0.0, 0, None, None, 0.5, "tiny", "workers", "none", unanswered_windows=3)
WORKERS = WorkerHealth(
    address="http://head:8000",
    requests=40,
    retries=2,
    seconds_p50=0.02,
    seconds_p95=0.1,
    problem="no answer in time",
)


@dataclass
class Flaky:
    """Remote scorer that leaves every third window without an answer."""

    largest_batch: int = 64
    calls: int = 0
    windows: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def traffic(self) -> SimpleNamespace:
        return SimpleNamespace(
            address="http://head:8000",
            requests=self.windows,
            retries=1,
            seconds_p50=0.1,
            seconds_p95=0.2,
            problem="busy",
        )

    def in_time(self, samples: Samples, seconds: float) -> Samples:
        self.seconds.append(seconds)
        return self(samples)

    def __call__(self, batch: Samples) -> Samples:
        self.calls += 1
        scores = scorer(batch)
        for row in scores:
            self.windows += 1
            if self.windows % 3 == 0:
                row[:] = np.nan
        return scores


def window(number: int) -> Window:
    return Window(str(number), np.full(1000, 0.1, np.float32), 0, 1000, 0.0, HOP)


def test_a_batch_is_as_large_as_the_tagger_takes_and_lacks_what_has_no_answer() -> None:
    flaky = Flaky()
    scored = list(score(flaky, [window(number) for number in range(40)]))
    assert (flaky.calls, len(scored)) == (1, 40 - 13)
    assert all(np.isfinite(scores).all() for _, scores in scored)
    small = Flaky(largest_batch=8)
    list(score(small, [window(number) for number in range(40)]))
    assert small.calls == 5


def test_an_answer_is_due_before_the_next_window_and_within_two_seconds() -> None:
    assert answer_seconds([16_000, 1_600, 80_000]) == 0.1
    assert answer_seconds([16_000, 80_000]) == 1.0
    assert answer_seconds([80_000]) == 2.0
    flaky = Flaky()
    list(score(flaky, [window(0)], 0.5))
    list(score(flaky, [window(1)]))
    assert flaky.seconds == [0.5], "where nothing is live, there is no limit"


@pytest.mark.parametrize(
    ("hop_seconds", "fast_window_samples", "expected"),
    [(0.5, None, 0.5), (1.0, 8_000, 1.0), (5.0, None, 2.0)],
)
def test_the_time_for_an_answer_is_the_hop_of_the_sources(
    hop_seconds: float, fast_window_samples: int | None, expected: float
) -> None:
    flaky = Flaky()
    session = live_session(
        [Tone("a", 6.0, live=False)],
        flaky,
        hop_samples=round(hop_seconds * 16_000),
        fast_window_samples=fast_window_samples,
    )
    with ThreadGroup() as threads:
        session.start(threads)
        wait_until(lambda: not threads.is_running("tagger"), "the end of the session")
    assert set(flaky.seconds) == {expected}


def test_recordings_wait_for_the_workers_and_not_for_a_fallback() -> None:
    flaky, settings = Flaky(), load_settings({"source": ["demo"], "fast": True}, environment={})
    flaky.name, flaky.window_samples = "tiny", 1000  # type: ignore[attr-defined]
    session = make_session(
        settings,
        [Tone("a", 3.0, live=False)],
        flaky,  # type: ignore[arg-type]
        sinks=[],
        switches=Switches(),
        fallback=flaky,  # type: ignore[arg-type]
    )
    with ThreadGroup() as threads:
        session.start(threads)
        wait_until(lambda: not threads.is_running("tagger"), "the end of the session")
    assert flaky.windows
    assert not flaky.seconds


def test_every_window_is_tagged_or_counted_as_dropped() -> None:
    memory = Memory()
    session = live_session(
        [Tone("a", 4.0, live=False), Tone("b", 3.0, live=False)], Flaky(), sinks=[memory], fast=True
    )
    with ThreadGroup() as threads:
        session.start(threads)
        while threads.is_running("tagger") and not threads.failed:
            threads.wait(0.05)
    health = session.health()
    for source in health.sources:
        assert source.cut_windows == source.windows + source.dropped_windows
        assert source.unanswered_windows == source.dropped_windows > 0
    assert len(memory.taggings) == health.windows
    assert health.windows + health.unanswered_windows == 70
    assert health.workers is not None
    assert (health.workers.retries, health.workers.problem) == (1, "busy")


def test_fast_windows_without_an_answer_are_counted_apart_and_not_scored_again() -> None:
    memory, flaky = Memory(), Flaky()
    session = live_session(
        [Tone("a", 6.0, live=False)], flaky, sinks=[memory], fast_window_samples=8_000, fast=True
    )
    with ThreadGroup() as threads:
        session.start(threads)
        wait_until(lambda: not threads.is_running("tagger"), "the end of the source")
    (source,) = session.health().sources
    assert source.fast_windows + source.dropped_fast_windows == 24
    assert source.dropped_fast_windows > 0
    assert source.cut_windows == source.windows + source.dropped_windows == 60
    assert len(memory.taggings) == source.windows


def test_the_log_says_how_many_windows_have_no_answer_and_when_that_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = [0.0]
    log = HealthLog(clock=lambda: now[0])
    lost = Health(
        1.0, 37, 3, 0, 0.0, 0, None, None, 0.5, "tiny", "", "none", unanswered_windows=3, workers=WORKERS
    )
    log.accept(lost)
    now[0] = 90.0
    log.accept(lost)
    assert [record.message for record in caplog.records] == [
        "3 of 40 windows unanswered (no answer in time); check the workers at http://head:8000",
        "the workers at http://head:8000 answer again",
    ]


def test_prometheus_reads_answers_retries_and_latency() -> None:
    with serving() as metrics:
        metrics.accept(HEALTH)
        assert not [name for name in samples(metrics) if "worker" in name[0]]
        metrics.accept(Health(1.0, 0, 0, 0, 0.0, 0, None, None, None, "m", "", "none", workers=WORKERS))
        read = samples(metrics)
    assert read["earshot_worker_requests_total",] == 40
    assert read["earshot_worker_retries_total",] == 2
    assert read["earshot_worker_seconds", "0.95"] == 0.1


def test_health_is_published_with_the_workers() -> None:
    health = Health(1.0, 0, 0, 0, 0.0, 0, None, None, None, "m", "", "none", workers=WORKERS)
    assert '"workers":{"address":"http://head:8000","requests":40,"retries":2' in to_json(
        health_payload(health)
    )
    assert health_payload(HEALTH)["workers"] is None


def test_the_token_is_a_setting_with_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    assert load_settings({}, environment={"EARSHOT_MODEL_TOKEN": "abc"}).worker_token() == "abc"
    chosen = load_settings({"model_token_file": str(tmp_path / "token")}, environment={})
    assert chosen.worker_token() == "secret"
    assert tmp_path / "token" in chosen.secret_files
    assert "secret" not in repr(load_settings({}, environment={"EARSHOT_MODEL_TOKEN": "secret"}))


def test_the_doctor_reports_the_workers_and_warns_of_open_ones() -> None:
    tiny = load_local("tiny", device="cpu", engine="torch", window_seconds=1.0)
    with score_server(tiny) as worker:
        tagger = load_tagger(worker.address)
        assert check_workers(tagger, address=worker.address, has_token=False).state == "skipped"
        tagger(np.zeros(16_000, np.float32))
        result = check_workers(tagger, address=worker.address, has_token=False)
        assert (result.state, result.figures["requests"]) == ("ok", 1)
        assert result.found.startswith(f"1 window sent to {worker.address}, answers after ")
        for address, has_token, state in (
            ("http://head:8000", False, "warning"),
            ("http://head", True, "ok"),
            ("https://head", False, "ok"),
        ):
            assert check_workers(tagger, address=address, has_token=has_token).state == state


def test_a_local_model_scores_what_workers_do_not_and_they_are_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = [0.0]
    asked: list[float] = []
    answered = [True]

    class Workers(Flaky):
        def in_time(self, samples: Samples, seconds: float) -> Samples:
            asked.append(seconds)
            scores = np.full((len(samples), 2), 0.5, np.float32)
            scores[(1 if answered[0] else 0) :] = np.nan
            return scores

    width = 2

    fallback = FallbackScorer(
        Workers(),
        lambda batch: np.full((len(batch), width), batch.shape[1], np.float32),
        local_samples=10,
        name="tiny",
        clock=lambda: now[0],
    )
    batch = np.zeros((2, 20), np.float32)
    assert fallback(batch)[:, 0].tolist() == [0.5, 10.0]
    answered[0] = False
    assert fallback(batch)[:, 0].tolist() == [10.0, 10.0]
    now[0] = 4.0
    assert fallback(batch)[:, 0].tolist() == [10.0, 10.0]
    assert len(asked) == 2, "no attempt within 5 s"
    now[0], answered[0] = 6.0, True
    assert fallback.in_time(batch, 0.3)[:, 0].tolist() == [0.5, 10.0]
    assert asked == [2.0, 2.0, 0.3]
    width = 3
    assert fallback(batch).tolist() == [[0.5, 0.5, 0.0], [10.0, 10.0, 10.0]], "a sound was taught meanwhile"
    assert [record.message for record in caplog.records] == [
        "no worker answers; tiny tags on this machine meanwhile",
        "the workers answer again",
    ]


def test_a_fallback_needs_workers() -> None:
    with pytest.raises(SettingsError, match="fallback is for workers: give model as http://HOST:8000 too"):
        load_settings({"fallback": "tiny", "model": "tiny"}, environment={})


@pytest.mark.slow
@pytest.mark.parametrize("fallback", [None, "tiny"])
def test_the_program_listens_before_any_worker_answers(fallback: str | None, tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    own = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    options = ["--source", "room=demo", "--model", address, "--headless", "--hop", "1"]
    options += [] if fallback is None else ["--fallback", fallback]
    with Program(*options, environment=clean_environment(tmp_path) | own) as program:
        wait_until(lambda: program.logged("do not answer (connection refused)"), "a warning", START_SECONDS)
        if fallback is None:
            wait_until(lambda: program.logged("windows unanswered (connection refused)"), "a count")
            assert not program.taggings
        else:
            wait_until(lambda: program.logged("tiny tags on this machine meanwhile"), "a line", START_SECONDS)
            wait_until(lambda: program.taggings, "tags of the fallback")
        tiny = load_local("tiny", device="cpu", engine="torch", window_seconds=1.0)
        with score_server(tiny, port=int(address.rpartition(":")[2])):
            wait_until(
                lambda: program.logged("model tiny (as requested), 527 classes, workers at"), "workers"
            )
            if fallback is not None:
                wait_until(lambda: program.logged("the workers answer again"), "workers")
            count = len(program.taggings)
            wait_until(lambda: len(program.taggings) > count, "tags of the workers")
            assert program.interrupt() == 130
    assert not program.logged("Traceback")


@pytest.mark.slow
def test_a_fallback_with_other_classes_than_the_workers_is_refused(tmp_path: Path) -> None:
    tiny = load_local("tiny", device="cpu", engine="torch", window_seconds=1.0)
    with score_server(tiny) as worker:
        worker.update(labels=("yes", "no"), thresholds=None)
        options = ("--source", "demo", "--model", worker.address, "--fallback", "tiny", "--headless")
        with Program(*options, environment=clean_environment(tmp_path)) as program:
            assert program.wait(START_SECONDS) == 1
    assert program.logged("tiny has other classes than the workers' model: choose another --fallback")


def test_thresholds_follow_the_workers_model_and_the_scorer_stays() -> None:
    scorer, used = Flaky(), []
    session = live_session([Tone("a", 1.0, live=False)], scorer, fast=True)
    session.set_tagger(
        Replacement(None, 8_000, "ced-base", "workers", lambda _: (), on_use=lambda: used.append(1))
    )
    with ThreadGroup() as threads:
        session.start(threads)
        while threads.is_running("tagger") and not threads.failed:
            threads.wait(0.05)
    assert (used, session.health().model) == ([1], "ced-base")
    assert scorer.windows > 0
