"""A software bill of materials in CycloneDX 1.6: of an environment, a ``uv.lock`` or hashed requirements.

The readers only read files; nothing of what they look at is ever imported or run.
"""

__all__ = ["bom", "environment", "licences", "lock", "make", "parts", "platform", "record", "requirements"]
