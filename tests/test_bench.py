"""The command ``bench``: what a window costs, and how many live sources a machine keeps up with."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from earshot import cli
from models import EngineError
from models.bench import matrices
from models.bench.measuring import random_checkpoint
from models.bench.plan import Plan, rows
from models.checkpoints import load_checkpoint
from streamer.commands import capacity
from streamer.errors import SourceError
from streamer.messages import SAMPLE_RATE_HZ, Samples
from streamer.sources import DEMO_PATH

ROOT = Path(__file__).parent.parent


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "run_live.py", "bench", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
def test_the_table_has_what_was_measured_beside_hugging_face() -> None:
    done = bench("--model", "tiny", "--precision", "fp32", "--precision", "bf16", "--engine", "torch", "--device", "cpu",
                 "--window", "1", "--batch", "2", "--runs", "2", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert f"torch {torch.__version__}" in content["machine"]
    exact, halved = content["rows"]
    assert (exact["engine"], halved["engine"]) == ("torch cpu fp32", "torch cpu bf16")
    assert exact["largest_difference"] < 1e-5
    assert exact["top5_agreement"] == 1.0
    assert 0 < halved["largest_difference"] < 0.1
    for row in (exact, halved):
        assert (row["model"], row["batch"], row["window_seconds"]) == ("tiny", 2, 1.0)
        assert 0 < row["median_seconds"] <= row["p95_seconds"]
        assert row["windows_per_second"] == pytest.approx(2 / row["median_seconds"], rel=0.5)
        assert row["real_time_sources"] == int(row["windows_per_second"])
        assert row["ratio"] == pytest.approx(row["hugging_face_seconds"] / row["median_seconds"])
        assert 100 < row["megabytes"] < 10_000
        assert 0 < row["matrix_share"] < 2
        assert row["gpu_megabytes"] is row["half_ratio"] is None


@pytest.mark.slow
def test_a_window_that_one_network_does_not_take_leaves_the_others() -> None:
    options = (
        "--network",
        "tiny-16-16",
        "--network",
        "ced-tiny",
        "--precision",
        "fp32",
        "--runs",
        "2",
        "--device",
        "cpu",
    )
    done = bench(*options, "--window", "10.24", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["model"] for row in json.loads(done.stdout)["rows"]] == ["tiny-16-16"]
    assert "ced-tiny, fp32 is left out: the model 'ced-tiny' can't take windows of 10.24 s" in done.stderr
    alone = bench(*options[2:], "--window", "10.24")
    assert alone.returncode == 1
    assert "can't take windows of 10.24 s" in alone.stderr


@pytest.mark.slow
def test_a_geometry_has_a_line_without_scores() -> None:
    done = bench(
        "--network", "tiny-16-16", "--precision", "fp32", "--window", "1", "--runs", "2", "--device", "cpu"
    )
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if "tiny-16-16" in line)
    figures = [cell.strip() for cell in line.strip("│").split("│")]
    assert figures[:4] == ["tiny-16-16", "openvino cpu fp32", "1 s", "1"]
    assert figures[10:12] == ["-", "-"]
    assert figures[-2].endswith("x")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--network", "base-11-11"), "there is no network 'base-11-11': give one of ced-tiny, "),
        (("--model", "tiny", "--model", "no-such-model"), "there is no model 'no-such-model'"),
        (("--model", "ensemble-s"), "'ensemble-s' is an ensemble, and this needs a single model"),
        (
            ("--streams", "--network", "base-11-11"),
            "there is no network 'base-11-11': give one of ced-tiny, ",
        ),
        (("--precision", "fp12"), "there is no precision 'fp12'"),
        (("--engine", "torch", "--precision", "int8"), "only the openvino engine on a CPU has int8"),
        (("--recording", "no-such.wav"), "there is no file no-such.wav"),
        (("--streams", "--model", "tiny", "--recording", "no-such.wav"), "there is no file no-such.wav"),
    ],
)
def test_an_impossible_measurement_is_reported_in_one_sentence(
    options: tuple[str, ...],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sys, "argv", ["earshot", "bench", *options])
    assert cli.run() == 1
    output, progress = capsys.readouterr()
    (complaint,) = (record for record in caplog.records if record.levelname == "ERROR")
    assert sentence in complaint.getMessage()
    assert "Traceback" not in caplog.text + progress
    assert output == ""


@pytest.mark.slow
def test_random_weights_are_the_same_each_time(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        random_checkpoint("tiny-16-16", folder)
    (a,), (b,) = first.iterdir(), second.iterdir()
    one, other = (load_checkpoint(str(path)).network_spec().fingerprint for path in (a, b))
    assert one == other


def test_an_unknown_network_is_refused_before_anything_is_measured() -> None:
    plan = Plan(
        models=["tiny"], networks=["x"], device="cpu", engine="auto", precisions=["fp32"],
        batches=[1], windows_seconds=[None], runs=2,
    )  # fmt: skip
    with pytest.raises(EngineError, match="no network 'x'"):
        rows(plan, np.zeros((1, 163_840), np.float32), print)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_matrix_rate_is_a_rate(precision: str) -> None:
    assert 1e8 < matrices.operations_per_second(precision, torch.device("cpu")) < 1e14


# Live sources


def scorer(samples: Samples) -> Samples:
    return np.zeros((len(samples), 3), np.float32)


def slow(samples: Samples) -> Samples:
    time.sleep(1.0)
    return scorer(samples)


def measured(tagger: object, sources: int, *, hop_seconds: float) -> capacity.Load:
    return capacity.measure(
        tagger,  # type: ignore[arg-type]
        sources,
        window_samples=2 * SAMPLE_RATE_HZ,
        hop_samples=round(hop_seconds * SAMPLE_RATE_HZ),
        recording=DEMO_PATH,
        seconds=4.0,
    )


def test_a_fast_tagger_keeps_all_windows_of_all_sources() -> None:
    found = measured(scorer, 3, hop_seconds=2.0)  # for so long, a machine may be busy with something else
    assert (found.sources, found.windows, found.dropped_windows) == (3, 6, 0)
    assert found.kept
    assert 0 <= found.latency_p50_seconds <= found.latency_p95_seconds
    assert found.cores > 0


def test_windows_that_a_slow_tagger_drops_are_counted() -> None:
    found = measured(slow, 2, hop_seconds=0.5)
    assert found.dropped_windows > 0
    assert found.windows + found.dropped_windows == 16
    assert not found.kept


def test_a_missing_recording_is_reported() -> None:
    with pytest.raises(SourceError, match="there is no file"):
        capacity.measure(
            scorer, 1, window_samples=16_000, hop_samples=16_000, recording=Path("no.wav"), seconds=1.0
        )


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 7, 23, 64, 200])
def test_the_largest_number_of_sources_is_found(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(_scorer: object, sources: int, **_: object) -> capacity.Load:
        return capacity.Load(sources, 10 * sources, 0 if sources <= limit else 1, 0.1, 0.2, 1.0)

    monkeypatch.setattr(capacity, "measure", fake)
    tried = list(
        capacity.capacity(scorer, window_samples=1, hop_samples=1, recording=DEMO_PATH, seconds=1.0, most=64)
    )
    best = max((found.sources for found in tried if found.kept), default=0)
    assert best <= min(limit, 64) <= best * 9 / 8 + (best < 8)
    assert len({found.sources for found in tried}) == len(tried) <= 12
