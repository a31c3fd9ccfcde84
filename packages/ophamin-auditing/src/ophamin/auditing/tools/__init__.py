"""The auditors: one module per tool."""

__all__ = ["bandit", "ruff"]
