"""Network of the original AST code, rebuilt from timm's DeiT, as the reference for checkpoints in its format."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

DEIT = {"tiny": "deit_tiny_distilled_patch16_224", "base": "deit_base_distilled_patch16_224"}


class OriginalAst(nn.Module):
    """DeiT with a patch projection of one channel and free strides; class and distillation token are averaged before the head.

    DeiT's two own heads stay in the state dict, unused, as they do in the published files.
    """

    def __init__(
        self,
        *,
        size: str = "tiny",
        fstride: int = 10,
        tstride: int = 10,
        input_tdim: int = 1024,
        label_dim: int = 527,
        **deit: Any,
    ) -> None:
        super().__init__()
        self.v = timm.create_model(DEIT[size], **deit)
        width = self.v.embed_dim
        self.v.patch_embed.proj = nn.Conv2d(1, width, (16, 16), (fstride, tstride))
        bins, columns = (128 - 16) // fstride + 1, (input_tdim - 16) // tstride + 1
        self.v.pos_embed = nn.Parameter(torch.zeros(1, 2 + bins * columns, width))
        self.mlp_head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, label_dim))

    def forward(self, rows: Tensor) -> Tensor:
        v = self.v
        x = v.patch_embed.proj(rows.unsqueeze(1).transpose(2, 3)).flatten(2).transpose(1, 2)
        prefix = torch.cat((v.cls_token, v.dist_token), 1).expand(len(x), -1, -1)
        x = v.blocks(torch.cat((prefix, x), 1) + v.pos_embed)
        logits: Tensor = self.mlp_head(v.norm(x)[:, :2].mean(1))
        return logits


def random_original(**geometry: Any) -> OriginalAst:
    """Return such a network with random weights, none of them zero or one."""
    torch.manual_seed(0)
    network = OriginalAst(**geometry).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.flatten()[0] == 1), std=0.05)
    return network


def save_original(network: nn.Module, path: Path, *, parallel: bool = True) -> Mapping[str, Tensor]:
    """Save the weights as the original's training does: those of a `DataParallel`."""
    weights = {f"module.{key}" if parallel else key: value for key, value in network.state_dict().items()}
    torch.save(weights, path)
    return weights
