"""The checkpoints that AST's authors published, under short names. Only data: nothing is imported or fetched."""

from dataclasses import dataclass

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

_BINS = 128
_PATCH = 16


@dataclass(frozen=True, slots=True)
class Published:
    """One published checkpoint, all of them AST-base.

    Attributes
    ----------
    name : str
        Short name.
    repository : str
        Repository on the Hugging Face Hub, as OWNER/REPO.
    fstride, tstride : int
        Steps between patches along mel bins and rows.
    rows : int
        Rows of the input, 100 a second.
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
    repository: str
    fstride: int
    tstride: int
    rows: int
    classes: int
    mean_average_precision: float | None
    figure: str
    megabytes: int

    @property
    def gigaflop(self) -> float:
        """Floating-point operations of one window, in 10^9."""
        return gigaflop(768, 12, self.fstride, self.tstride, self.rows)


def gigaflop(width: int, depth: int, fstride: int, tstride: int, rows: int) -> float:
    """Return the cost of the blocks' matrix products for one window, in 10^9 floating-point operations.

    A block of a vision transformer takes 12 width^2 multiplications and additions per token for its projections and its perceptron, and 2 width
    per pair of tokens for its attention.
    """
    tokens = 2 + ((_BINS - _PATCH) // fstride + 1) * ((rows - _PATCH) // tstride + 1)
    return 2e-9 * depth * tokens * (12 * width**2 + 2 * width * tokens)


def _audioset(suffix: str, strides: int, score: float, megabytes: int, repository: str) -> Published:
    return Published(
        name=f"base-{suffix}",
        repository=f"MIT/ast-finetuned-audioset-{repository}",
        fstride=strides,
        tstride=strides,
        rows=1024,
        classes=527,
        mean_average_precision=score,
        figure=f"mAP {score:.3f}",
        megabytes=megabytes,
    )


_ALL = (
    _audioset("10-10", 10, 0.4593, 346, "10-10-0.4593"),
    _audioset("10-10-450", 10, 0.4495, 346, "10-10-0.450"),
    _audioset("10-10-448", 10, 0.4483, 346, "10-10-0.448"),
    _audioset("10-10-448-v2", 10, 0.4475, 346, "10-10-0.448-v2"),
    _audioset("12-12", 12, 0.4467, 345, "12-12-0.447"),
    _audioset("14-14", 14, 0.4431, 345, "14-14-0.443"),
    _audioset("16-16", 16, 0.4422, 344, "16-16-0.442"),
    Published(
        name="speech-commands",
        repository="MIT/ast-finetuned-speech-commands-v2",
        fstride=10,
        tstride=10,
        rows=128,
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


def repository_of(spec: str) -> tuple[str, str | None] | None:
    """Return repository and revision of ``hub:OWNER/REPO@REVISION``; None for any other text."""
    if not spec.startswith(HUB):
        return None
    repository, _, revision = spec.removeprefix(HUB).partition("@")
    return repository, revision or None
