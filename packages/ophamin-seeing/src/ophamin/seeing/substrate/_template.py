"""A request body with places for the stimulus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ophamin.proof.errors import UsageError

__all__ = ["fill", "has_place", "read_template"]


def read_template(parameter: str, given: str) -> Any:
    """JSON from the text itself or, after ``@``, from a file.

    Raises:
        UsageError: The file cannot be read, or it is no JSON.
    """
    text = given
    if given.startswith("@"):
        try:
            text = Path(given[1:]).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{parameter}={given}: cannot be read: {error}") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{parameter}={given}: is not JSON: {error}") from None


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with every place filled.

    Text that is nothing but ``{input}`` (or ``{id}``, ``{seed}``, ``{meta}``) becomes that value, whatever its type;
    within longer text the value stands as text, or as JSON where it is none.

    Example:
        >>> fill({"q": "Is {input} spam?", "raw": "{input}", "n": "{seed}"}, {"input": "this", "seed": 3})
        {'q': 'Is this spam?', 'raw': 'this', 'n': 3}
    """
    if isinstance(template, str):
        if "{" not in template:
            return template
        for place in values:
            if template == f"{{{place}}}":
                return values[place]
        # One pass, so that a stimulus which holds "{id}" is not filled in turn.
        pieces, rest = [], template
        while rest:
            at = {rest.find(f"{{{place}}}"): place for place in values if f"{{{place}}}" in rest}
            if not at:
                break
            first = min(at)
            value = values[at[first]]
            pieces += [rest[:first], value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
            rest = rest[first + len(at[first]) + 2 :]
        return "".join((*pieces, rest))
    if isinstance(template, list):
        return [fill(item, values) for item in template]
    if isinstance(template, dict):
        return {key: fill(item, values) for key, item in template.items()}
    return template


def has_place(template: Any) -> bool:
    """Whether the stimulus would reach the system at all."""
    return bool(fill(template, {"input": "\x00"}) != template)
