"""The tree of commands: known from a table, loaded one at a time.

``--help`` reads only the table for the family's own commands and entry-point names for foreign
ones; it imports no wheel. A command whose wheel is missing stays listed and says the pip line.
"""

from __future__ import annotations

from typing import Any

import click

from ophamin import registry
from ophamin.cli._table import COMMANDS
from ophamin.proof.errors import MissingDependency, PluginError

__all__ = ["Tree", "root"]

# Every plug-in kind gets `list` and `show`; every record kind the same five commands.
KINDS = {
    "auditor": "auditors",
    "corpus": "corpora",
    "estimator": "estimators",
    "exporter": "exporters",
    "instrument": "instruments",
    "pillar": "pillars",
    "renderer": "renderers",
    "runner": "runners",
    "scenario": "scenarios",
    "substrate": "substrates",
}
RECORD_WORDS = {"record": "", "proof": "proof", "audit-record": "audit"}
KIND_COMMANDS = {"list": "List the installed {noun} plug-ins.", "show": "Show one {noun} plug-in."}
RECORD_COMMANDS = {
    "index": "Bring the index of stored {noun}s up to date.",
    "list": "List stored {noun}s.",
    "show": "Show one {noun}.",
    "validate": "Check one {noun} against its schema.",
    "verify": "Verify {noun}s: id, signature, consistency.",
}
GROUP_HELP = {
    "auditor": "Static-analysis tools.",
    "audit-record": "Signed audit records.",
    "corpus": "Corpora: real data, and samples of it.",
    "cumulative": "What many commits say together, up to a registered maximum.",
    "dvc": "Corpora and stores as data that DVC tracks.",
    "estimator": "Estimators of intervals.",
    "exporter": "Foreign formats a record can be exported to.",
    "instrument": "Instruments that watch a run, and what any program costs (instrument -- PROGRAM).",
    "key": "Signing keys and whom to trust.",
    "lineage": "What records rest on, and which verdicts fall with it.",
    "log": "The pre-registration ledger.",
    "mlflow": "Records as runs of an MLflow tracking server.",
    "pillar": "Analytic pillars.",
    "proof": "Empirical Proof Records.",
    "record": "Signed records of every kind.",
    "renderer": "Formats a report can have.",
    "runner": "What runs a spec.",
    "scenario": "Falsifiable experiments.",
    "schema": "Schemas of the records.",
    "substrate": "Systems under test.",
}
DISTRIBUTION_PREFIX = "ophamin-"


def _missing(name: str, distribution: str, summary: str) -> click.Command:
    extra = distribution.removeprefix(DISTRIBUTION_PREFIX)
    hint = f"Not installed: pip install 'ophamin[{extra}]'"

    @click.command(name, help=f"{summary}\n\n{hint}", context_settings={"ignore_unknown_options": True})
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def missing(words: tuple[str, ...]) -> None:
        raise MissingDependency(f"the command 'ophamin {name}'", distribution, f"ophamin[{extra}]")

    return missing


def _broken(name: str, reason: str) -> click.Command:
    @click.command(name, help=f"Does not load: {reason}", context_settings={"ignore_unknown_options": True})
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def broken(words: tuple[str, ...]) -> None:
        registry.commands.get(name)

    return broken


class Tree(click.Group):
    """A group whose commands are entry points under one prefix.

    Args:
        path: Words before this group, e.g. ``("corpus",)``.
    """

    def __init__(self, path: tuple[str, ...] = (), **attrs: Any) -> None:
        super().__init__(**attrs)
        self._path = path

    def _known(self) -> dict[str, str]:
        """Next words with their one-line help; imports no plug-in."""
        prefix = " ".join((*self._path, ""))
        known: dict[str, str] = {}
        installed = dict.fromkeys(registry.commands.names(), "")
        for name, summary in {**installed, **{n: s for n, (_, s) in COMMANDS.items()}}.items():
            if name.startswith(prefix):
                word, _, rest = name.removeprefix(prefix).partition(" ")
                known[word] = GROUP_HELP.get(word, "") if rest else summary or self._foreign(name)
        if not self._path:
            known.update({w: GROUP_HELP[w] for w in (*KINDS, *RECORD_WORDS)})
        else:
            word = self._path[0]
            if word in KINDS:
                known.update({n: s.format(noun=word) for n, s in KIND_COMMANDS.items()})
            if word in RECORD_WORDS:
                known.update({n: s.format(noun=word) for n, s in RECORD_COMMANDS.items()})
        return known

    @staticmethod
    def _foreign(name: str) -> str:
        try:
            return f"From {registry.commands.origin(name)}."
        except PluginError as error:
            return f"Broken: {error}"

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands, sorted."""
        return sorted(self._known())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command, or a group of those that begin with it."""
        full = " ".join((*self._path, cmd_name))
        if full in registry.commands.names():
            try:
                command: click.Command = registry.commands.get(full)
            except PluginError as error:
                return _broken(full, str(error))
            return command
        if full in COMMANDS:
            return _missing(full, *COMMANDS[full])
        if not self._path:
            words = {n.partition(" ")[0] for n in (*COMMANDS, *registry.commands.names()) if " " in n}
            if cmd_name in words or cmd_name in KINDS or cmd_name in RECORD_WORDS:
                return Tree((cmd_name,), name=cmd_name, help=GROUP_HELP.get(cmd_name))
            return None
        word = self._path[0]
        if word in KINDS and cmd_name in KIND_COMMANDS:
            from ophamin.cli.kinds import kind_command

            return kind_command(word, KINDS[word], cmd_name)
        if word in RECORD_WORDS and cmd_name in RECORD_COMMANDS:
            from ophamin.cli.records import record_command

            return record_command(word, RECORD_WORDS[word], cmd_name)
        return None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """A group that has ``run`` takes it where ``--`` comes before any command: ``instrument -- PROGRAM``."""
        first = args[0] if args else ""
        if self._path and first.startswith("-") and "--" in args and "run" in self._known():
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name when there is none."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), 1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without loading any."""
        known = self._known()
        if known:
            with formatter.section("Commands"):
                formatter.write_dl([(word, known[word]) for word in sorted(known)])


@click.command(
    cls=Tree,
    epilog="Begin with: ophamin demo   ·   exit codes: 0 fine, 1 refuted, 2 usage, 3 tampered, 4 inconclusive, "
    "5 policy, 6 the system failed, 70 our bug, 130 interrupted.",
)
@click.version_option(package_name="ophamin", message="%(prog)s %(version)s")
@click.pass_context
def root(ctx: click.Context) -> None:
    """State a falsifiable claim, register it, run it on real data, keep the signed proof."""
    from ophamin.config import load_settings

    ctx.obj = load_settings()
