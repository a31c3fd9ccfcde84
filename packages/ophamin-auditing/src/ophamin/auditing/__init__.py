"""Static analysis of a file or a tree as one signed record."""

__all__ = ["audit", "checks", "export", "gates", "record", "target", "tools"]
