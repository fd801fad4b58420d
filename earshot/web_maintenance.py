"""Maintenance on the page in a browser: the doctor's checks, and the calibration of thresholds."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamer.commands.live_calibration import LiveCalibration, Proposal
    from streamer.live.changes import LiveSettings
    from streamer.messages import Health
    from web.actions import MaintenanceActions, Payload


def maintenance_actions(settings: "LiveSettings", calibration: "LiveCalibration") -> "MaintenanceActions":
    """Return the actions of the page that look after the program.

    Parameters
    ----------
    settings : LiveSettings
        Settings in force.
    calibration : LiveCalibration
        Calibration of thresholds.
    """
    from web.actions import MaintenanceActions

    from .web_errors import with_web_errors

    def apply() -> str:
        calibration.apply()
        return str(settings.save({}))

    return MaintenanceActions(
        findings=with_web_errors(lambda: _findings(settings, settings.health())),
        calibration=lambda: _progress(calibration),
        start_calibration=with_web_errors(calibration.start),
        stop_calibration=calibration.stop,
        apply_calibration=with_web_errors(apply),
    )


def _findings(settings: "LiveSettings", health: "Health") -> "Sequence[Payload]":
    from streamer.doctor.running import check_running

    return [asdict(result) for result in check_running(settings.current, settings.places(), health)]


def _progress(calibration: "LiveCalibration") -> "dict[str, Any]":
    state = calibration.state()
    return {
        "phase": state.phase,
        "seconds": round(state.seconds, 1),
        "total_seconds": round(state.total_seconds, 1),
        "reason": state.reason,
        "sounds": [_proposal(proposal) for proposal in state.proposals],
    }


def _proposal(proposal: "Proposal") -> "dict[str, Any]":
    stats = proposal.stats
    return {
        "source": proposal.source,
        "sound": stats.watched.sound.name,
        "threshold": round(stats.threshold, 3),
        "highest": round(stats.highest, 3),
        "events": stats.events,
        "proposed": proposal.threshold,
        "hopeless": stats.is_hopeless,
    }
