"""The JSON of MQTT and ``--json``."""

import json
import math
import re
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.messages import Event, Health, Losses, SourceHealth, Tagging
from streamer.sinks.payloads import (
    LabelSet,
    clip_payload,
    event_payload,
    health_payload,
    line_payload,
    occurrence_payload,
    rfc3339,
    tags_payload,
    to_json,
    top_tags,
)
from streamer.text import slug, slugs

VOCABULARY = LabelSet(("Speech", "Dog", "Siren"), ("/m/09x0r", "/m/0bt9lr", None))

any_float = st.floats(width=32)
times = st.floats(min_value=0, max_value=4e9)


def tagging(scores: list[float], **changes: float | None) -> Tagging:
    return Tagging(
        source="desk",
        start_sample=16_000,
        end_sample=16_000 + 163_840,
        ended_at=changes.get("ended_at", 1_772_366_400.25) or 0.0,
        scores=np.array(scores, np.float32),
        level_dbfs=changes.get("level_dbfs", -31.26) or 0.0,
        latency_seconds=changes.get("latency_seconds", 0.12345),
    )


def test_a_tags_payload_has_the_documented_keys_and_rounding() -> None:
    payload = tags_payload(tagging([0.123456, 0.9, 0.0]), VOCABULARY, 2, 0.20049)
    assert payload == {
        "time": "2026-03-01T12:00:00.250Z",
        "window_seconds": 10.24,
        "level_dbfs": -31.3,
        "latency_seconds": 0.2,
        "tags": [
            {"label": "Dog", "mid": "/m/0bt9lr", "score": 0.9},
            {"label": "Speech", "mid": "/m/09x0r", "score": 0.1235},
        ],
    }
    assert list(payload) == ["time", "window_seconds", "level_dbfs", "latency_seconds", "tags"]


def test_a_json_line_begins_with_the_source_and_the_span() -> None:
    payload = line_payload(tagging([0.1, 0.2, 0.3]), VOCABULARY, 1)
    assert list(payload)[:3] == ["source", "start_seconds", "end_seconds"]
    assert (payload["source"], payload["start_seconds"], payload["end_seconds"]) == ("desk", 1.0, 11.24)
    assert payload["latency_seconds"] == 0.123


def test_equal_scores_keep_the_vocabularys_order() -> None:
    labels = [tag.label for tag in top_tags(np.full(3, 0.5, np.float32), VOCABULARY, 3)]
    assert labels == ["Speech", "Dog", "Siren"]


def test_a_score_of_nan_comes_last_and_is_null() -> None:
    tags = top_tags(np.array([np.nan, 0.1, 0.2], np.float32), VOCABULARY, 3)
    assert [(tag.label, tag.score) for tag in tags] == [("Siren", 0.2), ("Dog", 0.1), ("Speech", None)]


def test_more_tags_than_classes_are_all_classes() -> None:
    assert len(top_tags(np.zeros(3, np.float32), VOCABULARY, 99)) == 3
    assert top_tags(np.zeros(3, np.float32), VOCABULARY, 0) == []


def test_scores_for_another_vocabulary_are_refused() -> None:
    with pytest.raises(ValueError, match="3 classes"):
        top_tags(np.zeros(4, np.float32), VOCABULARY, 1)
    with pytest.raises(ValueError, match="2 labels"):
        LabelSet(("a", "b"), (None,))


EVENT = Event(
    "7", "ended", "Dog", "desk", 0.123456, 1_772_366_400.25, 1_772_366_402.7504, "/clips/7.flac", 4000
)


def test_an_events_payload_has_the_documented_keys_and_rounding() -> None:
    payload = event_payload(EVENT)
    assert payload == {
        "event_type": "ended",
        "id": "7",
        "label": "Dog",
        "score": 0.1235,
        "started_at": "2026-03-01T12:00:00.250Z",
        "ended_at": "2026-03-01T12:00:02.750Z",
        "clip": "/clips/7.flac",
        "confirmed": True,
        "fast_score": None,
    }
    assert list(payload)[:7] == ["event_type", "id", "label", "score", "started_at", "ended_at", "clip"]


def test_an_occurrence_has_a_length_once_it_has_ended() -> None:
    assert occurrence_payload(EVENT)["length_seconds"] == 2.5
    lasting = occurrence_payload(replace(EVENT, kind="started", ended_at=None))
    assert (lasting["ended_at"], lasting["length_seconds"]) == (None, None)


def test_a_clips_description_has_the_event_and_the_position_of_each_gap() -> None:
    payload = clip_payload(EVENT, started_at=1_772_366_398.25, samples=40_000, gaps=[(16, 320)], model="tiny")
    assert payload == {
        "event": event_payload(EVENT),
        "source": "desk",
        "model": "tiny",
        "started_at": "2026-03-01T11:59:58.250Z",
        "ended_at": "2026-03-01T12:00:00.750Z",
        "samples": 40_000,
        "sample_rate_hz": 16_000,
        "gaps": [{"start_sample": 16, "end_sample": 320}],
    }


def test_health_before_the_first_window_has_nulls() -> None:
    health = Health(1.04, 0, 0, 0, 0.0, 0, None, None, math.nan, "tiny", "cpu", "none")
    payload = json.loads(to_json(health_payload(health)))
    assert payload["uptime_seconds"] == 1.0
    assert payload["latency_p50_seconds"] is payload["real_time_factor"] is None
    assert set(payload) == set(Health.__slots__)
    assert payload["sources"] == {}
    assert payload["losses"] == dict.fromkeys(Losses.__slots__, 0)


def test_the_health_of_a_source_has_exact_counts_and_says_whether_it_is_a_problem() -> None:
    sources = (
        SourceHealth(source="kitchen", state="silent", samples=10**12 + 8_001, lost_samples=8_001),
        SourceHealth(source="front door", floor_dbfs=-61.26, drift_ppm=-math.inf),
    )
    health = Health(1.0, 0, 0, 0, 0.5, 0, None, None, None, "tiny", "cpu", "none", sources=sources)
    payload = json.loads(to_json(health_payload(health)))["sources"]
    assert list(payload) == ["kitchen", "front door"]
    named_elsewhere = {"source", "activity"}  # the key, and the topics …/status and …/listen
    assert (
        set(payload["kitchen"])
        == {*SourceHealth.__slots__, "problem", "lost_seconds", "overrun_seconds"} - named_elsewhere
    )
    assert (payload["kitchen"]["state"], payload["kitchen"]["problem"]) == ("silent", "ON")
    assert (payload["kitchen"]["samples"], payload["kitchen"]["lost_seconds"]) == (10**12 + 8_001, 0.5)
    assert (payload["front door"]["problem"], payload["front door"]["floor_dbfs"]) == ("OFF", -61.3)
    assert payload["front door"]["drift_ppm"] is None


@given(
    scores=st.lists(any_float, min_size=3, max_size=3),
    level=any_float,
    latency=st.none() | any_float,
    ended_at=times,
)
def test_every_tagging_becomes_json_that_reads_back_the_same(
    scores: list[float], level: float, latency: float | None, ended_at: float
) -> None:
    made = tagging(scores, level_dbfs=level, latency_seconds=latency, ended_at=ended_at)
    payload = line_payload(made, VOCABULARY, 3)
    text = to_json(payload)
    assert json.loads(text, parse_constant=pytest.fail) == payload
    assert "\n" not in text
    assert len(payload["tags"]) == 3


@given(st.text(st.characters(), min_size=1))
def test_every_label_survives_or_becomes_a_question_mark(label: str) -> None:
    read = json.loads(to_json({"label": label}).encode())["label"]
    assert read == re.sub("[\ud800-\udfff]", "?", label)


@given(times)
def test_a_time_reads_back_to_the_millisecond(unix_seconds: float) -> None:
    text = rfc3339(unix_seconds)
    assert text is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert abs(datetime.fromisoformat(text).timestamp() - unix_seconds) <= 0.00101


def test_a_time_of_nan_is_null() -> None:
    assert rfc3339(math.nan) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Child speech, kid speaking", "child_speech_kid_speaking"),
        ("Küche", "kuche"),
        ("Straße 4", "strasse_4"),
        ("rtsp://camera/+/#", "rtsp_camera"),
    ],
)
def test_a_slug_reads_like_the_name(name: str, expected: str) -> None:
    assert slug(name) == expected


@given(st.text(st.characters()))
def test_a_slug_is_always_fit_for_a_topic(name: str) -> None:
    made = slug(name)
    assert re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", made)
    assert slug(made) == made


def test_names_with_nothing_to_keep_have_different_slugs() -> None:
    assert slug("会議室") != slug("玄関")


@given(st.lists(st.sampled_from(["a", "A", "a_2", "a 2", "a_3", "#", "+", "ä"])))
def test_no_two_names_share_a_slug(names: list[str]) -> None:
    given_slugs = slugs(names)
    assert set(given_slugs) == set(names)
    assert len(set(given_slugs.values())) == len(set(names))
