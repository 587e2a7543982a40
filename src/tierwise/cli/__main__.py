"""`python -m tierwise.cli`: the command line without its script, which `tierwise up` starts its parts with."""

from __future__ import annotations

import sys

from tierwise.cli import main

if __name__ == "__main__":
    sys.exit(main())
