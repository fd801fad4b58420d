"""Pictogram for each kind of sound, which can be read from farther away than words."""

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF
from PySide6.QtGui import QColor, QPainter
from PySide6.QtSvg import QSvgRenderer

_SHAPES = {
    "voice": '<path d="M4 5h16v11h-8l-5 4v-4H4z"/><path d="M8 9h8M8 12.5h5"/>',
    "person": '<circle cx="12" cy="7" r="3.5"/><path d="M5 21c0-5 3-8 7-8s7 3 7 8"/>',
    "animal": (
        '<g fill="COLOUR" stroke="none"><ellipse cx="5.5" cy="11" rx="2" ry="2.6"/><ellipse cx="9.7" cy="6.6" rx="2" ry="2.8"/>'
        '<ellipse cx="14.3" cy="6.6" rx="2" ry="2.8"/><ellipse cx="18.5" cy="11" rx="2" ry="2.6"/>'
        '<path d="M12 11.5c3 0 5.5 3.6 5.5 6 0 1.7-1.3 2.5-2.8 2.5-1 0-1.7-.5-2.7-.5s-1.7.5-2.7.5'
        'c-1.5 0-2.8-.8-2.8-2.5 0-2.4 2.5-6 5.5-6z"/></g>'
    ),
    "bird": (
        '<path d="M3 15c4 0 5-2 6-4 1-2.5 2.5-4.5 5.5-4.5 2 0 3.5 1.2 4 2.800l2.5.7-2.5 1.500c0 5-3.5 8-8 8-3.5 0-6-1.5-7.5-4.500z"/>'
        '<path d="M11 19.500v2M14 19v2.5"/><circle cx="15" cy="9.5" r=".6" fill="COLOUR"/>'
    ),
    "music": '<path d="M9 17.500V5l11-2v12.5"/><g fill="COLOUR"><ellipse cx="6.5" cy="17.5" rx="2.6" ry="2"/><ellipse cx="17.5" cy="15.5" rx="2.6" ry="2"/></g>',
    "weather": '<path d="M3 8h10c4 0 4-5 .8-5-1.5 0-2.3 1-2.3 2M3 12h15c4 0 4 5.5.6 5.5-1.6 0-2.4-1-2.4-2M3 16h8c3.5 0 3.5 5 .5 5-1.4 0-2-.9-2-1.8"/>',
    "water": '<path d="M12 3c4 5 6 8 6 11a6 6 0 0 1-12 0c0-3 2-6 6-11z"/><path d="M9.5 14.500c0 1.5 1 2.5 2.5 2.5"/>',
    "vehicle": '<path d="M3 16v-4l2.5-1L8 6h8l2.5 5 2.5 1v4z"/><path d="M6 11h12"/><g fill="COLOUR"><circle cx="7.5" cy="17" r="1.8"/><circle cx="16.5" cy="17" r="1.8"/></g>',
    "machine": (
        '<circle cx="12" cy="12" r="3"/><path d="M12 2.500v4M12 17.500v4M2.5 12h4M17.5 12h4M5.3 5.300l2.8 2.800M15.9 15.900l2.8 2.8'
        'M5.3 18.700l2.8-2.800M15.9 8.100l2.8-2.8"/><circle cx="12" cy="12" r="6"/>'
    ),
    "home": '<path d="M3 12l9-8 9 8"/><path d="M6 10v10h12V10"/><path d="M10 20v-6h4v6"/>',
    "alarm": '<path d="M6 17c1.5-1.5 1.5-3 1.5-6a4.5 4.5 0 0 1 9 0c0 3 0 4.5 1.5 6z"/><path d="M10.5 20h3M12 6.500V4M3 9c.3-2 1-3.7 2.3-5M21 9c-.3-2-1-3.7-2.3-5"/>',
    "impact": '<path d="M12 2.500l2 5.5 5-3-2.5 5 5.5 2-5.5 2 2.5 5-5-3-2 5.5-2-5.5-5 3 2.5-5-5.5-2 5.5-2-2.5-5 5 3z"/>',
    "place": '<path d="M12 21c-5-6-7-8.5-7-11.500a7 7 0 0 1 14 0C19 12.5 17 15 12 21z"/><circle cx="12" cy="9.5" r="2.5"/>',
    "silence": '<path d="M4 9.500v5h3.500l5 4.500V5l-5 4.500z"/><path d="M16 9.500l5 5M21 9.500l-5 5"/>',
    "sound": '<path d="M4 10v4M8 6.500v11M12 3.500v17M16 8v8M20 10.500v3"/>',
}

FAMILIES = frozenset(_SHAPES)
"""Kinds of sound that have a pictogram."""


def paint(painter: QPainter, family: str, rect: QRectF, colour: QColor) -> None:
    """Draw the pictogram of a kind of sound; an unknown kind gets that of sound in general."""
    _renderer(family if family in _SHAPES else "sound", colour.name()).render(painter, rect)


@lru_cache(maxsize=128)
def _renderer(family: str, colour: str) -> QSvgRenderer:
    shapes = _SHAPES[family].replace("COLOUR", colour)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">'
        f'<g fill="none" stroke="{colour}" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round">'
        f"{shapes}</g></svg>"
    )
    return QSvgRenderer(QByteArray(svg.encode()))
