"""Engines: every one gives the scores of plain PyTorch, whatever the geometry."""

import inspect
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import platformdirs
import pytest
import torch

from models import EngineError, local
from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from models.engines import Engine, Precision, Samples, openvino_cache
from models.engines.graph_engine import LARGEST_BATCH, GraphEngine
from models.engines.openvino_engine import OpenVinoEngine, has_bf16
from models.engines.torch_engine import TorchEngine
from models.labels import audioset_classes
from models.local import load_tagger
from models.network_spec import NetworkSpec
from models.reference_audio import reference_windows
from models.selection.engine_benchmark import MAX_DIFFERENCE, EngineBenchmark, EngineResult, compare
from models.selection.engine_choice import EngineSpec, _fastest, make_engine
from models.selection.json_cache import cached_choice
from models.selection.user_quantization import quantize_on

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
    return TorchEngine(NetworkSpec.from_network(network, mean=-4.3, std=4.6), device="cpu"), OpenVinoEngine(
        NetworkSpec.from_network(network, mean=-4.3, std=4.6)
    )


def small(network: AudioSpectrogramTransformer, precision: Precision) -> OpenVinoEngine:
    return OpenVinoEngine(NetworkSpec.from_network(network, mean=-4.3, std=4.6), precision=precision)


def noise(windows: int, samples: int = 20_000) -> torch.Tensor:
    return 0.1 * torch.randn(windows, samples, generator=torch.Generator().manual_seed(0))


def saved(folder: Path) -> Path:
    """Save a small network as a checkpoint."""
    path, small = folder / "small.safetensors", network()
    save_checkpoint(
        Checkpoint(name="small", config=small.config, labels=LABELS, weights=small.state_dict()), path
    )
    return path


def cached_models() -> list[Path]:
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


@pytest.mark.slow
def test_the_embedded_model_scores_alike_on_both_engines() -> None:
    waveform = 0.1 * np.random.default_rng(0).standard_normal((2, 40_000)).astype(np.float32)
    plain, fast = (
        load_tagger("tiny", device="cpu", engine=engine, precision="fp32") for engine in ("torch", "openvino")
    )
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


@pytest.mark.slow
def test_a_network_is_converted_once(empty_cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not empty_cache.exists()
    with caplog.at_level(logging.INFO):
        both(network())
        assert caplog.text.count("converting the model") == 1
        both(network())
        assert caplog.text.count("converting the model") == 1
        both(network(seed=1))  # other weights
        both(network(rows=256))  # another length
        assert caplog.text.count("converting the model") == 3
    assert len(cached_models()) == 3


@pytest.mark.slow
def test_only_the_newest_models_are_kept(empty_cache: Path) -> None:  # noqa: ARG001 - where they are kept
    for seed in range(10):
        both(network(seed=seed))
    kept = cached_models()
    assert len(kept) == 8
    assert all(file.with_suffix(".bin").is_file() for file in kept)
    assert len(list(kept[0].parent.iterdir())) == 16


def test_a_damaged_translation_is_made_again(empty_cache: Path) -> None:  # noqa: ARG001 - where they are kept
    plain, _ = both(network())
    (file,) = cached_models()
    file.write_text("<net")
    _, fast = both(network())
    samples = torch.randn(1, 20_000)
    torch.testing.assert_close(fast(samples)[0], plain(samples)[0], atol=1e-4, rtol=0)
    assert len(file.read_text()) > 1000


def test_an_unwritable_cache_is_not_used(empty_cache: Path) -> None:
    empty_cache.write_text("a file where the folder would be")
    plain, fast = both(network())
    samples = torch.randn(1, 20_000)
    torch.testing.assert_close(fast(samples)[0], plain(samples)[0], atol=1e-4, rtol=0)


def test_a_cpu_gets_openvino_unless_something_else_is_asked_for() -> None:
    made = make_engine(NetworkSpec.from_network(network(), mean=0, std=1), device="cpu")
    assert made.description == "openvino cpu fp32"
    asked = make_engine(NetworkSpec.from_network(network(), mean=0, std=1), device="cpu", engine="torch")
    assert asked.description == "torch cpu fp32"


def test_a_network_that_openvino_can_not_run_is_run_by_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Exception from src/core:\nno such operation")

    monkeypatch.setattr("models.engines.openvino_cache._convert", fail)
    unseen = network(seed=9)
    assert (
        make_engine(NetworkSpec.from_network(unseen, mean=0, std=1), device="cpu").description
        == "torch cpu fp32"
    )
    with pytest.raises(
        EngineError, match=r"can't run this network \(no such operation\): give --engine torch"
    ):
        make_engine(NetworkSpec.from_network(unseen, mean=0, std=1), device="cpu", engine="openvino")


def test_precisions_that_the_chip_lacks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="has no fp16: give fp32, bf16 or int8"):
        small(network(), "fp16")
    monkeypatch.setattr("models.engines.openvino_engine.has_bf16", lambda: False)
    with pytest.raises(EngineError, match="no bf16: give --precision fp32 or int8"):
        small(network(), "bf16")


# Several windows at once


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_windows_side_by_side_have_the_scores_they_have_alone(precision: Precision) -> None:
    if precision == "bf16" and not has_bf16():
        pytest.skip("this processor has no bf16")
    engine = small(network(), precision)
    windows = noise(7)
    together = engine(windows)
    assert torch.equal(together[0], torch.cat([engine(window[None])[0] for window in windows]))
    assert torch.equal(together[1], torch.cat([engine(window[None])[1] for window in windows]))
    assert torch.equal(engine(windows.flip(0))[0], together[0].flip(0))


# bf16 and int8


@pytest.mark.slow
def test_bf16_keeps_the_scores() -> None:
    if not has_bf16():
        pytest.skip("this processor has no bf16")
    plain, halved = both(network())[0], small(network(), "bf16")
    assert halved.description == "openvino cpu bf16"
    difference = (plain(noise(4))[0].sigmoid() - halved(noise(4))[0].sigmoid()).abs().max()
    assert 0 < difference < 5e-3


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenVinoEngine]:
    """Return a small network in 8 bits, with a separate cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("quantized")))
        yield small(network(), "int8")


@pytest.mark.slow
def test_int8_is_near_single_precision(quantized: OpenVinoEngine) -> None:
    assert quantized.description == "openvino cpu int8"
    windows = reference_windows(20_000)[:6]
    for expected, got in zip(both(network())[0](windows), quantized(windows), strict=True):
        assert got.dtype == torch.float32
        assert 0 < (got - expected).abs().max() < 0.5 * expected.std()


@pytest.mark.slow
def test_a_network_is_quantized_once(quantized: OpenVinoEngine, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        again = small(network(), "int8")
    assert "quantizing" not in caplog.text
    assert torch.equal(again(noise(2))[0], quantized(noise(2))[0])
    assert [path.stem.endswith("-int8") for path in cached_models()].count(True) == 1


@pytest.mark.slow
def test_custom_sounds_need_a_new_quantization(quantized: OpenVinoEngine) -> None:
    own = OpenVinoEngine(
        NetworkSpec.from_network(network(), mean=-4.3, std=4.6), precision="int8", sounds=noise(4, 128 * 160)
    )
    assert not torch.equal(own(noise(2))[0], quantized(noise(2))[0])
    kept = small(network(), "int8")
    assert torch.equal(kept(noise(2))[0], own(noise(2))[0])


@pytest.mark.slow
def test_a_failed_quantization_keeps_the_one_before(
    quantized: OpenVinoEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    del quantized  # makes one, unless another test did
    before = small(network(), "int8")(noise(2))[0]
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(EngineError, match="can't be quantized"):
        OpenVinoEngine(
            NetworkSpec.from_network(network(), mean=-4.3, std=4.6),
            precision="int8",
            sounds=noise(4, 128 * 160),
        )
    assert torch.equal(small(network(), "int8")(noise(2))[0], before)


@pytest.mark.slow
def test_a_failed_quantization_is_reported(monkeypatch: pytest.MonkeyPatch, empty_cache: Path) -> None:
    del empty_cache
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(EngineError, match=r"can't be quantized \(exit code 1\): give --precision fp32"):
        small(network(seed=5), "int8")


@pytest.mark.slow
def test_conversions_do_not_push_a_quantization_out_of_the_cache(
    monkeypatch: pytest.MonkeyPatch, empty_cache: Path
) -> None:
    monkeypatch.setattr("models.engines.openvino_cache._MAX_SINGLE", 2)
    folder = empty_cache / "earshot" / "openvino"
    folder.mkdir(parents=True)
    mine = folder / "mine-int8.xml"
    mine.touch()
    os.utime(mine, (0, 0))
    for seed in range(4):
        small(network(seed=seed), "fp32")
    assert mine.exists()
    assert len(cached_models()) == 3


# The path of a GPU, on the CPU


class Recorder:
    """In the place of CUDA: what was captured does the same work on the same buffers when it is replayed."""

    def __init__(self) -> None:
        self.captured = self.replayed = 0

    def __call__(self, run: Callable[[], None]) -> Callable[[], None]:
        self.captured += 1

        def replay() -> None:
            self.replayed += 1
            run()

        return replay


def test_a_graph_is_captured_once_for_each_batch_size() -> None:
    eager = TorchEngine(NetworkSpec.from_network(network(), mean=-4.3, std=4.6), device="cpu")
    recorder = Recorder()
    graphs = GraphEngine(eager, window_samples=20_480, capture=recorder)
    for batch in (1, 3, 1, 3, LARGEST_BATCH + 3):
        windows = noise(batch, 20_480)
        for expected, got in zip(eager(windows), graphs(windows), strict=True):
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    assert (recorder.captured, recorder.replayed) == (3, 6)  # 1, 3, and as many as there may be at most
    graphs(noise(2, 9_000))  # shorter than a window
    assert (recorder.captured, recorder.replayed) == (3, 6)


def test_results_of_a_graph_stay_when_it_runs_again() -> None:
    eager = TorchEngine(NetworkSpec.from_network(network(), mean=-4.3, std=4.6), device="cpu")
    graphs = GraphEngine(eager, window_samples=20_480, capture=Recorder())
    first, _ = graphs(noise(1, 20_480))
    kept = first.clone()
    graphs(2 * noise(1, 20_480))
    assert torch.equal(first, kept)


@pytest.mark.slow
def test_half_precision_in_pytorch_keeps_the_scores_of_the_embedded_model() -> None:
    windows = reference_windows(163_840)[:4].numpy()
    plain, halved = (
        load_tagger("tiny", device="cpu", engine="torch", precision=precision)
        for precision in ("fp32", "fp16")
    )
    # 0.016 of a logit at a score of a half
    np.testing.assert_allclose(halved(windows), plain(windows), atol=4e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_the_scores_of_the_cpu() -> None:
    windows = reference_windows(163_840)[:3].numpy()
    plain = load_tagger("tiny", device="cpu", engine="torch", precision="fp32")(windows)
    fast = load_tagger("tiny", device="cuda", precision="fp16")
    for _ in range(2):
        np.testing.assert_allclose(fast(windows), plain, atol=2e-3)
    assert fast.engine.description.endswith("fp16, CUDA graph")


# What is fastest


Fake = Callable[..., Engine]


class Timed:
    """An engine whose windows take as long as it says, by a clock that it moves."""

    def __init__(self, seconds: float, error: float, clock: list[float]) -> None:
        self.description = f"{seconds} s"
        self._seconds, self._error, self._clock = seconds, error, clock

    def __call__(self, samples: Samples) -> tuple[torch.Tensor, torch.Tensor]:
        self._clock[0] += self._seconds
        logits = torch.arange(10.0).repeat(len(samples), 1) / 10 - 0.5
        logits[:, 0] += self._error
        return logits, logits


@pytest.fixture
def contest(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Engine]:
    """Measure engines of given seconds and errors."""
    del empty_cache
    clock = [0.0]
    monkeypatch.setattr("models.selection.engine_benchmark.time.perf_counter", lambda: clock[0])

    def run(results: dict[str, tuple[float, float] | None], enough: float = 0.1) -> Engine:
        def make(spec: EngineSpec) -> Engine:
            figures = results[" ".join(spec)]
            if figures is None:
                raise EngineError("not here")
            return Timed(*figures, clock)

        others = [cast("EngineSpec", tuple(name.split())) for name in list(results)[1:]]
        return _fastest(
            make, make(("openvino", "fp32")), others, EngineBenchmark("ours", "here"), 16_000, enough
        )

    return run


def test_single_precision_stays_where_it_is_fast_enough(contest: Fake) -> None:
    results: dict[str, tuple[float, float] | None] = {"openvino fp32": (0.09, 0), "openvino bf16": (0.01, 0)}
    assert contest(results).description == "0.09 s"
    assert contest(results, enough=0.05).description == "0.01 s"


def test_the_fastest_that_keeps_the_scores_is_taken(contest: Fake) -> None:
    results = {
        "openvino fp32": (1.3, 0.0),
        "torch fp32": (1.7, 0.0),
        "openvino bf16": (0.7, 0.01),
        "openvino int8": (0.4, 0.5),
    }
    assert contest(results).description == "0.7 s"
    choice = cached_choice("ours")
    assert choice is not None
    assert choice.engine == "openvino bf16"
    assert choice.seconds == pytest.approx(0.7)
    assert cached_choice("theirs") is None


def test_only_a_listed_model_with_its_own_window_and_patches_has_a_listed_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []

    def make(network: NetworkSpec, name: str, **_: Any) -> Engine:
        names.append(name)
        return TorchEngine(network, device="cpu")

    monkeypatch.setattr(local, "make_engine", make)
    own = tmp_path / "tiny.safetensors"
    save_checkpoint(load_checkpoint("tiny"), own)
    local.load_tagger("tiny")
    local.load_tagger("tiny", window_seconds=10.24)
    local.load_tagger("tiny", window_seconds=2.0)
    local.load_tagger(str(own))
    assert names == ["tiny", "tiny", "", ""]
    benchmark = EngineBenchmark("", "here")
    benchmark.add("openvino fp32", EngineResult(0.1))
    benchmark.choose("openvino fp32")
    assert cached_choice("") is None


def test_scores_of_classes_that_exclude_each_other_are_compared_as_such() -> None:
    expected, logits = torch.tensor([[9.0, 9.4, -5.0]]), torch.tensor([[9.0, 8.9, -5.0]])
    assert compare(logits, expected)[0] < 0.001
    difference, agreement = compare(logits, expected, "softmax")
    assert difference == pytest.approx(0.124, abs=0.001)
    assert agreement == 1.0, "the same two classes"
    assert compare(logits[:, :2], expected[:, :2])[1] == 0.0, "another class is the highest"


def test_measurements_hold_for_one_length_of_windows(empty_cache: Path) -> None:
    del empty_cache
    spec = NetworkSpec.from_network(network(), mean=-4.3, std=4.6)
    for samples in (spec.window_samples, spec.window_samples // 2):
        changed = replace(spec, window_samples=samples)
        make_engine(changed, "ours", device="cpu", precision="auto", enough_seconds=0.0)
    cached = json.loads(next(Path(os.environ["XDG_CACHE_HOME"]).rglob("engines.json")).read_text())
    assert sum(spec.fingerprint in key for key in cached) == 2


def test_single_precision_is_run_once_for_its_speed_and_its_scores(empty_cache: Path) -> None:
    del empty_cache
    clock = [0.0]
    exact, other = Timed(1.0, 0.0, clock), Timed(1.0, 0.0, [0.0])
    benchmark = EngineBenchmark("ours", "here")
    _fastest(lambda _: other, exact, [("openvino", "bf16")], benchmark, 16_000, enough_seconds=0.0)
    assert benchmark.get("openvino bf16") is not None
    assert clock == [8.0], "once for each window"


def test_an_unavailable_engine_is_skipped_and_not_tried_again(
    contest: Fake, caplog: pytest.LogCaptureFixture
) -> None:
    results = {"openvino fp32": (1.3, 0.0), "openvino bf16": None, "openvino int8": (0.4, 0.1)}
    with caplog.at_level(logging.INFO, "models"):
        assert contest(results).description == "0.4 s"
        assert caplog.text.count("measuring engines") == 1
        assert contest(results).description == "0.4 s"
        assert caplog.text.count("measuring engines") == 1


@pytest.mark.parametrize(
    "content", ["[1]", '{"here": 5}', '{"here": [{"openvino fp32": {"hours": 1}}, 9e9]}']
)
def test_results_cached_in_another_format_are_measured_again(
    contest: Fake, empty_cache: Path, content: str
) -> None:
    (empty_cache / "earshot").mkdir(parents=True)
    (empty_cache / "earshot" / "engines.json").write_text(content)
    assert contest({"openvino fp32": (1.3, 0.0), "openvino bf16": (0.5, 0.0)}).description == "0.5 s"


def fastest() -> Engine:
    """Return the fastest engine for a small network, which counts as slow."""
    spec = NetworkSpec.from_network(network(), mean=-4.3, std=4.6)
    return make_engine(spec, device="cpu", precision="auto", enough_seconds=0.0)


@pytest.mark.parametrize("entry", [load_tagger, make_engine, TorchEngine, OpenVinoEngine])
def test_single_precision_is_the_default(entry: Callable[..., object]) -> None:
    assert inspect.signature(entry).parameters["precision"].default == "fp32"


def test_nothing_is_measured_or_quantized_unless_asked_for(
    empty_cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "models"):
        tagger = load_tagger(saved(tmp_path), device="cpu", enough_seconds=0.0)
    assert tagger.engine.description == "openvino cpu fp32"
    assert "measuring" not in caplog.text
    assert "quantizing" not in caplog.text
    assert not (empty_cache / "earshot" / "engines.json").exists()


@pytest.mark.parametrize("has_nncf", [True, False])
def test_auto_never_quantizes(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, has_nncf: bool
) -> None:
    if not has_nncf:
        monkeypatch.setitem(sys.modules, "nncf", None)
    with caplog.at_level(logging.INFO, "models"):
        fastest()
    (measured,) = json.loads((empty_cache / "earshot" / "engines.json").read_text()).values()
    assert (
        {"openvino fp32", "torch fp32"}
        <= measured[0].keys()
        <= {"openvino fp32", "torch fp32", "openvino bf16"}
    )
    assert "quantizing" not in caplog.text


def test_without_nncf_int8_is_refused_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    sentence = (
        r'int8 needs a library .*: run pip install -e "\.\[int8\]" in the checkout, or give --precision fp32'
    )
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(EngineError, match=sentence):
        load_tagger("missing.safetensors", device="cpu", precision="int8")
    with pytest.raises(EngineError, match=sentence):
        quantize_on("missing.safetensors", [])


def test_single_precision_on_a_gpu_does_not_round_to_tf32() -> None:
    seen = []
    plain = network()
    plain.v.patch_embed.register_forward_hook(lambda *_: seen.append(torch.backends.cudnn.allow_tf32))
    before = torch.backends.cudnn.allow_tf32
    TorchEngine(NetworkSpec.from_network(plain, mean=-4.3, std=4.6), device="cpu")(noise(1))
    assert seen == [False]
    assert torch.backends.cudnn.allow_tf32 == before


@pytest.mark.slow
def test_engines_for_a_large_network_are_measured_on_this_machine(
    empty_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    del empty_cache
    with caplog.at_level(logging.INFO, "models"):
        chosen = fastest()
        assert "measuring engines" in caplog.text
        caplog.clear()
        again = fastest()
    assert again.description == chosen.description
    assert not caplog.text
    plain = both(network())[0]
    windows = reference_windows(20_480)[:4]
    assert compare(chosen(windows)[0], plain(windows)[0])[0] <= MAX_DIFFERENCE


def test_openvino_is_refused_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(EngineError, match="runs on the CPU: give --device cpu or --engine torch"):
        load_tagger("tiny", device="cuda:0", engine="openvino")


def test_an_invalid_option_is_refused_before_any_download(tmp_path: Path) -> None:
    assert load_tagger(saved(tmp_path)).engine.description == "openvino cpu fp32"
    with pytest.raises(EngineError, match="there is no engine 'warp'"):
        load_tagger(tmp_path / "missing.safetensors", engine="warp")  # type: ignore[arg-type]


def test_temporary_folders_of_programs_that_were_killed_are_deleted(tmp_path: Path) -> None:
    for name, days in (("tmpold", 2.0), ("tmpnew", 0.1), ("other", 9.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.npy").write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - days * 86_400,) * 2)
    with openvino_cache._scratch(tmp_path) as scratch:
        assert scratch.parent == tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "tmpnew"]
