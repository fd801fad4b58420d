"""The page in a real browser: what a person sees and clicks, on a desktop and on a phone."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support.browser import DESKTOP, PHONE, Browser, browsing
from support.waiting import wait_until
from support.web import HEALTH, House, event, serving, tagging

from streamer.messages import NoiseLevels, SourceHealth, SourceStatus
from web.pages import static_files
from web.passwords import hash_password

soundfile = pytest.importorskip("soundfile")

pytestmark = [pytest.mark.system, pytest.mark.slow]

PASSWORD = "correct horse"
SCRIPT = "<img src=x onerror=\"document.title='broken'\">"


CHOOSE = "const [id, value] = arguments, field = document.getElementById(id); field.value = value; field.dispatchEvent(new Event('change'))"
NOISE = NoiseLevels(
    source="kitchen",
    started_at=0.0,
    ended_at=60.0,
    seconds=60.0,
    is_calibrated=True,
    leq_db=45.2,
    lmax_db=61.0,
    l90_db=38.0,
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browsing(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(autouse=True)
def empty_page(browser: Browser) -> None:
    """Leave the page of the test before, whose server has gone, and forget its errors."""
    browser.open("about:blank")
    browser.errors()


def wait_for_notice(browser: Browser, words: str) -> None:
    """Wait for a notice; it is hidden after some seconds, which a busy machine may miss."""
    shown = "return document.getElementById('notice').textContent"
    wait_until(lambda: words in browser.run(shown), f"the notice '{words}'")


def house(folder: Path) -> House:
    """A program with a history of a day and a clip."""
    clip = folder / "dog.flac"
    soundfile.write(clip, 0.1 * np.sin(np.arange(16_000) * 0.3), 16_000)
    now = time.time()
    history = [
        event("dog", clip=str(clip), started_at=now - 60, ended_at=now - 55),
        event("siren", "Siren", source="yard", started_at=now - 7200, ended_at=now - 7190, score=0.6),
    ]
    return House(history=history, clips={"dog": clip})


def has_colours(browser: Browser) -> bool:
    """Return True once the spectrogram shows different colours."""
    count = browser.run(
        """
        const canvas = document.querySelector("canvas");
        if (!canvas || !canvas.width) return 0;
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(new Uint32Array(pixels.buffer)).size;
        """
    )
    return int(count) > 20


def test_the_live_page_shows_sound_tags_and_events(browser: Browser, tmp_path: Path) -> None:
    browser.emulate(DESKTOP, phone=False)
    with serving(house=house(tmp_path)) as page:
        page.fill()
        browser.open(page.address)
        browser.wait_for_text("connected")
        browser.wait_for_text("80%", ".tags")
        assert browser.text(".tags li").startswith("Dog")
        assert browser.all(".tags li.heard")
        browser.wait_for_text("windows dropped: 2", "#health .bad")
        assert "MQTT: connected" in browser.text("#health")
        page.hub.accept(event("9", "Siren", started_at=time.time(), ended_at=None))
        browser.wait_for_text("Siren", "#recent")
        assert "Last minute" not in browser.text()
        page.hub.accept(replace(HEALTH, sources=(SourceHealth(source="kitchen", noise=NOISE),)))
        browser.wait_for_text("Last minute: 45.2 dB(A), highest 61.0, background 38.0", ".noise")
        start = 0

        def draws() -> bool:
            nonlocal start
            page.hear("kitchen", 0.5, start_sample=start)
            start += 8_000
            return has_colours(browser)

        wait_until(draws, "the spectrogram")
        page.hub.accept(SourceStatus("kitchen", False, "it was unplugged"))
        browser.wait_for_text("no audio: it was unplugged")
        assert "80%" not in browser.text(".tags"), "it is not heard any more"
        assert "Last minute" not in browser.text()
        noisy = (SourceHealth(source="kitchen", noise=NOISE),)
        page.hub.accept(replace(HEALTH, loading="base, 43 %", dropped_windows=7, sources=noisy))
        browser.wait_for_text("windows dropped: 7", "#health")
        assert "Nothing to hear" in browser.text(".tags")
        assert "Last minute" not in browser.text()
        browser.open(page.address)
        browser.wait_for_text("no audio: it was unplugged")
        browser.wait_for_text("Nothing to hear", ".tags")
        page.hub.accept(SourceStatus("kitchen", True))
        page.hub.accept(tagging())
        browser.wait_for_text("80%", ".tags")
        assert browser.errors() == []


def test_the_address_names_the_tab(browser: Browser) -> None:
    with serving() as page:
        page.fill()
        browser.open(f"{page.address}#constructor")
        browser.wait_for_text("80%", ".tags")
        for name in ("system", "events", "live"):
            browser.run("location.hash = arguments[0]", name)
            browser.find(f"#tab-{name}[aria-selected=true]")
        assert browser.errors() == []


def test_tags_that_reach_their_thresholds_stand_out_whatever_their_sounds_are_called(
    browser: Browser,
) -> None:
    with serving() as page:
        browser.open(page.address)
        browser.wait_for_text("connected")
        page.hub.accept(tagging("kitchen", 0.1, 0.2, 0.8))
        browser.wait_for_text("80%", ".tags .heard")
        assert "Smoke" in browser.text(".tags .heard")
        assert len(browser.all(".tags .heard")) == 1


def test_the_spectrogram_of_a_new_page_has_no_gap_before_its_first_rows(browser: Browser) -> None:
    with serving() as page:
        browser.open(page.address)
        shown = browser.run(
            """
            return import(new URL("spectrogram.js", document.baseURI)).then(({ Spectrogram }) => {
                const picture = new Spectrogram(document.createElement("canvas"), "dark");
                const rows = (first) => ({ first, count: 1, values: new Uint8Array(128).fill(7) });
                picture.add(rows(500));
                const before = [...new Set(picture.values)];
                picture.add(rows(520));
                return [before, [...new Set(picture.values)]];
            });
            """
        )
        assert [sorted(values) for values in shown] == [[0, 7], [0, 7, 255]]


def test_a_mark_that_comes_while_another_tab_is_open_is_shown(browser: Browser, tmp_path: Path) -> None:
    with serving(house=house(tmp_path), sources=("kitchen", "yard")) as page:
        browser.open(f"{page.address}#events")
        browser.wait_for_text("connected")
        browser.wait_for_text("Dog", ".events")
        page.hub.accept(event("dog", started_at=time.time() - 60, clip="dog.flac"))
        wait_until(lambda: page.hub.state.events, "the event")
        assert page.post("events/dog/mark", {"mark": "wrong"}).status == 200
        assert page.post("events/dog/keep", {"keep": True}).status == 200
        browser.wait_for_text("✗ wrong", ".events .verdict")
        browser.find("#tab-live").click()
        browser.wait_for_text("✗ wrong", "#recent .verdict")
        browser.find("#recent button[aria-label='More about Dog']").click()
        browser.wait_for_text("Kept", "#recent .actions")


def test_show_more_shows_each_event_once(browser: Browser) -> None:
    now = time.time()
    history = [event(f"{number:03}", started_at=now - 60) for number in range(250)]
    with serving(house=House(history=history)) as page:
        browser.open(f"{page.address}#events")
        wait_until(lambda: len(browser.all(".events > li")) == 100, "the first page")
        more = browser.all("main section button")[-1]
        for count in (200, 250):
            browser.run("arguments[0].click(); arguments[0].click()", more)
            wait_until(partial(_shows, browser, count), f"{count} events")
        assert not more.is_displayed()
        assert browser.errors() == []


def _shows(browser: Browser, count: int) -> bool:
    return len(browser.all(".events > li")) == count


def test_the_list_fits_its_filters_whatever_order_answers_come_in(browser: Browser, tmp_path: Path) -> None:
    with serving(house=house(tmp_path), sources=("kitchen", "yard")) as page:
        page.house.history.append(event("old", "Bell", started_at=time.time() - 2 * 86_400))
        browser.open(f"{page.address}#events")
        browser.wait_for_text("Siren", ".events")
        browser.run(
            """
            const ask = window.fetch;
            window.fetch = (address, ...more) => String(address).includes("label=Dog")
                ? new Promise((resolve) => { window.release = () => resolve(ask(address, ...more)); }) : ask(address, ...more);
            """
        )
        browser.run(CHOOSE, "filter-sound", "Dog")
        browser.run(CHOOSE, "filter-sound", "Siren")
        wait_until(partial(_shows, browser, 1), "the filtered list")
        browser.run("window.release(); return new Promise((resolve) => setTimeout(resolve, 500))")
        assert "Siren" in browser.text(".events")
        browser.run(CHOOSE, "filter-period", "7")
        browser.find("#filter-sound option[value=Bell]")
        browser.run(CHOOSE, "filter-sound", "Bell")
        browser.wait_for_text("Bell", ".events")
        browser.run(CHOOSE, "filter-period", "1")  # of which the sound is none
        browser.wait_for_text("No events match.", "main")
        assert browser.run("return document.getElementById('filter-sound').value") == "Bell"


def test_a_source_is_switched_and_each_has_a_tile(browser: Browser) -> None:
    with serving(sources=("kitchen", "yard")) as page:
        browser.open(page.address)
        wait_until(lambda: len(browser.all(".tile")) == 2, "two tiles")
        browser.find("section[aria-label=yard] .switch").click()
        browser.wait_for_text("Paused", "section[aria-label=yard]")
        assert page.house.switched == [("yard", False)]
        page.hub.accept(SourceStatus("yard", False, "listening is switched off"))
        browser.wait_for_text("Paused", "section[aria-label=yard] .tags")
        assert "Paused" not in browser.text("section[aria-label=kitchen]")


def test_an_event_is_played_and_the_history_is_filtered(browser: Browser, tmp_path: Path) -> None:
    with serving(house=house(tmp_path), sources=("kitchen", "yard")) as page:
        browser.open(f"{page.address}#events")
        browser.wait_for_text("Siren", ".events")
        assert len(browser.all(".heat rect")) == 48
        browser.all(".choice button")[1].click()
        wait_until(lambda: len(browser.all(".heat rect")) == 7 * 24, "the week")
        assert "Monday" in browser.run("return document.querySelector('.heat').textContent")
        browser.all(".choice button")[2].click()
        wait_until(lambda: len(browser.all(".heat rect")) in {24, 48}, "the days")
        browser.find("button[aria-label='Play Dog']").click()
        played = "const player = document.querySelector('audio'); return player ? player.currentTime : 0"
        wait_until(lambda: browser.run(played) > 0.2, "the clip to play")
        wait_until(lambda: browser.all(".details canvas:not([hidden])"), "the picture of the clip")
        browser.run(
            "const field = document.getElementById('filter-sound'); field.value = 'Siren'; field.dispatchEvent(new Event('change'))"
        )
        wait_until(lambda: len(browser.all(".events li")) == 1, "the filtered list")
        assert "yard" in browser.text(".events")
        assert browser.errors() == []


def test_a_clip_that_has_been_deleted_is_missed_in_a_sentence(browser: Browser, tmp_path: Path) -> None:
    with serving(house=house(tmp_path)) as page:
        browser.open(f"{page.address}#events")
        browser.wait_for_text("Siren", ".events")
        page.house.clips.clear()
        browser.find("button[aria-label='Play Dog']").click()
        wait_for_notice(browser, "this event has no clip, or it has been deleted")
        assert browser.find(".details a[download]").text == "Download"


def test_listening_along_ends_with_the_stream_or_says_why_it_is_refused(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    pressed = "button[aria-label='Listen to kitchen'][aria-pressed=true]"
    with serving(audio=True) as page:
        browser.open(page.address)
        browser.wait_for_text("connected")
        button = browser.find("button[aria-label='Listen to kitchen']")
        button.click()
        assert browser.all(pressed)
        page.hear("kitchen", 2.0)
        wait_until(lambda: page.listening is not None and page.listening._listeners, "the listener")
        assert page.listening is not None
        page.hub._call(page.listening.interrupt)
        wait_for_notice(browser, "Playback has ended; start it again.")
        assert not browser.all(pressed)
        monkeypatch.setattr("web.listening.MOST_LISTENERS", 0)
        button.click()
        wait_for_notice(browser, "browsers listen along; stop one of them")
        assert not browser.all(pressed)


def test_an_event_that_comes_takes_no_focus_away(browser: Browser, tmp_path: Path) -> None:
    focused = "return document.activeElement.getAttribute('aria-label')"
    with serving(house=house(tmp_path)) as page:
        page.fill()
        browser.open(page.address)
        browser.wait_for_text("Dog", "#recent")
        browser.run("document.querySelector('#recent li button').focus()")
        page.hub.accept(event("9", "Siren", started_at=time.time(), ended_at=None))
        browser.wait_for_text("Siren", "#recent")
        assert browser.run(focused) == "More about Dog"


def test_an_event_is_marked_as_wrong_kept_and_deleted(browser: Browser, tmp_path: Path) -> None:
    with serving(house=house(tmp_path), sources=("kitchen", "yard")) as page:
        page.fill()
        browser.open(f"{page.address}#events")
        browser.wait_for_text("connected")
        browser.find("button[aria-label='More about Dog']").click()
        browser.find(".details button[data-mark=wrong]").click()
        browser.wait_for_text("✗ wrong", ".events .verdict")
        assert page.house.notes["dog"] == {"mark": "wrong"}
        keep = browser.find(".actions button[aria-pressed=false]:not([data-mark])")
        assert keep.text == "Keep"
        keep.click()
        wait_until(lambda: page.house.notes["dog"].get("keeps_clip"), "the lock")
        delete = browser.find(".actions .danger")
        delete.click()
        browser.wait_for_text("Really delete?", ".actions")
        assert len(page.house.history) == 2
        delete.click()
        wait_until(lambda: len(browser.all(".events > li")) == 1, "the shorter list")
        assert [event.id for event in page.house.history] == ["siren"]
        assert browser.errors() == []


def test_a_threshold_is_dragged_and_saved(browser: Browser) -> None:
    with serving() as page:
        page.fill()
        browser.open(f"{page.address}#sounds")
        slider = browser.find("input[aria-label='Threshold of Dog']")
        browser.run(
            "arguments[0].value = 70; arguments[0].dispatchEvent(new Event('input')); arguments[0].dispatchEvent(new Event('change'))",
            slider,
        )
        wait_until(lambda: page.house.thresholds["Dog"] == 0.7, "the threshold")
        browser.wait_for_text("70%", ".watched")
        browser.find("form input").send_keys("Siren")
        browser.find("form button").click()
        browser.wait_for_text("Siren", ".watched")
        browser.find("button[aria-label='Stop watching for Siren']").click()
        wait_until(lambda: "Siren" not in page.house.thresholds, "the sound to go")
        browser.find("#save").click()
        wait_for_notice(browser, "Saved in /home/me/earshot.toml")
        browser.find("form input").send_keys("quux")
        browser.find("form button").click()
        wait_for_notice(browser, "there is no sound 'quux'")


def test_quiet_hours_of_a_sound_are_set(browser: Browser) -> None:
    with serving() as page:
        page.fill()
        browser.open(f"{page.address}#sounds")
        browser.find("button[aria-label='Quiet hours of Dog']").click()
        hours = browser.find("input[aria-label='Quiet hours of Dog']")
        hours.send_keys("Sat, Sun 22:00-7:00\n")
        wait_until(lambda: page.house.quiet.get("Dog") == "sat,sun 22:00-07:00", "the quiet hours")
        wait_until(
            lambda: (
                browser.find(".watched button.set").get_attribute("title") == "Quiet: sat,sun 22:00-07:00"
            ),
            "the hours as they are now",
        )
        hours.send_keys("\ue009a\ue000", "23:00-06:00\ue00c")  # all of it is replaced, then Escape
        assert hours.get_attribute("value") == "sat,sun 22:00-07:00"
        browser.find("button[aria-label='Quiet hours of Dog']").click()
        assert page.house.quiet["Dog"] == "sat,sun 22:00-07:00"
        hours.clear()
        hours.send_keys("nightly\n")
        wait_for_notice(browser, "must be hours such as 22:00-07:00")
        hours.clear()
        hours.send_keys("\n")
        wait_until(lambda: page.house.quiet["Dog"] == "never", "no quiet hours")


def test_the_room_is_calibrated_and_every_browser_sees_how_far_it_is(browser: Browser) -> None:
    with serving() as page:
        page.fill()
        browser.open(f"{page.address}#system")
        browser.wait_for_text("ok", ".checks .ok")
        browser.wait_for_text("warning", ".checks .warning")
        assert "use a smaller model" in browser.text(".checks .warning")
        browser.find("#calibrate").click()
        browser.wait_for_text("left", "main")
        browser.open("about:blank")
        browser.open(f"{page.address}#system")  # another browser finds it running
        browser.wait_for_text("left", "main")
        share = "return document.querySelector('progress').value"
        before = browser.run(share)
        wait_until(lambda: browser.run(share) > before, "progress over the WebSocket")
        browser.find("#stop").click()
        browser.wait_for_text("Thresholds to change: 2", "main")
        assert "61%" in browser.text(".results")
        browser.find("#apply").click()
        wait_for_notice(browser, "Saved in /home/me/earshot.toml")
        assert page.house.thresholds["Dog"] == 0.605


def test_the_password_opens_the_page_and_a_wrong_one_does_not(browser: Browser) -> None:
    with serving(password=hash_password(PASSWORD)) as page:
        browser.open(page.address)
        field = browser.find("#password")
        field.send_keys("wrong one")
        browser.find("form button").click()
        browser.wait_for_text("the password is wrong")
        field.clear()
        field.send_keys(PASSWORD)
        browser.find("form button").click()
        browser.wait_for_text("connected")
        browser.wait_for_text("kitchen")
        browser.find("#logout").click()
        browser.find("#password")


def test_the_password_opens_a_page_under_a_path_at_this_machines_address_too(browser: Browser) -> None:
    with serving(password=hash_password(PASSWORD), path="/earshot") as page:
        for address in ("", "earshot"):
            browser.open(f"http://127.0.0.1:{page.server.port}/{address}")
            browser.find("#password").send_keys(PASSWORD)
            browser.find("form button").click()
            browser.wait_for_text("connected")
            browser.find("#logout").click()
            browser.find("#password")


def test_the_page_connects_again_after_a_restart(browser: Browser) -> None:
    with serving() as page:
        browser.open(page.address)
        browser.wait_for_text("connected")
        port = page.server.port
    browser.wait_for_text("no connection")
    with serving(port=port) as page:
        page.fill()
        browser.wait_for_text("connected")
        browser.wait_for_text("80%", ".tags")


def test_names_that_are_html_are_shown_as_text(browser: Browser) -> None:
    with serving(
        sources=(SCRIPT,), house=House(history=[event("1", SCRIPT, source=SCRIPT, started_at=time.time())])
    ) as page:
        page.hub.accept(tagging(SCRIPT))
        page.hub.accept(event("1", SCRIPT, source=SCRIPT))
        browser.open(page.address)
        browser.wait_for_text(SCRIPT, ".tile")
        browser.wait_for_text(SCRIPT, "#recent")
        browser.find("#tab-events").click()
        browser.wait_for_text(SCRIPT, ".events")
        assert browser.run("return document.title") == "Earshot"
        assert browser.run("return document.querySelectorAll('main img').length") == 0


@pytest.mark.parametrize("tab", ["live", "events", "sounds", "system"])
def test_a_phone_of_360_pixels_shows_everything_without_scrolling_sideways(
    browser: Browser, tmp_path: Path, tab: str
) -> None:
    with serving(house=house(tmp_path), sources=("kitchen", "a source with a very long name/" * 3)) as page:
        page.fill()
        browser.emulate(PHONE, phone=True)
        try:
            browser.open(f"{page.address}#{tab}")
            browser.wait_for_text("kitchen")
            assert browser.run("return document.documentElement.scrollWidth") <= 360
            small = browser.run(
                """
                return [...document.querySelectorAll("button, select, input, a")]
                    .filter((one) => one.offsetParent && one.getBoundingClientRect().height < 40).map((one) => one.outerHTML)
                """
            )
            assert small == []  # a thumb hits what is 40 pixels high
        finally:
            browser.emulate(DESKTOP, phone=False)


def test_both_colours_can_be_chosen_and_are_kept(browser: Browser) -> None:
    with serving() as page:
        browser.open(page.address)
        before = browser.run("return document.documentElement.dataset.theme")
        browser.find("#theme").click()
        after = browser.run("return document.documentElement.dataset.theme")
        assert {before, after} == {"light", "dark"}
        browser.open(page.address)
        browser.wait_for_text("connected")
        assert browser.run("return document.documentElement.dataset.theme") == after


def test_tabs_are_reached_with_the_keyboard_and_every_control_has_a_name(browser: Browser) -> None:
    with serving() as page:
        page.fill()
        browser.open(page.address)
        browser.find("#tab-live").send_keys("\ue014")  # the arrow to the right
        assert browser.find("#tab-events").get_attribute("aria-selected") == "true"
        for tab in ("live", "events", "sounds", "system"):
            browser.find(f"#tab-{tab}").click()
            nameless = browser.run(
                """
                return [...document.querySelectorAll("button, input, select, [role=meter], canvas")]
                    .filter((one) => !one.getAttribute("aria-label") && !one.textContent.trim() && !one.labels?.length)
                    .map((one) => one.outerHTML)
                """
            )
            assert nameless == []


def test_the_page_speaks_german(tmp_path: Path) -> None:
    with browsing(tmp_path / "profile", language="de-DE") as german, serving() as page:
        german.open(page.address)
        german.wait_for_text("verbunden")
        assert "Ereignisse" in german.text("nav")


def test_sounds_have_german_names_on_the_page_and_english_ones_in_the_program(tmp_path: Path) -> None:
    with browsing(tmp_path / "profile", language="de-DE") as german, serving(house=house(tmp_path)) as page:
        page.fill()
        german.open(f"{page.address}#live")
        german.wait_for_text("Hund", ".tags")
        german.emulate(PHONE, phone=True)  # German words are long
        for tab in ("live", "events", "system", "sounds"):
            german.find(f"#tab-{tab}").click()
            assert german.run("return document.documentElement.scrollWidth") <= 360, tab
        german.wait_for_text("Rauchmelder", ".watched")
        for typed, sound in (("sirene", "Siren"), ("Speech", "Speech")):
            german.find("form input").send_keys(typed)
            german.find("form button").click()
            wait_until(partial(page.house.thresholds.__contains__, sound), f"{typed} to be watched")
        german.find("#tab-events").click()
        german.wait_for_text("Sirene", ".events")
        german.find("#filter-sound option[value='Siren']")
        german.run(CHOOSE, "filter-sound", "Siren")
        wait_until(lambda: "Hund" not in german.text(".events"), "the events of the siren")
        assert german.errors() == []


def test_every_text_has_all_languages_and_the_page_is_small() -> None:
    files = static_files()
    assert sum(len(content) for content, _, _ in files.values()) <= 150_000
    texts = files["/texts.js"][0].decode()
    table = texts[texts.index("const TEXTS") : texts.index("};")]
    entries = re.findall(r'^  (\w+): \[\s*"([^"]*)",\s*"([^"]*)"\]', table, re.MULTILINE)
    assert len(entries) == table.count(": [")
    for key, *words in entries:
        assert all(words), key
        assert len({tuple(sorted(re.findall(r"\{\w+\}", one))) for one in words}) == 1, key
