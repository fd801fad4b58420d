"""Starting points for training, against the original's recipe in other words: numpy matrices, and timm's network fed in three colours."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import close_session
from numpy.typing import NDArray
from safetensors.torch import save_file
from support.hub_server import point_at, serve
from timm.models.deit import VisionTransformerDistilled
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from models import CheckpointError
from models.ast_network import AstConfig, AudioSpectrogramTransformer
from models.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from models.training.transfer import require_starting_point, starting_point

pytestmark = pytest.mark.slow

LABELS = ("alarm", "bark", "cough")


def deit(side: int = 224) -> VisionTransformerDistilled:
    """A DeiT for images of a size, with random weights that leave nothing at zero."""
    torch.manual_seed(0)
    network = VisionTransformerDistilled(
        img_size=side, patch_size=16, embed_dim=128, depth=2, num_heads=2, mlp_ratio=2.0, num_classes=5
    )
    for name, parameter in network.named_parameters():
        mean = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        nn.init.normal_(parameter, mean=mean, std=0.1)
    return network.eval()


def stretch(old: int, new: int) -> NDArray[np.float64]:
    """The matrix (new, old) that takes the middle of an axis, or interpolates it linearly between the centres of its cells."""
    matrix = np.zeros((new, old))
    for row in range(new):
        if new <= old:
            matrix[row, old // 2 - new // 2 + row] = 1
        else:
            place = min(max((row + 0.5) * old / new - 0.5, 0), old - 1)
            left = min(int(place), old - 1)
            right = min(left + 1, old - 1)
            matrix[row, left] += 1 - (place - left)
            matrix[row, right] += place - left
    return matrix


def stretched(positions: Tensor, grid: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Positions (1, 2 + f * t, width) on another grid."""
    patches = positions[0, 2:].detach().double().numpy().reshape(*grid, -1)
    patches = np.einsum("Ff,Tt,ftw->FTw", stretch(grid[0], new[0]), stretch(grid[1], new[1]), patches)
    moved = torch.from_numpy(patches.reshape(new[0] * new[1], -1)).float()
    return torch.cat((positions[0, :2].detach(), moved))[None]


def original_logits(
    v: VisionTransformerDistilled,
    positions: Tensor,
    head: nn.Module,
    spectrogram: Tensor,
    strides: tuple[int, int],
) -> Tensor:
    """The paper's forward pass on timm's blocks; a spectrogram in grey is what summed colours see."""
    image = spectrogram.transpose(1, 2)[:, None].expand(-1, v.patch_embed.proj.in_channels, -1, -1)
    patches = F.conv2d(image, v.patch_embed.proj.weight, v.patch_embed.proj.bias, stride=strides)
    x = patches.flatten(2).mT
    x = torch.cat((v.cls_token.expand(len(x), -1, -1), v.dist_token.expand(len(x), -1, -1), x), 1) + positions
    x = v.norm(v.blocks(x))
    logits: Tensor = head((x[:, 0] + x[:, 1]) / 2)
    return logits


def head_of(checkpoint: Checkpoint) -> nn.Module:
    width = checkpoint.config.width
    head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, len(checkpoint.labels)))
    head.load_state_dict({f"{key}": checkpoint.weights[f"mlp_head.{key}"] for key in head.state_dict()})
    return head


def assert_same(checkpoint: Checkpoint, expected: Tensor, spectrogram: Tensor) -> None:
    with torch.inference_mode():
        logits = checkpoint.build()(spectrogram)
    np.testing.assert_allclose(logits.numpy(), expected.detach().numpy(), atol=1e-4)
    assert expected.std() > 0.01


@pytest.mark.parametrize("side", [224, 384])
@pytest.mark.parametrize(
    ("fstride", "tstride", "rows"),
    [(10, 10, 1024), (12, 12, 512), (16, 16, 128), (10, 16, 128), (16, 10, 512)],
)
def test_imagenet_weights_become_the_originals_network(
    side: int, fstride: int, tstride: int, rows: int, tmp_path: Path
) -> None:
    v = deit(side)
    torch.save({"model": v.state_dict()}, tmp_path / "deit.pth")
    checkpoint = starting_point(
        f"imagenet:{tmp_path / 'deit.pth'}", LABELS, fstride=fstride, tstride=tstride, rows=rows
    )
    grid = ((128 - 16) // fstride + 1, (rows - 16) // tstride + 1)
    assert checkpoint.config.grid == grid
    spectrogram = torch.randn(2, rows, 128)
    positions = stretched(v.pos_embed, (side // 16, side // 16), grid)
    expected = original_logits(v, positions, head_of(checkpoint), spectrogram, (fstride, tstride))
    assert_same(checkpoint, expected, spectrogram)


def audioset_network(rows: int = 1024, stride: int = 10) -> tuple[Checkpoint, VisionTransformerDistilled]:
    """A network of our own for AudioSet's geometry, and its weights in timm's."""
    config = AstConfig(
        width=128,
        depth=2,
        heads=2,
        mlp_width=256,
        fstride=stride,
        tstride=stride,
        input_tdim=rows,
        label_dim=9,
    )
    torch.manual_seed(1)
    network = AudioSpectrogramTransformer(config)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    v = deit()
    v.patch_embed.proj = nn.Conv2d(1, 128, 16, stride)
    v.pos_embed = nn.Parameter(network.v.pos_embed.detach().clone())
    v.load_state_dict(network.v.state_dict(), strict=False)
    labels = tuple(f"class {number}" for number in range(9))
    return Checkpoint(name="audioset", config=config, labels=labels, weights=network.state_dict()), v.eval()


@pytest.fixture
def audioset(tmp_path: Path) -> tuple[str, VisionTransformerDistilled]:
    checkpoint, v = audioset_network()
    save_checkpoint(checkpoint, tmp_path / "audioset.safetensors")
    return str(tmp_path / "audioset.safetensors"), v


@pytest.mark.parametrize("rows", [128, 512, 1024, 1200])
def test_audioset_weights_become_the_originals_network_for_a_task(
    rows: int, audioset: tuple[str, VisionTransformerDistilled]
) -> None:
    init, v = audioset
    checkpoint = starting_point(init, LABELS, rows=rows)
    columns = (rows - 16) // 10 + 1
    spectrogram = torch.randn(2, rows, 128)
    positions = stretched(v.pos_embed, (12, 101), (12, columns))
    expected = original_logits(v, positions, head_of(checkpoint), spectrogram, (10, 10))
    assert_same(checkpoint, expected, spectrogram)


def test_a_task_may_have_any_strides(audioset: tuple[str, VisionTransformerDistilled]) -> None:
    init, v = audioset
    checkpoint = starting_point(init, LABELS, fstride=14, tstride=16, rows=256)
    spectrogram = torch.randn(2, 256, 128)
    positions = stretched(v.pos_embed, (12, 101), (9, 16))
    expected = original_logits(v, positions, head_of(checkpoint), spectrogram, (14, 16))
    assert_same(checkpoint, expected, spectrogram)


def test_other_labels_get_a_new_head_even_where_there_are_as_many(
    audioset: tuple[str, VisionTransformerDistilled],
) -> None:
    init, _ = audioset
    old = load_checkpoint(init)
    new = starting_point(init, [f"sound {number}" for number in range(9)])
    assert new.weights["mlp_head.1.weight"].shape == old.weights["mlp_head.1.weight"].shape
    assert not torch.equal(new.weights["mlp_head.1.weight"], old.weights["mlp_head.1.weight"])
    assert new.weights["mlp_head.0.weight"].tolist() == [1.0] * 128
    assert torch.equal(new.weights["v.norm.weight"], old.weights["v.norm.weight"])


def test_the_same_labels_keep_their_head_in_any_order(
    audioset: tuple[str, VisionTransformerDistilled],
) -> None:
    init, _ = audioset
    old = load_checkpoint(init)
    new = starting_point(init, old.labels[::-1])
    spectrogram = torch.randn(1, 1024, 128)
    with torch.inference_mode():
        torch.testing.assert_close(new.build()(spectrogram).flip(-1), old.build()(spectrogram))


def test_normalisation_comes_with_the_weights(tmp_path: Path) -> None:
    checkpoint, _ = audioset_network(128, 16)
    save_checkpoint(replace(checkpoint, mean=-3.0, std=2.0), tmp_path / "own.safetensors")
    new = starting_point(str(tmp_path / "own.safetensors"), LABELS)
    assert (new.mean, new.std) == (-3.0, 2.0)


def test_the_seed_determines_the_random_weights() -> None:
    first, again, other = (starting_point("tiny", LABELS, rows=128, seed=seed) for seed in (1, 1, 2))
    name = "mlp_head.1.weight"
    assert torch.equal(first.weights[name], again.weights[name])
    assert not torch.equal(first.weights[name], other.weights[name])


def test_the_embedded_model_starts_a_task_in_float32() -> None:
    checkpoint = starting_point("tiny", LABELS, rows=256)
    assert checkpoint.labels == LABELS
    assert checkpoint.config.grid == (8, 16)
    assert {value.dtype for value in checkpoint.weights.values()} == {torch.float32}
    assert checkpoint.build()(torch.zeros(1, 256, 128)).shape == (1, 3)


def test_imagenet_is_fetched_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {
        "imagenet": "deit_base_distilled_patch16_384",
        "imagenet:small": "deit_small_distilled_patch16_224",
    }
    repositories = {}
    for name in names.values():
        folder = repositories[f"timm/{name}.fb_in1k"] = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"architecture": name, "num_classes": 1000}))
        save_file(deit().state_dict(), folder / "model.safetensors")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with serve(repositories) as server:
        point_at(monkeypatch, server.endpoint)
        for init in names:
            assert starting_point(init, LABELS, rows=128).config.grid == (12, 12)
    close_session()
    for init in names:
        assert starting_point(init, LABELS, rows=256, offline=True).config.grid == (12, 25)


@pytest.mark.parametrize(
    ("init", "geometry", "reason"),
    [
        ("imagenet:huge", {}, "one of tiny, small, base, base384"),
        ("tiny", {"rows": 8}, "at least 16x16"),
        ("tiny", {"fstride": 17}, "strides must be 1 to 16"),
        ("tinny", {}, "there is no model 'tinny': did you mean 'tiny'"),
        ("ensemble-s", {}, "'ensemble-s' is an ensemble, and this needs a single model: choose one of its"),
        ("ensemble:base+small", {}, "choose one of its members, such as base"),
        ("auto", {}, "there is no model 'auto'"),
    ],
)
def test_an_impossible_start_is_reported_in_one_sentence(
    init: str, geometry: dict[str, Any], reason: str
) -> None:
    with pytest.raises(CheckpointError, match=reason) as error:
        starting_point(init, LABELS, **geometry)
    assert "\n" not in str(error.value)
    if not geometry:
        with pytest.raises(CheckpointError, match=reason):
            require_starting_point(init)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    weights = deit().state_dict()
    del weights["dist_token"]
    save_file(weights, tmp_path / "vit.safetensors")
    with pytest.raises(CheckpointError, match="not a DeiT with a distillation token"):
        starting_point(f"imagenet:{tmp_path / 'vit.safetensors'}", LABELS)
    shutil.copy(tmp_path / "vit.safetensors", tmp_path / "cut.safetensors")
    with (tmp_path / "cut.safetensors").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(CheckpointError, match="broken"):
        starting_point(f"imagenet:{tmp_path / 'cut.safetensors'}", LABELS)
