"""Chromium without a screen, driven as a user does: a phone or a desktop."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from support.system import require
from support.waiting import wait_until

PHONE = (360, 740)
DESKTOP = (1280, 860)

_SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--autoplay-policy=no-user-gesture-required",
)


class Browser:
    """A running Chromium.

    Parameters
    ----------
    driver : selenium.webdriver.Chrome
        Its driver.
    """

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        """Open a page."""
        self.driver.get(address)

    def find(self, selector: str) -> WebElement:
        """Wait for an element and return it."""
        wait_until(lambda: self.all(selector), f"the element {selector}")
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        """Return all elements of a selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str = "body") -> str:
        """Return the text that is visible in all elements of a selector."""
        shown = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText).join('\\n')",
            selector,
        )
        return str(shown)

    def wait_for_text(self, words: str, selector: str = "body") -> None:
        """Wait for words in the elements of a selector."""
        wait_until(lambda: words in self.text(selector), f"'{words}' on the page")

    def run(self, script: str, *arguments: object) -> Any:
        """Return the result of a script."""
        return self.driver.execute_script(script, *arguments)

    def errors(self) -> list[str]:
        """Return the errors in the browser's log."""
        return [entry["message"] for entry in self._log() if entry["level"] == "SEVERE"]

    def _log(self) -> list[dict[str, str]]:
        entries: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return entries

    def picture(self, file: Path) -> None:
        """Write a picture of the page."""
        self.driver.save_screenshot(str(file))

    def emulate(self, size: tuple[int, int], *, phone: bool) -> None:
        """Show the page in a size; a phone has twice the pixels."""
        width, height = size
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone},
        )


@contextmanager
def browsing(
    folder: Path, size: tuple[int, int] = DESKTOP, *, phone: bool = False, language: str = "en-GB"
) -> Iterator[Browser]:
    """Start Chromium with a profile in a folder, and end it."""
    require("chromium", "chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for switch in (
        *_SWITCHES,
        f"--user-data-dir={folder}",
        f"--lang={language}",
        f"--accept-lang={language}",
    ):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service("/usr/bin/chromedriver"))
    try:
        driver.set_page_load_timeout(120)
        browser = Browser(driver)
        browser.emulate(size, phone=phone)
        yield browser
    finally:
        driver.quit()
