"""Models on this machine by name, ready to tag."""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from . import catalogue, frontends
from .checkpoints import Checkpoint, Geometry, load_checkpoint, member_specs, window_rows
from .engines import FAST_ENOUGH_SECONDS, Engine, EngineName, Precision
from .engines.ensemble import EnsembleEngine
from .engines.torch_engine import TorchEngine
from .errors import CheckpointError
from .network_spec import NetworkSpec
from .sample_checks import require_window_length
from .selection.engine_choice import check_request, make_engine
from .tagger import Tagger

_log = logging.getLogger(__name__)

AUTO = "auto"

_ALIKE_SECONDS = 0.25
"""Largest difference between the windows of an ensemble's members without a common length."""


def load_tagger(
    model: str | os.PathLike[str] = "tiny",
    *,
    device: str = "auto",
    engine: EngineName = "auto",
    precision: Precision = "fp32",
    window_seconds: float | None = None,
    offline: bool = False,
    fstride: int | None = None,
    tstride: int | None = None,
    input_tdim: int | None = None,
    enough_seconds: float = FAST_ENOUGH_SECONDS,
) -> Tagger:
    """Load a model on this machine. Parameters and errors as for `models.load_tagger`."""
    require_window_length(window_seconds)
    check_request(device, engine, precision)
    model = _named(os.fspath(model), window_seconds, device, engine, offline=offline)
    geometry = Geometry(fstride=fstride, tstride=tstride, input_tdim=input_tdim)
    specs = member_specs(model)
    checkpoints = [load_checkpoint(spec, offline=offline, geometry=geometry) for spec in specs]
    networks = _networks(model, checkpoints, window_seconds)
    share = enough_seconds / len(checkpoints)
    make = partial(
        make_engine,
        device=device,
        engine=engine,
        precision=precision,
        enough_seconds=share,
        activation=checkpoints[0].activation,
    )
    engines = [
        make(network, _listed_name(spec, checkpoint, window_seconds) if geometry == Geometry() else "")
        for network, spec, checkpoint in zip(networks, specs, checkpoints, strict=True)
    ]
    return _joined(checkpoints, networks, engines)


def _listed_name(spec: str, checkpoint: Checkpoint, window_seconds: float | None) -> str:
    """Return the name under which the speed of a model is listed; empty for models that are not, and for other windows than theirs."""
    if window_rows(checkpoint, window_seconds) != window_rows(checkpoint, None):
        return ""
    return checkpoint.name if spec == catalogue.EMBEDDED or catalogue.published(spec) else ""


def _named(
    model: str, window_seconds: float | None, device: str, engine: EngineName, *, offline: bool
) -> str:
    """Return the name of a model; for ``auto`` that of the chosen one."""
    if model != AUTO:
        return model
    from .selection.candidates import Task
    from .selection.model_choice import choose

    task = Task(hop_seconds=1.0, window_seconds=window_seconds, device=device, engine=engine)
    return choose(task, offline=offline).model


def tagger_of(checkpoint: Checkpoint, *, device: str = "auto") -> Tagger:
    """Return a tagger for a checkpoint, with windows of its length, in PyTorch and single precision.

    Raises
    ------
    CheckpointError
        The weights do not match the configuration.
    EngineError
        The device is not available on this machine.
    """
    network = checkpoint.network_spec(window_rows(checkpoint, None))
    return _joined([checkpoint], [network], [TorchEngine(network, device=device)])


def _networks(model: str, checkpoints: list[Checkpoint], window_seconds: float | None) -> list[NetworkSpec]:
    """Return the networks of a model's members, with the shortest one's window: 10.08 s for an AST beside a CED.

    An AST pads that to its 10.24 s, as it does with every clip of AudioSet.

    Raises
    ------
    CheckpointError
        The members can't be averaged, or can't take such windows.
    """
    rows = [window_rows(checkpoint, window_seconds) for checkpoint in checkpoints]
    _require_alike(model, checkpoints, rows)
    networks = [checkpoint.network_spec(count) for checkpoint, count in zip(checkpoints, rows, strict=True)]
    for checkpoint, count in zip(checkpoints, rows, strict=True):
        if window_seconds is None and checkpoint.config.input_tdim > count:
            _log.info(
                "%s was trained on longer windows than %g s, the longest here",
                checkpoint.name,
                count / frontends.ROWS_PER_SECOND,
            )
    shortest = min(network.window_samples for network in networks)
    return [replace(network, window_samples=shortest) for network in networks]


def _joined(
    checkpoints: Sequence[Checkpoint], networks: Sequence[NetworkSpec], engines: Sequence[Engine]
) -> Tagger:
    """Return a tagger of one checkpoint and its engine, or an ensemble of several."""
    first = checkpoints[0]
    alone = len(engines) == 1
    return Tagger(
        engines[0] if alone else EnsembleEngine(engines, first.activation),
        name="+".join(checkpoint.name for checkpoint in checkpoints),
        labels=first.labels,
        window_samples=networks[0].window_samples,
        activation=first.activation,
        thresholds=first.thresholds if alone else None,
        fingerprint="+".join(map(_fingerprint, networks)),
    )


def _fingerprint(network: NetworkSpec) -> str:
    """Return the fingerprint of a network with windows of its length; a CED has the same weights for all lengths, but its embeddings differ."""
    samples = network.front_end.window_samples
    is_whole = samples == network.config.input_tdim * frontends.FRAME_SHIFT
    return network.fingerprint if is_whole else f"{network.fingerprint} {samples}"


def _require_alike(model: str, checkpoints: list[Checkpoint], rows: list[int]) -> None:
    """Raise CheckpointError unless all members have about the same window and the same classes."""
    first = checkpoints[0]
    if max(rows) - min(rows) > _ALIKE_SECONDS * frontends.ROWS_PER_SECOND:
        lengths = " and ".join(f"{count / frontends.ROWS_PER_SECOND:g}" for count in sorted(set(rows)))
        raise CheckpointError(
            f"the members of '{model}' have windows of {lengths} s: give one for all with window_seconds (--window on the command line)"
        )
    for other in checkpoints[1:]:
        if (other.labels, other.activation) != (first.labels, first.activation):
            raise CheckpointError(
                f"'{first.name}' and '{other.name}' have different classes or activations and can't be averaged: choose "
                "models of the same task"
            )
