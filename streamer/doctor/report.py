"""Reports of check results: lines as they come, or one JSON object."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import IO

from ..sinks.payloads import to_json
from ..sinks.terminal.output import LineWriter
from ..text import printable
from .result import CheckResult

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}
_INDENT = 25


def write_lines(results: Iterable[CheckResult], stream: IO[str]) -> bool:
    """Write each result as it comes, with its advice below; return True if nothing failed.

    Raises
    ------
    OutputClosed
        The reader has closed the stream.
    SinkError
        A line can't be written.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False)
    lines = LineWriter(stream)
    passed = True
    for result in results:
        passed = passed and result.state != "failed"
        text = Text.assemble(
            (f"{result.state:<8}", _STYLES[result.state]),
            (f"{printable(result.check):<{_INDENT - 9}} ", "bold"),
            printable(result.found),
        )
        if result.advice:
            text.append(f"\n{'':{_INDENT}}{printable(result.advice)}")
        with console.capture() as captured:
            console.print(text, soft_wrap=True)
        lines.write(captured.get().removesuffix("\n"))
    return passed


def write_json(results: Iterable[CheckResult], stream: IO[str]) -> bool:
    """Write all results as one JSON object; return True if nothing failed.

    Raises
    ------
    OutputClosed
        The reader has closed the stream.
    SinkError
        It can't be written.
    """
    found = list(results)
    LineWriter(stream).write(to_json({"checks": [asdict(result) for result in found]}))
    return all(result.state != "failed" for result in found)
