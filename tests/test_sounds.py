"""The catalogue of sounds, and what the user wants to hear of."""

import json
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from earshot.cli import add_commands
from models.labels import audioset_classes
from streamer.errors import SettingsError
from streamer.events.catalogue import (
    OFF_SHARE,
    Sound,
    Watch,
    catalogue,
    resolve_sounds,
)
from streamer.settings.loading import load_settings

AUDIOSET = tuple(entry.name for entry in audioset_classes())
BINARY_SENSOR_CLASSES = {"sound", "running"}


def names(watch: list[Watch] | None, labels: tuple[str, ...] = AUDIOSET) -> list[str]:
    return [entry.sound.name for entry in resolve_sounds(watch, labels)]


def test_every_class_of_the_catalogue_is_one_of_audioset_s() -> None:
    assert {name for sound in catalogue() for name in sound.classes} <= set(AUDIOSET)


def test_names_and_slugs_are_unique_and_fit_into_a_topic() -> None:
    slugs = [sound.slug for sound in catalogue()]
    assert len(slugs) == len(set(slugs)) >= 50
    assert all(slug.replace("_", "").isalnum() and slug.isascii() for slug in slugs)
    assert all("," not in sound.name for sound in catalogue()), "the environment separates names by commas"


def test_icons_and_device_classes_exist_in_home_assistant() -> None:
    assert {sound.device_class for sound in catalogue()} <= BINARY_SENSOR_CLASSES
    assert all(sound.icon.startswith("mdi:") for sound in catalogue())


def test_a_sound_is_found_by_name_slug_and_label_in_any_case() -> None:
    watch = [Watch("smoke alarm"), Watch("glass_breaking"), Watch("PURR"), Watch("Child's voice")]
    assert names(watch) == ["Smoke alarm", "Glass breaking", "Purr", "Child's voice"]


def test_a_sound_stands_for_all_its_classes() -> None:
    (dog,) = resolve_sounds([Watch("dog")], AUDIOSET)
    assert [AUDIOSET[index] for index in dog.indices] == ["Dog", "Bark", "Yip", "Howl", "Bow-wow"]
    scores = np.zeros(len(AUDIOSET), np.float32)
    scores[AUDIOSET.index("Bark")] = 0.9
    assert dog.score(scores) == pytest.approx(0.9)
    assert dog.is_on(scores)


def test_household_sounds_are_watched_by_default() -> None:
    assert {"Smoke alarm", "Doorbell", "Baby crying", "Dog", "Glass breaking"} <= set(names(None))
    assert not {"Speech", "Music"} & set(names(None))
    assert names([]) == []


def test_all_sounds_of_a_small_custom_model_are_watched() -> None:
    assert names(None, ("Kettle", "Gate")) == ["Kettle", "Gate"]
    assert names(None, ("Kettle", "Bark")) == ["Dog"]
    assert names(None, tuple(f"word {number}" for number in range(100))) == []


def test_a_custom_label_may_have_a_name_from_the_catalogue() -> None:
    (alarm,) = resolve_sounds([Watch("Smoke alarm")], ("Gate", "smoke alarm"))
    assert (alarm.sound.icon, alarm.indices) == ("mdi:smoke-detector-alert", (1,))


@pytest.mark.parametrize(
    ("watch", "complaint"),
    [
        ([Watch("Dgo")], "no sound called 'Dgo': did you mean 'Dog'"),
        ([Watch("xqzzy")], "no sound called 'xqzzy': list them with `earshot sounds`"),
        ([Watch("Dog"), Watch("DOG")], "'Dog' is in the list twice: remove one"),
        (
            [Watch("Dog", {"hits": 4})],
            "the rule of the sound 'Dog' is invalid: hits must be between 1 and of .3., not 4",
        ),
        (
            [Watch("Dog", {"threshold": 0.3, "off_threshold": 0.9})],
            "off_threshold must be between 0 and the threshold 0.3, not 0.9",
        ),
        ([Watch("Dog", {"off_threshold": 1.5})], "off_threshold must be in 0..1, not 1.5"),
    ],
)
def test_a_sound_that_cannot_be_watched_is_reported_in_one_sentence(
    watch: list[Watch], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=complaint) as caught:
        resolve_sounds(watch, AUDIOSET)
    assert "\n" not in str(caught.value)


def test_a_sound_the_model_lacks_is_distinguished_from_a_wrong_name() -> None:
    with pytest.raises(
        SettingsError, match="the model can't recognise 'Dog', because it has none of the labels Dog, Bark"
    ):
        resolve_sounds([Watch("Dog")], ("yes", "no"))


@pytest.mark.parametrize(
    "numbers", [{"threshold": 0.0}, {"threshold": float("nan")}, {"cooldown_seconds": -1.0}]
)
def test_a_sound_with_impossible_numbers_is_refused(numbers: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="threshold|must be at least 0"):
        Sound("x", ("X",), **numbers)  # type: ignore[arg-type]


def test_the_model_s_thresholds_come_before_the_catalogue_s_and_after_the_user_s() -> None:
    labels = ("Dog", "Bark", "Cat")
    own = np.array([0.2, np.nan, 0.8], np.float32)
    dog, cat = resolve_sounds([Watch("Dog"), Watch("Cat", {"threshold": 0.5})], labels, own)
    assert dog.thresholds == pytest.approx((0.2, 0.3))
    assert dog.off_thresholds == pytest.approx((0.2 * OFF_SHARE, 0.3 * OFF_SHARE))
    assert cat.thresholds == (0.5,)


def test_any_class_at_its_own_threshold_is_enough_and_all_must_be_low_for_off() -> None:
    (dog,) = resolve_sounds([Watch("Dog")], ("Dog", "Bark"), np.array([0.8, 0.2], np.float32))
    heard = {
        (0.7, 0.1): (False, False),
        (0.1, 0.2): (True, False),
        (0.8, 0.0): (True, False),
        (0.4, 0.1): (False, True),
        (0.1, 0.15): (False, False),
    }
    for scores, expected in heard.items():
        given = np.array(scores, np.float32)
        assert (dog.is_on(given), dog.is_off(given)) == expected


def test_a_custom_lower_threshold_is_never_above_the_upper_one() -> None:
    (dog,) = resolve_sounds([Watch("Dog", {"off_threshold": 0.25})], ("Dog",), np.array([0.1], np.float32))
    assert dog.off_thresholds == dog.thresholds
    (dog,) = resolve_sounds([Watch("Dog", {"off_threshold": 0.45})], ("Dog",), np.array([0.57], np.float32))
    assert dog.off_thresholds == (0.45,), "the catalogue's threshold of 0.3 is not in force"
    (dog,) = resolve_sounds([Watch("Dog", {"off_threshold": 0.45})], ("Dog",))
    assert dog.off_thresholds == (0.3,), "a rule that was valid with one model is valid with another"


def load(watch: Any) -> list[Watch] | None:
    return load_settings({"watch": watch}, environment={"EARSHOT_CONFIG": "/dev/null"}).watched


def test_settings_take_names_and_tables() -> None:
    given = load(["Dog", {"sound": "Smoke alarm", "threshold": 0.4, "hits": 2, "of": 4}])
    assert given == [Watch("Dog"), Watch("Smoke alarm", {"threshold": 0.4, "hits": 2, "of": 4})]


def test_settings_accept_names_from_the_environment_or_an_empty_list() -> None:
    assert load("Dog, smoke_alarm") == [Watch("Dog"), Watch("smoke_alarm")]
    assert load("") == load([]) == load([""]) == []
    assert load(None) is None


@pytest.mark.parametrize(
    ("watch", "complaint"),
    [
        ([{"sound": "Dog", "threshold": 4}], "^threshold in --watch must be at most 1, not 4$"),
        ([{"sound": "Dog", "treshold": 0.4}], "^treshold in --watch is unknown$"),
        ([{"threshold": 0.4}], "^sound in --watch is missing$"),
        (
            [{"sound": "Dog", "minimum_off_seconds": -1}],
            "^minimum_off_seconds in --watch must be at least 0 s, not -1$",
        ),
        (5, "^--watch must be a list, not 5$"),
    ],
)
def test_a_wrong_watch_entry_is_named_in_one_sentence(watch: Any, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as caught:
        load(watch)
    assert "\n" not in str(caught.value)


def run(*arguments: str) -> str:
    app = typer.Typer()
    add_commands(app)
    result = CliRunner().invoke(app, ["sounds", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    return result.output


def test_the_command_lists_all_sounds() -> None:
    output = run()
    assert all(sound.name in output for sound in catalogue())
    assert "2 of 3" in output


def test_the_command_prints_json_that_settings_take_back() -> None:
    entries = json.loads(run("--json"))
    assert [entry["name"] for entry in entries] == [sound.name for sound in catalogue()]
    assert entries[0] == {
        "name": "Smoke alarm",
        "slug": "smoke_alarm",
        "classes": ["Smoke detector, smoke alarm", "Fire alarm"],
        "device_class": "sound",
        "icon": "mdi:smoke-detector-alert",
        "threshold": 0.25,
        "off_threshold": 0.15,
        "hits": 2,
        "of": 3,
        "minimum_on_seconds": 0.0,
        "minimum_off_seconds": 10.0,
        "cooldown_seconds": 0.0,
        "by_default": True,
        "quiet": "never",
    }
