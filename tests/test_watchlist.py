"""Watched sounds that change while the program runs."""

import re
import tomllib
from typing import Any

import pytest

from models.labels import audioset_classes, family_of
from streamer.errors import SettingsError
from streamer.events.catalogue import Watch, WatchedSound
from streamer.events.watchlist import WatchList, WatchLists
from streamer.settings.file import with_rules, with_watch
from streamer.settings.loading import load_settings

AUDIOSET = tuple(entry.name for entry in audioset_classes())


def names(watchlist: WatchList) -> list[str]:
    return [entry.sound.name for entry in watchlist.sounds]


def test_a_label_is_watched_as_the_sound_that_people_have_a_name_for() -> None:
    watchlist = WatchList([], AUDIOSET)
    watchlist.watch("Dog")
    watchlist.watch("Purr")
    assert names(watchlist) == ["Dog", "Purr"]
    assert len(watchlist.sounds[0].indices) == 5
    watchlist.unwatch("Dog")
    assert names(watchlist) == ["Purr"]


def test_a_threshold_changes_and_the_rest_of_the_rule_stays() -> None:
    watchlist = WatchList([Watch("Dog", {"threshold": 0.6, "off_threshold": 0.5, "hits": 3})], AUDIOSET)
    watchlist.watch("Dog", 0.4)
    (dog,) = watchlist.sounds
    assert set(dog.thresholds) == {0.4}
    assert dog.sound.hits == 3
    assert set(dog.off_thresholds) == {0.4}, "the lower threshold is never above the other one"


@pytest.mark.parametrize("name", ["alarm clock", "alarm_clock", "Alarm clock"])
def test_a_sound_may_be_written_in_any_way_when_it_is_changed(name: str) -> None:
    watchlist = WatchList([Watch("Alarm Clock", {"hits": 3, "of": 4}), Watch("Dog")], AUDIOSET)
    watchlist.watch(name, 0.5)
    watchlist.set_quiet(name, "22:00-7:00")
    assert watchlist.rules["Alarm clock"] == {"hits": 3, "of": 4, "threshold": 0.5, "quiet": "22:00-07:00"}
    assert watchlist.sounds[0].sound.quiet == "22:00-07:00"
    assert set(watchlist.with_threshold(name, 0.9).thresholds) == {0.9}
    watchlist.unwatch(name)
    assert names(watchlist) == list(watchlist.rules) == ["Dog"]


@pytest.mark.parametrize("name", ["Siren", "Dgo"])
def test_a_sound_that_is_not_watched_can_t_be_removed(name: str) -> None:
    watchlist = WatchList([Watch("Dog")], AUDIOSET)
    with pytest.raises(SettingsError, match=f"'{name}' is not watched"):
        watchlist.unwatch(name)
    assert (names(watchlist), watchlist.changed) == (["Dog"], False)


def test_each_change_reaches_the_event_detectors() -> None:
    told: list[tuple[WatchedSound, ...]] = []
    watchlist = WatchList([], AUDIOSET, on_change=lambda sounds: told.append(tuple(sounds)))
    assert not watchlist.changed
    watchlist.watch("Siren")
    watchlist.unwatch("Siren")
    assert [len(sounds) for sounds in told] == [1, 0]
    assert watchlist.changed


def test_trying_a_threshold_changes_nothing() -> None:
    watchlist = WatchList([Watch("Dog")], AUDIOSET)
    before = watchlist.sounds
    assert set(watchlist.with_threshold("Dog", 0.9).thresholds) == {0.9}
    assert watchlist.sounds is before
    with pytest.raises(SettingsError, match="not watched"):
        watchlist.with_threshold("Siren", 0.9)


@pytest.mark.parametrize("name", ["Dgo", ""])
def test_an_unknown_sound_is_refused_and_the_list_stays(name: str) -> None:
    watchlist = WatchList([Watch("Dog")], AUDIOSET)
    with pytest.raises(SettingsError, match="no sound called"):
        watchlist.watch(name)
    assert names(watchlist) == ["Dog"]


def test_the_list_as_a_setting_is_read_back_as_the_same_list() -> None:
    watchlist = WatchList([Watch("Dog"), Watch("Siren", {"hits": 3, "of": 4})], AUDIOSET)
    watchlist.watch("Siren", 0.45)
    text = with_watch('watch = ["dog", "Cat"]\n', watchlist.rules, watchlist.name_of)
    assert text.startswith('watch = ["dog", {sound = "Siren"')
    settings = load_settings(tomllib.loads(text), environment={})
    assert WatchList(settings.watched, AUDIOSET).sounds == watchlist.sounds


def test_entries_that_stay_keep_their_place_and_their_comments() -> None:
    text = '[[watch]]\nsound = "Dog"\n# my dog\nhits = 1\n\n[[watch]]\nsound = "Cat"\n'
    changed = with_watch(text, {"Dog": {"hits": 1, "threshold": 0.4}, "Siren": {}})
    assert "# my dog" in changed
    assert tomllib.loads(changed)["watch"] == [
        {"sound": "Dog", "hits": 1, "threshold": 0.4},
        {"sound": "Siren"},
    ]
    assert tomllib.loads(with_watch(text, {}))["watch"] == []
    rule = {"threshold": 0.4, "off_threshold": 0.5}
    lower = with_watch('watch = [{ sound = "Dog", off_threshold = 0.5 }]\n', {"Dog": rule})
    assert tomllib.loads(lower)["watch"] == [{"sound": "Dog", "off_threshold": 0.4, "threshold": 0.4}]


def test_attributes_that_a_rule_has_no_more_are_removed() -> None:
    text = 'watch = [{ sound = "Dog", threshold = 0.8, hits = 3 }, "Cat"] # pets\n'
    changed = with_watch(text, {"Dog": {}, "Cat": {}})
    assert tomllib.loads(changed)["watch"] == [{"sound": "Dog"}, "Cat"]
    assert changed.endswith("# pets\n")
    quiet = with_rules(text, {"Dog": {"quiet": "always"}}, {})
    assert tomllib.loads(quiet)["watch"][0] == {
        "sound": "Dog",
        "threshold": 0.8,
        "hits": 3,
        "quiet": "always",
    }


@pytest.mark.parametrize(
    "text",
    [
        'watch = [\n  "Dog",\n  "Cat"\n  # "Speech", off\n]\n',
        'watch = [\n  "Dog",\n  { sound = "Cat", hits = 1 } # ours\n]\n',
        'watch = [\n  "Dog", # "]"\n  "Cat", # ours\n]\n',
        "watch = [\n  # nothing yet\n]\n",
        '[[watch]]\nsound = "Dog"',
        '[[watch]]\nsound = "Dog"\n# last',
        '[[source]]\nname = "a"\nspec = "mic"\n\n[[watch]]\nsound = "Dog" # mine',
        'watch = ["Dog"]',
        "# only a comment",
    ],
)
def test_a_sound_is_added_to_a_list_in_any_layout(text: str) -> None:
    sounds = ["Dog", "Cat", "Siren"]
    for rule in ({}, {"threshold": 0.4}):
        rules: dict[str, dict[str, Any]] = {name: dict(rule) for name in sounds}
        for changed in (with_watch(text, rules), with_rules(text, rules, {})):
            entries = tomllib.loads(changed)["watch"]
            assert [entry if isinstance(entry, str) else entry["sound"] for entry in entries] == sounds
        for comment in re.findall(r"# .*", text):
            assert comment in changed


def test_a_layout_that_would_be_damaged_is_refused() -> None:
    with pytest.raises(SettingsError, match="write each entry of its lists on a line of its own"):
        with_watch('watch = ["Dog", "Cat" # ours\n]\n', {"Dog": {}, "Cat": {}, "Siren": {}})


def test_the_usual_sounds_are_a_list_that_can_be_changed() -> None:
    watchlist = WatchList(None, AUDIOSET)
    count = len(watchlist.sounds)
    watchlist.unwatch("Dog")
    assert len(watchlist.sounds) == count - 1


def test_sources_have_a_list_of_their_own_or_share_one() -> None:
    told: list[str | None] = []
    lists = WatchLists([Watch("Dog")], {"kitchen": [Watch("Alarm clock")], "cellar": []}, AUDIOSET)
    lists.on_change = told.append
    assert lists.of("hall") is lists.of("attic") is lists.shared
    assert names(lists.of("cellar")) == []
    lists.of("kitchen").watch("Siren")
    lists.of("hall").unwatch("Dog")
    assert told == ["kitchen", None]
    assert names(lists.of("hall")) == names(lists.of("attic")) == []
    assert [entry.sound.name for entry in lists.sound_overrides["kitchen"]] == ["Alarm clock", "Siren"]


def test_a_source_gets_a_list_of_its_own_and_gives_it_back() -> None:
    told: list[str | None] = []
    lists = WatchLists([Watch("Dog")], {}, AUDIOSET)
    lists.on_change = told.append
    lists.replace("kitchen", [Watch("Siren")])
    assert (names(lists.of("kitchen")), lists.of("kitchen").changed) == (["Siren"], False)
    lists.of("kitchen").watch("Dog")
    with pytest.raises(SettingsError, match="the source 'kitchen': there is no sound called 'Dgo'"):
        lists.replace("kitchen", [Watch("Dgo")])
    assert names(lists.of("kitchen")) == ["Siren", "Dog"]
    lists.replace("kitchen", None)
    assert lists.of("kitchen") is lists.shared
    assert told == ["kitchen", "kitchen", "kitchen"]


def test_an_unknown_sound_in_a_sources_own_list_is_refused_with_the_source() -> None:
    with pytest.raises(SettingsError, match="the source 'kitchen': there is no sound called 'Dgo'"):
        WatchLists(None, {"kitchen": [Watch("Dgo")]}, AUDIOSET)


def test_a_list_is_replaced_as_a_whole_or_not_at_all() -> None:
    told: list[list[str]] = []
    watchlist = WatchList(
        [Watch("Dog")], AUDIOSET, on_change=lambda sounds: told.append([entry.sound.name for entry in sounds])
    )
    watchlist.watch("Siren")
    watchlist.replace([Watch("Purr", {"threshold": 0.9})])
    assert told == [["Dog", "Siren"], ["Purr"]]
    assert not watchlist.changed
    with pytest.raises(SettingsError, match="did you mean"):
        watchlist.replace([Watch("Dog"), Watch("Purrr")])
    assert names(watchlist) == ["Purr"]
    assert watchlist.rules == {"Purr": {"threshold": 0.9}}


def test_each_class_of_audioset_has_a_family() -> None:
    families = {label: family_of(label) for label in AUDIOSET}
    assert families["Speech"] == "voice"
    assert families["Bark"] == "animal"
    assert families["Chirp, tweet"] == "bird"
    assert families["Violin, fiddle"] == "music"
    assert families["Rain"] == "water"
    assert families["Truck"] == "vehicle"
    assert families["Doorbell"] == families["Smoke detector, smoke alarm"] == families["Siren"] == "alarm"
    assert families["Silence"] == "silence"
    assert family_of("My own drill") == "sound"


@pytest.mark.parametrize(
    "text",
    [
        '[[source]]\nname = "hall"\nspec = "demo"\nwatch = ["Dog"] # mine\n\n[[source]]\nname = "b"\nspec = "mic"\n',
        'source = ["mic", { name = "hall", spec = "demo", watch = ["Dog"] }] # mine\n',
        '[[source]]\nname = "hall"\nspec = "demo"\n[[source.watch]]\nsound = "Dog" # mine\n',
        '[[source]]\nname = "hall"\nspec = "demo" # mine\nwatch = "Dog, Siren"\n',
    ],
)
def test_every_way_to_write_a_source_takes_a_list_of_its_own(text: str) -> None:
    changed = with_watch(text, {"Dog": {"threshold": 0.4}, "Cat": {}}, source="hall")
    assert "# mine" in changed
    settings = load_settings(tomllib.loads(changed), environment={})
    assert settings.watch_overrides == {"hall": [Watch("Dog", {"threshold": 0.4}), Watch("Cat")]}
    assert settings.watch is None
    assert len(settings.source) == len(load_settings(tomllib.loads(text), environment={}).source)


def test_the_list_for_all_is_written_above_the_tables_of_sources() -> None:
    changed = with_watch('[[source]]\nname = "hall"\nspec = "demo"\n', {"Dog": {}})
    settings = load_settings(tomllib.loads(changed), environment={})
    assert (settings.watched, settings.watch_overrides) == ([Watch("Dog")], {})
