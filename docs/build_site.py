"""Build the documentation as a site, with a reference of the Python interface: python docs/build_site.py FOLDER."""

import re
import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import earshot

ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "models/assets/tiny.md": "tiny.md",
}
"""Files outside docs/, and their pages."""

CONTENTS = {
    "Get started": ("install", "sources", "display", "kiosk", "web", "troubleshooting"),
    "Events": ("events", "teaching", "home-assistant", "notify", "noise", "rooms"),
    "Operation": ("settings", "service", "health", "scale-out", "reliability", "performance"),
    "Models": ("models", "tiny", "fine-tuning", "tiny-model"),
    "Development": ("reference", "contributing", "changelog"),
}
"""Pages in the order of the site's menu."""

_FUNCTIONS = ("load_tagger", "tag", "tag_folder", "listen", "with_taught")
_LINK = re.compile(r"(!?)\[([^]]*)\]\(([^)#:\s]+)(#[^)]*)?\)")


def build(output: Path) -> int:
    """Build the site into a folder; return Sphinx's exit code, which is not 0 after a warning."""
    with tempfile.TemporaryDirectory() as folder:
        write_pages(Path(folder))
        options = ["-q", "-W", "--keep-going", "-c", str(ROOT / "docs" / "site")]
        return int(build_main([*options, folder, str(output)]))


def write_pages(folder: Path) -> None:
    """Write all pages, with their pictures, into a folder."""
    for picture in (ROOT / "docs").glob("*.png"):
        shutil.copy(picture, folder)
    for page in (ROOT / "docs").glob("*.md"):
        (folder / page.name).write_text(_with_links(page), encoding="utf-8")
    for source, name in ELSEWHERE.items():
        (folder / name).write_text(_with_links(ROOT / source), encoding="utf-8")
    with (folder / "index.md").open("a", encoding="utf-8") as index:
        index.write(menu())
    (folder / "reference.rst").write_text(reference(), encoding="utf-8")


def menu() -> str:
    """Return the site's menu, as a part of its first page."""
    return "".join(
        "\n```{toctree}\n:hidden:\n:caption: " + caption + "\n\n" + "\n".join(pages) + "\n```\n"
        for caption, pages in CONTENTS.items()
    )


def reference() -> str:
    """Return the reference: the public names of earshot with their docstrings."""
    classes = [f"earshot.{name}" for name in earshot.__all__ if name not in _FUNCTIONS]
    parts = [
        "Python\n======\n\n.. automodule:: earshot\n",
        *(f".. autofunction:: earshot.{name}\n" for name in _FUNCTIONS),
        *(
            f".. autoclass:: {name}\n   :members:\n   :special-members: __call__\n"
            for name in (*classes, "models.Tagger")
        ),
    ]
    return "\n".join(parts)


def _with_links(file: Path) -> str:
    """Read a file, with its links led to pages of the site; of links to other files, the words remain."""

    def led(link: re.Match[str]) -> str:
        picture, words, target, anchor = link.groups("")
        path = (file.parent / target).resolve()
        if not path.is_relative_to(ROOT):
            return link[0]
        inside = path.relative_to(ROOT).as_posix()
        page = ELSEWHERE.get(inside) or (path.name if path.parent == ROOT / "docs" else "")
        return f"{picture}[{words}]({page}{anchor})" if page else words

    return _LINK.sub(led, file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1])))
