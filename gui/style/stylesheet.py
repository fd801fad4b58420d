"""The style sheet of what Qt draws itself: frames, buttons, menus, lists. The views paint themselves."""

from PySide6.QtGui import QPalette

from .theme import Look


def style_sheet(look: Look) -> str:
    """Return the window's style sheet."""
    colours = look.colours
    panel, edge, text, soft = (
        colour.name() for colour in (colours.panel, colours.edge, colours.text, colours.soft)
    )
    track, accent = colours.track.name(), colours.accent.name()
    button = f"""
        background: {panel}; color: {soft}; border: 1px solid {edge};
        border-radius: {look.px(14) - 1}px; height: {look.px(28) - 2}px; padding: 0 {look.px(11)}px;
    """
    return f"""
        #window {{ background: {colours.background.name()}; }}
        #panel, #card {{ background: {panel}; border: 1px solid {edge}; border-radius: {look.px(10)}px; }}
        QWidget {{ font-family: "{look.font(14).family()}"; font-size: {look.px(14)}px; }}
        QLabel {{ color: {text}; }}
        #page, QScrollArea {{ background: transparent; }}
        #hint {{ color: {colours.faint.name()}; }}
        QTabBar {{ background: transparent; border: none; }}
        QTabBar::tab {{ {button} margin-right: {look.px(5)}px; }}
        QTabBar::tab:hover {{ color: {text}; }}
        QTabBar::tab:selected {{ background: {edge}; color: {text}; border-color: {accent}; }}
        QTabBar QToolButton {{ background: {soft}; border: 1px solid {edge}; border-radius: 4px; }}
        #tool {{ {button} }}
        #tool:hover, #tool:focus {{ color: {text}; border-color: {soft}; }}
        #tool:checked {{ background: {edge}; color: {text}; border-color: {accent}; }}
        #tool::menu-indicator {{ image: none; width: 0; }}
        QToolTip, QMenu {{ background: {panel}; color: {text}; border: 1px solid {edge}; padding: {look.px(4)}px; }}
        QMenu::item {{ padding: {look.px(6)}px {look.px(22)}px; }}
        QMenu::item:selected {{ background: {track}; }}
        QMenu::item:disabled {{ color: {colours.faint.name()}; }}
        QLineEdit {{
            background: {colours.well.name()}; color: {text}; border: 1px solid {edge};
            border-radius: {look.px(6)}px; padding: {look.px(6)}px; font-size: {look.px(16)}px;
        }}
        QLineEdit:focus {{ border-color: {accent}; }}
        QTableView, QListWidget {{
            background: {panel}; color: {text}; border: none; gridline-color: {edge}; outline: none;
            selection-background-color: {track}; selection-color: {text};
        }}
        QListWidget::item {{ padding: {look.px(5)}px; }}
        QTableView::item {{ padding: 0 {look.px(6)}px; }}
        QTableView::item:selected, QListWidget::item:selected {{ background: {track}; color: {text}; }}
        QHeaderView::section {{
            background: {panel}; color: {soft}; border: none; padding: {look.px(3)}px {look.px(6)}px;
            font-size: {look.px(12)}px;
        }}
        QScrollBar:vertical {{ background: transparent; width: {look.px(8)}px; }}
        QScrollBar::handle:vertical {{ background: {edge}; border-radius: {look.px(4) - 1}px; min-height: {look.px(20)}px; }}
        QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
            background: none; border: none; height: 0;
        }}
    """


def palette(look: Look) -> QPalette:
    """Return the colours of what no style sheet reaches: arrows, dialogs."""
    colours, role = look.colours, QPalette.ColorRole
    found = QPalette()
    for back in (role.Window, role.Button, role.Base, role.ToolTipBase):
        found.setColor(back, colours.panel)
    for front in (role.WindowText, role.ButtonText, role.Text, role.ToolTipText, role.BrightText):
        found.setColor(front, colours.text)
    found.setColor(role.AlternateBase, colours.track)
    found.setColor(role.Highlight, colours.accent)
    found.setColor(role.HighlightedText, colours.panel)
    found.setColor(role.PlaceholderText, colours.faint)
    return found
