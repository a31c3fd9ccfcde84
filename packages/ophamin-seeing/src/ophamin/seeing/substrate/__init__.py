"""Systems under test, one adapter a module; group ``ophamin.substrates``."""

__all__: list[str] = []
