"""The health of an installation, line by line."""

from ophamin.verify._health import health

__all__ = ["health"]
