"""Formats of the families of networks in Hugging Face's folders."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from ..catalogue import HEADS
from ..network_spec import NetworkConfig

Weights: TypeAlias = Mapping[str, Tensor]
Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """Reader of one family's files.

    Attributes
    ----------
    config : type of NetworkConfig
        Configuration of the family.
    model_type : str
        Name of the family in ``config.json``.
    name, model : str
        Name of the family, and that of its class in transformers, each with its article.
    prefix : str
        Start of the network's parameter names.
    always_multi_label : bool
        True if scores are sigmoids and 527 classes AudioSet's, whatever the config says.
    configure : callable
        Function of ``config.json``, ``preprocessor_config.json`` and the number of classes that returns the configuration.
    normalise : callable
        Function of ``preprocessor_config.json`` that returns mean and deviation of the rows.
    rename : callable
        Function of weights and configuration that returns the state dict of the network.
    """

    config: type[NetworkConfig]
    model_type: str
    name: str
    model: str
    prefix: str
    always_multi_label: bool
    configure: Callable[[Json, Json, int], NetworkConfig]
    normalise: Callable[[Json], tuple[float, float]]
    rename: Callable[[Weights, NetworkConfig], dict[str, Tensor]]

    @property
    def head(self) -> str:
        """Name of the last layer's matrix."""
        return HEADS[self.model_type]


def require_sampling_rate(extractor: Json, rate_hz: int) -> None:
    """Raise ValueError if the features are computed at another sampling rate."""
    if int(extractor.get("sampling_rate", rate_hz)) != rate_hz:
        raise ValueError(
            f"its features are computed at {extractor['sampling_rate']} Hz, not at {rate_hz // 1000} kHz"
        )
