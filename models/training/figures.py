"""Pictures of results, as PNG files: explanations, learning curves, confusion matrices, figures per class.

The only importer of matplotlib. Figures are drawn without pyplot, so they need no display and share no state.
Colours are those of the live window; "inferno" keeps its order for colour-blind viewers and in print.
"""

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import frontends
from ..errors import ModelError

logging.getLogger("matplotlib").setLevel(
    logging.ERROR
)  # its messages about caches and fonts are not for the user

from matplotlib import colormaps  # noqa: E402 - its import logs too
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.colors import LinearSegmentedColormap, PowerNorm, to_rgba  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.layout_engine import ConstrainedLayoutEngine  # noqa: E402
from matplotlib.ticker import FuncFormatter, MaxNLocator  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..explain import Explanation
    from .calibration import Reliability

Floats = NDArray[np.float32]
Extent: TypeAlias = tuple[float, float, float, float]

BACKGROUND, PANEL, EDGE = "#0a0c10", "#11141a", "#3a4150"
TEXT, SOFT = "#eceff4", "#98a1b3"
WARM, COOL = "#fb9b06", "#56b4e9"
"""Pair of colours that colour-blind viewers can distinguish."""
_SERIES = ((COOL, "o"), (WARM, "s"), ("#009e73", "^"), ("#cc79a7", "D"), ("#f0e442", "v"), ("#d55e00", "P"))
"""Colours and marks of several curves, distinguishable as well (Okabe and Ito 2008)."""

_ENERGIES = "inferno"
_DOTS_PER_INCH = 100
_SMALL, _MEDIUM, _LARGE = 9, 11, 15
"""Font sizes in points."""
_LONGEST_NAME = 30
_NUMBERED_CLASSES = 20
"""Maximum number of classes of a confusion matrix with numbers in its cells."""
_NAMED_CLASSES = 60
"""Maximum number of class names along an axis of a confusion matrix."""
_ALL_BARS, _END_BARS = 60, 25
"""Maximum number of classes to draw all of; otherwise, the number of best and of worst classes to draw."""
_STRONGEST_PERCENTILE = 98
"""Percentile of the relevance with the full tint, so that a single patch does not outshine the others."""
_PADDING_SHARE = 0.1
"""Minimum share of the relevance on padding that is mentioned."""
_FREQUENCIES_HZ = (250, 500, 1000, 2000, 4000)


def draw_explanation(path: Path, explanation: "Explanation") -> None:
    """Draw a spectrogram, and again with the relevance for the tag over it.

    Parameters
    ----------
    path : Path
        PNG file, written under another name and renamed.
    explanation : Explanation
        Explanation from `models.explain.explain`. Padding is left out.

    Raises
    ------
    ModelError
        The file can't be written.
    """
    sound = np.s_[: explanation.sound_rows]
    spectrogram, relevance = explanation.spectrogram[sound], explanation.relevance[sound]
    extent = _extent(spectrogram, explanation.start_seconds)
    figure = _figure(11, 7)
    above, below = figure.subplots(2, sharex=True)
    _title(figure, f"{explanation.label}  {explanation.score:.2f}")
    _draw_spectrogram(above, spectrogram, extent, colormaps[_ENERGIES])
    dim = LinearSegmentedColormap.from_list("dim", [BACKGROUND, "#7d8799"])
    _draw_spectrogram(below, spectrogram, extent, dim)
    _draw_relevance(below, relevance, extent)
    _heading(above, "Spectrogram")
    _heading(below, "Relevance for the tag (outlined: highest)")
    below.set_xlabel("seconds", color=SOFT, size=_MEDIUM)
    total = explanation.relevance.sum()
    if (behind := float((total - relevance.sum()) / max(total, 1e-9))) > _PADDING_SHARE:
        figure.supxlabel(
            f"{behind:.0%} of the relevance lies after the sound, where the window was padded",
            color=SOFT,
            size=_MEDIUM,
        )
    _write(figure, path)


def _draw_spectrogram(axes: "Axes", rows: Floats, extent: Extent, colours: Any) -> None:
    """Draw rows (rows, bins), time in seconds to the right and mel frequency upwards."""
    _style(axes)
    quiet, loud = np.percentile(rows, (5, 99.9))
    axes.imshow(
        rows.T,
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap=colours,
        vmin=quiet,
        vmax=max(loud, quiet + 1),
        interpolation="nearest",
    )
    names = [f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz" for hz in _FREQUENCIES_HZ]
    axes.set_yticks([_height(hz, rows.shape[1]) for hz in _FREQUENCIES_HZ], names)


def _draw_relevance(axes: "Axes", relevance: Floats, extent: Extent) -> None:
    """Draw relevance (rows, bins) over a spectrogram: a transparent tint, and a line at half the scale."""
    full = max(float(np.percentile(relevance, _STRONGEST_PERCENTILE)), 1e-9)
    share = np.minimum(relevance.T / full, 1)
    tint = np.empty((*share.shape, 4))
    tint[:] = to_rgba(WARM)
    tint[..., 3] = 0.65 * share
    axes.imshow(tint, origin="lower", aspect="auto", extent=extent, interpolation="nearest")
    if share.min() < 0.5 < share.max() and min(share.shape) > 1:
        axes.contour(share, levels=[0.5], extent=extent, colors=[TEXT], linewidths=0.8)


def _extent(rows: Floats, start_seconds: float) -> Extent:
    """Return the edges of rows (rows, bins) in a picture: seconds, mel bins."""
    seconds = rows.shape[0] * frontends.FRAME_SHIFT / frontends.SAMPLE_RATE_HZ
    return start_seconds, start_seconds + seconds, 0.0, float(rows.shape[1])


def _height(frequency_hz: float, bins: int) -> float:
    """Return the height of a frequency in mel bins, 0.5 the middle of the lowest: Kaldi's mel scale, `models.frontends`'s triangles."""
    low, high, here = (
        math.log1p(hz / 700) for hz in (frontends.LOWEST_HZ, frontends.SAMPLE_RATE_HZ / 2, frequency_hz)
    )
    return (here - low) / (high - low) * (bins + 1) - 0.5


def draw_curves(
    path: Path,
    epochs: Sequence[int],
    train_loss: Sequence[float],
    validation_loss: Sequence[float],
    metric: Sequence[float],
    metric_name: str,
) -> None:
    """Draw the learning curves of a training.

    Parameters
    ----------
    path : Path
        PNG file, written under another name and renamed.
    epochs : sequence of int
        Numbers of the epochs.
    train_loss, validation_loss, metric : sequence of float
        Values after each epoch; NaN if missing. The best is the highest metric.
    metric_name : str
        Name of the metric.

    Raises
    ------
    ModelError
        The file can't be written.
    """
    figure = _figure(11, 4.6)
    left, right = figure.subplots(1, 2)
    for axes, name in ((left, "loss"), (right, metric_name)):
        _style(axes)
        _heading(axes, name)
        axes.grid(color=EDGE, linewidth=0.5)
        axes.set_xlabel("epoch", color=SOFT, size=_MEDIUM)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    left.plot(epochs, train_loss, color=COOL, marker="o", markersize=3, label="training")
    left.plot(
        epochs, validation_loss, color=WARM, marker="s", markersize=3, linestyle="--", label="validation"
    )
    left.legend(facecolor=PANEL, edgecolor=EDGE, labelcolor=TEXT, fontsize=_SMALL + 1)
    right.plot(epochs, metric, color=WARM, marker="s", markersize=3, linestyle="--")
    if np.isfinite(metric).any():
        best = int(np.nanargmax(metric))
        right.plot(epochs[best], metric[best], color=TEXT, marker="o", markersize=9, fillstyle="none")
        right.set_title(
            f"best {metric[best]:.3f} in epoch {epochs[best]}", loc="right", color=SOFT, size=_MEDIUM
        )
    else:
        right.set(xticks=[], yticks=[], xlabel="")
        right.text(0.5, 0.5, "not measured", transform=right.transAxes, ha="center", color=SOFT, size=_MEDIUM)
    _write(figure, path)


def draw_confusion(path: Path, matrix: NDArray[Any], labels: Sequence[str], *, normalised: bool) -> None:
    """Draw a confusion matrix.

    Parameters
    ----------
    path : Path
        PNG file, written under another name and renamed.
    matrix : int or float (n, n)
        True classes along the first axis, predicted ones along the second.
    labels : sequence of str
        Names of the n classes. If there are many, only some are drawn.
    normalised : bool
        True if cells are shares of their row, 0..1, False if they are counts.

    Raises
    ------
    ModelError
        The file can't be written.
    """
    count = len(labels)
    side = min(12.0, max(4.0, 0.42 * count))
    figure = _figure(side + 3.2, side + 2)
    axes = figure.subplots()
    _style(axes)
    largest = 1.0 if normalised else max(1.0, float(np.nanmax(matrix)))
    scale = PowerNorm(0.5, 0, largest)  # lifts rare confusions out of the dark
    image = axes.imshow(matrix, cmap=_ENERGIES, norm=scale, interpolation="nearest")
    named = range(0, count, -(-count // _NAMED_CLASSES))
    names = [_short(labels[index]) for index in named]
    axes.set_xticks(named, names, rotation=90, parse_math=False)
    axes.set_yticks(named, names, parse_math=False)
    axes.set_xlabel("predicted class", color=SOFT, size=_MEDIUM)
    axes.set_ylabel("true class", color=SOFT, size=_MEDIUM)
    if count <= _NUMBERED_CLASSES:
        _number_cells(axes, matrix, largest, normalised=normalised)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02)
    bar.ax.tick_params(colors=SOFT, labelsize=_SMALL)
    bar.outline.set_edgecolor(EDGE)
    if normalised:
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    else:
        bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    _write(figure, path)


def _number_cells(axes: "Axes", matrix: NDArray[Any], largest: float, *, normalised: bool) -> None:
    """Write percent or counts into the cells that are not empty."""
    for (row, column), value in np.ndenumerate(matrix):
        text = f"{100 * value:.0f}" if normalised else f"{value:g}"
        if np.isfinite(value) and text != "0":
            colour = "black" if value > 0.4 * largest else TEXT
            axes.text(column, row, text, ha="center", va="center", color=colour, size=_SMALL)


def draw_classes(
    path: Path, labels: Sequence[str], values: Sequence[float], counts: Sequence[int], metric_name: str
) -> None:
    """Draw a figure of each class as a bar, the best on top.

    Parameters
    ----------
    path : Path
        PNG file, written under another name and renamed.
    labels : sequence of str
        Names of the classes.
    values : sequence of float
        Values in 0..1; a class without a value (NaN) is left out. Of more than sixty, only the best and the worst are drawn.
    counts : sequence of int
        Number of examples of each class.
    metric_name : str
        Name of the metric.

    Raises
    ------
    ModelError
        The file can't be written.
    """
    order = [
        int(index) for index in np.argsort(-np.asarray(values), kind="stable") if np.isfinite(values[index])
    ]
    left_out = len(order) - 2 * _END_BARS if len(order) > _ALL_BARS else 0
    shown: list[int | None] = [*order]
    if left_out:
        shown = [*order[:_END_BARS], None, *order[-_END_BARS:]]
    figure = _figure(9, 1.3 + 0.24 * max(2, len(shown)))
    axes = figure.subplots()
    _style(axes)
    _heading(axes, metric_name)
    for place, index in enumerate(shown):
        if index is not None:
            value = values[index]
            axes.barh(place, value, height=0.7, color=colormaps[_ENERGIES](0.36 + 0.46 * min(1.0, value)))
            axes.text(value + 0.008, place, f"{value:.2f}", va="center", color=TEXT, size=_SMALL)
    names = [
        f"… {left_out} between …" if index is None else f"{_short(labels[index])}  ({counts[index]})"
        for index in shown
    ]
    axes.set_yticks(range(len(shown)), names, parse_math=False)
    axes.set(xlim=(0, 1.06), ylim=(len(shown) - 0.4, -0.6))
    axes.xaxis.set_ticks(np.linspace(0, 1, 6))
    if order:
        mean = float(np.mean([values[index] for index in order]))
        axes.axvline(mean, color=COOL, linestyle="--", linewidth=1)
        axes.set_title(f"mean {mean:.3f}", loc="right", color=COOL, size=_MEDIUM)
    _write(figure, path)


def draw_reliability(path: Path, places: "Mapping[str, Reliability]") -> None:
    """Draw a reliability diagram, with a histogram of the scores below.

    Parameters
    ----------
    path : Path
        PNG file, written under another name and renamed.
    places : mapping of str to Reliability
        Curves by name, all with the same number of bins.

    Raises
    ------
    ModelError
        The file can't be written.
    """
    figure = _figure(7, 8)
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 1))
    for axes in (above, below):
        _style(axes)
        axes.grid(color=EDGE, linewidth=0.5)
    above.plot((0, 1), (0, 1), color=SOFT, linestyle=":", linewidth=1)
    for number, (place, there) in enumerate(places.items()):
        colour, marker = _SERIES[number % len(_SERIES)]
        filled = there.pairs > 0
        name = f"{place} (error {there.error:.4f})"
        above.plot(there.score[filled], there.share[filled], color=colour, marker=marker, label=name)
        width = 0.8 / len(places) / len(there.pairs)
        lefts = (np.arange(len(there.pairs)) + 0.1) / len(there.pairs) + number * width
        below.bar(lefts, there.pairs, width, align="edge", color=colour)
    _heading(above, "Share of clips with the class")
    _heading(below, "Pairs of clip and class")
    above.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    above.legend(loc="upper left", facecolor=PANEL, edgecolor=EDGE, labelcolor=TEXT, fontsize=_SMALL + 1)
    below.set(yscale="log", ylim=(0.5, None))
    below.set_xlabel("score", color=SOFT, size=_MEDIUM)
    _write(figure, path)


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure, sized in inches, with a layout that fits its labels."""
    return Figure(
        figsize=(width, height),
        facecolor=BACKGROUND,
        layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12, wspace=0.02, hspace=0.02),
    )


def _style(axes: "Axes") -> None:
    """Give axes the colours of the live window."""
    axes.set_facecolor(PANEL)
    axes.tick_params(colors=SOFT, labelcolor=SOFT, labelsize=_SMALL + 1, length=3)
    for spine in axes.spines.values():
        spine.set_color(EDGE)
    axes.set_axisbelow(True)


def _title(figure: Figure, text: str) -> None:
    figure.suptitle(text, x=0.01, ha="left", color=TEXT, size=_LARGE, weight="bold", parse_math=False)


def _heading(axes: "Axes", text: str) -> None:
    axes.set_title(text, loc="left", color=TEXT, size=_MEDIUM, parse_math=False)


def _short(name: str) -> str:
    """Cut a long name."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1].rstrip()}…"


def _write(figure: Figure, path: Path) -> None:
    """Write a figure under another name and rename it, so that a kill leaves the old file or the new one."""
    part = path.with_name(path.name + ".part")
    FigureCanvasAgg(figure)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", "Glyph .* missing"
            )  # a letter that no font has is drawn as a box
            figure.savefig(part, format="png", dpi=_DOTS_PER_INCH)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise ModelError(
            f"{path} can't be written ({error.strerror or error}): give another file, or free some space"
        ) from error
