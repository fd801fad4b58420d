"""How findings are told: lines for people as they come, or one JSON object for programs."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import IO

from ..sinks.payloads import to_json
from ..sinks.terminal import Lines
from ..text import printable
from .result import CheckResult

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red", "skipped": "dim"}
_INDENT = 25


def write_lines(findings: Iterable[CheckResult], stream: IO[str]) -> bool:
    """Write each finding when it is there, and what to do about it below; whether nothing has failed.

    Raises
    ------
    OutputClosed
        Nobody reads any more.
    SinkError
        A line can't be written.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(file=stream, highlight=False)
    lines = Lines(stream)
    well = True
    for finding in findings:
        well = well and finding.state != "failed"
        text = Text.assemble(
            (f"{finding.state:<8}", _STYLES[finding.state]),
            (f"{printable(finding.check):<{_INDENT - 9}} ", "bold"),
            printable(finding.found),
        )
        if finding.advice:
            text.append(f"\n{'':{_INDENT}}{printable(finding.advice)}")
        with console.capture() as captured:
            console.print(text, soft_wrap=True)
        lines.write(captured.get().removesuffix("\n"))
    return well


def write_json(findings: Iterable[CheckResult], stream: IO[str]) -> bool:
    """Write all findings as one JSON object; whether nothing has failed.

    Raises
    ------
    OutputClosed
        Nobody reads any more.
    SinkError
        It can't be written.
    """
    found = list(findings)
    Lines(stream).write(to_json({"checks": [asdict(finding) for finding in found]}))
    return all(finding.state != "failed" for finding in found)
