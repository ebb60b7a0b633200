"""``python -m ifvit``: the command line, where the script ``ifvit`` is not on the path."""

from __future__ import annotations

import sys

from ifvit.cli import main

if __name__ == "__main__":
    sys.exit(main())
