"""Ophamin as a library for other programs.

An empty room: its place and import rules are settled, nothing is built in it yet.
"""

__all__: list[str] = []
