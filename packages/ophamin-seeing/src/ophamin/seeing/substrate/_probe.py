"""What of a system can be measured, before measuring it: ``ophamin substrate probe``."""

from __future__ import annotations

from typing import Any

from ophamin.proof.errors import UsageError
from ophamin.registry import make_substrate, resolve

__all__ = ["probe_spec"]


def probe_spec(spec: str) -> list[dict[str, Any]]:
    """What can be done with each target a substrate spec names.

    A substrate says so by ``probe()``; one with many targets by the class method ``probe_targets(arg, **params)``; of
    any other it is known that it could be made.

    Returns:
        Rows ``{target, input, applicable, importable, constructible, signature, why}``; ``why`` is "" when all is well.

    Raises:
        OphaminError: The spec makes no sense, or the substrate could not be made.
    """
    plugin, parsed = resolve("substrates", spec)
    rows: list[dict[str, Any]]
    if hasattr(plugin, "probe_targets"):
        try:
            rows = plugin.probe_targets(parsed.arg, **parsed.params)
        except TypeError as error:
            if "unexpected keyword argument" in str(error):
                raise UsageError(f"{spec!r}: {parsed.name} takes no such parameter: {error}") from error
            raise
        return rows
    substrate = make_substrate(spec)
    try:
        own = getattr(substrate, "probe", None)
        if own is not None:
            rows = own()
            return rows
        name = substrate.identity().name
    finally:
        substrate.close()
    row = {"target": name, "input": "payload", "signature": "", "why": ""}
    return [{**row, "applicable": True, "importable": True, "constructible": True}]
