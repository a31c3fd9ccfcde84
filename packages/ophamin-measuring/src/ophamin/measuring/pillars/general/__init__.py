"""Pillar X: the general statistics every field uses.

Plain functions on arrays in one module per subject, and plug-ins over columns in ``plugins_*``. Nothing is
imported here.
"""

__all__: list[str] = []
