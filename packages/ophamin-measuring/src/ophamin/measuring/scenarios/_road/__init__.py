"""The stretches of the road ``run_scenario`` walks, one module each.

In order: setup, selection, registration (with planned and journal), cycles, deciding, recording.
"""

__all__: list[str] = []
