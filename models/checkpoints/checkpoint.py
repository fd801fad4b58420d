"""The checkpoint: everything that a tagger needs, independent of the file format."""

import math
import re
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import frontends
from ..errors import CheckpointError
from ..network_spec import Network, NetworkConfig, NetworkSpec, fingerprint
from ..sample_checks import LONGEST_WINDOW_SECONDS
from ..tagger import Activation


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Checkpoint:
    """Everything that a tagger needs.

    Attributes
    ----------
    name : str
        Name of the model.
    config : NetworkConfig
        Configuration of the network.
    labels : tuple of str
        Names of the classes, in the order of the logits.
    weights : dict of str to tensor
        State dict of the network.
    mean, std : float
        Normalisation of the log-mel rows, if it is not in the weights.
    activation : {"sigmoid", "softmax"}
        Function from logits to scores: sigmoid if several classes can occur at once.
    thresholds : tuple of float or None
        Calibrated threshold of each class, 0..1; None if the model is not calibrated.
    """

    name: str
    config: NetworkConfig
    labels: tuple[str, ...]
    weights: dict[str, Tensor]
    mean: float = frontends.AUDIOSET_MEAN
    std: float = frontends.AUDIOSET_STD
    activation: Activation = "sigmoid"
    thresholds: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.labels) != self.config.label_dim:
            raise CheckpointError(
                f"the checkpoint '{self.name}' has {len(self.labels)} labels for {self.config.label_dim} classes: "
                "its files do not belong together"
            )
        if not (self.std > 0 and math.isfinite(self.std) and math.isfinite(self.mean)):
            raise CheckpointError(
                f"the checkpoint '{self.name}' has a mean of {self.mean:g} and a standard deviation of {self.std:g}: both must be "
                "finite, and the deviation above 0"
            )
        if self.thresholds is not None and len(self.thresholds) != len(self.labels):
            raise CheckpointError(
                f"the checkpoint '{self.name}' has {len(self.thresholds)} thresholds for {len(self.labels)} classes: "
                "calibrate it again"
            )
        if not all(0 <= threshold <= 1 for threshold in self.thresholds or ()):  # NaN neither
            raise CheckpointError(
                f"the checkpoint '{self.name}' has thresholds that are not in 0..1: calibrate it again"
            )

    def network_spec(self, rows: int | None = None) -> NetworkSpec:
        """Return the spec of the network; `rows` as for `build`. Errors in the weights are raised when it is built."""
        rows = rows or self.config.input_tdim
        config = self._config_with_rows(rows)
        front_end = config.front_end(rows, self.weights, self.mean, self.std)
        name = fingerprint(config, self.weights)
        return NetworkSpec(config, name, front_end, front_end.window_samples, lambda: self.build(rows))

    def build(self, rows: int | None = None) -> Network:
        """Build the network, in float32 and evaluation mode.

        Parameters
        ----------
        rows : int, optional
            Rows of a full window, by default the checkpoint's. With another number, the network is adapted if its family needs it.

        Raises
        ------
        CheckpointError
            Weights are missing, unexpected or of another shape.
        """
        self._require_size()
        with torch.device("meta"):
            network = self.config.network()
        try:
            weights = {key: value.float() for key, value in self.weights.items()}
            network.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            detail = re.sub(r"\s+", " ", str(error))[:300]
            raise CheckpointError(
                f"the weights of '{self.name}' do not match their configuration ({detail}): fetch or export them again"
            ) from error
        if not all(value.isfinite().all() for value in weights.values()):
            raise CheckpointError(
                f"the weights of '{self.name}' contain numbers that are not finite: the training failed, choose another model"
            )
        config = self._config_with_rows(rows or self.config.input_tdim)
        if config != self.config:
            with torch.device("meta"):
                network = config.network()
            network.load_state_dict(self.config.adapted(weights, config), assign=True)
        return network.eval()

    def _config_with_rows(self, rows: int) -> NetworkConfig:
        try:
            return self.config.with_rows(rows)
        except ValueError as error:
            raise CheckpointError(
                f"the model '{self.name}' can't take windows of {rows / frontends.ROWS_PER_SECOND:g} s: {error}"
            ) from error

    def _require_size(self) -> None:
        """Check that a network is not larger than its weights, before it is built."""
        numbers = sum(value.numel() for value in self.weights.values())
        if self.config.depth > len(self.weights) or self.config.min_parameters > numbers:
            raise CheckpointError(
                f"the checkpoint '{self.name}' describes a larger network than its weights: fetch or export it again"
            )
        if not all(value.is_floating_point() for value in self.weights.values()):
            raise CheckpointError(
                f"the weights of '{self.name}' are not all floating-point numbers: export them as float32"
            )


def window_rows(checkpoint: Checkpoint, window_seconds: float | None) -> int:
    """Return the rows of a window: of the requested length, or of the checkpoint's, up to the longest."""
    if window_seconds is None:
        return min(checkpoint.config.input_tdim, round(LONGEST_WINDOW_SECONDS * frontends.ROWS_PER_SECOND))
    return round(window_seconds * frontends.ROWS_PER_SECOND)
