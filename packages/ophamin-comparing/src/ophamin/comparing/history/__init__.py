"""One system at many revisions: what each of them does, which one flipped a verdict, and whether it became slower.

``history`` measures revisions through the runner, ``bisect`` looks for the commit that flipped a verdict, and
``cost_gate`` measures the cost of two revisions side by side.
"""

from __future__ import annotations

__all__: list[str] = []
