"""Errors of the window. Each message is one sentence that says what is wrong and what to do."""


class DisplayError(Exception):
    """A window can't be opened here."""


class ActionError(Exception):
    """An action of the user failed; the window goes on."""
