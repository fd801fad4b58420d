"""Progress of the commands."""

import io
import sys

import pytest
from rich.console import Console

from earshot.progress import bar


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_on_a_terminal_leaves_standard_output_alone_where_it_is_a_file(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Output(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    monkeypatch.setattr(Console, "is_terminal", property(lambda _self: True))
    output = Output()
    monkeypatch.setattr(sys, "stdout", output)
    with bar("recordings") as update:
        update(1, 2)
        assert (sys.stdout is output) is not is_terminal
        print("door.wav")  # noqa: T201 - as a script of the user does
    assert (output.getvalue() == "door.wav\n") is not is_terminal
