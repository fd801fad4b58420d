"""Tile of the kiosk: tags of one source with pictograms, its name or the time, and a strip of spectrogram."""

from collections.abc import Sequence

from PySide6.QtWidgets import QVBoxLayout, QWidget

from ..actions import Actions
from ..data.columns import Columns
from ..data.feed import SourceView
from ..look import KioskLook
from ..style.logo import Logo
from ..style.theme import Style, Tone
from .banner import Banner
from .bigtags import BigTags
from .spectrogram import Picture


class Tile(QWidget):
    """Tags of a source, its spectrogram, and its problem if there is one.

    Parameters
    ----------
    source : str
        Name of the source.
    labels : sequence of str
        Name of each score.
    actions : Actions
        Kinds and names of sounds.
    columns : Columns
        Columns of its spectrogram.
    look : KioskLook
        Words, and sounds that are not shown.
    logo : Logo
        Logo beside the time, if this is the only tile.

    Attributes
    ----------
    tags : BigTags
        Tags with pictograms.
    picture : Picture
        Strip of spectrogram.
    banner : Banner
        Name of the source or the time, and the problem.
    """

    def __init__(
        self,
        source: str,
        *,
        labels: Sequence[str],
        actions: Actions,
        columns: Columns,
        look: KioskLook,
        logo: Logo,
    ) -> None:
        super().__init__()
        self.source = source
        self._look = look
        self.tags = BigTags(labels, actions, look)
        self.picture = Picture(columns, self)
        self.banner = Banner(source, logo=logo, invitation=look.text)
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.addWidget(self.banner)
        self._rows.addWidget(self.tags, stretch=76)
        self._rows.addWidget(self.picture, stretch=14)

    def set_alone(self, *, alone: bool) -> None:
        """Show the time instead of a title if this is the only tile."""
        self._rows.insertWidget(int(alone), self.banner)
        self.banner.title = "" if alone else self.source

    def show_view(self, view: SourceView, alarming: frozenset[str], *, active: bool) -> None:
        """Show the newest data.

        Parameters
        ----------
        view : SourceView
            Data of the source.
        alarming : frozenset of str
            Labels of the watched sounds that have an event now.
        active : bool
            True if any watched sound has an event now.
        """
        self.picture.show_end(None)
        self.banner.invite(self._look.text if self.tags.shown else "")
        self.tags.show_tagging(view.tagging, alarming, dimmed=view.offline)
        if view.status is not None and not view.status.online:
            self.banner.show_message(
                view.status.reason or self._look.say("offline", source=self.source), Tone.BAD
            )
        else:
            self.banner.show_message("", Tone.WARNING if active and self.banner.title else Tone.PLAIN)

    def apply_style(self, style: Style) -> None:
        """Apply sizes and colours."""
        self._rows.setSpacing(style.px(10))
        for view in (self.tags, self.banner, self.picture):
            view.apply_style(style)
