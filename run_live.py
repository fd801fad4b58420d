#!/usr/bin/env python3
"""Earshot: the entry point of a checkout and of the installed command ``earshot``."""

import gc
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the program and exit."""
    gc.disable()  # libraries load a tenth faster; the commands turn it on again
    try:
        from earshot import cli  # takes a moment, in which Ctrl-C may come

        cli.main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
