"""The stretches of the road ``run_scenario`` walks, in order: setup, selection, registration, cycles, deciding, recording."""

__all__: list[str] = []
