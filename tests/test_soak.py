"""Faults that are brought about while the program runs, once and for a short time; `make soak` takes its time."""

from collections.abc import Iterator

import pytest
from soak.fault import Fault
from soak.faults import FAULTS
from soak.rig import Rig
from support.system import short_folder

pytestmark = pytest.mark.system


@pytest.fixture
def rig() -> Iterator[Rig]:
    with short_folder() as folder, Rig(folder) as rig:
        yield rig


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if fault.times_in_tests], ids=lambda fault: fault.name
)
def test_the_promise_for_each_fault_is_kept(fault: Fault, rig: Rig) -> None:
    assert fault.bring_about(rig, fault.times_in_tests)


@pytest.mark.parametrize("fate", ["windowed", "lost", "paused", "skipped", "waiting"])
def test_an_account_that_is_off_by_a_sample_is_noticed(fate: str) -> None:
    windows = {"cut_windows": 1, "windows": 1, "dropped_windows": 0}
    account = dict.fromkeys(
        (f"{fate}_samples" for fate in ("windowed", "lost", "paused", "skipped", "waiting")), 10
    )
    Rig.check_account({"sources": {"mic": {"samples": 50} | account | windows}})
    account[f"{fate}_samples"] += 1
    with pytest.raises(AssertionError, match="mic"):
        Rig.check_account({"sources": {"mic": {"samples": 50} | account | windows}})


def test_the_names_of_faults_differ() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
