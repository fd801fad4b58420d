"""mn04, a teacher that labels windows of up to 10 s with the 527 classes of AudioSet.

It is EfficientAT's smallest network (Schmid, Koutini, Widmer: "Efficient Large-Scale Audio Tagging via Transformer-to-CNN Knowledge
Distillation", ICASSP 2023; https://github.com/fschmid56/EfficientAT, MIT): a MobileNetV3-Large (Howard et al. 2019) of width 0.4 over log-mel
energies of sound at 32 kHz.
"""

import math
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the conventional name
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.mobilenetv3 import InvertedResidual, InvertedResidualConfig
from torchvision.ops.misc import Conv2dNormActivation

from ...frontends import SAMPLE_RATE_HZ
from .base import Labels, TeacherFrontEnd, TeacherNetwork

CLASSES = 527
MEL_BINS = 128
WINDOW_SAMPLES = 10 * SAMPLE_RATE_HZ
"""Number of samples in a window of 10 s, the length that it was trained with."""

_RATE_HZ = 32_000
_FFT_LENGTH, _FRAME_LENGTH, _FRAME_SHIFT = 1024, 800, 320
_LOWEST_HZ, _HIGHEST_HZ = 0.0, 15_000.0
_PREEMPHASIS = 0.97
_LOG_OFFSET = 1e-5
_MEAN, _SCALE = -4.5, 5.0

_WIDTH = 0.4
_BLOCKS = (
    (16, 3, 16, 16, False, "RE", 1, 1),
    (16, 3, 64, 24, False, "RE", 2, 1),
    (24, 3, 72, 24, False, "RE", 1, 1),
    (24, 5, 72, 40, True, "RE", 2, 1),
    (40, 5, 120, 40, True, "RE", 1, 1),
    (40, 5, 120, 40, True, "RE", 1, 1),
    (40, 3, 240, 80, False, "HS", 2, 1),
    (80, 3, 200, 80, False, "HS", 1, 1),
    (80, 3, 184, 80, False, "HS", 1, 1),
    (80, 3, 184, 80, False, "HS", 1, 1),
    (80, 3, 480, 112, True, "HS", 1, 1),
    (112, 3, 672, 112, True, "HS", 1, 1),
    (112, 5, 672, 160, True, "HS", 2, 1),
    (160, 5, 960, 160, True, "HS", 1, 1),
    (160, 5, 960, 160, True, "HS", 1, 1),
)
"""Blocks of MobileNetV3-Large at full width: channels in, kernel, expanded channels, channels out, squeeze and excitation, activation (ReLU or
hardswish), stride, dilation."""


@lru_cache(maxsize=2)
def _resampler(device: torch.device) -> nn.Module:
    """Return a resampler from 16 to 32 kHz that keeps what is below 7.6 kHz, and images of it below -90 dB."""
    from torchaudio.transforms import Resample

    resampler: nn.Module = Resample(
        SAMPLE_RATE_HZ,
        _RATE_HZ,
        "sinc_interp_kaiser",
        lowpass_filter_width=64,
        rolloff=0.9476,
        beta=14.77,
    )
    return resampler.to(device)


@lru_cache(maxsize=2)
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the Hann window (800,), and Kaldi's mel bank (513, 128)."""
    from torchaudio.compliance import kaldi

    bank, _ = kaldi.get_mel_banks(
        MEL_BINS,
        _FFT_LENGTH,
        float(_RATE_HZ),
        _LOWEST_HZ,
        _HIGHEST_HZ,
        vtln_low=100.0,
        vtln_high=-500.0,
        vtln_warp_factor=1.0,
    )
    bank = F.pad(bank, (0, 1)).T.contiguous()  # the Nyquist bin has no weight
    return torch.hann_window(_FRAME_LENGTH, periodic=False, device=device), bank.to(device)


class Mn04FrontEnd:
    """Front end of mn04: Kaldi's mel bins up to 15 kHz."""

    bins = MEL_BINS
    band_hz = _LOWEST_HZ, _HIGHEST_HZ

    def mel_energies(self, samples: Tensor) -> Tensor:
        """Samples float32 (batch, n) at 16 kHz, n > 256 -> mel energies float32 (batch, 1 + (2 n - 1) // 320, 128)."""
        wide: Tensor = _resampler(samples.device)(samples)
        return self.mel_energies_32k(wide)

    def mel_energies_32k(self, samples: Tensor) -> Tensor:
        """Samples float32 (batch, n) at 32 kHz, its own rate -> mel energies float32 (batch, 1 + (n - 1) // 320, 128)."""
        window, bank = _tables(samples.device)
        sharpened = samples[:, 1:] - _PREEMPHASIS * samples[:, :-1]
        spectrum = torch.stft(
            sharpened,
            _FFT_LENGTH,
            _FRAME_SHIFT,
            _FRAME_LENGTH,
            window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )  # (batch, 513, rows)
        energies: Tensor = spectrum.abs().square().transpose(1, 2) @ bank
        return energies

    def input_rows(self, energies: Tensor) -> Tensor:
        """Mel energies (batch, rows, 128) -> normalised rows of the same shape."""
        return ((energies + _LOG_OFFSET).log() - _MEAN) / _SCALE


class _Squeeze(nn.Module):
    """Squeeze and excitation (Hu et al. 2018) over bins and rows, with linear layers and a sigmoid."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        layer = nn.ModuleDict({"fc1": nn.Linear(channels, squeezed), "fc2": nn.Linear(squeezed, channels)})
        self.conc_se_layers = nn.ModuleList([layer])

    def forward(self, x: Tensor) -> Tensor:
        (layer,) = self.conc_se_layers
        gains: Tensor = layer["fc2"](layer["fc1"](x.mean((2, 3))).relu()).sigmoid()  # type: ignore[index] # (batch, channels)
        return x * gains[:, :, None, None]


class Mn04(TeacherNetwork):
    """mn04 on normalised rows. The parameters have the original's names until `load_weights` folds the batch normalisations."""

    front_end: ClassVar[TeacherFrontEnd] = Mn04FrontEnd()
    classes = tuple(range(CLASSES))
    window_samples = WINDOW_SAMPLES
    embedding_width = 512
    feature_width = 384
    step_rows = span_rows = 32
    last_layer_name = "classifier.5"

    def __init__(self) -> None:
        super().__init__()
        norm = partial(nn.BatchNorm2d, eps=1e-3)
        configs = [InvertedResidualConfig(*block, width_mult=_WIDTH) for block in _BLOCKS]
        first, last = configs[0].input_channels, configs[-1].out_channels
        convolution = partial(Conv2dNormActivation, norm_layer=norm, activation_layer=nn.Hardswish)
        self.features = nn.Sequential(
            convolution(1, first, kernel_size=3, stride=2),
            *(InvertedResidual(config, norm_layer=norm, se_layer=_Squeeze) for config in configs),
            convolution(last, self.feature_width, kernel_size=1),
        )
        self.classifier = nn.ModuleDict(
            {
                "2": nn.Linear(self.feature_width, self.embedding_width),
                "5": nn.Linear(self.embedding_width, CLASSES),
            }
        )

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load a state dict, and fold the batch normalisations into the convolutions before them."""
        counters = {
            key: value for key, value in self.state_dict().items() if key.endswith("num_batches_tracked")
        }
        super().load_weights(counters | dict(weights))
        _fold(self)

    def set_precision(self, dtype: torch.dtype) -> None:
        """Change the type of the convolutions' weights."""
        self.features.to(dtype)

    def forward_features(self, rows: Tensor) -> Tensor:
        """Rows float32 (batch, rows, 128) -> features float32 (batch, 384, 4, steps), a step for 32 rows, the lowest bins first."""
        x = rows.transpose(1, 2).unsqueeze(1)  # (batch, 1, 128, rows)
        dtype = next(self.features.parameters()).dtype
        features: Tensor = self.features(x.contiguous(memory_format=torch.channels_last).to(dtype))
        return features.float()

    def forward_embedding(self, features: Tensor) -> Tensor:
        """Features -> embedding float32 (batch, 512), the input of the last layer."""
        return F.hardswish(self.classifier["2"](features.mean((2, 3))))

    def forward_head(self, embedding: Tensor) -> Tensor:
        """Embedding -> logits float32 (batch, 527)."""
        logits: Tensor = self.classifier["5"](embedding)
        return logits

    def forward(self, rows: Tensor) -> Tensor:
        """Rows float32 (batch, rows, 128) -> logits float32 (batch, 527)."""
        return self.forward_head(self.forward_embedding(self.forward_features(rows)))

    @torch.no_grad()
    def label(self, rows: Tensor) -> Labels:
        """Label windows: rows float32 (batch, rows, 128). Features in time are means over the mel bins, a step for 32 rows."""
        features = self.forward_features(rows)
        embeddings = self.forward_embedding(features)
        return Labels(
            probabilities=self.forward_head(embeddings).sigmoid(),
            embeddings=embeddings,
            features=features.mean(2).transpose(1, 2),
        )

    @torch.no_grad()
    def listen(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples float32 (batch, n) at 16 kHz, at most 10 s -> logits float32 (batch, 527), embeddings float32 (batch, 512).

        A shorter sound is heard in two ways, followed by silence and repeated, both up to 10 s: the results are the means of both.
        """
        ways = two_ways(samples)
        rows = self.front_end.input_rows(self.front_end.mel_energies(torch.cat(ways)))
        each = self.forward_embedding(self.forward_features(rows))
        embeddings = each.view(len(ways), len(samples), -1).mean(0)
        return self.forward_head(embeddings), embeddings  # the mean of both logits: the head is linear


def two_ways(samples: Tensor) -> tuple[Tensor, ...]:
    """Return the windows that sounds (batch, n) are heard in: followed by silence, and repeated; only the sounds if they last 10 s."""
    missing = WINDOW_SAMPLES - samples.shape[-1]
    if missing == 0:
        return (samples,)
    times = math.ceil(WINDOW_SAMPLES / samples.shape[-1])
    return F.pad(samples, (0, missing)), samples.repeat(1, times)[:, :WINDOW_SAMPLES]


def _fold(network: nn.Module) -> None:
    """Fold each batch normalisation into the convolution before it: the same results in less time."""
    for child in network.children():
        if isinstance(child, Conv2dNormActivation):
            child[0], child[1] = fuse_conv_bn_eval(child[0], child[1]), nn.Identity()
        else:
            _fold(child)
