"""The schema of what a substrate emits, mined from its answers.

``ophamin.seeing.discovery.miner.SchemaMiner`` mines any JSON values; ``discover`` runs a substrate and makes a signed
schema document; ``diff`` compares two; ``watch`` mines again whenever the revision changes.
"""

__all__: list[str] = []
