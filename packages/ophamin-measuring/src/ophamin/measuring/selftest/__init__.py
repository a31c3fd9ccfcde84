"""The instruments prove themselves by simulation.

An empty room: its place and import rules are settled, nothing is built in it yet.
"""

__all__: list[str] = []
