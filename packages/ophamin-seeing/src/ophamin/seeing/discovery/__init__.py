"""Field-schema discovery of what a substrate emits.

An empty room: its place and import rules are settled, nothing is built in it yet.
"""

__all__: list[str] = []
