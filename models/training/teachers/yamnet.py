"""YAMNet, a teacher that labels each 0.96 s patch of sound with 521 of AudioSet's classes.

The network of Plakal and Ellis (https://github.com/tensorflow/models/tree/master/research/audioset/yamnet, Apache-2.0) on
MobileNet v1 (Howard et al. 2017), with batch normalisation folded into the convolutions.
"""

import math
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the conventional name

from ... import frontends
from ...labels import audioset_classes
from ...sample_checks import LONGEST_WINDOW_SECONDS
from .base import Labels, TeacherFrontEnd, TeacherNetwork

CLASSES = 521
MISSING_CLASSES = frozenset(
    {
        "Male speech, man speaking",
        "Female speech, woman speaking",
        "Battle cry",
        "Male singing",
        "Female singing",
        "Funny music",
    }
)
"""Classes of AudioSet that YAMNet lacks; the others have AudioSet's order."""
EMBEDDING_WIDTH = 1024
MEL_BINS = 64
PATCH_ROWS = 96
"""Number of rows in a patch: 0.96 s."""
PATCH_SHIFT = 48
"""Number of rows between patches: 0.48 s."""
LOG_OFFSET = 1e-3
"""Offset added to a mel magnitude before its logarithm."""
SILENT_ROW = math.log(LOG_OFFSET)

_LOWEST_HZ, _HIGHEST_HZ = 125.0, 7500.0
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Channels and stride of each depthwise-separable block."""
_CHUNK = {"cpu": 256, "cuda": 8192}
"""Maximum number of patches in a batch, which bounds the memory."""


class YamNetFrontEnd:
    """Front end of YAMNet: its energies are the squares of mel magnitudes, which do not add up exactly."""

    bins = MEL_BINS
    band_hz = _LOWEST_HZ, _HIGHEST_HZ

    def mel_energies(self, samples: Tensor) -> Tensor:
        """Samples float32 (batch, n) at 16 kHz, n ≥ 400 -> squared mel magnitudes float32 (batch, rows, 64)."""
        return _magnitudes(samples).square()

    def input_rows(self, energies: Tensor) -> Tensor:
        """Squared mel magnitudes (batch, rows, 64) -> log-mel rows of the same shape."""
        return (energies.sqrt() + LOG_OFFSET).log()


class YamNet(TeacherNetwork):
    """YAMNet on log-mel rows, cut into patches."""

    front_end: ClassVar[TeacherFrontEnd] = YamNetFrontEnd()
    classes = tuple(entry.index for entry in audioset_classes() if entry.name not in MISSING_CLASSES)
    window_samples = round(LONGEST_WINDOW_SECONDS * frontends.SAMPLE_RATE_HZ)
    embedding_width = feature_width = EMBEDDING_WIDTH
    step_rows, span_rows = PATCH_SHIFT, PATCH_ROWS
    last_layer_name = "fc"
    silence = classes.index(next(entry.index for entry in audioset_classes() if entry.name == "Silence"))

    def __init__(self) -> None:
        super().__init__()
        channels = 32
        convolutions = [nn.Conv2d(1, channels, 3, 2)]
        for wider, stride in _BLOCKS:
            padding = 1 if stride == 1 else 0
            convolutions += [
                nn.Conv2d(channels, channels, 3, stride, padding=padding, groups=channels),
                nn.Conv2d(channels, wider, 1),
            ]
            channels = wider
        self.convs = nn.ModuleList(convolutions)
        self.fc = nn.Linear(channels, CLASSES)

    def forward(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Compute logits (n, 521) and embeddings (n, 1024) from log-mel patches (n, 96, 64)."""
        x = patches.unsqueeze(1).contiguous(memory_format=torch.channels_last)  # (n, 1, 96, 64)
        for convolution in self.convs:
            if convolution.stride == (2, 2):
                x = F.pad(x, (0, 1, 0, 1))  # TensorFlow's padding SAME, for even sizes
            x = F.relu(convolution(x))
        embeddings = x.mean((2, 3))  # (n, 1024)
        return self.fc(embeddings), embeddings

    @torch.no_grad()
    def label_patches(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Compute probabilities float32 (n, 521) and embeddings float32 (n, 1024) from log-mel patches (n, 96, 64), in batches that fit in memory."""
        patches = patches.to(self.fc.weight.dtype)
        pieces = [self(piece) for piece in torch.split(patches, _CHUNK.get(patches.device.type, 256))]
        logits, embeddings = (torch.cat(parts).float() for parts in zip(*pieces, strict=True))
        return logits.sigmoid(), embeddings

    @torch.no_grad()
    def label(self, rows: Tensor) -> Labels:
        """Label windows: log-mel rows float32 (batch, rows, 64). Features in time are the embeddings of the patches, embeddings their mean."""
        patches = patches_of(rows)  # (batch, patches, 96, 64)
        labels, embeddings = self.label_patches(patches.flatten(0, 1))
        batch, count = patches.shape[:2]
        features = embeddings.view(batch, count, -1)
        every = torch.ones(batch, count, dtype=torch.bool, device=rows.device)
        probabilities = pool(labels.view(batch, count, -1), every, self.silence)
        return Labels(probabilities=probabilities, embeddings=features.mean(1), features=features)

    @torch.no_grad()
    def listen(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Samples float32 (batch, n) at 16 kHz -> logits float32 (batch, 527), those of classes that it lacks minus infinity, embeddings float32 (batch, 1024)."""
        each = [self.label(log_mel(silent_tail(window))[None]) for window in samples]
        probabilities = torch.cat([labels.probabilities for labels in each])
        logits = probabilities.new_full((len(samples), len(audioset_classes())), -math.inf)
        logits[:, list(self.classes)] = probabilities.logit()
        return logits, torch.cat([labels.embeddings for labels in each])

    def label_sound(self, samples: Tensor) -> Tensor:
        """Samples float32 (n,) at 16 kHz -> probabilities of their patches float32 (patches, 521)."""
        return self.label_patches(patches_of(log_mel(silent_tail(samples))))[0]


@lru_cache(maxsize=2)
def _mel_bank(device: torch.device) -> Tensor:
    """Return the filter bank (257, 64): triangles on the HTK mel scale."""
    from torchaudio.functional import melscale_fbanks

    bank: Tensor = melscale_fbanks(
        frontends.FFT_LENGTH // 2 + 1,
        _LOWEST_HZ,
        _HIGHEST_HZ,
        MEL_BINS,
        frontends.SAMPLE_RATE_HZ,
        mel_scale="htk",
    )
    return bank.to(device)


def log_mel(samples: Tensor) -> Tensor:
    """Compute YAMNet's features: float32 samples (..., n) at 16 kHz -> float32 (..., rows, 64), with the rows of AST's features."""
    return (_magnitudes(samples) + LOG_OFFSET).log()


def _magnitudes(samples: Tensor) -> Tensor:
    """Compute mel magnitudes (..., rows, 64)."""
    frames = samples.unfold(-1, frontends.FRAME_LENGTH, frontends.FRAME_SHIFT)  # (..., rows, 400)
    window = torch.hann_window(frontends.FRAME_LENGTH, device=samples.device)
    magnitudes = torch.fft.rfft(frames * window, n=frontends.FFT_LENGTH).abs()  # (..., rows, 257)
    mel: Tensor = magnitudes @ _mel_bank(samples.device)
    return mel


def silent_tail(samples: Tensor) -> Tensor:
    """Subtract the mean, and pad to whole frames: float32 (n,) -> float32 (m,)."""
    beyond = max(0, len(samples) - frontends.FRAME_LENGTH)
    whole = frontends.FRAME_LENGTH + math.ceil(beyond / frontends.FRAME_SHIFT) * frontends.FRAME_SHIFT
    return F.pad(samples - samples.mean(), (0, whole - len(samples)))


def patch_count(rows: int) -> int:
    """Return the number of patches, at least 1, that cover `rows` rows, the last one padded."""
    return 1 + max(0, math.ceil((rows - PATCH_ROWS) / PATCH_SHIFT))


def patches_of(rows: Tensor) -> Tensor:
    """Cut log-mel rows (..., t, 64) into patches (..., patch_count(t), 96, 64), padded with digital silence."""
    count = patch_count(rows.shape[-2])
    missing = PATCH_ROWS + (count - 1) * PATCH_SHIFT - rows.shape[-2]
    padded = F.pad(rows, (0, 0, 0, missing), value=SILENT_ROW)
    return padded.unfold(-2, PATCH_ROWS, PATCH_SHIFT).transpose(-1, -2)


def pool(probabilities: Tensor, valid: Tensor, silence: int | None) -> Tensor:
    """Label a whole window.

    Parameters
    ----------
    probabilities : float32 (batch, patches, classes)
        Probabilities of the teacher.
    valid : bool (batch, patches)
        True for patches to use: at least one of each window.
    silence : int or None
        Class that is labelled with its mean over the patches.

    Returns
    -------
    float32 (batch, classes)
        Mean of a class's two highest patches (or of its only one): a sound counts anywhere in the window.
    """
    count = valid.sum(1, keepdim=True)  # (batch, 1)
    masked = probabilities * valid.unsqueeze(-1)
    best = masked.topk(min(2, masked.shape[1]), dim=1).values  # (batch, 2, classes)
    pooled = best.sum(1) / count.clamp(max=2)
    if silence is not None:
        pooled[:, silence] = masked[:, :, silence].sum(1) / count[:, 0]
    return pooled


def pool_all(probabilities: Tensor, silence: int | None) -> Tensor:
    """Label a window with `pool`, using every patch: float32 (patches, classes) -> float32 (classes,)."""
    valid = torch.ones(1, len(probabilities), dtype=torch.bool, device=probabilities.device)
    return pool(probabilities[None], valid, silence)[0]
