"""Faults, as functions that bring them about while Earshot runs, and hold it to what it promises."""
