"""Short names of AudioSet's classes, for people. Topics, payloads, settings and files keep the full ones."""

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from .labels import audioset_classes

_EXCEPTIONS = {
    "Male speech, man speaking": "Man speaking",
    "Female speech, woman speaking": "Woman speaking",
    "Child speech, kid speaking": "Child speaking",
    "Walk, footsteps": "Footsteps",
    "Heart sounds, heartbeat": "Heartbeat",
    "Hubbub, speech noise, speech babble": "Babble of voices",
    "Domestic animals, pets": "Pets",
    "Livestock, farm animals, working animals": "Farm animals",
    "Cattle, bovinae": "Cattle",
    "Bird vocalization, bird call, bird song": "Bird song",
    "Bird flight, flapping wings": "Flapping wings",
    "Canidae, dogs, wolves": "Dogs, wolves",
    "Rodents, rats, mice": "Rats, mice",
    "Bee, wasp, etc.": "Bee, wasp",
    "Whimper (dog)": "Dog whimpering",
    "Roaring cats (lions, tigers)": "Lions, tigers",
    "Plucked string instrument": "Plucked strings",
    "Bowed string instrument": "Bowed strings",
    "Tapping (guitar technique)": "Guitar tapping",
    "Keyboard (musical)": "Keyboard instrument",
    "Rattle (instrument)": "Rattle instrument",
    "Change ringing (campanology)": "Change ringing",
    "Scratching (performance technique)": "Record scratching",
    "Jingle (music)": "Music jingle",
    "Jingle, tinkle": "Jingling",
    "Wind noise (microphone)": "Wind in the microphone",
    "Waves, surf": "Waves",
    "Sailboat, sailing ship": "Sailing boat",
    "Motorboat, speedboat": "Motorboat",
    "Motor vehicle (road)": "Motor vehicle",
    "Vehicle horn, car horn, honking": "Car horn",
    "Air horn, truck horn": "Truck horn",
    "Police car (siren)": "Police siren",
    "Ambulance (siren)": "Ambulance siren",
    "Fire engine, fire truck (siren)": "Fire engine siren",
    "Traffic noise, roadway noise": "Traffic noise",
    "Railroad car, train wagon": "Train wagon",
    "Fixed-wing aircraft, airplane": "Airplane",
    "Light engine (high frequency)": "Light engine",
    "Medium engine (mid frequency)": "Medium engine",
    "Heavy engine (low frequency)": "Heavy engine",
    "Dental drill, dentist's drill": "Dentist's drill",
    "Accelerating, revving, vroom": "Revving engine",
    "Dishes, pots, and pans": "Dishes, pots, pans",
    "Chopping (food)": "Chopping food",
    "Frying (food)": "Frying",
    "Sink (filling or washing)": "Sink",
    "Bathtub (filling or washing)": "Bathtub",
    "Zipper (clothing)": "Zipper",
    "Coin (dropping)": "Dropping coin",
    "Telephone dialing, DTMF": "Telephone dialing",
    "Telephone bell ringing": "Telephone ringing",
    "Smoke detector, smoke alarm": "Smoke alarm",
    "Filing (rasp)": "Filing",
    "Burst, pop": "Pop",
    "Fill (with liquid)": "Filling with liquid",
    "Pump (liquid)": "Pump",
    "Inside, small room": "Small room",
    "Inside, large room or hall": "Large room or hall",
    "Inside, public space": "Public space",
    "Outside, urban or manmade": "City outdoors",
    "Outside, rural or natural": "Nature outdoors",
}
"""Classes whose name is not short, or not clear, up to its first comma or bracket."""


@lru_cache(maxsize=1)
def short_names() -> Mapping[str, str]:
    """Return the short name of each class of AudioSet that has one; no two classes share a name."""
    classes = [entry.name for entry in audioset_classes()]
    shortened = {name: _EXCEPTIONS.get(name, _first_part(name)) for name in classes}
    return MappingProxyType({name: short for name, short in shortened.items() if short != name})


def short_name(label: str) -> str:
    """Return the short name of a class; the label itself if it has none, as the labels of other sets."""
    return short_names().get(label, label)


def _first_part(name: str) -> str:
    """Return what stands before the first comma or bracket."""
    return re.split(r", | \(", name)[0]
