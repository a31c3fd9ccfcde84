"""Drift of a stream, by detectors that keep an alarm budget, and of a table, column by column.

``scan`` watches a stream; ``table_drift`` compares two tables; ``report`` turns either into a signed record.
"""

__all__: list[str] = []
