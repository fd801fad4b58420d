from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

from models import CheckpointError
from models.ast_network import (
    SIZES,
    AstConfig,
    AudioSpectrogramTransformer,
    Size,
    adapt_positions,
)
from models.frontends import fbank, input_rows
from models.local import load_tagger

GEOMETRIES = [
    {"frequency_stride": 10, "time_stride": 10, "max_length": 256, "num_mel_bins": 128},
    {"frequency_stride": 16, "time_stride": 16, "max_length": 1024, "num_mel_bins": 128},
    {"frequency_stride": 12, "time_stride": 14, "max_length": 512, "num_mel_bins": 128},
    {"frequency_stride": 10, "time_stride": 10, "max_length": 128, "num_mel_bins": 64},
]


def random_reference(
    geometry: dict[str, int], size: Size = "tiny", depth: int = 3
) -> ASTForAudioClassification:
    """Hugging Face's AST with random weights that leave nothing at zero."""
    width, _, heads = SIZES[size]
    torch.manual_seed(0)
    config = ASTConfig(
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        num_labels=7,
        **geometry,
    )
    network = ASTForAudioClassification(config).eval()
    for name, parameter in network.named_parameters():
        mean = 1.0 if "layernorm" in name and name.endswith("weight") else 0.0
        torch.nn.init.normal_(parameter, mean=mean, std=0.05)
    return network


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_logits_are_hugging_faces(geometry: dict[str, int], tmp_path: Path) -> None:
    reference = random_reference(geometry)
    reference.save_pretrained(tmp_path)
    extractor = ASTFeatureExtractor(
        num_mel_bins=geometry["num_mel_bins"], max_length=geometry["max_length"], mean=-4.0, std=4.0
    )
    extractor.save_pretrained(tmp_path)
    tagger = load_tagger(str(tmp_path), device="cpu", precision="fp32")
    for samples in (tagger.window_samples, tagger.window_samples // 3):
        waveform = 0.1 * np.random.default_rng(1).standard_normal(samples).astype(np.float32)
        with torch.inference_mode():
            expected = reference(**extractor(waveform, sampling_rate=16_000, return_tensors="pt")).logits
        np.testing.assert_allclose(tagger.logits(waveform), expected.numpy(), atol=1e-4)


def test_an_extractor_that_does_not_normalise_is_respected(tmp_path: Path) -> None:
    reference = random_reference({"frequency_stride": 16, "time_stride": 16, "max_length": 128})
    reference.save_pretrained(tmp_path)
    extractor = ASTFeatureExtractor(max_length=128, do_normalize=False)
    extractor.save_pretrained(tmp_path)
    waveform = 0.1 * np.random.default_rng(1).standard_normal(20_480).astype(np.float32)
    with torch.inference_mode():
        expected = reference(**extractor(waveform, sampling_rate=16_000, return_tensors="pt")).logits
    tagger = load_tagger(str(tmp_path), device="cpu")
    np.testing.assert_allclose(tagger.logits(waveform), expected.numpy(), atol=1e-4)


def test_a_checkpoint_for_another_rate_is_refused(tmp_path: Path) -> None:
    random_reference({"frequency_stride": 16, "time_stride": 16, "max_length": 128}).save_pretrained(tmp_path)
    ASTFeatureExtractor(sampling_rate=44_100).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="44100 Hz"):
        load_tagger(str(tmp_path))


@pytest.mark.parametrize("size", ["small", "base"])
def test_the_larger_sizes_are_hugging_faces_too(size: Size, tmp_path: Path) -> None:
    reference = random_reference(
        {"frequency_stride": 16, "time_stride": 16, "max_length": 128}, size, depth=12
    )
    reference.save_pretrained(tmp_path)
    tagger = load_tagger(str(tmp_path), device="cpu")
    waveform = 0.1 * np.random.default_rng(1).standard_normal(tagger.window_samples).astype(np.float32)
    rows = input_rows(fbank(torch.from_numpy(waveform[None])), 128)
    with torch.inference_mode():
        expected = reference(rows).logits.numpy()
    np.testing.assert_allclose(tagger.logits(waveform), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("fstride", "tstride", "input_tdim", "grid"),
    [
        (10, 10, 1024, (12, 101)),
        (12, 12, 1024, (10, 85)),
        (14, 14, 1024, (9, 73)),
        (16, 16, 1024, (8, 64)),
        (10, 10, 128, (12, 12)),
    ],
)
def test_grids_are_those_of_the_published_checkpoints(
    fstride: int, tstride: int, input_tdim: int, grid: tuple[int, int]
) -> None:
    assert AstConfig.of_size("base", fstride=fstride, tstride=tstride, input_tdim=input_tdim).grid == grid


def test_features_and_head_are_the_forward_pass() -> None:
    network = AudioSpectrogramTransformer(AstConfig.of_size("tiny", input_tdim=64, label_dim=5)).eval()
    rows = torch.randn(2, 64, 128)
    tokens = network.forward_features(rows)
    assert tokens.shape == (2, 2 + 12 * 5, 192)
    torch.testing.assert_close(network.forward_head(tokens), network(rows))


@pytest.mark.parametrize(
    "wrong",
    [{"fstride": 0}, {"tstride": 17}, {"input_tdim": 15}, {"label_dim": 0}],
)
def test_impossible_geometries_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        AstConfig.of_size("tiny", **wrong)


def test_a_shorter_grid_is_the_middle_of_the_longer() -> None:
    positions = torch.arange(2 + 3 * 10, dtype=torch.float32).reshape(1, -1, 1)
    adapted = adapt_positions(positions, (3, 10), (3, 4))
    assert adapted[0, :2, 0].tolist() == [0, 1]
    patches = positions[0, 2:, 0].reshape(3, 10)
    assert torch.equal(adapted[0, 2:, 0].reshape(3, 4), patches[:, 3:7])


def test_a_longer_grid_is_interpolated_and_keeps_a_constant() -> None:
    positions = torch.full((1, 2 + 3 * 4, 5), 2.5)
    adapted = adapt_positions(positions, (3, 4), (5, 9))
    torch.testing.assert_close(adapted, torch.full((1, 2 + 5 * 9, 5), 2.5))
