import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import CheckpointError, EngineError
from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from models.labels import audioset_classes, mid_of
from models.local import load_tagger
from models.tagger import Tagger


@pytest.fixture(scope="module")
def tiny() -> Tagger:
    return load_tagger("tiny", device="cpu")


def noise(*shape: int) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)


def small_checkpoint(labels: tuple[str, ...] = ("a", "b", "c"), **changes: object) -> Checkpoint:
    torch.manual_seed(0)
    config = AstConfig.of_size("tiny", fstride=16, tstride=16, input_tdim=128, label_dim=3)
    weights = {key: value.half() for key, value in AudioSpectrogramTransformer(config).state_dict().items()}
    fields = {"name": "small", "config": config, "labels": labels, "weights": weights} | changes
    return Checkpoint(**fields)  # type: ignore[arg-type]


def test_the_embedded_model_scores_the_527_classes(tiny: Tagger) -> None:
    scores = tiny(noise(2, 163_840))
    assert scores.shape == (2, 527)
    assert scores.dtype == np.float32
    assert 0 <= scores.min() < scores.max() <= 1
    assert tiny.labels == tuple(entry.name for entry in audioset_classes())
    assert tiny.window_samples == 163_840


def test_one_waveform_is_a_batch_of_one(tiny: Tagger) -> None:
    waveform = noise(163_840)
    np.testing.assert_allclose(tiny(waveform), tiny(waveform[None]), atol=1e-6)


def test_scores_are_the_sigmoid_of_the_logits(tiny: Tagger) -> None:
    waveform = noise(50_000)
    np.testing.assert_allclose(tiny(waveform), 1 / (1 + np.exp(-tiny.logits(waveform))), atol=1e-6)
    assert tiny.embed(waveform).shape == (1, 192)


def test_tensors_and_float64_are_taken_too(tiny: Tagger) -> None:
    waveform = noise(20_000)
    tensor = torch.from_numpy(waveform).requires_grad_()
    np.testing.assert_array_equal(tiny(tensor), tiny(waveform))
    np.testing.assert_array_equal(tiny(waveform.astype(np.float64)), tiny(waveform))


def test_a_batch_scores_as_its_windows_do(tiny: Tagger) -> None:
    batch = noise(3, 80_000)
    np.testing.assert_allclose(tiny(batch), np.concatenate([tiny(row) for row in batch]), atol=1e-5)


def test_a_sound_shorter_than_a_frame_is_scored(tiny: Tagger) -> None:
    assert np.isfinite(tiny(noise(160))).all()


@pytest.mark.parametrize("seconds", [1.0, 2.0, 5.12])
def test_a_shorter_window_adapts_the_network(seconds: float) -> None:
    tagger = load_tagger("tiny", device="cpu", window_seconds=seconds)
    assert tagger.window_samples == seconds * 16_000
    assert tagger(noise(tagger.window_samples)).shape == (1, 527)


@pytest.mark.parametrize(
    ("samples", "complaint"),
    [
        (noise(163_841), "at most 163840 samples"),
        (np.array([0.0, np.nan], np.float32), "finite"),
        (np.zeros((2, 0), np.float32), "not empty"),
        (np.zeros((1, 1, 400), np.float32), "not empty"),
        (np.zeros((16_000, 2), np.float32), "transpose"),
        (np.full(400, 1e30, np.float32), r"in \[-1, 1\]"),
        (np.ones(400, np.int16), "divide int16 by 32768"),
    ],
)
def test_wrong_samples_are_refused(tiny: Tagger, samples: NDArray[Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        tiny(samples)


@pytest.mark.parametrize("seconds", [0.5, 11.0, float("nan")])
def test_a_window_out_of_range_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="window_seconds must be 1 to 10.24"):
        load_tagger("tiny", window_seconds=seconds)


def test_an_unknown_model_is_answered_with_the_list_of_models() -> None:
    with pytest.raises(CheckpointError, match="no model 'tinny'.*'tiny'"):
        load_tagger("tinny")


@pytest.mark.parametrize(
    "options",
    [
        {"engine": "warp"},
        {"precision": "fp8"},
        {"device": "tpu"},
        {"device": "cuda:97"},
        {"precision": "int8", "engine": "torch"},
        {"precision": "fp16", "engine": "openvino"},
    ],
)
def test_a_device_this_machine_lacks_is_refused_in_one_sentence(options: dict[str, str]) -> None:
    with pytest.raises(EngineError, match=": give"):
        load_tagger("tiny", **options)  # type: ignore[arg-type]


def test_bf16_keeps_the_scores(tiny: Tagger) -> None:
    waveform = noise(163_840)
    mixed = load_tagger("tiny", device="cpu", precision="bf16")
    np.testing.assert_allclose(mixed(waveform), tiny(waveform), atol=2e-2)


def test_a_saved_model_loads_unchanged(tmp_path: Path) -> None:
    checkpoint = small_checkpoint(mean=-3.0, std=2.0, activation="softmax")
    path = tmp_path / "mine.safetensors"
    save_checkpoint(checkpoint, path, notes={"by": "a test"})
    loaded = load_checkpoint(str(path))
    assert (loaded.config, loaded.labels) == (checkpoint.config, ("a", "b", "c"))
    assert (loaded.mean, loaded.std, loaded.activation) == (-3.0, 2.0, "softmax")
    assert loaded.weights.keys() == checkpoint.weights.keys()
    assert all(torch.equal(loaded.weights[key], value) for key, value in checkpoint.weights.items())
    assert [file.name for file in tmp_path.iterdir()] == ["mine.safetensors"]
    (tmp_path / "other").touch()
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode
    scores = load_tagger(str(path), device="cpu")(noise(20_480))
    np.testing.assert_allclose(scores.sum(), 1.0, atol=1e-6)


def test_a_checkpoint_that_can_not_be_written_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file or directory"):
        save_checkpoint(small_checkpoint(), tmp_path / "missing" / "mine.safetensors")


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CheckpointError, match="2 labels for 3 classes"):
        small_checkpoint(labels=("a", "b"))


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    save_checkpoint(small_checkpoint(), path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="broken"):
        load_tagger(str(path))


def test_weights_that_do_not_fit_their_config_are_refused(tmp_path: Path) -> None:
    checkpoint = small_checkpoint()
    del checkpoint.weights["v.cls_token"]
    path = tmp_path / "odd.safetensors"
    save_checkpoint(checkpoint, path)
    with pytest.raises(CheckpointError, match=r"do not match their configuration.*v\.cls_token"):
        load_tagger(str(path))


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    checkpoint = small_checkpoint()
    checkpoint.weights["v.cls_token"][:] = float("nan")
    path = tmp_path / "nan.safetensors"
    save_checkpoint(checkpoint, path)
    with pytest.raises(CheckpointError, match="not finite"):
        load_tagger(str(path))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "letter.safetensors"
    path.write_text("Dear Sir or Madam")
    with pytest.raises(CheckpointError, match="can't be read as safetensors"):
        load_tagger(str(path))


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (None, r"no config\.json"),
        ("{", "can't be read as JSON"),
        ('{"model_type": "bert"}', "'bert'"),
        (
            '{"model_type": "audio-spectrogram-transformer", "hidden_size": "wide"}',
            r"model\.safetensors does not hold the weights of an ASTForAudioClassification",
        ),
    ],
)
def test_a_folder_without_an_ast_is_refused(tmp_path: Path, config: str | None, complaint: str) -> None:
    save_checkpoint(small_checkpoint(), tmp_path / "model.safetensors")
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(CheckpointError, match=complaint):
        load_tagger(str(tmp_path))


def test_a_damaged_header_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "odd.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"earshot": json.dumps({"config": {}})})
    with pytest.raises(CheckpointError, match="header"):
        load_tagger(str(path))


def test_identifiers_follow_names() -> None:
    assert mid_of("Speech") == "/m/09x0r"
    assert mid_of("my own sound") is None
    assert len({entry.mid for entry in audioset_classes()}) == 527


def test_repr_names_model_classes_window_and_engine() -> None:
    tagger = load_tagger("tiny", device="cpu", engine="torch", precision="fp32")
    assert repr(tagger) == "<Tagger tiny: 527 classes, 10.24 s windows, torch cpu fp32>"
