"""Report of a fine-tuning: a folder with settings, results, learning curves and confusions."""

import csv
import json
import math
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TrainingError
from .dataset import Dataset
from .evaluate import write_class_table
from .figures import draw_classes, draw_confusion, draw_curves
from .finetune import Result
from .metrics import Figures, ranking_figures

REPORT, HISTORY, CLASSES, UNREADABLE = "report.json", "history.csv", "classes.csv", "unreadable.txt"
_OPTIONAL_FILES = (
    *(CLASSES, UNREADABLE, "classes.png", "confusion.png"),
    *("curves.png", "curves-fold-*.png", "curves-everything.png"),
)
_PACKAGES = ("earshot", "torch", "timm", "numpy", "scikit-learn")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Summary:
    """Results of a run over all recordings that were validated on.

    Attributes
    ----------
    metric : float
        Mean over the parts with a validation; NaN without such parts.
    deviation : float
        Standard deviation over these parts; NaN for fewer than two.
    figures : Figures or None
        Figures over the recordings of all parts together.
    scores, targets : float32 arrays (recordings, classes)
        Scores, and 1 for each true label.
    """

    metric: float
    deviation: float
    figures: Figures | None
    scores: NDArray[np.float32]
    targets: NDArray[np.float32]


def summarise(results: Sequence[Result]) -> Summary:
    """Merge the validations of the parts: each recording counts once, scored by a network that wasn't trained on it."""
    validations = [result.validation for result in results if result.validation is not None]
    metrics = [validation.metric for validation in validations]
    empty = np.empty((0, 0), np.float32)
    scores = (
        np.concatenate([validation.scores.cpu().numpy() for validation in validations])
        if validations
        else empty
    )
    targets = (
        np.concatenate([validation.targets.cpu().numpy() for validation in validations])
        if validations
        else empty
    )
    return Summary(
        metric=statistics.fmean(metrics) if metrics else math.nan,
        deviation=statistics.stdev(metrics) if len(metrics) > 1 else math.nan,
        figures=ranking_figures(scores, targets > 0) if validations else None,
        scores=scores,
        targets=targets,
    )


def write_report(
    folder: Path,
    results: Sequence[Result],
    summary: Summary,
    dataset: Dataset,
    *,
    settings: Mapping[str, Any],
    unreadable: Sequence[tuple[Path, str]] = (),
) -> None:
    """Write the report: report.json, history.csv, the curves, and, after a validation, the classes and their confusions.

    Files of an earlier report that this one does not have are removed.

    Parameters
    ----------
    folder : Path
        Folder to write to, created if missing.
    results : sequence of Result
        Results of the run's parts.
    summary : Summary
        Summary of the results.
    dataset : Dataset
        Recordings that were trained on.
    settings : mapping
        Settings, as JSON values.
    unreadable : sequence of (Path, str)
        Recordings that were left out, and the reasons.

    Raises
    ------
    TrainingError
        The report can't be written.
    """
    metric = "mAP" if dataset.multi_label else "accuracy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in _OPTIONAL_FILES:
            for stale in folder.glob(pattern):
                stale.unlink()
        _write_json(folder / REPORT, _content(results, summary, dataset, metric, settings, unreadable))
        _write_history(folder / HISTORY, results)
        if unreadable:
            lines = "".join(f"{path}: {reason}\n" for path, reason in unreadable)
            (folder / UNREADABLE).write_text(lines, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise TrainingError(
            f"the report can't be written to {folder} ({error}): free some space, or give another --report"
        ) from error
    for result in results:
        _draw_history(folder, result, metric, several=len(results) > 1)
    if summary.figures is not None:
        write_class_table(folder / CLASSES, dataset.labels, summary.figures.per_class)
        _draw_classes(folder, summary, summary.figures, dataset)


def _content(
    results: Sequence[Result],
    summary: Summary,
    dataset: Dataset,
    metric: str,
    settings: Mapping[str, Any],
    unreadable: Sequence[tuple[Path, str]],
) -> dict[str, Any]:
    figures = summary.figures
    return {
        "metric": metric,
        "value": summary.metric,
        "deviation": summary.deviation,
        "figures": None
        if figures is None
        else {key: value for key, value in asdict(figures).items() if key != "per_class"},
        "recordings": len(dataset.examples),
        "classes": len(dataset.labels),
        "unreadable": len(unreadable),
        "parts": [
            {
                "name": result.name,
                "weights": result.kept,
                "epochs": result.epochs,
                "value": None if result.validation is None else result.validation.metric,
                "loss": None if result.validation is None else result.validation.loss,
            }
            for result in results
        ],
        "settings": dict(settings),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    part = file.with_name(f"{file.name}.part")
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False) + "\n"
    part.write_text(text, encoding="utf-8", errors="backslashreplace")  # valid JSON escapes
    part.replace(file)


def _finite(value: Any) -> Any:
    """Replace NaN and infinity, which JSON lacks, by null."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_history(file: Path, results: Sequence[Result]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("part", "epoch", "rate", "train_loss", "validation_loss", "metric"))
        for result in results:
            for epoch in result.history:
                values = asdict(epoch).values()
                rows.writerow(
                    (result.name, *("" if math.isnan(value) else f"{value:.6g}" for value in values))
                )


def _draw_history(folder: Path, result: Result, metric: str, *, several: bool) -> None:
    name = f"curves-{result.name.replace(' ', '-')}.png" if several else "curves.png"
    history = result.history
    draw_curves(
        folder / name,
        [epoch.epoch for epoch in history],
        [epoch.train_loss for epoch in history],
        [epoch.validation_loss for epoch in history],
        [epoch.metric for epoch in history],
        metric,
    )


def _draw_classes(folder: Path, summary: Summary, figures: Figures, dataset: Dataset) -> None:
    counts = [entry.positives for entry in figures.per_class]
    if dataset.multi_label:
        values, name = [entry.average_precision for entry in figures.per_class], "average precision"
    else:
        values, name = [entry.recall for entry in figures.per_class], "recall"
    draw_classes(folder / "classes.png", dataset.labels, values, counts, name)
    matrix = confusion(summary.scores, summary.targets, multi_label=dataset.multi_label)
    draw_confusion(folder / "confusion.png", matrix, dataset.labels, normalised=True)


def confusion(
    scores: NDArray[np.float32], targets: NDArray[np.float32], *, multi_label: bool
) -> NDArray[np.float64]:
    """Return the confusion matrix.

    Parameters
    ----------
    scores, targets : float32 arrays (recordings, classes)
        Scores, and 1 for each true label.
    multi_label : bool
        True if a recording may have several labels.

    Returns
    -------
    float64 (classes, classes)
        Row for each true class: the share of its recordings whose highest score is each class's, or, with several labels, the mean
        scores of its recordings. NaN for a class without recordings.
    """
    named = scores if multi_label else np.eye(scores.shape[1])[scores.argmax(1)]
    totals = targets.T.astype(np.float64) @ named
    with np.errstate(invalid="ignore"):
        shares: NDArray[np.float64] = totals / targets.sum(0)[:, None]
    return shares
