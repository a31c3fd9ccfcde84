"""Entry point of the ``ophamin`` command; the only module the console script imports."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line of this process and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        # Answered before click is imported: scripts ask for the version often.
        from importlib.metadata import version

        print(f"ophamin {version('ophamin')}")
        raise SystemExit(0)
    try:
        from ophamin.cli._run import run
    except KeyboardInterrupt:  # nothing has begun, so there is nothing to say
        raise SystemExit(130) from None

    raise SystemExit(run(sys.argv[1:]))
