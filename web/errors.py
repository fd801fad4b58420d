"""Errors of the view in a browser."""


class WebError(Exception):
    """The page can't be served, or an action failed; the message is a sentence for people."""


class BusyError(WebError):
    """Too much is being done at the same time; another try may succeed."""
