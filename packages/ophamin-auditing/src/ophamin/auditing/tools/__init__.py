"""The auditors: one module per tool."""

__all__ = ["bandit", "interrogate", "mypy", "pip_audit", "radon", "ruff", "vulture"]
