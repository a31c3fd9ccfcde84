"""The auditors: one module per tool."""

__all__ = ["bandit", "pip_audit", "ruff"]
