"""Data behind the window, in bounded memory: sound, taggings, events and watched sounds. No Qt here."""
