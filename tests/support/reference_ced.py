"""CED as its paper describes it, from torchaudio's features and timm's vision transformer, as the reference for our own.

It shares no code with `models`: features of one waveform at a time, batch normalisation in its four vectors, two tables of positions that are
added up for the length of the sound, and files under the names of the published ones.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram

WIDTHS = {"tiny": (192, 3), "mini": (256, 4), "small": (384, 6), "base": (768, 12)}
"""Width and attention heads."""
PATCH = 16


class ReferenceCed(nn.Module):
    """CED with random weights and random statistics of its batch normalisation, none of them zero or one."""

    def __init__(self, *, size: str = "tiny", depth: int = 12, classes: int = 527, seed: int = 0) -> None:
        super().__init__()
        self.size, self.depth, self.classes = size, depth, classes
        self.width, self.heads = WIDTHS[size]
        torch.manual_seed(seed)
        self.energies = MelSpectrogram(
            16_000, n_fft=512, win_length=512, hop_length=160, f_min=0, f_max=8000, n_mels=64, center=True
        )
        self.decibels = AmplitudeToDB(top_db=120)
        self.norm = nn.BatchNorm2d(64)
        self.time = nn.Parameter(0.2 * torch.randn(1, self.width, 1, 63))
        self.frequency = nn.Parameter(0.2 * torch.randn(1, self.width, 4, 1))
        self.vit = self._transformer(63)
        for name, parameter in self.vit.named_parameters():
            nn.init.normal_(parameter, mean=float("norm" in name and "weight" in name), std=0.05)
        nn.init.normal_(self.norm.weight, 1.0, 0.3)
        nn.init.normal_(self.norm.bias, 0.0, 0.3)
        self.norm.running_mean = -40.0 + 10.0 * torch.randn(64)
        self.norm.running_var = 100.0 + 300.0 * torch.rand(64)
        self.eval()

    def _transformer(self, columns: int) -> VisionTransformer:
        vit = VisionTransformer(
            img_size=(64, PATCH * columns),
            patch_size=PATCH,
            in_chans=1,
            embed_dim=self.width,
            depth=self.depth,
            num_heads=self.heads,
            class_token=False,
            global_pool="avg",
            fc_norm=False,
            num_classes=self.classes,
        )
        vit.head = nn.Sequential(nn.LayerNorm(self.width), nn.Linear(self.width, self.classes))
        return vit.eval()

    def features(self, samples: Tensor) -> Tensor:
        """Samples (batch, n) -> dB (batch, 64, rows), each window on its own."""
        return torch.stack([self.decibels(self.energies(window)) for window in samples])

    @torch.inference_mode()
    def forward(self, samples: Tensor) -> Tensor:
        """Samples (batch, n) -> logits (batch, classes)."""
        x = self.norm(self.features(samples)[:, :, None, :])[:, :, 0]  # (batch, 64, rows)
        columns = x.shape[-1] // PATCH
        vit = self._transformer(columns)
        weights = self.vit.state_dict()
        positions = self.time[..., :columns] + self.frequency  # (1, width, 4, columns)
        weights["pos_embed"] = positions.flatten(2).transpose(1, 2)
        vit.load_state_dict(weights)
        logits: Tensor = vit(x[:, None, :, : PATCH * columns])
        return logits

    def weights(self) -> dict[str, Tensor]:
        """Return the weights under the names of the published files."""
        named = {f"encoder.init_bn.{name}": value for name, value in self.norm.state_dict().items()}
        named |= {"encoder.time_pos_embed": self.time.data, "encoder.freq_pos_embed": self.frequency.data}
        for name, value in self.vit.state_dict().items():
            if name.startswith("head."):
                named[name.replace("head.", "outputlayer.")] = value
            elif name != "pos_embed":
                named[f"encoder.{name}"] = value
        return {name: value.detach().clone().contiguous() for name, value in named.items()}

    def config(self, **changes: Any) -> dict[str, Any]:
        """Return the content of ``config.json``; a change to None removes a key."""
        features = {"n_mels": 64, "n_fft": 512, "win_size": 512, "hop_size": 160, "f_min": 0, "f_max": 8000}
        geometry = {"target_length": 1012, "patch_size": 16, "patch_stride": 16}
        content = {
            "architectures": ["CedForAudioClassification"],
            "auto_map": {"AutoConfig": "mispeech/ced--configuration_ced.CedConfig"},
            "model_type": "ced",
            "name": f"ced-{self.size}",
            "depth": self.depth,
            "embed_dim": self.width,
            "num_heads": self.heads,
            "mlp_ratio": 4.0,
            "outputdim": self.classes,
            "center": True,
            "pooling": "mean",
            "qkv_bias": True,
            "id2label": {str(index): f"sound {index}" for index in range(self.classes)},
        }
        content |= features | geometry | changes
        return {key: value for key, value in content.items() if value is not None}

    def save(self, folder: Path, **changes: Any) -> Path:
        """Write a folder like those of the Hub, with changes to its config."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config(**changes)))
        extractor = {"feature_extractor_type": "CedFeatureExtractor", "f_max": None, "feature_size": 64}
        (folder / "preprocessor_config.json").write_text(json.dumps(extractor | {"sampling_rate": 16_000}))
        save_file(self.weights(), folder / "model.safetensors")
        return folder
