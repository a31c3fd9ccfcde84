"""One metric over many commits: where it changed, what all commits say together, and its control chart.

``points`` reads a series out of proofs, ``changes`` looks for change points, ``watching`` looks again after each
commit or at several series at once, ``pooling`` and ``charts`` ask the pillars of synthesis and of observability.
"""

__all__: list[str] = []
