"""Exchange with other tools' formats: the one JUnit writer lives here.

An empty room: its place and import rules are settled, nothing is built in it yet.
"""

__all__: list[str] = []
