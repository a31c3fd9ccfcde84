"""The process of one look or one mining: a request as JSON on standard input, the answer as JSON on standard output."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ophamin.proof.errors import OphaminError
from ophamin.protocols import Settings
from ophamin.registry import make_substrate
from ophamin.seeing.discovery.discover import DiscoverSpec, discover

__all__ = ["answer", "main"]

JSON = Any


def answer(request: dict[str, JSON]) -> dict[str, JSON]:
    """What a request asks for: ``identity`` of the substrate, or the ``path`` of a new document."""
    settings = Settings(**request["settings"])
    spec = DiscoverSpec(**{**request["spec"], "argv": tuple(request["spec"]["argv"])})
    if request["do"] == "discover":
        return {"path": str(discover(spec, settings).path)}
    root = spec.data_root or settings.data_root
    with closing(make_substrate(spec.substrate, Path(root) if root else None)) as substrate:
        return asdict(substrate.identity())


def main() -> None:
    """Answer one request; what the substrate prints goes to standard error."""
    out = os.dup(1)
    os.dup2(2, 1)
    try:
        told: dict[str, JSON] = {"result": answer(json.load(sys.stdin))}
    except OphaminError as error:
        told = {"error": str(error), "exit_code": error.exit_code}
    with os.fdopen(out, "w", encoding="utf-8") as file:
        json.dump(told, file)


if __name__ == "__main__":
    main()
