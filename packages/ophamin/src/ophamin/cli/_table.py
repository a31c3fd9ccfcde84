"""Command → distribution and one-line help. Generated: ``python -m ophamin.cli._generate``.

Kept so that ``--help`` can list a command whose wheel is not installed; a test compares it with
the built wheels' entry points.
"""

COMMANDS: dict[str, tuple[str, str]] = {
    "analyze": (
        "ophamin-comparing",
        "Show the course of METRIC over revisions, with intervals, in every series of DIR that has it.",
    ),
    "audit": ("ophamin-auditing", "Static analysis of a path into a signed audit record."),
    "bisect": (
        "ophamin-comparing",
        "Find the commit that flipped a verdict from VALIDATED to REFUTED, in about log2(N) runs.",
    ),
    "changes": ("ophamin-comparing", "Since which commit a metric is different."),
    "compare": (
        "ophamin-comparing",
        "Say what changed between two sets of proofs for the same claims, and keep it as a signed record.",
    ),
    "corpus sample": ("ophamin-seeing", "Write a small generated sample of a corpus into DIR, in its genuine layout."),
    "correct": (
        "ophamin-comparing",
        "Correct the verdicts in DIR for how many claims there are; a verdict can only weaken.",
    ),
    "cost-gate": ("ophamin-comparing", "Say whether a revision is slower than another by more than a margin."),
    "cumulative look": ("ophamin-comparing", "What the commits say together, under what was registered."),
    "cumulative register": ("ophamin-comparing", "Register how much is pooled, before the first look."),
    "decide": ("ophamin-measuring", "Judge results you already have."),
    "demo": ("ophamin", "Walk the whole road: five claims about a real payload filter, one wrong on purpose."),
    "diagnose": ("ophamin-comparing", "Say of one proof what would change its verdict, and which siblings it has."),
    "discover": ("ophamin-seeing", "Mine the schema of what a system answers; compare two, or watch it change."),
    "drift": ("ophamin-comparing", "Whether a stream or a table drifted."),
    "dvc status": (
        "ophamin-comparing",
        "Say which tracked data is still the version that its .dvc file names; exits 1 when one is not.",
    ),
    "dvc track": (
        "ophamin-comparing",
        "Track corpora or the store as DVC data: the small .dvc files go into git, the data does not.",
    ),
    "history": (
        "ophamin-comparing",
        "Measure a scenario at each revision of a repository, and say where its verdict flipped.",
    ),
    "instrument flamegraph": (
        "ophamin-instrumenting",
        "Draw a capture as a flame graph, or what changed from one capture to a LATER one.",
    ),
    "instrument report": (
        "ophamin-instrumenting",
        "Show a profile: a record.json, its folder, or the beginning of its id.",
    ),
    "instrument run": (
        "ophamin-instrumenting",
        "Run COMMAND, look at its process tree while it runs, and keep what it cost as a signed profile.",
    ),
    "key create": (
        "ophamin",
        'Create a random signing key called NAME; "installation" is the one that signs your runs.',
    ),
    "key list": ("ophamin", "List your keys and the signers you trust; never shows a secret."),
    "key trust": ("ophamin", "Trust records attested by PUBLIC_KEY (64 hex digits), known to you as NAME."),
    "lineage export": (
        "ophamin-comparing",
        "Write records, their files, runs and notes to FILE, for `lineage merge` on another machine.",
    ),
    "lineage impact": ("ophamin-comparing", "List the verdicts that fall when a thing was wrong."),
    "lineage list": ("ophamin-comparing", "List runs with their parents; verdicts that went stale are marked."),
    "lineage merge": ("ophamin-comparing", "Take what other machines exported into this project."),
    "lineage note": (
        "ophamin-comparing",
        "Add a paragraph to the note of a record; others may add theirs at the same time, and merging...",
    ),
    "lineage refresh": (
        "ophamin-comparing",
        "Take every stored record into the lineage that is not there yet, as every lineage command does.",
    ),
    "lineage show": (
        "ophamin-comparing",
        "Show one run: its parents and children, what its record rests on, marks and notes.",
    ),
    "lineage stale": (
        "ophamin-comparing",
        "Look whether corpus, code, environment and inputs are still what proofs recorded, and mark what...",
    ),
    "lineage why": (
        "ophamin-comparing",
        "Say step by step what a verdict rests on, from the record back to corpus, code and people.",
    ),
    "lineage withdraw": (
        "ophamin-comparing",
        "Mark a thing as not to be relied on; every verdict that rests on it is stale from now on.",
    ),
    "log show": ("ophamin", "Show the entries of LEDGER (default: this project's)."),
    "log verify": (
        "ophamin",
        "Recompute LEDGER (default: this project's) and find any rewritten, dropped or reordered entry.",
    ),
    "metrics": (
        "ophamin-measuring",
        "Tell a proof's run cycle by cycle: one flat bundle each, from its stored observations.",
    ),
    "mlflow import": (
        "ophamin-comparing",
        "Bring the runs of an MLflow experiment into the lineage, and the records among them into the store.",
    ),
    "mlflow log": ("ophamin-comparing", "Log records to an MLflow tracking server, each once."),
    "pillar run": ("ophamin-measuring", "Analyse a file by one pillar."),
    "plan": ("ophamin-measuring", "Say how many units a claim needs, or what a given n can show."),
    "plugins": ("ophamin", "List every plug-in, its distribution, and why it does not load if it does not."),
    "provenance": ("ophamin-comparing", "Write where proofs came from as a W3C PROV document."),
    "recompute": (
        "ophamin-measuring",
        "Score a proof's stored observations again, and say whether they give what it states.",
    ),
    "report": ("ophamin-reporting", "Show records to people, as one self-contained HTML page or as Markdown."),
    "reproduce": (
        "ophamin-measuring",
        "Run a proof again, on the same records with the same seed, and say whether it agrees.",
    ),
    "run": ("ophamin-measuring", "Register a claim, measure it, decide it and sign the record."),
    "sbom": ("ophamin-auditing", "Software bill of materials of a tree, as CycloneDX 1.6."),
    "schema info": ("ophamin", "Print the JSON Schema of KIND, which is JSON with --json or without."),
    "schema list": ("ophamin", "List the record kinds, the version written, and the wheel that owns each."),
    "schema migrate": ("ophamin", "Rewrite the record IN, of an older version, as OUT in the version written today."),
    "schema validate": ("ophamin", "Check RECORD, of whatever kind, against its schema and its own consistency."),
    "scrape": ("ophamin-seeing", "What an endpoint exposes as metrics, once or over a window."),
    "selftest": ("ophamin-measuring", "Try every interval, test and stopping rule on data whose truth is known."),
    "substrate probe": (
        "ophamin-seeing",
        "Say what of a system can be measured: importable, constructible, signature, and why not.",
    ),
    "summarize": (
        "ophamin-comparing",
        "Count the proofs in DIR by verdict, scenario, tier and revision, and list where verdicts flipped.",
    ),
    "sweep": ("ophamin", "Run a whole grid of claims, on this machine or a cluster."),
    "verify": ("ophamin", "Check this installation: Python, wheels and versions, plug-ins, tools, keys, ledger."),
    "wiring": ("ophamin-seeing", "Which modules of a Python source tree are used, as a signed record."),
}
