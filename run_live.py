#!/usr/bin/env python3
"""Earshot, run from a checkout; when installed, the command ``earshot`` does the same."""

from earshot.cli import main

if __name__ == "__main__":
    main()
