"""Faults: functions that cause them while Earshot runs, and check its promises."""
