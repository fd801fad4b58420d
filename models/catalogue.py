"""The checkpoints that AST's authors published, under short names. Facts only: nothing is imported or fetched."""

from dataclasses import dataclass

EMBEDDED = "tiny"
"""The checkpoint that is part of Earshot."""
ENSEMBLE = "ensemble:"
"""Prefix of an ensemble: ``ensemble:A+B+C``. A path in it must not contain ``+``."""
HUB = "hub:"
"""How a repository on the Hugging Face Hub is named: ``hub:OWNER/REPO``, ``hub:OWNER/REPO@REVISION``."""
CONFIG = "config.json"
EXTRACTOR = "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files of a repository, and of a folder of `save_pretrained`; the first of the weights that is there is taken."""

_BINS = 128
_PATCH = 16


@dataclass(frozen=True, slots=True)
class Published:
    """One published checkpoint, all of them AST-base.

    Attributes
    ----------
    name : str
        What users call it.
    repository : str
        On the Hugging Face Hub, as OWNER/REPO.
    fstride, tstride : int
        Steps between patches along mel bins and rows.
    rows : int
        Rows of its input, 100 a second.
    classes : int
        What it tells apart.
    mean_average_precision : float or None
        On AudioSet's evaluation set; None for other tasks.
    figure : str
        How good it is, for people.
    megabytes : int
        Of its weights in float32: 10^6 bytes.
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
    """Count what the blocks' matrix products cost for one window, in 10^9 floating-point operations.

    A block of a vision transformer takes 12 width^2 multiplications and additions a token for its projections and its perceptron, and 2 width
    a pair of tokens for its attention.
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
"""The eight, by name."""

ALIASES: dict[str, str] = {"base": "base-10-10"}
"""Shorter names of some."""

_PLAIN = ("base-10-10-450", "base-10-10-448", "base-10-10-448-v2")

ENSEMBLES: dict[str, tuple[str, ...]] = {
    "ensemble-s": _PLAIN,
    "ensemble-m": (*_PLAIN, "base-12-12", "base-14-14", "base-16-16"),
}
"""The paper's ensembles: members, whose probabilities are averaged."""

ENSEMBLE_MEAN_AVERAGE_PRECISION: dict[str, float] = {"ensemble-s": 0.475, "ensemble-m": 0.485}
"""What the paper measured for them on AudioSet."""


def published(name: str) -> Published | None:
    """Find a published checkpoint by its name or alias; None for any other name."""
    return PUBLISHED.get(ALIASES.get(name, name))


def repository_of(spec: str) -> tuple[str, str | None] | None:
    """Repository and revision that ``hub:OWNER/REPO@REVISION`` names; None for what names none."""
    if not spec.startswith(HUB):
        return None
    repository, _, revision = spec.removeprefix(HUB).partition("@")
    return repository, revision or None
