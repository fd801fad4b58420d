"""Taught sounds on workers: their scores come with those of the model, in one request a window."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
from support.score_server import Worker, score_server

from models.errors import TeachingError
from models.local import load_tagger
from models.reference_audio import reference_windows
from models.remote import RemoteTagger, load_remote
from models.tagger import Tagger
from models.teaching.heads import Head
from models.teaching.other_sounds import embed_all
from models.teaching.taught_sounds import TaughtHead, TaughtSound
from models.teaching.taught_tagger import TaughtTagger, with_taught
from streamer.stream.scoring import RemoteScorer

HEAD = Head(np.random.default_rng(0).standard_normal(192).astype(np.float32) * 0.1, 0.25)


@pytest.fixture(name="tiny", scope="module")
def load_tiny() -> Tagger:
    """The embedded model with windows of a second, which take little time."""
    return load_tagger("tiny", device="cpu", engine="torch", window_seconds=1.0)


@pytest.fixture(name="worker")
def start_worker(tiny: Tagger) -> Iterator[Worker]:
    with score_server(tiny) as running:
        yield running


@pytest.fixture(name="remote")
def connect(worker: Worker) -> Iterator[RemoteTagger]:
    tagger = load_remote(worker.address)
    yield tagger
    tagger.close()


def taught_to(fingerprint: str) -> TaughtSound:
    head = TaughtHead(fingerprint=fingerprint, model="tiny", head=HEAD, recall=0.8, others=300)
    return TaughtSound(
        name="Our doorbell",
        examples=5,
        taught_at=datetime(2026, 5, 1, tzinfo=UTC),
        heads={fingerprint: head},
    )


def test_a_taught_sound_has_the_score_that_it_has_on_this_machine(
    remote: RemoteTagger, tiny: Tagger, worker: Worker
) -> None:
    windows = reference_windows(16_000)[:6].numpy()
    here = TaughtTagger(tiny, [taught_to(tiny.fingerprint)])(windows)
    workers = with_taught(remote, [taught_to(remote.fingerprint)])
    there = workers(windows)
    assert workers.labels == (*tiny.labels, "Our doorbell")
    np.testing.assert_allclose(there, here, atol=0.01)
    assert here[:, -1].std() > 0.05, "the head tells the windows apart"
    assert worker.requests == len(windows)


def test_live_sound_is_scored_in_time_and_a_window_without_an_answer_is_left_out(
    remote: RemoteTagger, worker: Worker
) -> None:
    workers = with_taught(remote, [taught_to(remote.fingerprint)])
    assert isinstance(workers, RemoteScorer)
    windows = reference_windows(16_000)[:2].numpy()
    np.testing.assert_allclose(workers.in_time(windows, 10.0), workers(windows), atol=1e-6)
    worker.faults.silent = True
    late = workers.in_time(windows, 0.1)
    assert np.isnan(late[:, 0]).all()
    assert late.shape == (2, len(workers.labels))


def test_workers_of_an_earlier_version_score_their_own_classes_and_are_refused_for_teaching(
    remote: RemoteTagger, worker: Worker
) -> None:
    worker.faults.embeds_not = True
    windows = reference_windows(16_000)[:2].numpy()
    scores = with_taught(remote, [taught_to(remote.fingerprint)])(windows)
    np.testing.assert_allclose(scores[:, :-1], remote(windows), atol=1e-6)
    assert scores[:, -1].tolist() == [0.0, 0.0]
    with pytest.raises(TeachingError, match=r"^workers at http://.* send no embeddings: update and restart"):
        embed_all(remote, list(windows))


def test_a_sound_is_not_recognised_by_another_model_that_workers_change_to(
    remote: RemoteTagger, worker: Worker
) -> None:
    workers = with_taught(remote, [taught_to(remote.fingerprint)])
    windows = reference_windows(16_000)[:2].numpy()
    assert workers(windows)[:, -1].all()
    worker.update(name="newer", fingerprint="f" * 64)
    workers(windows)  # the first answers tell of the change
    assert workers(windows)[:, -1].tolist() == [0.0, 0.0]
    assert workers.unknown == ("Our doorbell",)
    assert workers.describe_unknown().startswith(
        "Our doorbell was taught to another model or window, and is unknown to newer: run earshot teach again"
    )
