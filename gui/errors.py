"""What can go wrong in the window. The message is one sentence that says what to do."""


class DisplayError(Exception):
    """A window can't be opened here."""


class ActionError(Exception):
    """What the user asked the window for can't be done now; the window goes on."""
