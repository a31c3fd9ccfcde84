"""Audit records in foreign formats."""

__all__ = ["cyclonedx", "github", "sarif"]
