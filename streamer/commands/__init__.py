"""Work of single commands: calibrating thresholds, tagging recordings, replaying logged scores, measuring capacity."""
