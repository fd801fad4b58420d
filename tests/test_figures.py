import itertools
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from models.errors import ModelError
from models.explain import Explanation
from models.log_mel import log_mel
from models.training import figures
from models.training.calibration import reliability

LONG = "Power windows, electric windows, and the like"
ODD = ("costs $5 or $6", "犬の鳴き声", "a_{b}^c \\alpha", LONG)


def labels(count: int) -> list[str]:
    return [f"{LONG[: 5 + 7 * (number % 6)]} {number}" for number in range(count)]


def explanation(**changes: Any) -> Explanation:
    random = np.random.default_rng(0)
    fields: dict[str, Any] = {
        "label": "Smoke alarm",
        "score": 0.734,
        "spectrogram": random.normal(-5, 3, (200, 128)).astype(np.float32),
        "relevance": np.zeros((200, 128), np.float32),
        "sound_rows": 200,
    }
    return Explanation(**(fields | changes))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that would have been written, laid out."""
    kept: list[Figure] = []

    def keep(figure: Figure, _path: Path) -> None:
        FigureCanvasAgg(figure).draw()
        kept.append(figure)

    monkeypatch.setattr(figures, "_write", keep)
    return kept


def assert_readable(figure: Figure) -> None:
    """No text is cut at the edge, no two names along an axis lie on each other, and letters are 12 pixels high or more."""
    for axes in figure.axes:
        for names in (axes.get_xticklabels(), axes.get_yticklabels()):
            boxes = [name.get_window_extent() for name in names]
            assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        assert text.get_fontproperties().get_size_in_points() * figure.dpi / 72 >= 12
    inked, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert -0.01 < inked.x0 < inked.x1 < width + 0.01
    assert -0.01 < inked.y0 < inked.y1 < height + 0.01


def test_each_kind_becomes_a_png(tmp_path: Path) -> None:
    figures.draw_explanation(tmp_path / "a.png", explanation())
    figures.draw_curves(tmp_path / "b.png", [1, 2], [2.0, 1.0], [2.1, 1.3], [0.4, 0.7], "accuracy")
    figures.draw_confusion(tmp_path / "c.png", np.eye(3), labels(3), normalised=True)
    figures.draw_classes(tmp_path / "d.png", labels(3), [0.1, 0.9, 0.5], [1, 2, 3], "average precision")
    even = reliability(np.array([[0.5, 0.5]], np.float32), np.array([[True, False]]))
    figures.draw_reliability(tmp_path / "e.png", {"here": even})
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{letter}.png" for letter in "abcde"]
    assert imread(tmp_path / "a.png").shape == (700, 1100, 4)


def test_the_tint_lies_where_the_relevance_is(tmp_path: Path) -> None:
    warmth = {}
    for name, place in {"left": np.s_[:60, 64:], "right": np.s_[140:, :64]}.items():
        relevance = np.zeros((200, 128), np.float32)
        relevance[place] = 0.9
        figures.draw_explanation(tmp_path / "a.png", explanation(relevance=relevance))
        below = imread(tmp_path / "a.png")[390:630, 80:1080]
        warmth[name] = np.array(
            [
                [(part[..., 0] - part[..., 2]).mean() for part in np.array_split(half, 3, axis=1)]
                for half in np.array_split(below, 2)
            ]
        )
    early_and_high, late_and_low = (0, 0), (1, 2)
    assert warmth["left"][early_and_high] > warmth["left"][late_and_low] + 0.2
    assert warmth["right"][late_and_low] > warmth["right"][early_and_high] + 0.2


@pytest.mark.parametrize("frequency_hz", [250, 1000, 4000])
def test_a_tone_lies_at_the_height_of_its_frequency(frequency_hz: int) -> None:
    tone = np.sin(2 * np.pi * frequency_hz * np.arange(8_000) / 16_000).astype(np.float32)
    loudest = log_mel(tone).mean(0).argmax()
    assert figures._height(frequency_hz, 128) == pytest.approx(loudest + 0.5, abs=0.8)


def test_an_explanation_says_the_tag_and_its_score(drawn: list[Figure]) -> None:
    figures.draw_explanation(Path("a.png"), explanation())
    assert_readable(drawn[0])
    assert drawn[0].get_suptitle() == "Smoke alarm  0.73"
    assert [text.get_text() for text in drawn[0].axes[1].get_yticklabels()] == [
        "250 Hz",
        "500 Hz",
        "1 kHz",
        "2 kHz",
        "4 kHz",
    ]
    assert drawn[0].axes[1].get_xlim() == (0, 2)


def test_padding_is_not_drawn_but_told_of(drawn: list[Figure]) -> None:
    relevance = np.ones((200, 128), np.float32)
    figures.draw_explanation(Path("a.png"), explanation(sound_rows=100, relevance=relevance))
    figures.draw_explanation(Path("a.png"), explanation(sound_rows=195, relevance=relevance))
    assert drawn[0].axes[0].get_xlim() == (0, 1)
    assert drawn[0].get_supxlabel().startswith("50% of the relevance lies after the sound")
    assert drawn[1].get_supxlabel() == ""
    assert_readable(drawn[0])


@pytest.mark.parametrize("rows", [1, 2, 1024])
def test_any_length_can_be_explained(drawn: list[Figure], rows: int) -> None:
    random = np.random.default_rng(0)
    figures.draw_explanation(
        Path("a.png"),
        explanation(
            spectrogram=np.zeros((1024, 128), np.float32),
            relevance=random.random((1024, 128), np.float32),
            sound_rows=rows,
        ),
    )
    assert_readable(drawn[0])


def test_curves_mark_the_best_epoch(drawn: list[Figure]) -> None:
    figures.draw_curves(Path("a.png"), [1, 2, 3], [3, 2, 1], [3, 2, 2.5], [math.nan, 0.8, 0.7], "accuracy")
    assert_readable(drawn[0])
    loss, metric = drawn[0].axes
    assert [np.asarray(line.get_ydata()).tolist() for line in loss.get_lines()] == [[3, 2, 1], [3, 2, 2.5]]
    assert metric.get_title("left") == "accuracy"
    assert metric.get_title("right") == "best 0.800 in epoch 2"


def test_curves_without_validation_say_so(drawn: list[Figure]) -> None:
    figures.draw_curves(Path("a.png"), [1], [3.0], [math.nan], [math.nan], "accuracy")
    assert_readable(drawn[0])
    assert [text.get_text() for text in drawn[0].axes[1].texts] == ["not measured"]


@pytest.mark.parametrize("count", [2, 5, 20, 21, 60, 61, 527])
def test_a_confusion_matrix_is_readable(drawn: list[Figure], count: int) -> None:
    figures.draw_confusion(Path("a.png"), np.eye(count), labels(count), normalised=True)
    assert_readable(drawn[0])
    axes = drawn[0].axes[0]
    assert min(count, 30) <= len(axes.get_xticks()) <= 60
    assert [text.get_text() for text in axes.texts] == (["100"] * count if count <= 20 else [])


def test_a_confusion_matrix_counts_true_classes_downwards(drawn: list[Figure]) -> None:
    figures.draw_confusion(Path("a.png"), np.array([[7, 3], [0, 9]]), ["x", "y"], normalised=False)
    axes = drawn[0].axes[0]
    numbers = {text.get_text(): text.get_position() for text in axes.texts}
    assert numbers == {"7": (0, 0), "3": (1, 0), "9": (1, 1)}
    assert axes.get_ylabel() == "true class"
    assert axes.yaxis_inverted()


def widths(axes: Axes) -> list[float]:
    """Lengths of the bars, from the top."""
    return [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]


@pytest.mark.parametrize("count", [1, 3, 60])
def test_bars_are_sorted_and_readable(drawn: list[Figure], count: int) -> None:
    values = np.random.default_rng(0).random(count)
    figures.draw_classes(Path("a.png"), labels(count), list(values), list(range(count)), "average precision")
    assert_readable(drawn[0])
    axes = drawn[0].axes[0]
    assert widths(axes) == sorted(values, reverse=True)
    assert axes.get_yticklabels()[0].get_text().endswith(f"({values.argmax()})")
    assert axes.get_title("right") == f"mean {values.mean():.3f}"


def test_of_many_classes_the_best_and_the_worst_have_bars(drawn: list[Figure]) -> None:
    values = np.random.default_rng(0).permutation(527) / 527
    figures.draw_classes(Path("a.png"), labels(527), list(values), [1] * 527, "average precision")
    assert_readable(drawn[0])
    best_first = np.sort(values)[::-1]
    assert widths(drawn[0].axes[0]) == [*best_first[:25], *best_first[-25:]]
    assert drawn[0].axes[0].get_yticklabels()[25].get_text() == "… 477 between …"


def test_a_class_without_a_value_has_no_bar(drawn: list[Figure]) -> None:
    figures.draw_classes(Path("a.png"), ["x", "y", "z"], [0.2, math.nan, 0.4], [3, 0, 3], "AP")
    figures.draw_classes(Path("a.png"), ["x"], [math.nan], [0], "AP")
    assert [text.get_text() for text in drawn[0].axes[0].get_yticklabels()] == ["z  (3)", "x  (3)"]
    assert not drawn[1].axes[0].patches


def test_names_are_taken_literally(tmp_path: Path) -> None:
    for name in ODD:
        figures.draw_explanation(tmp_path / "a.png", explanation(label=name))
    figures.draw_confusion(tmp_path / "b.png", np.eye(4), ODD, normalised=True)
    figures.draw_classes(tmp_path / "c.png", ODD, [0.1, 0.2, 0.3, 0.4], [1, 2, 3, 4], "costs $5 or $6")
    assert (tmp_path / "c.png").is_file()


def test_what_cannot_be_written_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken.png").mkdir()
    for path in (tmp_path / "missing" / "a.png", tmp_path / "taken.png"):
        with pytest.raises(ModelError, match=r"\.png can't be written \(.+\): give another file"):
            figures.draw_curves(path, [1], [1.0], [1.0], [0.5], "accuracy")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]


@pytest.mark.slow
def test_no_display_no_pyplot_and_no_word_about_caches(tmp_path: Path) -> None:
    code = (
        "import logging, pathlib, sys; logging.basicConfig(level=logging.DEBUG); from models.training import figures;"
        "figures.draw_curves(pathlib.Path(sys.argv[1]), [1], [1.0], [1.0], [0.5], 'accuracy');"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    environment = {
        name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}
    }
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.png")],
        cwd=Path(__file__).parent.parent,
        env=environment | {"MPLCONFIGDIR": "/dev/null/nowhere"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    words = [
        line for line in result.stderr.splitlines() if not line.startswith("DEBUG:pydot")
    ]  # PyTorch loads it
    assert (result.returncode, result.stdout, words) == (0, "", [])
    assert (tmp_path / "a.png").is_file()


@pytest.mark.parametrize("count", [1, 2, 6])
def test_a_reliability_diagram_shows_each_place_and_its_pairs(drawn: list[Figure], count: int) -> None:
    random = np.random.default_rng(0)
    scores = random.random((400, 20), np.float32) ** 2
    measured = {
        f"clip in place {number}": reliability(scores, random.random(scores.shape) < scores)
        for number in range(count)
    }
    figures.draw_reliability(Path("a.png"), measured)
    assert_readable(drawn[0])
    above, below = drawn[0].axes
    assert len(above.get_lines()) == count + 1  # and the diagonal
    first = measured["clip in place 0"]
    curve = np.asarray(above.get_lines()[1].get_xydata())
    np.testing.assert_allclose(curve, np.stack((first.score, first.share), 1))
    heights = [patch.get_height() for patch in below.patches if isinstance(patch, Rectangle)]
    assert heights[:10] == first.pairs.tolist()


def test_empty_bins_are_left_out_of_a_reliability_diagram(drawn: list[Figure]) -> None:
    scores, holds = np.array([[0.01, 0.02, 0.95]], np.float32), np.array([[False, False, True]])
    figures.draw_reliability(Path("a.png"), {"here": reliability(scores, holds)})
    assert_readable(drawn[0])
    curve = np.asarray(drawn[0].axes[0].get_lines()[1].get_xydata())
    np.testing.assert_allclose(curve, [[0.015, 0], [0.95, 1]], atol=1e-6)
