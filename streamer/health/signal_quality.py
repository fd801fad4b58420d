"""Quality of a source's audio: silent, faint, clipped or good."""

from collections import deque

from ..levels import MAX_CLIPPED_SHARE, Amplitudes
from ..messages import SAMPLE_RATE_HZ, SoundState
from .noise_floor import NoiseFloor

_SILENT_SAMPLES = 10 * SAMPLE_RATE_HZ
_MINUTE_SECONDS = 60


class SignalQuality:
    """Judgement of a source's audio from the amplitudes of its chunks, independent of their sizes.

    Attributes
    ----------
    noise_floor : NoiseFloor
        Noise floor of the source.
    """

    def __init__(self) -> None:
        self.noise_floor = NoiseFloor()
        self._zeros = 0
        self._second = Amplitudes()
        self._clipped: deque[int] = deque(maxlen=_MINUTE_SECONDS)  # samples a second
        self._is_clipping = False

    @property
    def state(self) -> SoundState:
        """Present state; the worst fault if there are several."""
        if self._zeros >= _SILENT_SAMPLES:
            return "silent"
        if self.noise_floor.is_faint:
            return "faint"
        return "clipping" if self._is_clipping else "ok"

    @property
    def clipped_share(self) -> float:
        """Share of samples at full scale in the last minute."""
        return (sum(self._clipped) + self._second.clipped) / (_MINUTE_SECONDS * SAMPLE_RATE_HZ)

    def reset(self) -> None:
        """Clear the present faults after the source was reopened; the noise floor stays known."""
        self._zeros = 0
        self._second = Amplitudes()
        self._clipped.clear()
        self._is_clipping = False

    def update(self, amplitudes: Amplitudes) -> None:
        """Add the amplitudes of the next chunk."""
        self._zeros = self._zeros + amplitudes.samples if amplitudes.is_silent else 0
        self._second += amplitudes
        if self._second.samples >= SAMPLE_RATE_HZ:
            self._clipped.append(self._second.clipped)
            if not self._second.is_silent:
                self.noise_floor.update(self._second.level_dbfs)
            self._second = Amplitudes()
            # Hysteresis: the state ends at half the share at which it begins.
            limit = MAX_CLIPPED_SHARE / 2 if self._is_clipping else MAX_CLIPPED_SHARE
            self._is_clipping = self.clipped_share > limit
