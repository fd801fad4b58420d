"""Batches of a worker: the scores of windows alone, sizes that have a graph, and a bound on what waits."""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.batch_scoring import BatchScoring, Task, Wanted
from models.checkpoints import load_checkpoint, save_checkpoint
from models.errors import ModelError
from models.fingerprint import fingerprint_of
from models.local import load_tagger
from models.score_protocol import ModelDescription, RequestError

if TYPE_CHECKING:
    from models.tagger import Tagger


class Counting:
    """Tagger that notes the sizes of its batches; a window's score is its mean."""

    def __init__(self, device: str) -> None:
        self.engine = SimpleNamespace(description=f"torch {device} fp32")
        self.window_samples = 16_000
        self.sizes: list[int] = []
        self.offset = 0.0

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        self.sizes.append(len(batch))
        return np.asarray(batch.mean(-1, keepdims=True) * 0.1 + 0.5 + self.offset)

    def embed(self, batch: np.ndarray) -> np.ndarray:
        return np.stack([batch.mean(-1), batch.std(-1)], -1)

    def scores_and_embeddings(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self(batch), self.embed(batch)


WANTED: tuple[Wanted, ...] = ("scores", "embedding", "both")


def scoring(tagger: Counting) -> BatchScoring:
    description = ModelDescription("counting", ("mean",), None, tagger.window_samples, "1", 32)
    return BatchScoring(tagger, description)  # type: ignore[arg-type]


def test_windows_of_many_lengths_and_wishes_come_back_in_their_order() -> None:
    tasks = [
        Task(np.full(16_000 if number % 2 else 8_000, number, np.float32), WANTED[number % 3])
        for number in range(12)
    ]
    rows = scoring(Counting("cpu")).score(tasks)
    for number, (task, row) in enumerate(zip(tasks, rows, strict=True)):
        score, embedding = [0.5 + number / 10], [number, 0.0]
        wanted = {"scores": score, "embedding": embedding, "both": score + embedding}[task.wants]
        assert row.tolist() == pytest.approx(wanted)


@pytest.mark.parametrize(("count", "size"), [(1, 1), (3, 4), (17, 32), (32, 32)])
def test_a_batch_on_a_gpu_has_a_size_whose_graph_is_captured_at_the_start(count: int, size: int) -> None:
    tagger = Counting("cuda")
    worker = scoring(tagger)
    assert tagger.sizes == [1, 2, 4, 8, 16, 32, 32]
    rows = worker.score([Task(np.full(16_000, 1.0, np.float32))] * count)
    assert tagger.sizes[-1] == size
    assert len(rows) == count


def test_no_more_windows_wait_than_take_a_second() -> None:
    worker = scoring(Counting("cpu"))
    worker.windows_per_second = 10.0
    for _ in range(10):
        worker.admit(1)
    with pytest.raises(RequestError, match="busy: 10 windows wait") as refusal:
        worker.admit(1)
    assert refusal.value.status == 503
    worker.release(10)
    worker.admit(32)  # alone, any request is accepted


def test_a_worker_whose_scores_are_none_is_not_well() -> None:
    tagger = Counting("cpu")
    worker = scoring(tagger)
    worker.check()
    for offset in (np.nan, 1.0, -1.0):
        tagger.offset = offset
        with pytest.raises(ModelError, match="restart the worker"):
            worker.check()


@pytest.mark.parametrize("wants", ["scores", "both"])
def test_a_worker_that_has_just_scored_a_window_scores_no_known_sound(wants: Wanted) -> None:
    tagger = Counting("cpu")
    worker = scoring(tagger)
    worker.score([Task(np.full(16_000, -3.0, np.float32), wants)])
    batches = len(tagger.sizes)
    worker.check()
    assert len(tagger.sizes) == batches
    tagger.offset = np.nan
    worker.score([Task(np.zeros(16_000, np.float32))])
    worker._proven_until -= 5.0
    with pytest.raises(ModelError, match="restart the worker"):
        worker.check()


@pytest.mark.parametrize(
    ("limit", "assigned", "threads"),
    [("1", {"worker": 1.0}, 7), ("1", {"CPU": 1.0}, None), ("4", {}, None), (None, {}, None)],
)
def test_a_worker_without_processors_of_its_own_computes_with_all(
    monkeypatch: pytest.MonkeyPatch, limit: str | None, assigned: dict[str, float], threads: int | None
) -> None:
    serving = pytest.importorskip("models.serving")
    context = SimpleNamespace(get_assigned_resources=lambda: assigned)
    monkeypatch.setattr(serving, "get_runtime_context", lambda: context)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(7), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if limit is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert serving._free_threads() == threads


def test_a_model_in_half_precision_has_a_fingerprint(tmp_path: Path) -> None:
    checkpoint = load_checkpoint("tiny")
    file = tmp_path / "half.safetensors"
    save_checkpoint(
        replace(checkpoint, weights={name: value.bfloat16() for name, value in checkpoint.weights.items()}),
        file,
    )
    assert len(fingerprint_of(str(file))) == 64


@pytest.mark.slow
def test_a_batch_has_the_scores_of_its_windows_alone() -> None:
    tiny: Tagger = load_tagger("tiny", device="cpu", engine="torch", window_seconds=1.0)
    description = ModelDescription("tiny", tiny.labels, None, tiny.window_samples, fingerprint_of("tiny"), 32)
    windows = np.random.default_rng(0).normal(0, 0.1, (5, 16_000)).astype(np.float32)
    rows = BatchScoring(tiny, description).score([Task(window) for window in windows])
    for window, row in zip(windows, rows, strict=True):
        assert np.abs(tiny(window)[0] - row).max() < 1e-5
    assert fingerprint_of("tiny") == description.fingerprint
