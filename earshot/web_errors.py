"""Errors of the layers below, as the page tells them."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")


def with_web_errors(do: Callable[Given, Result]) -> Callable[Given, Result]:
    """Translate errors of the layers below to `WebError`."""
    from models.errors import SoundError
    from streamer.errors import StreamerError
    from web.errors import WebError

    @wraps(do)
    def done(*arguments: Given.args, **named: Given.kwargs) -> Result:
        try:
            return do(*arguments, **named)
        except (StreamerError, SoundError) as error:
            raise WebError(str(error)) from error

    return done
