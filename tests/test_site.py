"""The documentation as a site."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.program import ROOT

import earshot


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "build_site.py", folder],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_each_document_is_a_page_in_the_menu(site: Path) -> None:
    menu = (site / "index.html").read_text(encoding="utf-8")
    for document in (ROOT / "docs").glob("*.md"):
        assert (site / f"{document.stem}.html").is_file()
        assert f'href="{document.stem}.html"' in menu


@pytest.mark.slow
def test_the_reference_describes_all_public_names(site: Path) -> None:
    reference = (site / "reference.html").read_text(encoding="utf-8")
    for name in (*(f"earshot.{name}" for name in earshot.__all__), "models.Tagger"):
        assert f'id="{name}"' in reference, name
    assert "Load a model and make it ready to tag" in reference


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    for page in site.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert 'src="http' not in text
        assert 'rel="stylesheet" type="text/css" href="http' not in text
