"""The documentation: links that work, lines of one width, and every setting on the page of settings."""

import re
from pathlib import Path

import pytest

from streamer.settings.schema import Settings

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/assets/*.md")])
LONGEST_LINE = 120


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Return the fragments that headings can be linked by, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link:
            continue
        file, _, fragment = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not fragment or fragment in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prose_fits_the_line_length(page: Path) -> None:
    lines = prose(page).split("\n")
    too_long = [line for line in lines if len(line) > LONGEST_LINE and not line.startswith(("|", "    "))]
    assert not too_long


def test_every_setting_is_on_the_page_of_settings() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    names = {field.alias or name for name, field in Settings.model_fields.items()}
    assert names - set(re.findall(r"`(\w+)`", text)) == set()


def test_the_tests_named_by_the_page_on_reliability_exist() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`\"(tests/[^\"]*) -k ('[^']*'|\w+)\"`", text)
    assert len(named) > 10
    for files, keywords in named:
        code = "".join((ROOT / file).read_text(encoding="utf-8") for file in files.split())
        for word in keywords.strip("'").split(" or "):
            assert re.search(rf"^(?:async )?def test_\w*{word}", code, re.MULTILINE), (files, word)
