"""German names of sounds: all are there, and none stands for two."""

import pytest
from support.web import serving

from earshot.window import shown_names
from models.labels import audioset_classes
from streamer.events.catalogue import catalogue
from streamer.events.names import LANGUAGES, names_in
from streamer.settings.schema import Settings

LABELS = {entry.name for entry in audioset_classes()}
SOUNDS = {sound.name for sound in catalogue()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_sound_has_one_name_that_no_other_has(language: str) -> None:
    names = names_in(language)
    assert len(LABELS) == 527
    assert names.keys() == LABELS | SOUNDS
    assert all(name == name.strip() and name for name in names.values())
    assert len({name.casefold() for name in names.values()}) == len(names)


def test_no_german_name_is_the_english_name_of_another_sound() -> None:
    names = names_in("de")
    english = {name.casefold(): name for name in names}
    confused = {
        (own, sound)
        for sound, own in names.items()
        if english.get(own.casefold(), sound).casefold() != sound.casefold()
    }
    assert confused == set()


def test_other_languages_have_no_names_and_change_nothing() -> None:
    assert names_in("en") == names_in("xx") == {}
    with serving() as page:
        page.fill()
        assert page.get("names/de").json["names"]["Bark"] == "Bellen"
        assert page.get("names/xx").json == {"names": {}}
        assert page.get("names/..%2f..").status in {200, 404}
        assert (
            page.get("tags").json["tags"][0]["tags"][0]["label"] == "Dog"
        )  # what programs read stays English


@pytest.mark.parametrize(("language", "names"), [("de", "Bellen, Rauchmelder"), ("en", "Bark, Smoke alarm")])
def test_the_language_that_is_set_names_the_sounds_on_screen(language: str, names: str) -> None:
    settings = Settings.model_validate({"language": language})
    shown = shown_names(settings)
    assert ", ".join(shown.get(name, name) for name in ("Bark", "Smoke alarm")) == names
