import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray

from models import CheckpointError
from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.checkpoints import Checkpoint, load_checkpoint
from models.errors import SoundError
from models.explain import attention_rollout, explain, over_cells
from models.local import load_tagger

Doubles = NDArray[np.float64]

ASSETS = Path(__file__).parent.parent / "streamer" / "assets"
SMALL = AstConfig(
    width=16,
    depth=3,
    heads=2,
    mlp_width=24,
    fstride=16,
    tstride=12,
    input_fdim=32,
    input_tdim=40,
    label_dim=5,
)


def network(config: AstConfig = SMALL, seed: int = 0) -> AudioSpectrogramTransformer:
    """Random weights that are large enough for the attention not to be flat."""
    torch.manual_seed(seed)
    made = AudioSpectrogramTransformer(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.35 * torch.randn_like(parameter))
    return made


def window(config: AstConfig = SMALL) -> torch.Tensor:
    return torch.randn(1, config.input_tdim, config.input_fdim, generator=torch.Generator().manual_seed(1))


def checkpoint(**changes: object) -> Checkpoint:
    config = AstConfig(
        width=32, depth=2, heads=2, mlp_width=64, fstride=10, tstride=10, input_tdim=100, label_dim=3
    )
    fields = {
        "name": "small",
        "config": config,
        "labels": ("a", "b", "c"),
        "weights": network(config).state_dict(),
    }
    return Checkpoint(**(fields | changes))  # type: ignore[arg-type]


def noise(length: int) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(0).standard_normal(length)).astype(np.float32)


class ByHand:
    """AST in numpy and double precision, whose attention can be nudged."""

    def __init__(self, made: AudioSpectrogramTransformer) -> None:
        self.config = made.config
        self.weights = {key: value.double().numpy() for key, value in made.state_dict().items()}

    def linear(self, x: Doubles, name: str) -> Doubles:
        product: Doubles = x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return product

    def norm(self, x: Doubles, name: str, eps: float) -> Doubles:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
        scaled: Doubles = x * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return scaled

    def tokens(self, rows: Doubles) -> Doubles:
        config, kernel = self.config, self.weights["v.patch_embed.proj.weight"][:, 0]
        patches = [
            np.tensordot(kernel, rows.T[f : f + config.patch, t : t + config.patch], 2)
            for f in range(0, config.input_fdim - config.patch + 1, config.fstride)
            for t in range(0, config.input_tdim - config.patch + 1, config.tstride)
        ]
        embedded = np.array(patches) + self.weights["v.patch_embed.proj.bias"]
        prefix = [self.weights["v.cls_token"][0], self.weights["v.dist_token"][0]]
        x: Doubles = np.concatenate([*prefix, embedded]) + self.weights["v.pos_embed"][0]
        return x

    def run(self, rows: Doubles, nudges: Doubles) -> tuple[Doubles, list[Doubles]]:
        """Rows (rows, bins), nudges (depth, heads, tokens, tokens) -> logits, attention of each block."""
        config, x, seen = self.config, self.tokens(rows), []
        for number in range(config.depth):
            name = f"v.blocks.{number}"
            qkv = self.linear(self.norm(x, f"{name}.norm1", config.norm_eps), f"{name}.attn.qkv")
            query, key, value = qkv.reshape(len(x), 3, config.heads, -1).transpose(1, 2, 0, 3)
            weight = np.exp(query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1]))
            seen.append(weight / weight.sum(-1, keepdims=True))
            mixed = ((seen[-1] + nudges[number]) @ value).transpose(1, 0, 2).reshape(len(x), -1)
            x = x + self.linear(mixed, f"{name}.attn.proj")
            hidden = self.linear(self.norm(x, f"{name}.norm2", config.norm_eps), f"{name}.mlp.fc1")
            hidden = hidden * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2))) / 2
            x = x + self.linear(hidden, f"{name}.mlp.fc2")
        x = self.norm(x, "v.norm", config.norm_eps)
        pooled = self.norm(x[:2].mean(0), "mlp_head.0", config.head_norm_eps)
        return self.linear(pooled, "mlp_head.1"), seen

    def rollout(self, rows: Doubles, label: int) -> Doubles:
        """The paper's formula as it stands, with gradients from central differences."""
        tokens = 2 + self.config.grid[0] * self.config.grid[1]
        still = np.zeros((self.config.depth, self.config.heads, tokens, tokens))
        _, attention = self.run(rows, still)
        gradients, step = np.zeros_like(still), 1e-5
        for place in np.ndindex(still.shape):
            nudge = still.copy()
            nudge[place] = step
            up, down = self.run(rows, nudge)[0][label], self.run(rows, -nudge)[0][label]
            gradients[place] = (up - down) / (2 * step)
        relevance = np.eye(tokens)
        for weight, gradient in zip(attention, gradients, strict=True):
            relevance = relevance + np.maximum(weight * gradient, 0).mean(0) @ relevance
        patches: Doubles = relevance[:2, 2:].mean(0).reshape(self.config.grid)
        patches /= patches.max()
        return patches


def test_the_reference_computes_the_same_as_the_network() -> None:
    made = network()
    rows = window()
    tokens = 2 + SMALL.grid[0] * SMALL.grid[1]
    logits, attention = ByHand(made).run(rows[0].double().numpy(), np.zeros((3, 2, tokens, tokens)))
    np.testing.assert_allclose(made(rows)[0].detach().numpy(), logits, atol=1e-4)
    np.testing.assert_allclose(np.array(attention).sum(-1), 1)


@pytest.mark.parametrize("label", [0, 3])
def test_the_rollout_is_the_papers(label: int) -> None:
    made, rows = network(), window()
    expected = ByHand(made).rollout(rows[0].double().numpy(), label)
    found = attention_rollout(made, rows, label)
    assert found.dtype == np.float32
    assert found.shape == SMALL.grid == (2, 3)
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_rollout_is_between_0_and_1_and_depends_on_the_class() -> None:
    made, rows = network(), window()
    maps = np.array([attention_rollout(made, rows, label) for label in range(SMALL.label_dim)])
    assert maps.min() >= 0
    np.testing.assert_allclose(maps.max((1, 2)), 1)
    assert np.ptp(maps, axis=0).max() > 0.1


def test_a_network_without_attention_has_no_relevance() -> None:
    made = network()
    for block in made.v.blocks:
        torch.nn.init.zeros_(block.attn.proj.weight)
    assert not attention_rollout(made, window(), 0).any()


@pytest.mark.parametrize("frozen", [False, True])
def test_the_network_is_not_changed(frozen: bool) -> None:
    made, rows = network().requires_grad_(not frozen), window()
    with torch.no_grad():
        before = made(rows)
    fused = [block.attn.fused_attn for block in made.v.blocks]
    with torch.inference_mode():
        attention_rollout(made, rows, 1)
    with torch.no_grad():
        torch.testing.assert_close(made(rows), before, rtol=0, atol=0)
    assert [block.attn.fused_attn for block in made.v.blocks] == fused
    assert not any(block.attn.attn_drop._forward_hooks for block in made.v.blocks)
    assert not made.training
    assert all(parameter.grad is None for parameter in made.parameters())
    assert all(parameter.requires_grad is not frozen for parameter in made.parameters())


def test_the_network_is_not_changed_by_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    made = network()
    fused = [block.attn.fused_attn for block in made.v.blocks]
    monkeypatch.setattr(made, "forward_head", lambda _tokens: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        attention_rollout(made, window(), 0)
    assert [block.attn.fused_attn for block in made.v.blocks] == fused
    assert not any(block.attn.attn_drop._forward_hooks for block in made.v.blocks)


def test_the_rollout_needs_one_window_and_a_class() -> None:
    with pytest.raises(ValueError, match=r"rows must be \(1, 40, 32\)"):
        attention_rollout(network(), window().expand(2, -1, -1), 0)
    with pytest.raises(ValueError, match="label must be 0 to 4"):
        attention_rollout(network(), window(), 5)


@pytest.mark.parametrize("strides", [(16, 16), (10, 10), (7, 13)])
def test_a_cell_is_the_mean_of_the_patches_that_cover_it(strides: tuple[int, int]) -> None:
    config = AstConfig(
        width=8,
        depth=1,
        heads=1,
        mlp_width=8,
        fstride=strides[0],
        tstride=strides[1],
        input_fdim=48,
        input_tdim=75,
    )
    patches = np.random.default_rng(0).random(config.grid, np.float32)
    total, count = np.zeros((2, 75, 48))
    for f, t in np.ndindex(config.grid):
        place = np.s_[t * strides[1] : t * strides[1] + 16, f * strides[0] : f * strides[0] + 16]
        total[place] += patches[f, t]
        count[place] += 1
    expected = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    np.testing.assert_allclose(over_cells(patches, config), expected, atol=1e-6)


@pytest.mark.slow
def test_the_top_tag_is_explained_with_the_taggers_score() -> None:
    sound = noise(16_000)
    explanation = explain(load_checkpoint("tiny"), sound, rows=100)
    tagger = load_tagger("tiny", device="cpu", window_seconds=1.0)
    scores = tagger(sound)[0]
    assert explanation.label == tagger.labels[scores.argmax()]
    assert explanation.score == pytest.approx(scores.max(), abs=1e-5)
    assert explanation.spectrogram.shape == explanation.relevance.shape == (100, 128)
    assert explanation.spectrogram.dtype == explanation.relevance.dtype == np.float32


def test_a_class_can_be_named_and_scores_follow_the_activation() -> None:
    explanations = [
        explain(checkpoint(activation="softmax"), noise(16_000), label=label) for label in ("a", "b", "c")
    ]
    assert [explanation.label for explanation in explanations] == ["a", "b", "c"]
    assert sum(explanation.score for explanation in explanations) == pytest.approx(1)


def test_padding_is_distinguished_from_sound() -> None:
    explanation = explain(checkpoint(), noise(8_000))
    assert explanation.sound_rows == 1 + (8_000 - 400) // 160
    assert not explanation.spectrogram[explanation.sound_rows :].any()
    assert (explanation.spectrogram[: explanation.sound_rows] != 0).all()


def test_a_model_that_cannot_be_explained_is_refused() -> None:
    with pytest.raises(CheckpointError, match="'small' has no class 'd'"):
        explain(checkpoint(), noise(8_000), label="d")
    with pytest.raises(SoundError, match="shorter than 25 ms"):
        explain(checkpoint(), noise(399))
    with pytest.raises(ValueError, match="at most 16000 samples"):
        explain(checkpoint(), noise(16_001))


@pytest.mark.slow
@pytest.mark.parametrize(("cue", "third"), [("Piano", 1), ("Telephone bell ringing", 2)])
def test_the_embedded_model_looks_where_the_sound_is(cue: str, third: int) -> None:
    demo, rate_hz = soundfile.read(ASSETS / "demo.ogg", dtype="float32")
    cues = {entry["label"]: entry for entry in json.loads((ASSETS / "demo.json").read_text())}
    start, third_samples = round(cues[cue]["start_seconds"] * rate_hz), 27_200
    sound = 0.001 * noise(3 * third_samples)
    sound[third * third_samples :][:third_samples] += demo[start:][:third_samples]
    explanation = explain(load_checkpoint("tiny"), sound, rows=510)
    assert explanation.label in {"Music", "Piano", "Alarm", "Telephone", "Telephone bell ringing"}
    shares = [part.sum() for part in np.array_split(explanation.relevance, 3)]
    assert shares[third] > 0.7 * sum(shares)
