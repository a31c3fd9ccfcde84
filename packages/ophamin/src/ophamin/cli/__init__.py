"""The ``ophamin`` command: a lazy tree of commands found by entry point."""

__all__: list[str] = []
