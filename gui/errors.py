"""What can go wrong before a window is up. The message is one sentence that says what to do."""


class DisplayError(Exception):
    """A window can't be opened here."""
