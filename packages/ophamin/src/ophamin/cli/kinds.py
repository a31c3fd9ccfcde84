"""``list`` and ``show`` of every kind of plug-in, the same for all."""

from __future__ import annotations

import inspect
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from ophamin import registry
from ophamin.cli._output import as_json, emit_json, emit_table
from ophamin.proof.errors import OphaminError, PluginError
from ophamin.proof.types import to_json

__all__ = ["kind_command"]


def _first_line(plugin: Any) -> str:
    text = inspect.getdoc(plugin) or ""
    return text.partition("\n")[0]


def _facts(group: str, name: str) -> dict[str, Any]:
    """What one plug-in says of itself, loaded and checked."""
    kind = registry.GROUPS[group]
    plugin = kind.get(name)
    facts: dict[str, Any] = {"name": name, "origin": kind.origin(name), "summary": _first_line(plugin)}
    if group == "pillars":
        library = plugin.library
        try:
            facts |= {"library": library, "library_version": version(library)}
        except PackageNotFoundError:
            facts |= {"library": library, "library_version": None}
        facts["columns"] = dict(plugin.columns)
        facts["options"] = {k: to_json(_option(v)) for k, v in getattr(plugin, "options", {}).items()}
    elif group == "scenarios":
        facts |= {
            "tier": plugin.tier,
            "goal": plugin.goal,
            "default_corpus": plugin.default_corpus,
            "observables": dict(plugin.observables),
            "options": {k: to_json(_option(v)) for k, v in plugin.options.items()},
        }
    return facts


def _option(spec: Any) -> dict[str, Any]:
    return {"default": spec.default, "help": spec.help, "units": spec.units}


def _corpus_facts(spec: str, data_root: str) -> dict[str, Any]:
    from pathlib import Path

    corpus = registry.make_corpus(spec, Path(data_root) if data_root else None)
    found = corpus.availability()
    facts: dict[str, Any] = {"availability": {f: getattr(found, f) for f in found.__dataclass_fields__}}
    if found.state in ("ok", "partial"):
        info = corpus.describe()
        facts["describe"] = {f: getattr(info, f) for f in info.__dataclass_fields__}
        facts["count"] = corpus.count()
        facts["content_hash"] = corpus.content_hash()
        problems = getattr(corpus, "problems", None)  # no member of the protocol: a corpus may count what it left out
        if callable(problems):
            facts["problems"] = dict(problems())
    return facts


def _corpus_state(name: str, data_root: str) -> str:
    """One word on whether a corpus is there; a list never fails over one corpus."""
    from pathlib import Path

    try:
        return registry.make_corpus(name, Path(data_root) if data_root else None).availability().state
    except OphaminError as error:
        return str(error)


def _list(word: str, group: str) -> click.Command:
    @click.command(
        "list", help=f"List the installed {word} plug-ins, and where each comes from.\n\nExample: ophamin {word} list"
    )
    @as_json
    @click.pass_obj
    def command(settings: Any, as_json: bool) -> None:
        kind = registry.GROUPS[group]
        rows: list[dict[str, Any]] = []
        for name in kind.names():
            try:
                facts = _facts(group, name)
                if group == "corpora":
                    facts["state"] = _corpus_state(name, settings.data_root)
                rows.append(facts)
            except PluginError as error:
                rows.append({"name": name, "problem": str(error)})
        if as_json:
            emit_json({group: rows})
            return
        extra = {"pillars": ["LIBRARY"], "corpora": ["STATE"]}.get(group, [])
        header = ["NAME", "FROM", *extra, "WHAT"]
        table = []
        for row in rows:
            what = row.get("problem") or row["summary"]
            middle = [f"{row.get('library', '')} {row.get('library_version', '')}"] if group == "pillars" else []
            if group == "corpora":
                middle = [row.get("state", "")]
            table.append([row["name"], row.get("origin", "?"), *middle, what])
        emit_table(header, table)

    return command


def _show(word: str, group: str) -> click.Command:
    @click.command("show", help=f"Show one {word} plug-in in full.\n\nExample: ophamin {word} show NAME")
    @click.argument("name")
    @as_json
    @click.pass_obj
    def command(settings: Any, name: str, as_json: bool) -> None:
        spec = registry.Spec.parse(name)
        facts = _facts(group, spec.name)
        if group == "corpora":
            facts |= _corpus_facts(name, settings.data_root)
        plugin = registry.GROUPS[group].get(spec.name)
        facts["documentation"] = inspect.getdoc(plugin) or ""
        if as_json:
            emit_json(facts)
            return
        documentation = facts.pop("documentation")
        for key, value in facts.items():
            if isinstance(value, dict):
                click.echo(f"{key}:")
                for inner, text in value.items():
                    if isinstance(text, dict) and "help" in text:
                        units = f" {text['units']}" if text["units"] else ""
                        text = f"{text['help']} (default {text['default']!r}{units})"
                    click.echo(f"  {inner}: {text}")
            elif key != "summary":
                click.echo(f"{key}: {value}")
        click.echo(f"\n{documentation}")

    return command


def kind_command(word: str, group: str, name: str) -> click.Command:
    """The ``list`` or ``show`` command of one kind of plug-in.

    Args:
        word: The word on the command line, e.g. ``corpus``.
        group: Its group, e.g. ``corpora``.
        name: ``list`` or ``show``.

    Raises:
        OphaminError: Any other name.
    """
    makers = {"list": _list, "show": _show}
    if name not in makers:
        raise OphaminError(f"no command is called {word} {name}")
    return makers[name](word, group)
