"""Errors of the window. Each message is one sentence that says what is wrong and what to do."""


class DisplayError(Exception):
    """A window can't be opened here.

    Parameters
    ----------
    reason : str
        Reason, as a sentence without an end.

    Attributes
    ----------
    reason : str
        As given; the message adds what to do.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; use --headless to listen without a window")
        self.reason = reason


class LookError(Exception):
    """A setting of the window's look can't be used."""


class ActionError(Exception):
    """An action of the user failed; the window goes on."""
