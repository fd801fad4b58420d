"""The GPU's benchmark, tried on the CPU: it runs, and each of its checks can fail."""

import importlib
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.engines import Engine

ROOT = Path(__file__).parent.parent
SCRIPT = str(ROOT / "benchmarks" / "gpu.py")
WINDOW = 40_960


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("gpu_checks")


class Changed:
    """An engine whose results are changed by a function."""

    description = "changed"

    def __init__(self, engine: Engine, change: Callable[[Tensor], Tensor]) -> None:
        self._engine, self._change = engine, change

    def __call__(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        logits, embeddings = self._engine(samples)
        return self._change(logits), embeddings


def network(checks: Any) -> Any:
    return checks.build(checks.networks(small=True)["ast-small"])


def engine(checks: Any) -> Any:
    return checks.eager(network(checks), "cpu", "fp32")


def verdicts(lines: Iterable[Any]) -> list[bool]:
    """Return for each check whether it failed."""
    return [line.failed for line in lines if line.limit]


@pytest.mark.slow
def test_the_benchmark_runs_on_a_cpu_and_checks_everything(checks: Any) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--device", "cpu", "--quick"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" ok\n") == 8 * len(checks.networks(small=True))
    for figure in (
        "bf16: logits",
        "graphs of 1 to 33",
        "one window, median",
        "windows/s",
        "live streams",
        "GPU memory",
    ):
        assert figure in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_benchmark_says_how_to_try_it() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 1
    assert (
        done.stderr
        == "gpu.py: there is no CUDA device here: try the script itself with --device cpu --quick\n"
    )


def test_missing_libraries_are_named_in_a_sentence() -> None:
    code = (
        "import runpy, sys; sys.modules.update(timm=None, torchaudio=None);"
        f"sys.argv = ['gpu.py']; runpy.run_path({SCRIPT!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "gpu.py: torchaudio, timm can't be imported: install them\n"


def test_a_failed_check_is_printed_and_ends_with_an_error(
    checks: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        checks, "lines", lambda *_: iter([checks.Line("net", "lag", "9 ms", "<= 1 ms", failed=True)])
    )
    monkeypatch.setattr("sys.argv", ["gpu.py", "--device", "cpu"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("gpu").main()
    assert ended.value.code == 1
    assert "<= 1 ms           FAILED" in capsys.readouterr().out


@pytest.mark.parametrize("fault", [lambda x: x + 0.2, lambda x: x.flip(0), lambda x: x / 0, lambda x: x[:1]])
def test_other_logits_fail_the_comparison_of_precisions(
    checks: Any, fault: Callable[[Tensor], Tensor]
) -> None:
    windows, plain = checks.sounds(2, WINDOW), network(checks)

    def broken(*request: Any) -> Changed:
        return Changed(checks.eager(*request), fault)

    assert verdicts(checks.parity("net", plain, "cpu", windows)) == [False] * 3
    assert verdicts(checks.parity("net", plain, "cpu", windows, broken)) == [True] * 3


def test_a_graph_that_keeps_old_results_fails(checks: Any) -> None:
    plain, windows = engine(checks), checks.sounds(3, WINDOW)
    first: dict[int, Tensor] = {}
    stale = Changed(plain, lambda logits: first.setdefault(len(logits), logits))
    assert verdicts(checks.equal_graphs("net", plain, checks.graphs(plain, WINDOW), windows, (1, 3))) == [
        False
    ]
    assert verdicts(checks.equal_graphs("net", plain, stale, windows, (1, 3))) == [True]


def test_speed_below_hugging_face_or_the_cards_target_fails(
    checks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(checks.QUICK, speed_limits=True)
    windows = checks.sounds(2, WINDOW)

    def slow(samples: Tensor) -> tuple[Tensor, Tensor]:
        time.sleep(0.005)
        return torch.zeros(len(samples), 5), torch.zeros(len(samples), 3)

    def measured(baseline: Callable[[Any], object]) -> list[bool]:
        return verdicts(checks.speed("net", slow, baseline, windows, "cpu", plan))

    assert measured(lambda _: time.sleep(0.4)) == [False, False]
    assert measured(lambda _: None) == [True, True]
    monkeypatch.setattr(checks, "TARGETS", {("net", ""): (1e-4, 1e6)})
    assert measured(lambda _: time.sleep(0.4)) == [True, True]


@pytest.mark.slow
def test_streams_with_late_or_other_scores_fail(checks: Any) -> None:
    plain, calls = engine(checks), itertools.count()
    other = Changed(plain, lambda logits: logits * (-1) ** next(calls))

    def late(logits: Tensor) -> Tensor:
        time.sleep(2.5)
        return logits

    assert verdicts(checks.streams("net", plain, WINDOW, 2, 3)) == [False, False]
    assert verdicts(checks.streams("net", other, WINDOW, 2, 3)) == [False, True]
    assert verdicts(checks.streams("net", Changed(plain, late), WINDOW, 2, 3))[0]


def test_growing_memory_fails(checks: Any) -> None:
    windows, kept = checks.sounds(2, WINDOW), list[Any]()

    def plain(samples: Tensor) -> tuple[Tensor, Tensor]:
        return samples, samples

    def leaking(samples: Tensor) -> tuple[Tensor, Tensor]:
        kept.append(np.ones(1_000_000))
        return samples, samples

    assert verdicts(checks.leak("net", plain, windows, 30, lambda: 5)) == [False, False]
    assert verdicts(checks.leak("net", leaking, windows, 30, itertools.count().__next__)) == [True, True]


def test_an_error_of_cuda_is_a_failed_check(checks: Any) -> None:
    def fail() -> Any:
        yield checks.Line("net", "first", "1", "<= 2")
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    lines = list(checks.guarded("net", fail()))
    assert verdicts(lines) == [False, True]
    assert lines[1].figure == "CUDA out of memory. Tried to allocate 2 GiB."
