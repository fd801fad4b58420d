"""The embedded model on OpenVINO, without PyTorch."""

import importlib.util
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import soundfile
from support.program import ROOT

from models import EngineError, loading
from models.embedded import load_embedded
from models.errors import CheckpointError
from models.local import load_tagger as load_local
from models.tagger import Floats, Tagger
from models.teaching.other_sounds import bundled_file
from streamer.sources import DEMO_PATH

WITHOUT_PYTORCH = """
import sys
sys.modules.update(dict.fromkeys(("torch", "torchaudio", "torchvision", "timm", "sklearn", "huggingface_hub")))
from earshot.cli import main
main()
"""
"""Program on a machine with the extra `tiny` alone."""


def sounds(length: int) -> dict[str, Floats]:
    """Return windows of noise, silence and tones, and one of the demo."""
    rng = np.random.default_rng(0)
    times = np.arange(length) / 16_000
    demo, rate = soundfile.read(DEMO_PATH, dtype="float32", frames=16_000 * 12)
    assert rate == 16_000
    made = {
        "noise": 0.1 * rng.standard_normal(length),
        "loud noise": rng.uniform(-1, 1, length),
        "silence": np.zeros(length),
        "a tone": 0.5 * np.sin(2 * np.pi * 440 * times),
        "the demo": demo[-length:],
        "a third of a window": 0.1 * rng.standard_normal(length // 3),
    }
    return {name: np.asarray(samples, np.float32) for name, samples in made.items()}


@pytest.mark.parametrize("seconds", [None, 3.0, 1.0])
def test_scores_and_embeddings_are_those_of_pytorch(seconds: float | None) -> None:
    ours, theirs = (
        load_embedded(seconds),
        load_local("tiny", engine="torch", device="cpu", window_seconds=seconds),
    )
    assert (ours.name, ours.labels, ours.window_samples) == (
        theirs.name,
        theirs.labels,
        theirs.window_samples,
    )
    assert ours.fingerprint == theirs.fingerprint
    np.testing.assert_array_equal(ours.thresholds, theirs.thresholds)
    for name, samples in sounds(ours.window_samples).items():
        (scores, embedding), (expected, other) = (
            tagger.scores_and_embeddings(samples) for tagger in (ours, theirs)
        )
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, expected, atol=1e-5, rtol=0, err_msg=name)
        np.testing.assert_allclose(embedding, other, atol=1e-4, rtol=0, err_msg=name)


def test_windows_side_by_side_have_the_scores_they_have_alone() -> None:
    tagger = load_embedded()
    windows = np.stack(
        [samples for samples in sounds(tagger.window_samples).values() if len(samples) == 163_840]
    )
    np.testing.assert_array_equal(tagger(windows), np.concatenate([tagger(window) for window in windows]))


@pytest.mark.parametrize("seconds", [0.99, 10.25, -1.0, float("nan")])
def test_a_window_out_of_range_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"window_seconds must be 1 to 10\.24"):
        loading.load_tagger("tiny", device="cpu", window_seconds=seconds)


class TestChoice:
    """Which of the two runs `tiny`."""

    def test_tiny_on_a_cpu_needs_no_pytorch(self) -> None:
        script = (
            "import sys, numpy; from earshot import load_tagger; tagger = load_tagger('tiny', device='cpu'); "
            "tagger(numpy.zeros(16_000, numpy.float32)); print(tagger.engine.description, 'torch' in sys.modules)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "openvino cpu fp32 False"

    @pytest.mark.parametrize(
        ("options", "suits"),
        [
            ({}, True),
            ({"device": "cpu", "precision": "auto"}, True),
            ({"engine": "openvino"}, True),
            ({"engine": "torch"}, False),
            ({"precision": "bf16"}, False),
            ({"device": "cuda"}, False),
            ({"fstride": 10}, False),
        ],
    )
    def test_other_engines_devices_and_precisions_are_pytorchs(
        self, options: dict[str, Any], suits: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loading, "has_cuda_driver", lambda: False)
        assert loading.suits_embedded(**options) is suits

    def test_a_geometry_that_it_does_not_have_is_refused(self) -> None:
        with pytest.raises(CheckpointError, match="has fstride 16, not 10: omit the option"):
            loading.load_tagger("tiny", device="cpu", fstride=10)

    def test_with_a_gpu_only_the_processor_suits_if_it_is_asked_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loading, "has_cuda_driver", lambda: True)
        assert not loading.suits_embedded(device="auto")
        assert loading.suits_embedded(device="cpu")
        monkeypatch.setattr(loading, "_missing", lambda _libraries: ["torch"])
        assert loading.suits_embedded(device="auto"), "without PyTorch, no GPU helps"

    def test_pytorch_runs_it_where_openvino_can_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_seconds: float | None) -> Tagger:
            raise RuntimeError("no such instructions")

        monkeypatch.setattr("models.embedded.load_embedded", refuse)
        tagger = loading.load_here("tiny", device="cpu", engine="auto")
        assert tagger.fingerprint == load_local("tiny", device="cpu").fingerprint

    def test_without_pytorch_auto_is_tiny(self) -> None:
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_PYTORCH, "tag", DEMO_PATH, "--json", "--hop", "10"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "model tiny (PyTorch is not installed), 527 classes, openvino cpu fp32" in done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines[0]["tags"][0]["label"] == "Speech"

    @pytest.mark.parametrize(
        "words",
        [
            ("bench",),
            ("models",),
            ("evaluate", "--data", "."),
            ("--source", "demo", "--headless", "--model", "base"),
        ],
    )
    def test_without_pytorch_one_sentence_tells_what_is_missing(self, words: tuple[str, ...]) -> None:
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_PYTORCH, *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert 'which is not installed: run pip install -e ".[local]" in the checkout' in done.stderr
        assert "unexpectedly" not in done.stderr

    def test_without_openvino_one_sentence_tells_what_is_missing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name == "openvino" else found(name)
        )
        with pytest.raises(
            EngineError, match=r"needs openvino, which is not installed: run pip install -e .\.\[tiny\]"
        ):
            loading.load_tagger("tiny", device="cpu")


def test_its_other_sounds_are_bundled() -> None:
    file = bundled_file(load_embedded())
    assert sorted(file.parent.glob("*.npz")) == [file], "run docs/render_other_sounds.py"
