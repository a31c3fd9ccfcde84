"""The stretches of the road ``run_scenario`` walks, one module each.

In order: setup, selection, registration (with attempts, planned and journal), cycles, deciding, recording (with
remarks).
"""

__all__: list[str] = []
