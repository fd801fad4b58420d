"""Widgets of the windows, one in each file. They draw the data they are given and know no window."""
