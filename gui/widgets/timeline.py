"""Timeline of the last minutes: a heat map of scores with a time axis below."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from streamer.messages import Event, Tagging, Watched

from ..style.theme import Style
from .heatmap import HeatMap
from .heatpainter import NAMES_WIDTH
from .timeaxis import TimeAxis


class TimelineView(QWidget):
    """Heat map of scores with a time axis below.

    It is redrawn for each tagging, not for each tick.

    Parameters
    ----------
    labels : sequence of str
        Name of each score.
    name_of : callable
        Name on screen of a label or watched sound.

    Attributes
    ----------
    heat : HeatMap
        Heat map.
    times : TimeAxis
        Time axis.
    """

    time_chosen = Signal(float)
    name_chosen = Signal(str)

    def __init__(self, labels: Sequence[str], name_of: Callable[[str], str]) -> None:
        super().__init__()
        self.heat = HeatMap(labels, name_of)
        self.times = TimeAxis(self.heat.picture.span_seconds)
        self.heat.time_chosen.connect(self.time_chosen)
        self.heat.name_chosen.connect(self.name_chosen)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(0)
        self._grid.setColumnStretch(1, 1)
        self._grid.addWidget(self.heat, 0, 0, 1, 2)
        self._grid.addWidget(self.times, 1, 1)

    def show_history(
        self,
        taggings: Sequence[Tagging],
        events: Sequence[Event],
        watched: Sequence[Watched],
        frozen_at: float | None,
    ) -> None:
        """Show scores and events.

        Parameters
        ----------
        taggings : sequence of Tagging
            Taggings of the source, oldest first.
        events : sequence of Event
            Events of the source.
        watched : sequence of Watched
            Watched sounds of the source.
        frozen_at : float or None
            Unix time at which the other panels are frozen; the ten seconds that they show are marked.
        """
        self.heat.show_history(taggings, events, watched, frozen_at)
        self.times.span_seconds = self.heat.picture.span_seconds
        self.times.show_end(self.heat.picture.ends_at)

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self.heat.apply_style(style)
        self.times.apply_style(style)
        self._grid.setColumnMinimumWidth(0, style.px(NAMES_WIDTH))
