"""Engines: every one gives the scores of plain PyTorch, whatever the geometry."""

import logging
from pathlib import Path

import numpy as np
import openvino
import platformdirs
import pytest
import torch

from models import EngineError, load_tagger
from models.checkpoints import Checkpoint, save_checkpoint
from models.engines.choice import make_engine
from models.engines.openvino_engine import OpenVinoEngine
from models.engines.torch_engine import TorchEngine
from models.labels import audioset_classes
from models.transformer import AstConfig, AudioSpectrogramTransformer

LABELS = tuple(entry.name for entry in audioset_classes())


def network(
    *, fstride: int = 16, tstride: int = 16, rows: int = 128, seed: int = 0
) -> AudioSpectrogramTransformer:
    torch.manual_seed(seed)
    config = AstConfig(
        width=48, depth=2, heads=3, mlp_width=96, fstride=fstride, tstride=tstride, input_tdim=rows, label_dim=527
    )  # fmt: skip
    return AudioSpectrogramTransformer(config).eval()


def both(network: AudioSpectrogramTransformer) -> tuple[TorchEngine, OpenVinoEngine]:
    return TorchEngine(network, mean=-4.3, std=4.6, device="cpu"), OpenVinoEngine(network, mean=-4.3, std=4.6)


def translations() -> list[Path]:
    return sorted(Path(platformdirs.user_cache_dir("earshot"), "openvino").glob("*.xml"))


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize(
    ("fstride", "tstride", "rows"), [(16, 16, 128), (10, 10, 128), (12, 10, 200), (16, 16, 1024)]
)
def test_openvino_gives_the_scores_of_pytorch(fstride: int, tstride: int, rows: int) -> None:
    plain, fast = both(network(fstride=fstride, tstride=tstride, rows=rows))
    samples = 0.1 * torch.randn(3, rows * 160 - 500, generator=torch.Generator().manual_seed(0))
    for expected, got in zip(plain(samples), fast(samples), strict=True):
        assert got.dtype == torch.float32
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def test_the_embedded_model_scores_alike_on_both_engines() -> None:
    waveform = 0.1 * np.random.default_rng(0).standard_normal((2, 40_000)).astype(np.float32)
    plain, fast = (load_tagger("tiny", device="cpu", engine=engine) for engine in ("torch", "openvino"))
    assert plain.engine.description == "torch cpu fp32"
    assert fast.engine.description == "openvino cpu fp32"
    np.testing.assert_allclose(fast.logits(waveform), plain.logits(waveform), atol=1e-4)
    np.testing.assert_allclose(fast.embed(waveform), plain.embed(waveform), atol=1e-4)


def test_results_of_a_window_stay_when_the_next_is_scored() -> None:
    _, fast = both(network())
    first, _ = fast(torch.randn(1, 20_000))
    kept = first.clone()
    fast(torch.randn(1, 20_000))
    assert torch.equal(first, kept)


def test_a_network_is_translated_once(empty_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not empty_cache.exists()
    with caplog.at_level(logging.INFO):
        both(network())
        assert caplog.text.count("preparing the model") == 1
        both(network())
        assert caplog.text.count("preparing the model") == 1
        both(network(seed=1))  # other weights
        both(network(rows=256))  # another length
        assert caplog.text.count("preparing the model") == 3
    assert len(translations()) == 3


def test_only_the_newest_translations_are_kept(empty_cache: Path) -> None:  # noqa: ARG001 - where they are kept
    for seed in range(10):
        both(network(seed=seed))
    kept = translations()
    assert len(kept) == 8
    assert all(file.with_suffix(".bin").is_file() for file in kept)
    assert len(list(kept[0].parent.iterdir())) == 16


def test_a_damaged_translation_is_made_anew(empty_cache: Path) -> None:  # noqa: ARG001 - where they are kept
    plain, _ = both(network())
    (file,) = translations()
    file.write_text("<net")
    _, fast = both(network())
    samples = torch.randn(1, 20_000)
    torch.testing.assert_close(fast(samples)[0], plain(samples)[0], atol=1e-4, rtol=0)
    assert len(file.read_text()) > 1000


def test_a_cache_that_cannot_be_written_is_done_without(empty_cache: Path) -> None:
    empty_cache.write_text("a file where the folder would be")
    plain, fast = both(network())
    samples = torch.randn(1, 20_000)
    torch.testing.assert_close(fast(samples)[0], plain(samples)[0], atol=1e-4, rtol=0)


def test_a_cpu_gets_openvino_unless_something_else_is_asked_for() -> None:
    made = make_engine(network(), mean=0, std=1, device="cpu")
    assert made.description == "openvino cpu fp32"
    asked = make_engine(network(), mean=0, std=1, device="cpu", engine="torch")
    assert asked.description == "torch cpu fp32"


def test_a_network_that_openvino_can_not_run_is_run_by_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Exception from src/core:\nno such operation")

    monkeypatch.setattr("models.engines.openvino_engine._translated", fail)
    assert make_engine(network(), mean=0, std=1, device="cpu").description == "torch cpu fp32"
    with pytest.raises(
        EngineError, match=r"can't run this network \(no such operation\): give --engine torch"
    ):
        make_engine(network(), mean=0, std=1, device="cpu", engine="openvino")


def test_precisions_that_the_chip_lacks_are_refused() -> None:
    with pytest.raises(EngineError, match="has no fp16: give fp32 or bf16"):
        OpenVinoEngine(network(), mean=0, std=1, precision="fp16")
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert OpenVinoEngine(network(), mean=0, std=1, precision="bf16").description == "openvino cpu bf16"
    else:
        with pytest.raises(EngineError, match="no bf16: give --precision fp32"):
            OpenVinoEngine(network(), mean=0, std=1, precision="bf16")


def test_openvino_is_refused_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(EngineError, match="runs on the CPU: give --device cpu or --engine torch"):
        load_tagger("tiny", device="cuda:0", engine="openvino")


def test_a_wrong_wish_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    small = network()
    path = tmp_path / "small.safetensors"
    save_checkpoint(
        Checkpoint(name="small", config=small.config, labels=LABELS, weights=small.state_dict()), path
    )
    assert load_tagger(path).engine.description == "openvino cpu fp32"
    with pytest.raises(EngineError, match="there is no engine 'warp'"):
        load_tagger(tmp_path / "missing.safetensors", engine="warp")  # type: ignore[arg-type]
