"""Command → distribution and one-line help. Generated: ``python -m ophamin.cli._generate``.

Kept so that ``--help`` can list a command whose wheel is not installed; a test compares it with
the built wheels' entry points.
"""

COMMANDS: dict[str, tuple[str, str]] = {}
