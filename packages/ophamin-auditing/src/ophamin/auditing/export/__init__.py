"""Audit records in foreign formats."""

__all__ = ["github", "sarif"]
