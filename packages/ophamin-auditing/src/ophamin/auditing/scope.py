"""Which findings an audit speaks of: those in changed files only, and which of them are new since a baseline."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ophamin.auditing._counts import pillar_counts
from ophamin.auditing._git import git
from ophamin.auditing.record import AUDIT
from ophamin.auditing.target import SOURCES, Target, text
from ophamin.proof.errors import ConsistencyError, UsageError
from ophamin.proof.git import GitError
from ophamin.proof.keys import Keyring
from ophamin.proof.signed import read, verify
from ophamin.protocols import Settings
from ophamin.registry.gathering import locate

__all__ = ["Baseline", "Changed", "changed_since", "keep_only", "load_baseline", "mark_new"]

JSON = Any


@dataclass(frozen=True)
class Changed:
    """Files that differ from a revision.

    Args:
        asked: The revision as it was given.
        revision: The commit it meant.
        files: Sources of the target that were changed, renamed, added or are not tracked, as the record names them.
    """

    asked: str
    revision: str
    files: Sequence[str]


@dataclass(frozen=True)
class Baseline:
    """An earlier audit.

    Args:
        audit_id: Of its record.
        captured_at: When.
        tools: Those that finished: only of their findings it is known whether they are new.
        fingerprints: Of its findings.
    """

    audit_id: str
    captured_at: str
    tools: Sequence[str]
    fingerprints: Collection[str]


def changed_since(target: Target, revision: str) -> Changed:
    """Files of the target that differ from a revision of its repository.

    Args:
        target: In a git repository.
        revision: Anything git takes for a commit.

    Raises:
        UsageError: No repository, no git, or no such revision.
    """
    root = target.root
    try:
        commit = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        head = commit.decode().strip()
        # Of a renamed file this gives the new name, of a deleted one none.
        options = ["--name-only", "-z", "-M", "--diff-filter=d", "--no-ext-diff", "--no-textconv", "--no-relative"]
        differing = git(root, "diff", *options, "--ignore-submodules", head, "--")
        untracked = git(root, "ls-files", "--others", "--exclude-standard", "-z", "--full-name")
    except GitError:
        raise UsageError(
            f"{text(target.root)} has no git revision {text(revision)!r} to compare with; give one with --changed REV"
        ) from None
    names = {target.relative(os.fsdecode(name)) for name in (differing + untracked).split(b"\0") if name}
    return Changed(text(revision), head, sorted(names & set(target.sources())))


def keep_only(pillars: Sequence[dict[str, JSON]], files: Collection[str]) -> None:
    """Leave out, in place, what lies in other sources; also what could not be read there.

    What is no source stays: a lock, advisories, the target as a whole when a tool read nothing of it.

    Args:
        pillars: Of the record.
        files: As the record names them.
    """
    changed = frozenset(files)

    def kept(path: str) -> bool:
        return path in changed or not path.endswith(SOURCES)

    for pillar in pillars:
        pillar["findings"] = [f for f in pillar["findings"] if kept(f["path"])]
        pillar.update(pillar_counts(pillar["status"], pillar["findings"]))
        unread = [u for u in pillar["extra"].get("unread", []) if kept(u["path"])]
        if pillar["status"] == "ok" and "unread" in pillar["extra"]:
            elsewhere = len(pillar["extra"]["unread"]) - len(unread)
            pillar["extra"] = {**pillar["extra"], "unread": unread, "unread_elsewhere": elsewhere}
            pillar["complete"] = not unread
            pillar["warnings"] = [
                w for w in pillar["warnings"] if " was not examined: " not in w or kept(w.split(" was not ")[0])
            ]


def load_baseline(settings: Settings, record: str) -> Baseline:
    """Read the audit that later ones are compared with.

    Args:
        settings: Of the project whose store ids are looked up in.
        record: A file, a folder with ``record.json``, or an id.

    Raises:
        UnknownRecord: There is none.
        RecordError: It is no audit record.
        ConsistencyError: It is not what was signed.
        UsageError: It is too old to have fingerprints.
    """
    path = locate(settings, record)
    found = read(path, [AUDIT])
    checked = verify(found, Keyring())
    if checked.exit_code == 3:
        wrong = next((c for c in checked.checks if c.state == "bad"), None)
        raise ConsistencyError(
            f"{text(Path(path))}: the baseline was tampered with{f' ({wrong.detail})' if wrong else ''}"
        )
    audit = found.object
    findings = [f for p in audit["pillars"] for f in p["findings"]]
    if any("fingerprint" not in f for f in findings):
        raise UsageError(f"{text(Path(path))} is an audit without fingerprints; make a new one for a baseline")
    finished = [p["pillar_name"] for p in audit["pillars"] if p["status"] == "ok" and p.get("complete", True)]
    return Baseline(found.id, audit["identity"]["captured_at"], finished, {f["fingerprint"] for f in findings})


def mark_new(pillars: Sequence[Mapping[str, JSON]], baseline: Baseline) -> dict[str, JSON]:
    """Say of each finding whether it is new, in place; the record's section ``baseline``.

    Of a tool that had not finished in the baseline it is not known, so its findings are not marked. A finding that
    another tool had found already is not new.

    Args:
        pillars: Of the record, duplicates marked.
        baseline: What to compare with.
    """
    seen: set[str] = set()
    n_new = 0
    for pillar in pillars:
        for finding in pillar["findings"]:
            prints = {finding["fingerprint"], *(a["fingerprint"] for a in finding.get("also_found_by", ()))}
            known = (
                bool(prints & set(baseline.fingerprints))
                if len(prints) > 1
                else finding["fingerprint"] in (baseline.fingerprints)
            )
            seen |= prints
            if known or pillar["pillar_name"] in baseline.tools:
                finding["new"] = not known
                n_new += not known and "duplicate_of" not in finding
    return {
        "audit_id": baseline.audit_id,
        "captured_at": baseline.captured_at,
        "tools": list(baseline.tools),
        "n_findings": len(baseline.fingerprints),
        "n_new": n_new,
        "n_gone": len(set(baseline.fingerprints) - seen),
    }
