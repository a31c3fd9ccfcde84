"""What a substrate costs: per-cycle time, CPU, memory and page faults."""

__all__ = ["resources"]
