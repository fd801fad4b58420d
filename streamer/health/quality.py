"""What is wrong with the sound of a source, if anything."""

from collections import deque

from ..levels import MOST_CLIPPED, Amplitudes
from ..messages import SAMPLE_RATE_HZ, SoundState
from .noise_floor import NoiseFloor

_SILENT_SAMPLES = 10 * SAMPLE_RATE_HZ
_MINUTE_SECONDS = 60


class SignalQuality:
    """Tells from the amplitudes of chunks, whatever their sizes, whether the sound can be used.

    Attributes
    ----------
    floor : NoiseFloor
        How quiet it usually gets.
    """

    def __init__(self) -> None:
        self.floor = NoiseFloor()
        self._zeros = 0
        self._second = Amplitudes()
        self._minute: deque[int] = deque(maxlen=_MINUTE_SECONDS)
        self._clips = False

    @property
    def state(self) -> SoundState:
        """What is wrong, the worst first."""
        if self._zeros >= _SILENT_SAMPLES:
            return "silent"
        if self.floor.is_faint:
            return "faint"
        return "clipping" if self._clips else "ok"

    @property
    def clipped_share(self) -> float:
        """Of the last minute's samples, those at full scale."""
        return (sum(self._minute) + self._second.clipped) / (_MINUTE_SECONDS * SAMPLE_RATE_HZ)

    def begin_anew(self) -> None:
        """Forget what was wrong, for the source has been opened once more; how quiet it gets stays known."""
        self._zeros = 0
        self._second = Amplitudes()
        self._minute.clear()
        self._clips = False

    def take(self, amplitudes: Amplitudes) -> None:
        """Take those of the next chunk."""
        self._zeros = self._zeros + amplitudes.samples if amplitudes.is_dead else 0
        self._second += amplitudes
        if self._second.samples >= SAMPLE_RATE_HZ:
            self._minute.append(self._second.clipped)
            if not self._second.is_dead:
                self.floor.take(self._second.level_dbfs)
            self._second = Amplitudes()
            # Half of it ends what all of it has begun, lest it come and go.
            self._clips = self.clipped_share > (MOST_CLIPPED / 2 if self._clips else MOST_CLIPPED)
