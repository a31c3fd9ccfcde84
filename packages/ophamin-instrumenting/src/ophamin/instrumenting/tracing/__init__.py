"""A run as an OpenTelemetry trace: ``ophamin.scenario``, one ``ophamin.cycle`` per stimulus, and the verdict.

The instrument ``tracing`` (module ``instrument``) imports the SDK, so it is imported on use: a run that does
not name it pays nothing.
"""

__all__ = ["instrument"]
