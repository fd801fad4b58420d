"""Style sheet for the widgets that Qt paints: frames, buttons, menus, lists. All others paint themselves."""

from PySide6.QtGui import QPalette

from .theme import Style


def style_sheet(style: Style) -> str:
    """Return the window's style sheet."""
    colours = style.colours
    panel, edge, text, soft = (
        colour.name() for colour in (colours.panel, colours.edge, colours.text, colours.soft)
    )
    track, accent = colours.track.name(), colours.accent.name()
    button = f"""
        background: {panel}; color: {soft}; border: 1px solid {edge};
        border-radius: {style.px(14) - 1}px; height: {style.px(28) - 2}px; padding: 0 {style.px(11)}px;
    """
    return f"""
        #window {{ background: {colours.background.name()}; }}
        #panel, #card {{ background: {panel}; border: 1px solid {edge}; border-radius: {style.px(10)}px; }}
        QWidget {{ font-family: "{style.font(14).family()}"; font-size: {style.px(14)}px; }}
        QLabel {{ color: {text}; }}
        #page, QScrollArea {{ background: transparent; }}
        #title {{ color: {soft}; font-size: {style.px(13)}px; font-weight: 600; }}
        #unit {{ color: {soft}; font-size: {style.px(12)}px; padding-left: {style.px(16)}px; }}
        #choice {{
            background: transparent; color: {soft}; border: 1px solid {edge}; border-radius: {style.px(6)}px;
            padding: {style.px(2)}px {style.px(9)}px; font-size: {style.px(13)}px;
        }}
        #choice:hover {{ color: {text}; border-color: {soft}; }}
        #choice::menu-indicator {{ image: none; width: 0; }}
        #what {{
            background: transparent; color: {soft}; border: 1px solid {edge}; border-radius: {style.px(18) // 2}px;
            font-size: {style.px(12)}px; padding: 0;
        }}
        #what:hover {{ color: {text}; border-color: {soft}; }}
        #filter {{ font-size: {style.px(13)}px; padding: {style.px(1)}px {style.px(6)}px; }}
        #hint {{ color: {colours.faint.name()}; }}
        QTabBar {{ background: transparent; border: none; }}
        QTabBar::tab {{ {button} margin-right: {style.px(5)}px; }}
        QTabBar::tab:hover {{ color: {text}; }}
        QTabBar::tab:selected {{ background: {edge}; color: {text}; border-color: {accent}; }}
        QTabBar QToolButton {{ background: {soft}; border: 1px solid {edge}; border-radius: 4px; }}
        #tool {{ {button} }}
        #tool:hover, #tool:focus {{ color: {text}; border-color: {soft}; }}
        #tool:checked {{ background: {edge}; color: {text}; border-color: {accent}; }}
        #tool::menu-indicator {{ image: none; width: 0; }}
        QToolTip, QMenu {{ background: {panel}; color: {text}; border: 1px solid {edge}; padding: {style.px(4)}px; }}
        QMenu::item {{ padding: {style.px(6)}px {style.px(22)}px; }}
        QMenu::item:selected {{ background: {track}; }}
        QMenu::item:disabled {{ color: {colours.faint.name()}; }}
        QLineEdit {{
            background: {colours.plot.name()}; color: {text}; border: 1px solid {edge};
            border-radius: {style.px(6)}px; padding: {style.px(6)}px; font-size: {style.px(16)}px;
        }}
        QLineEdit:focus {{ border-color: {accent}; }}
    """ + _lists_and_dialogs(style, button)


def _lists_and_dialogs(style: Style, button: str) -> str:
    colours = style.colours
    panel, edge, text, soft = (
        colour.name() for colour in (colours.panel, colours.edge, colours.text, colours.soft)
    )
    track, accent = colours.track.name(), colours.accent.name()
    return f"""
        QDialog {{ background: {panel}; }}
        QDialog QPushButton {{ {button} padding: {style.px(3)}px {style.px(14)}px; }}
        QDialog QPushButton:default {{ color: {text}; border-color: {accent}; }}
        QTableView, QListWidget {{
            background: {panel}; color: {text}; border: none; gridline-color: {edge}; outline: none;
            selection-background-color: {track}; selection-color: {text};
        }}
        QListWidget::item {{ padding: {style.px(5)}px; }}
        QTableView::item {{ padding: 0 {style.px(6)}px; }}
        QTableView::item:selected, QListWidget::item:selected {{ background: {track}; color: {text}; }}
        QHeaderView::section {{
            background: {panel}; color: {soft}; border: none; padding: {style.px(3)}px {style.px(6)}px;
            font-size: {style.px(12)}px;
        }}
        QScrollBar:vertical {{ background: transparent; width: {style.px(8)}px; }}
        QScrollBar::handle:vertical {{ background: {edge}; border-radius: {style.px(4) - 1}px; min-height: {style.px(20)}px; }}
        QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
            background: none; border: none; height: 0;
        }}
    """


def palette(style: Style) -> QPalette:
    """Return the colours of what a style sheet does not reach: arrows, dialogs."""
    colours, role = style.colours, QPalette.ColorRole
    result = QPalette()
    for back in (role.Window, role.Button, role.Base, role.ToolTipBase):
        result.setColor(back, colours.panel)
    for front in (role.WindowText, role.ButtonText, role.Text, role.ToolTipText, role.BrightText):
        result.setColor(front, colours.text)
    result.setColor(role.AlternateBase, colours.track)
    result.setColor(role.Highlight, colours.accent)
    result.setColor(role.HighlightedText, colours.panel)
    result.setColor(role.PlaceholderText, colours.faint)
    return result
