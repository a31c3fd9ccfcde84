"""What is run by a foreign interpreter, inside the system under test; never imported by Ophamin."""

__all__: list[str] = []
