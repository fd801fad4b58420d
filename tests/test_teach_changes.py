"""Sounds that are taught, corrected and removed while the program listens."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.teaching import RATE, Model, ring, taught
from support.waiting import wait_until

from earshot.own_sounds import OwnColumns, with_own_sounds
from earshot.taught_changes import TaughtChanges
from gui.data.heatrows import choose_rows, stack_scores
from gui.data.ranking import Ranking
from models.teaching.taught_sounds import TaughtSounds
from streamer.events.catalogue import Watch
from streamer.events.own_sounds import own_sounds_folder
from streamer.events.watchlist import WatchLists
from streamer.live.assembly import sounds_never_kept
from streamer.messages import Samples, Tagging
from streamer.settings.loading import load_settings
from streamer.sinks.payloads import LabelSet, top_tags

LONG_TIME_SECONDS = 60.0


class Listening:
    """The parts of a program that follow taught sounds."""

    def __init__(self, watch: Sequence[Watch] | None = None) -> None:
        self.columns = OwnColumns(Model.labels)
        self.label_set = LabelSet(self.columns.labels, (None,) * len(self.columns.labels))
        self.watchlists = WatchLists(watch, {}, self.columns.labels)
        self.tagger = with_own_sounds(Model())  # type: ignore[arg-type]
        self.changes = TaughtChanges(self.columns, self.label_set, self.watchlists)
        self.changes.use([self.tagger])

    @property
    def watched(self) -> list[str]:
        return [entry.sound.name for entry in self.watchlists.shared.sounds]

    def follow(self) -> None:
        """Look at the folder until nothing is new."""
        assert self.columns.have_changed
        self.go_on_until(lambda: not self.columns.have_changed)

    def go_on_until(self, condition: Callable[[], bool]) -> None:
        def gone_on() -> bool:
            self.changes.go_on()
            return condition()

        wait_until(gone_on, "the change")

    def scores(self) -> Samples:
        scores: Samples = self.tagger(ring(1000.0)[None])[0]
        return scores


@pytest.fixture(name="folder")
def make_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TaughtSounds:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return TaughtSounds(own_sounds_folder())


def test_a_new_sound_is_tagged_and_watched_and_all_names_are_known(folder: TaughtSounds) -> None:
    folder.save(taught("Kettle"))
    listening = Listening()
    assert listening.scores().shape == (3,)
    folder.save(taught("Doorbell of ours"))
    listening.follow()
    assert listening.label_set.labels == ["Speech", "Bell", "Kettle", "Doorbell of ours"]
    assert listening.scores().shape == (4,)
    assert listening.scores()[3] > 0
    assert {"Kettle", "Doorbell of ours"} <= set(listening.watched)
    assert not listening.watchlists.shared.changed


def test_a_removed_sound_loses_its_score_and_its_name_and_gets_its_place_back(folder: TaughtSounds) -> None:
    folder.save(taught("Kettle"))
    folder.save(taught("Door"))
    listening = Listening()
    folder.remove("Door")
    listening.follow()
    assert listening.watched == ["Kettle"]
    assert listening.scores()[2] == 0
    listening.go_on_until(lambda: listening.label_set.labels[2] == "")
    folder.save(taught("Oven"))
    folder.save(taught("Door"))
    listening.follow()
    assert listening.label_set.labels == ["Speech", "Bell", "Door", "Kettle", "Oven"]
    assert listening.scores()[2] > 0
    assert sorted(listening.watched) == ["Door", "Kettle", "Oven"]


def test_a_removed_sound_that_clips_must_not_contain_does_not_stop_a_change_of_the_model(
    folder: TaughtSounds,
) -> None:
    folder.save(taught("Kettle"))
    listening = Listening()
    folder.remove("Kettle")
    listening.follow()
    settings = load_settings({"clips_never": ["Kettle"]}, environment={})
    (never,) = sounds_never_kept(settings, listening.columns.labels_so_far, None)
    assert (never.sound.name, never.indices) == ("Kettle", (2,))


def test_a_list_that_the_user_made_stays_but_for_what_is_removed(folder: TaughtSounds) -> None:
    folder.save(taught("Kettle"))
    listening = Listening([Watch("Bell"), Watch("Kettle")])
    folder.save(taught("Door"))
    listening.follow()
    assert listening.watched == ["Bell", "Kettle"]
    listening.watchlists.shared.watch("Door")
    folder.remove("Kettle")
    listening.follow()
    assert listening.watched == ["Bell", "Door"]
    assert listening.watchlists.shared.changed


def test_a_correction_is_used_at_once_and_undone_at_once(folder: TaughtSounds) -> None:
    listening = Listening()
    before = listening.scores()[1]
    folder.save(replace(taught("Bell"), lowers=("Bell",)))
    listening.follow()
    assert listening.scores().shape == (2,)
    assert listening.scores()[1] < before
    folder.remove("Bell")
    listening.follow()
    assert listening.scores()[1] == before


def test_views_take_scores_from_before_and_after_a_sound_was_taught() -> None:
    label_set = LabelSet(("Speech", "Bell"), (None, None))
    before = Tagging("mic", 0, RATE, time.time(), np.array([0.2, 0.3], np.float32), -30.0, None)
    label_set.rename(2, "Door")
    after = replace(before, scores=np.array([0.1, 0.2, 0.9], np.float32))
    scores = stack_scores([before, after], len(label_set.labels))
    assert scores[:, 2].tolist() == [0, pytest.approx(0.9)]
    assert choose_rows(scores, label_set.labels, (), set(), 1)[0].name == "Door"
    assert [tag.label for tag in top_tags(before.scores, label_set, 3)] == ["Bell", "Speech"]
    assert before.score_of((0, 2)) == pytest.approx(0.2)
    ranking = Ranking(2, 3)
    for tagging in (before, after):
        ranking.set_target(tagging.scores)
        ranking.advance(LONG_TIME_SECONDS)
    assert list(ranking.order) == [2, 1, 0]
    ranking.set_target(before.scores)  # in the past, before it was taught
    ranking.advance(LONG_TIME_SECONDS)
    assert list(ranking.order) == [1, 0]
    label_set.rename(2, "")
    assert choose_rows(scores, label_set.labels, (), set(), 3)[0].name == "Bell"
