"""Metric tiers: what a run says of itself while it runs, one flat bundle per cycle.

``telemetry`` (tier 1) counts, gauges and times; ``validity`` (tier 2) follows allocation, evidence and drift;
``bundle`` joins both with the system's own outputs (tier 3), by role. Nothing is imported here.
"""

__all__: list[str] = []
