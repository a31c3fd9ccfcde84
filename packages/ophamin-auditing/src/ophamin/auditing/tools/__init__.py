"""The auditors: one module per tool."""

__all__ = ["bandit", "interrogate", "mypy", "radon", "ruff", "vulture"]
