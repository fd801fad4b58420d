"""The checkpoints that the authors of AST and CED published, under short names. Nothing is loaded or fetched here."""

from dataclasses import dataclass

from .errors import CheckpointError

EMBEDDED = "tiny"
"""Name of the checkpoint that is part of Earshot."""
ENSEMBLE = "ensemble:"
"""Prefix of an ensemble: ``ensemble:A+B+C``. A path in it must not contain ``+``."""
HUB = "hub:"
"""Prefix of a repository on the Hugging Face Hub: ``hub:OWNER/REPO``, ``hub:OWNER/REPO@REVISION``."""
CONFIG = "config.json"
EXTRACTOR = "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files of weights in a repository and in a folder of `save_pretrained`, in order of preference."""

MODEL_TYPES = ("audio-spectrogram-transformer", "ced")
"""Families of networks, as ``model_type`` in a config names them."""
HEADS = dict(zip(MODEL_TYPES, ("classifier.dense.weight", "outputlayer.1.weight"), strict=True))
"""Name of the last layer's matrix in files of each family, which has a row for each class."""

_PATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One published checkpoint.

    Attributes
    ----------
    name : str
        Short name.
    family : {"ast", "ced"}
        Family of networks.
    repository : str
        Repository on the Hugging Face Hub, as OWNER/REPO.
    licence : str
        Licence of the weights, as SPDX names it.
    width, depth : int
        Components of a token, and number of blocks.
    fstride, tstride : int
        Steps between patches along mel bins and rows.
    bins, rows : int
        Mel bins and rows of the input; 100 rows a second.
    prefix_tokens : int
        Number of tokens before those of the patches.
    classes : int
        Number of classes.
    mean_average_precision : float or None
        Mean average precision on AudioSet's evaluation set; None for other tasks.
    figure : str
        Accuracy in words.
    megabytes : int
        Size of the weights in float32, in 10^6 bytes.
    """

    name: str
    family: str
    repository: str
    licence: str
    width: int
    depth: int = 12
    fstride: int
    tstride: int
    bins: int
    rows: int
    prefix_tokens: int
    classes: int = 527
    mean_average_precision: float | None
    figure: str
    megabytes: int

    @property
    def gigaflop(self) -> float:
        """Floating-point operations of one window, in 10^9."""
        patches = ((self.bins - _PATCH) // self.fstride + 1) * ((self.rows - _PATCH) // self.tstride + 1)
        return gigaflop(self.width, self.depth, self.prefix_tokens + patches)


def gigaflop(width: int, depth: int, tokens: int) -> float:
    """Return the cost of the blocks' matrix products for one window, in 10^9 floating-point operations.

    A block of a vision transformer takes 12 width^2 multiplications and additions per token for its projections and its perceptron, and 2 width
    per pair of tokens for its attention.
    """
    return 2e-9 * depth * tokens * (12 * width**2 + 2 * width * tokens)


def _audioset(suffix: str, stride: int, score: float, megabytes: int, repository: str) -> Published:
    return Published(
        name=f"base-{suffix}",
        family="ast",
        repository=f"MIT/ast-finetuned-audioset-{repository}",
        licence="BSD-3-Clause",
        width=768,
        fstride=stride,
        tstride=stride,
        bins=128,
        rows=1024,
        prefix_tokens=2,
        mean_average_precision=score,
        figure=f"mAP {score:.3f}",
        megabytes=megabytes,
    )


def _ced(size: str, width: int, score: float, megabytes: int) -> Published:
    return Published(
        name=f"ced-{size}",
        family="ced",
        repository=f"mispeech/ced-{size}",
        licence="Apache-2.0",
        width=width,
        fstride=16,
        tstride=16,
        bins=64,
        rows=1008,
        prefix_tokens=0,
        mean_average_precision=score,
        figure=f"mAP {score:.3f}",
        megabytes=megabytes,
    )


_ALL = (
    _ced("tiny", 192, 0.481, 22),
    _ced("mini", 256, 0.490, 39),
    _ced("small", 384, 0.496, 87),
    _ced("base", 768, 0.500, 343),
    _audioset("10-10", 10, 0.4593, 346, "10-10-0.4593"),
    _audioset("10-10-450", 10, 0.4495, 346, "10-10-0.450"),
    _audioset("10-10-448", 10, 0.4483, 346, "10-10-0.448"),
    _audioset("10-10-448-v2", 10, 0.4475, 346, "10-10-0.448-v2"),
    _audioset("12-12", 12, 0.4467, 345, "12-12-0.447"),
    _audioset("14-14", 14, 0.4431, 345, "14-14-0.443"),
    _audioset("16-16", 16, 0.4422, 344, "16-16-0.442"),
    Published(
        name="speech-commands",
        family="ast",
        repository="MIT/ast-finetuned-speech-commands-v2",
        licence="BSD-3-Clause",
        width=768,
        fstride=10,
        tstride=10,
        bins=128,
        rows=128,
        prefix_tokens=2,
        classes=35,
        mean_average_precision=None,
        figure="98.1 % accuracy",
        megabytes=342,
    ),
)

PUBLISHED: dict[str, Published] = {entry.name: entry for entry in _ALL}
"""Published checkpoints by name."""

ALIASES: dict[str, str] = {"base": "base-10-10"}
"""Other names of checkpoints."""

_PLAIN = ("base-10-10-450", "base-10-10-448", "base-10-10-448-v2")

ENSEMBLES: dict[str, tuple[str, ...]] = {
    "ensemble-s": _PLAIN,
    "ensemble-m": (*_PLAIN, "base-12-12", "base-14-14", "base-16-16"),
}
"""Members of the paper's ensembles, whose probabilities are averaged."""

ENSEMBLE_MEAN_AVERAGE_PRECISION: dict[str, float] = {"ensemble-s": 0.475, "ensemble-m": 0.485}
"""Mean average precision of the ensembles on AudioSet, from the paper."""


def published(name: str) -> Published | None:
    """Return a published checkpoint by its name or alias; None for any other name."""
    return PUBLISHED.get(ALIASES.get(name, name))


def longest_window_seconds(model: str) -> float | None:
    """Return the length of the longest window that a model of the list, or an ensemble of such models, takes; None if nothing is known.

    An AST takes all lengths, as its positions are interpolated; a CED has none beyond its own.
    """
    members = ENSEMBLES.get(model) or model.removeprefix(ENSEMBLE).split("+")
    entries = [published(member.strip()) for member in members]
    return min((entry.rows / 100 for entry in entries if entry and entry.family == "ced"), default=None)


def repository_of(spec: str) -> tuple[str, str | None] | None:
    """Return repository and revision of ``hub:OWNER/REPO@REVISION``; None for any other text."""
    if not spec.startswith(HUB):
        return None
    repository, _, revision = spec.removeprefix(HUB).partition("@")
    return repository, revision or None


def member_specs(model: str) -> list[str]:
    """Return the checkpoints of a model: several for an ensemble."""
    if model in ENSEMBLES:
        return list(ENSEMBLES[model])
    if not model.startswith(ENSEMBLE):
        return [model]
    members = [member.strip() for member in model.removeprefix(ENSEMBLE).split("+")]
    if not all(members):
        raise CheckpointError(f"'{model}' is not an ensemble of models: give {ENSEMBLE}A+B+C")
    return members


def require_single(spec: str) -> None:
    """Refuse an ensemble.

    Raises
    ------
    CheckpointError
        It is one.
    """
    if len(members := member_specs(spec)) > 1:
        raise CheckpointError(
            f"'{spec}' is an ensemble, and this needs a single model: choose one of its members, such as {members[0]}"
        )
