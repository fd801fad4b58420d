"""The shape of the house: no circles between files or folders, and nothing too large to read at once."""

import ast
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("earshot", "models", "streamer", "gui", "web")
MEASURED = ("earshot", "models", "streamer", "gui", "web")
"""Packages whose functions, classes and constructors have a limit."""

STILL_LARGE = {"models.training.finetune", "models.training.learning"}
"""Modules with a class that is larger; none is added."""

MOST_LINES_OF_A_FUNCTION = 60
MOST_LINES_OF_A_CLASS = 200
MOST_PARAMETERS = 10


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}


def imported(path: Path) -> set[str]:
    """Modules of ours that a file imports, wherever in it the import stands."""
    package = path.relative_to(ROOT).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                name = f"{module}.{alias.name}"
                found.add(name if name in FILES else module)
    return found & FILES.keys()


IMPORTS = {module: imported(path) - {module} for module, path in FILES.items()}


def folder(module: str, depth: int | None) -> str:
    """The folder that a module lies in, at most so deep; at the top of a package the module itself."""
    parts = FILES[module].relative_to(ROOT).parts
    return "/".join(parts[:-1][:depth]) if len(parts) > 2 else module


def folders(depth: int | None) -> dict[str, set[str]]:
    arrows: dict[str, set[str]] = {}
    for module, others in IMPORTS.items():
        here = folder(module, depth)
        arrows.setdefault(here, set()).update(folder(other, depth) for other in others)
        arrows[here].discard(here)
    return arrows


def circle(arrows: Mapping[str, Iterable[str]]) -> list[str]:
    """The first circle that is found; nothing if there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_a_circle_is_found_where_there_is_one() -> None:
    assert set(circle({"a": ["b"], "b": ["c"], "c": ["a"]})) == {"a", "b", "c"}
    assert not circle({"a": ["b", "c"], "b": ["c"]})
    assert "streamer.messages" in IMPORTS["streamer.stream.windows"]


def test_no_file_imports_itself_by_way_of_others() -> None:
    assert not circle(IMPORTS)


@pytest.mark.parametrize("depth", [2, None], ids=["rooms", "every folder"])
def test_folders_form_no_circle(depth: int | None) -> None:
    assert not circle(folders(depth))


@pytest.mark.parametrize("module", [name for name in FILES if name.split(".")[0] in MEASURED])
def test_functions_and_classes_can_be_read_at_once(module: str) -> None:
    too_large = []
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            most = MOST_LINES_OF_A_CLASS if isinstance(node, ast.ClassDef) else MOST_LINES_OF_A_FUNCTION
            if lines > most:
                too_large.append(f"{node.name}: {lines} lines")
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            parameters = len(node.args.args) + len(node.args.kwonlyargs) - 1
            if parameters > MOST_PARAMETERS:
                too_large.append(f"line {node.lineno}: {parameters} parameters")
    if module in STILL_LARGE:
        too_large = [found for found in too_large if found[0].islower() and "parameters" not in found]
    assert not too_large


def test_no_test_waits_without_end_for_a_program_that_it_started() -> None:
    waiting = [
        f"{path.name}:{node.context_expr.lineno}"
        for path in (ROOT / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.withitem) and ast.unparse(node.context_expr).startswith("subprocess.Popen")
    ]
    assert waiting == [], "use support.program.ChildProcess"
