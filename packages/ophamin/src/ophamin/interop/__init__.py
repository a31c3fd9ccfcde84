"""Exchange with other tools' formats: the one JUnit writer lives here."""

__all__ = ["junit"]
