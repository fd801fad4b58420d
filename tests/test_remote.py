"""A tagger on other machines, over HTTP: the same scores, and a sentence for whatever can go wrong."""

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from support.score_server import Worker, score_server
from support.system import free_port
from support.waiting import wait_until

from models.errors import ModelError, WorkersAwayError, WorkersError
from models.loading import load_tagger
from models.local import load_tagger as load_local
from models.reference_audio import reference_windows
from models.remote import RemoteTagger, load_remote
from models.score_protocol import (
    ModelDescription,
    RequestError,
    decode_windows,
    encode_window,
    most_request_bytes,
    number_of_windows,
)
from models.tagger import Tagger

SECONDS = 60.0
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def tiny() -> Tagger:
    """The embedded model with windows of a second, which take little time."""
    return load_local("tiny", device="cpu", engine="torch", window_seconds=1.0)


@pytest.fixture(scope="module")
def whole() -> Tagger:
    """The embedded model with its own windows."""
    return load_local("tiny", device="cpu", engine="torch")


@pytest.fixture
def worker(tiny: Tagger) -> Iterator[Worker]:
    with score_server(tiny) as running:
        yield running


@pytest.fixture
def remote(worker: Worker) -> Iterator[RemoteTagger]:
    tagger = load_remote(worker.address)
    yield tagger
    tagger.close()


recorded = cache(reference_windows)


def sound(count: int, samples: int = 16_000) -> np.ndarray:
    windows = recorded(samples)
    return np.concatenate([windows] * (count // len(windows) + 1))[:count]


class TestScores:
    def test_are_those_of_the_model_itself_with_samples_of_16_bits(self, whole: Tagger) -> None:
        windows = sound(6, 163_840)
        quiet = windows[:2] * np.float32(1e-3)
        with score_server(whole) as worker:
            remote = load_remote(worker.address)
            for given in (windows, quiet, windows[:2, :16_000], np.zeros((1, 163_840), np.float32)):
                assert np.abs(remote(given) - whole(given)).max() < 2e-3
            assert np.abs(remote.embed(windows[:2]) - whole.embed(windows[:2])).max() < 0.05
            assert remote(windows[0]).shape == (1, len(whole.labels))
            remote.close()

    def test_come_with_the_names_and_thresholds_of_the_model(
        self, remote: RemoteTagger, tiny: Tagger
    ) -> None:
        assert (remote.name, remote.labels, remote.window_samples) == (
            tiny.name,
            tiny.labels,
            tiny.window_samples,
        )
        assert remote.thresholds is not None
        assert tiny.thresholds is not None
        assert remote.thresholds.tolist() == tiny.thresholds.tolist()

    def test_are_asked_for_on_many_kept_connections_at_once(
        self, remote: RemoteTagger, worker: Worker
    ) -> None:
        remote(sound(40))
        remote(sound(40))
        assert worker.requests == 80
        assert 2 <= worker.most_at_once <= 16
        assert len(worker.connections) <= 16

    def test_of_shorter_windows_can_be_asked_for(self, worker: Worker) -> None:
        tagger = load_tagger(worker.address, window_seconds=0.5)
        assert tagger.window_samples == 8_000
        assert tagger.fingerprint == f"{worker.description.fingerprint} 8000", (
            "what was taught holds for one length"
        )
        assert load_tagger(worker.address).fingerprint == worker.description.fingerprint
        with pytest.raises(ValueError, match="at most 8000 samples"):
            tagger(np.zeros(8_001, np.float32))


class TestAWindow:
    def test_as_bytes_is_off_by_at_most_half_a_step(self) -> None:
        rng = np.random.default_rng(0)
        for peak in (1.0, 1e-4, 7.0):
            window = (peak * rng.uniform(-1, 1, 1000)).astype(np.float32)
            (decoded,) = decode_windows(encode_window(window), 1, 1000)
            assert np.abs(decoded - window).max() <= peak / 32_767 * 0.51
        assert not decode_windows(encode_window(np.zeros(10, np.float32)), 1, 10).any()

    def test_of_16_bits_is_exact(self) -> None:
        steps = np.random.default_rng(0).integers(-32_767, 32_767, 1000)
        for window in (steps / 32_768, steps[:10] / 32_768 / 1024):
            given = (np.rint(window * 32_768) / 32_768).astype(np.float32)
            assert np.array_equal(decode_windows(encode_window(given), 1, 1000)[0], given)

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"", 400),
            (b"\0" * 4, 400),
            (b"\0" * 7, 400),
            (np.float32(np.nan).tobytes() + b"\0\0", 400),
            (np.float32(1e9).tobytes() + b"\0\0", 400),
            (b"\0" * (4 + 2 * 101), 413),
        ],
        ids=["nothing", "no samples", "half a sample", "no scale", "too loud", "too long"],
    )
    def test_that_is_none_is_refused(self, body: bytes, status: int) -> None:
        with pytest.raises(RequestError) as refusal:
            decode_windows(body, 1, 100)
        assert refusal.value.status == status

    @pytest.mark.parametrize(
        ("text", "status"), [("0", 400), ("-1", 400), ("x", 400), ("9" * 50, 400), ("33", 413)]
    )
    def test_too_many_or_no_number_of_them_are_refused(self, text: str, status: int, worker: Worker) -> None:
        with pytest.raises(RequestError) as refusal:
            number_of_windows({"Earshot-Windows": text}, worker.description)
        assert refusal.value.status == status


class TestADescription:
    def test_survives_the_way(self, worker: Worker) -> None:
        assert ModelDescription.from_json(worker.description.to_json()) == worker.description
        assert most_request_bytes(worker.description) == 32 * (4 + 2 * 16_000)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"[]",
            b"{}",
            b"\xff",
            b"[" * 100_000,
            b'{"name": "a", "labels": [], "thresholds": null, "window_samples": 9, "fingerprint": "a", "largest_batch": 1}',
            b'{"name": "a", "labels": ["b"], "thresholds": [1, 2], "window_samples": 9, "fingerprint": "a", "largest_batch": 1}',
            b'{"name": "a", "labels": ["b"], "thresholds": null, "window_samples": 1e9, "fingerprint": "a", "largest_batch": 1}',
        ],
    )
    def test_that_is_none_is_refused(self, content: bytes) -> None:
        with pytest.raises(ValueError, match=r"\w"):
            ModelDescription.from_json(content)


class TestATokenIsNeeded:
    def test_and_taken_from_the_environment_or_a_file(
        self, tiny: Tagger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        with score_server(tiny, token="secret-of-the-workers") as worker:
            for wrong in (None, "another"):
                with pytest.raises(WorkersError, match="set EARSHOT_MODEL_TOKEN to their token"):
                    load_remote(worker.address, token=wrong)
            monkeypatch.setenv("EARSHOT_MODEL_TOKEN", "secret-of-the-workers")
            assert load_remote(worker.address).name == "tiny"
            monkeypatch.delenv("EARSHOT_MODEL_TOKEN")
            (tmp_path / "token").write_text("secret-of-the-workers\n")
            monkeypatch.setenv("EARSHOT_MODEL_TOKEN_FILE", str(tmp_path / "token"))
            assert load_remote(worker.address).name == "tiny"
            monkeypatch.setenv("EARSHOT_MODEL_TOKEN_FILE", str(tmp_path / "missing"))
            with pytest.raises(ModelError, match="can't be read"):
                load_remote(worker.address)


class TestWithoutAnAnswer:
    def test_a_lost_connection_is_repeated_at_once_on_a_new_one(
        self, remote: RemoteTagger, worker: Worker
    ) -> None:
        worker.faults.drops = 1
        scores = remote.in_time(sound(1), SECONDS)
        assert np.isfinite(scores).all()
        assert (worker.requests, len(worker.connections)) == (2, 2)
        assert (remote.traffic.retries, remote.traffic.unanswered) == (1, 0)

    def test_a_window_has_no_scores_and_the_others_have(self, remote: RemoteTagger, worker: Worker) -> None:
        worker.faults.drops = 2
        scores = remote.in_time(sound(1), SECONDS)
        assert np.isnan(scores).all()
        assert remote.traffic.unanswered == 1
        assert np.isfinite(remote.in_time(sound(2), SECONDS)).all()
        assert not remote.traffic.problem

    def test_a_busy_worker_is_not_asked_again(self, remote: RemoteTagger, worker: Worker) -> None:
        worker.faults.status = 503
        assert np.isnan(remote.in_time(sound(2), SECONDS)).all()
        assert worker.requests == 2
        assert "503" in remote.traffic.problem

    @pytest.mark.parametrize("status", [400, 401, 413, 429])
    def test_a_refusal_is_not_repeated(self, status: int, remote: RemoteTagger, worker: Worker) -> None:
        worker.faults.status = status
        assert np.isnan(remote.in_time(sound(1), SECONDS)).all()
        assert worker.requests == 1
        assert str(status) in remote.traffic.problem

    @pytest.mark.parametrize("status", [500, 502, 504])
    def test_an_ingress_that_lost_its_worker_is_asked_again(
        self, status: int, remote: RemoteTagger, worker: Worker
    ) -> None:
        worker.faults.status = status
        assert np.isnan(remote.in_time(sound(1), SECONDS)).all()
        assert worker.requests == 2

    def test_a_silent_worker_takes_no_longer_than_the_deadline(
        self, remote: RemoteTagger, worker: Worker
    ) -> None:
        worker.faults.silent = True
        began = time.monotonic()
        assert np.isnan(remote.in_time(sound(3), 0.3)).all()
        assert time.monotonic() - began < SECONDS / 2
        assert remote.traffic.unanswered == 3

    @pytest.mark.parametrize("garbage", [b"", b"abc", b"\0" * 400, np.full(527, np.nan, "<f4").tobytes()])
    def test_garbage_is_no_answer(self, garbage: bytes, remote: RemoteTagger, worker: Worker) -> None:
        worker.faults.garbage = garbage
        assert np.isnan(remote.in_time(sound(1), SECONDS)).all()

    def test_nothing_fails_while_all_workers_are_gone(self, tiny: Tagger) -> None:
        with score_server(tiny) as worker:
            remote = load_remote(worker.address)
            port = int(worker.address.rpartition(":")[2])
        assert np.isnan(remote.in_time(sound(2), SECONDS)).all()
        assert "refused" in remote.traffic.problem
        with score_server(tiny, port=port):
            assert np.isfinite(remote.in_time(sound(2), SECONDS)).all()


class TestACallThatIsNotLive:
    def test_waits_for_workers_that_come_back(
        self, remote: RemoteTagger, worker: Worker, tiny: Tagger
    ) -> None:
        worker.faults.drops = 9
        windows = sound(2)
        assert np.abs(remote(windows) - tiny(windows)).max() < 1e-3

    def test_ends_with_a_sentence_where_waiting_does_not_help(
        self, remote: RemoteTagger, worker: Worker
    ) -> None:
        worker.faults.status = 401
        with pytest.raises(WorkersError, match="set EARSHOT_MODEL_TOKEN"):
            remote(sound(1))
        worker.faults.status = 413
        with pytest.raises(WorkersError, match="refuse a request: 413"):
            remote(sound(1))
        worker.faults = type(worker.faults)(garbage=b"\0" * 8)
        with pytest.raises(WorkersError, match="check that all workers have one model"):
            remote(sound(1))

    def test_gives_up_after_a_minute_without_any_answer(
        self, remote: RemoteTagger, worker: Worker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("models.remote._PATIENCE_SECONDS", 0.2)
        worker.faults.status = 503
        with pytest.raises(WorkersError, match="all busy"):
            remote(sound(1))


class TestAModelThatChanges:
    def test_is_asked_about_for_no_longer_than_a_call_takes_and_seldom(
        self, remote: RemoteTagger, worker: Worker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[float] = []

        def describe(seconds: float) -> ModelDescription:
            asked.append(seconds)
            raise WorkersAwayError("no answer")

        monkeypatch.setattr(remote._connection, "describe", describe)
        worker.update(name="tiny-2", fingerprint="another")
        for _ in range(3):
            assert np.isnan(remote.in_time(sound(1), SECONDS)).all()
        (seconds,) = asked
        assert seconds <= SECONDS
        for _ in range(6):
            remote._descriptions._next_at = 0.0
            assert remote._descriptions.ask(time.monotonic() + 0.1) is None
        assert asked[-1] == 5.0, "a short hop does not keep the model unknown"

    def test_is_logged_if_its_classes_are_the_same(
        self, remote: RemoteTagger, worker: Worker, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "models")
        worker.update(name="tiny-2", fingerprint="another")
        assert np.isfinite(remote.in_time(sound(2), SECONDS)).all()
        assert (remote.name, remote.fingerprint) == ("tiny-2", "another")
        remote.in_time(sound(2), SECONDS)
        assert sum("another model now" in record.message for record in caplog.records) == 1

    def test_that_comes_back_is_taken_again(
        self, remote: RemoteTagger, worker: Worker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("models.remote._GONE_SECONDS", 0.2)
        before = worker.description
        worker.update(name="tiny-2", fingerprint="another")
        remote(sound(1))
        assert remote.fingerprint == "another"
        worker.description = before
        remote(sound(1))
        assert remote.fingerprint == "another", "workers change over one by one"
        time.sleep(0.3)
        remote(sound(1))
        assert (remote.name, remote.fingerprint) == (before.name, before.fingerprint)
        assert np.isfinite(remote.embed(sound(1))).all()

    def test_scores_of_a_model_that_nobody_has_described_are_not_taken(
        self, remote: RemoteTagger, worker: Worker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = worker.description
        worker.update(labels=tuple(reversed(before.labels)), fingerprint="another")
        monkeypatch.setattr(remote._connection, "describe", lambda _seconds: before)
        assert np.isnan(remote.in_time(sound(2), SECONDS)).all()
        assert remote.fingerprint == before.fingerprint

    def test_ends_with_a_sentence_if_they_are_not(self, remote: RemoteTagger, worker: Worker) -> None:
        worker.update(name="speech", labels=("yes", "no"), thresholds=None, fingerprint="another")
        with pytest.raises(WorkersError, match="now have speech, with other classes"):
            remote.in_time(sound(1), SECONDS)

    def test_ends_with_a_sentence_if_its_windows_are_shorter(
        self, remote: RemoteTagger, worker: Worker
    ) -> None:
        worker.update(window_samples=8_000, fingerprint="another")
        with pytest.raises(WorkersError, match="shorter windows: start Earshot again"):
            remote.in_time(sound(1), SECONDS)


@pytest.fixture
def away(tiny: Tagger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModelDescription:
    """Nothing is known of the workers; this is what is presumed of them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return ModelDescription("unknown", tiny.labels, None, 163_840, "")


class TestBeforeAnyWorkerAnswers:
    def test_windows_have_no_scores_and_the_first_answer_describes_the_model(
        self, tiny: Tagger, away: ModelDescription, caplog: pytest.LogCaptureFixture
    ) -> None:
        port = free_port()
        remote = load_remote(f"http://127.0.0.1:{port}", presume=lambda: away)
        assert "do not answer (connection refused): check the address" in caplog.text
        assert (remote.is_presumed, remote.name, remote.window_samples) == (True, "unknown", 163_840)
        assert np.isnan(remote.in_time(sound(2, 32_000), SECONDS)).all()
        assert (remote.traffic.unanswered, remote.traffic.problem) == (2, "connection refused")
        with score_server(tiny, port=port) as worker:
            windows = sound(2, 32_000)
            wait_until(lambda: np.isfinite(remote.in_time(windows, SECONDS)).all(), "scores")
            assert np.abs(remote.in_time(windows, SECONDS) - tiny(windows[:, -16_000:])).max() < 1e-2
            assert not remote.is_presumed
            assert (remote.name, remote.fingerprint) == (tiny.name, worker.description.fingerprint)
            assert remote.window_samples == 16_000, "the end of a longer window is scored"
            assert (remote.thresholds is None) == (tiny.thresholds is None)
            assert np.array_equal(remote.thresholds, tiny.thresholds)  # type: ignore[arg-type]
        remote.close()

    def test_they_are_presumed_to_have_the_model_that_they_had(
        self, tiny: Tagger, away: ModelDescription
    ) -> None:
        port = free_port()
        with score_server(tiny, port=port) as worker:
            worker.update(labels=tuple(f"mine {label}" for label in tiny.labels))
            load_remote(worker.address).close()
        remote = load_remote(f"http://127.0.0.1:{port}", presume=lambda: away)
        assert remote.is_presumed
        assert remote.labels == worker.description.labels
        assert (remote.name, remote.window_samples) == (tiny.name, tiny.window_samples)
        remote.close()

    def test_other_classes_end_the_program_and_are_known_to_the_next(
        self, tiny: Tagger, away: ModelDescription
    ) -> None:
        port = free_port()
        remote = load_remote(f"http://127.0.0.1:{port}", presume=lambda: away)
        with score_server(tiny, port=port) as worker:
            worker.update(labels=("yes", "no"), thresholds=None)
            with pytest.raises(WorkersError, match="with other classes or shorter windows: start Earshot"):
                remote.in_time(sound(1), SECONDS)
        remote.close()
        again = load_remote(worker.address, presume=lambda: away)
        assert again.labels == ("yes", "no")
        again.close()

    def test_a_refusal_and_a_stranger_get_a_sentence_all_the_same(
        self, tiny: Tagger, away: ModelDescription
    ) -> None:
        with (
            score_server(tiny, token="secret-of-the-workers") as worker,
            pytest.raises(WorkersError, match="set EARSHOT_MODEL_TOKEN"),
        ):
            load_remote(worker.address, token="another", presume=lambda: away)


class TestAnAddress:
    @pytest.mark.parametrize(
        ("address", "words"),
        [
            ("http://", "write it as http://HOST:8000"),
            ("http://host:port", "write it as http://HOST:8000"),
            ("http://host name:8000", "write it as http://HOST:8000"),
            ("http://host:8000?model=a", "write it as http://HOST:8000"),
            ("http://me:secret@host:8000", "put the workers' token into EARSHOT_MODEL_TOKEN"),
        ],
    )
    def test_that_is_none_gets_a_sentence(self, address: str, words: str) -> None:
        with pytest.raises(WorkersError, match=words):
            load_tagger(address)

    def test_where_nobody_answers_gets_a_sentence(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(WorkersError, match=r"do not answer \(connection refused\): check the address"):
            load_tagger(address)

    def test_that_redirects_gets_a_sentence_with_the_other_address(self, worker: Worker) -> None:
        for other in (worker.address, "https://head.example:8443"):
            worker.faults.moved_to = other
            with pytest.raises(WorkersError, match=f"redirect to {other}: give the address that they are at"):
                load_tagger(worker.address)

    def test_where_something_else_answers_gets_a_sentence(self, worker: Worker) -> None:
        with pytest.raises(WorkersError, match="check the address"):
            load_tagger(f"{worker.address}/other")


@pytest.mark.slow
def test_a_node_loads_no_network(worker: Worker, environment: dict[str, str]) -> None:
    code = f"""
import sys
from streamer.live import assembly
from earshot import load_tagger, tag
tagger = load_tagger({worker.address!r})
import numpy as np
taggings = tag(np.zeros(64000, np.float32), 16000, model=tagger)
assert len(taggings) == 4
print([name for name in ("torch", "openvino", "timm", "sklearn", "scipy", "matplotlib") if name in sys.modules])
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, "[]"), ran.stderr
