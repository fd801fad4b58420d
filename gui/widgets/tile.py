"""One source on a wall: huge tags with pictures, its name or the time, and a strip of spectrogram."""

from collections.abc import Mapping, Sequence

from PySide6.QtWidgets import QVBoxLayout, QWidget

from ..data.columns import Columns
from ..data.feed import SourceView
from ..style.theme import Look, Tone
from .banner import Banner
from .bigtags import BigTags
from .spectrogram import Picture


class Tile(QWidget):
    """The newest tags of a source, and what is wrong with it if something is.

    Parameters
    ----------
    source : str
        Its name.
    labels : sequence of str
        The name of each score.
    families : mapping of str to str
        What kind of sound a label is.
    columns : Columns
        The picture of its sound.
    """

    def __init__(
        self,
        source: str,
        *,
        labels: Sequence[str],
        families: Mapping[str, str],
        columns: Columns,
    ) -> None:
        super().__init__()
        self.source = source
        self.tags = BigTags(labels, families)
        self.picture = Picture(columns, self)
        self.banner = Banner(source)
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.addWidget(self.banner)
        self._rows.addWidget(self.tags, stretch=76)
        self._rows.addWidget(self.picture, stretch=14)

    def settle(self, *, alone: bool) -> None:
        """Have the wall for itself from now on, or share it: alone it needs no title, and keeps the time."""
        self._rows.insertWidget(int(alone), self.banner)
        self.banner.title = "" if alone else self.source

    def show_view(self, view: SourceView, alarming: frozenset[str], *, sounding: bool) -> None:
        """Show how the source is now, the labels of alarms that are told of, and whether any sound is."""
        self.picture.show_end(None)
        self.tags.show_tagging(view.tagging, alarming, dimmed=view.offline)
        if view.status is not None and not view.status.online:
            self.banner.say(view.status.reason or f"{self.source} is offline", Tone.BAD)
        else:
            self.banner.say("", Tone.WARNING if sounding and self.banner.title else Tone.PLAIN)

    def dress(self, look: Look) -> None:
        """Follow the window's size and colours."""
        self._rows.setSpacing(look.px(10))
        for view in (self.tags, self.banner, self.picture):
            view.dress(look)
