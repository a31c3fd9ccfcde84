"""``kimera:PATH?target=entity``: a target of Kimera-SWM by its name in a catalogue, run as ``repo`` runs it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomllib

from ophamin.proof.errors import NotApplicable, UsageError
from ophamin.seeing._params import nearest
from ophamin.seeing.substrate.repo import RepoSubstrate

__all__ = ["KimeraSubstrate", "load_catalogue"]

_OWN = Path(__file__).with_name("kimera_targets.toml")
_NEEDED = ("module", "entry", "input")
_KNOWN = (*_NEEDED, "class", "seed_argument", "note")
_DRIVEN = ("text", "self_driven")


def load_catalogue(file: str = "") -> dict[str, dict[str, str]]:
    """Target name → ``{module, class, entry, input, seed_argument, note}``.

    Args:
        file: A TOML file whose tables add targets, or replace single fields of the built-in ones; "" for those alone.

    Raises:
        UsageError: The file cannot be read, or a target in it lacks a field or has one that is not known.
    """
    catalogue: dict[str, dict[str, str]] = {}
    for path in filter(None, (_OWN, Path(file).expanduser() if file else None)):
        for name, fields in _tables(path).items():
            if not isinstance(fields, Mapping):
                raise UsageError(f"{path}: {name} must be a table, such as [{name}]")
            for key, value in fields.items():
                if key not in _KNOWN:
                    raise UsageError(f"{path}: [{name}] has an unknown field {key!r}{nearest(key, _KNOWN)}")
                if not isinstance(value, str):
                    raise UsageError(f"{path}: [{name}] {key} must be text, not {value!r}")
            merged = {**catalogue.get(name, {}), **fields}
            if missing := [key for key in _NEEDED if not merged.get(key)]:
                raise UsageError(f"{path}: [{name}] lacks {', '.join(missing)}")
            catalogue[name] = merged
    return catalogue


class KimeraSubstrate(RepoSubstrate):
    """One target of a Kimera-SWM checkout, named by the catalogue that comes with this wheel.

    A target whose input is not text needs a converter that the user names; without one it is *not applicable*, and
    nothing is made up in its place.

    Args:
        arg: Path of the checkout.
        target: Name in the catalogue, such as ``entity``.
        catalog: TOML file that adds targets or replaces fields, for another layout of that system.
        convert: ``module:function`` that makes the entry's arguments from the payload.
        rev, python, mode, src, init, kwargs, start_timeout_s: As ``repo`` takes them.

    Raises:
        UsageError: No such repository, revision, target or parameter.
        NotApplicable: The target takes no text and no converter was named.

    Example:
        >>> load_catalogue()["entity"]["entry"]
        'run'
    """

    kind = "kimera"

    def __init__(
        self,
        arg: str,
        *,
        target: str = "",
        catalog: str = "",
        rev: str = "HEAD",
        python: str = "",
        mode: str = "batch",
        src: str = "",
        convert: str = "",
        init: str = "",
        kwargs: str = "",
        start_timeout_s: str | float = 120.0,
    ) -> None:
        catalogue = load_catalogue(catalog)
        if target not in catalogue:
            known = ", ".join(catalogue)
            raise UsageError(f"target={target}: kimera knows {known}{nearest(target, catalogue)}")
        entry = catalogue[target]
        if reason := _why_not(target, entry, convert):
            raise NotApplicable(reason)
        super().__init__(
            arg,
            target=_path(entry),
            rev=rev,
            python=python,
            mode=mode,
            src=src,
            input="payload" if convert else entry["input"],
            convert=convert,
            init=init,
            kwargs=kwargs,
            seed_argument=entry.get("seed_argument", ""),
            start_timeout_s=start_timeout_s,
        )

    @classmethod
    def probe_targets(
        cls, arg: str, *, target: str = "", catalog: str = "", convert: str = "", **params: Any
    ) -> list[dict[str, Any]]:
        """What can be done with every target of the catalogue, or with the one named.

        Returns:
            One row per target: as ``RepoSubstrate.probe`` says, under the catalogue's name, ``applicable`` added.
        """
        rows = []
        for name, entry in load_catalogue(catalog).items():
            if target and name != target:
                continue
            driven = {"input": "self_driven", "seed_argument": entry.get("seed_argument", "")}
            given = driven if entry["input"] == "self_driven" and not convert else {"convert": convert}
            substrate = RepoSubstrate(arg, target=_path(entry), **given, **params)
            try:
                [row] = substrate.probe()
            finally:
                substrate.close()
            reason = _why_not(name, entry, convert)
            why = "; ".join(filter(None, (row.pop("why"), reason)))
            rows.append({**row, "target": name, "input": entry["input"], "applicable": not reason, "why": why})
        return rows


def _path(entry: Mapping[str, str]) -> str:
    return f"{entry['module']}:{'.'.join(filter(None, (entry.get('class', ''), entry['entry'])))}"


def _why_not(target: str, entry: Mapping[str, str], convert: str) -> str:
    if entry["input"] in _DRIVEN or convert:
        return ""
    note = f" ({entry['note']})" if "note" in entry else ""
    return f"kimera's {target} takes no text but {entry['input']}{note}; name your converter by convert=pkg.mod:func"


def _tables(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"catalog={path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"catalog={path} is not valid TOML: {error}") from None
