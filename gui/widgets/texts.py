"""Explanations in the window: in tooltips, and on the page of keys."""

SPECTROGRAM = (
    "The last ten seconds: time from left to right, low tones below, high ones above. "
    "A blue-green stripe is lost audio, or the time in which listening was switched off."
)
ENERGIES = "Colours of the spectrogram, from quiet to loud."
DBFS = (
    "dBFS: decibels below full scale, the level right now. 0 is the loudest that can be recorded, and every 6 less is half the amplitude. "
    "The line is the newest peak; CLIP means that the sound was too loud for the microphone."
)
TAGS = (
    "The sounds that the model hears now, each with its score from 0 to 1. The mark on a bar is the threshold of a watched sound: "
    "an event begins where the bar reaches it. Drag it to move it; click a name to watch for that sound, or to stop watching for it."
)
SCORES = "Colours of scores, from 0 to 1, the same everywhere."
TIMELINE = "Scores of the last minutes, watched sounds first. A frame is an event. Click to go to that time."
EVENTS = "Watched sounds that were heard, newest first. Click one to go to its time; ▶ plays its clip."

LEGEND = (
    ("Score", "how sure the model is, from 0 to 1; the stronger the colour, the surer"),
    ("Mark on a bar", "threshold of a watched sound: an event begins where the bar reaches it; drag it"),
    ("Frame", "an event, in the last minutes"),
    ("Stripe", "lost audio, in the spectrogram, or listening was switched off"),
    ("dBFS", "level below the loudest that can be recorded; every 6 less is half the amplitude"),
    ("CLIP", "too loud for the microphone: turn down its gain, or move it away"),
)
"""Signs of the window with their meaning."""
