"""Generated sentences in three languages, in the layout of FLORES-200; a tiny grammar of our own."""

from __future__ import annotations

from pathlib import Path
from random import Random

__all__ = ["SAMPLE_NOTE", "write_flores_sample"]

SAMPLE_NOTE = "SAMPLE.md"
_LINES = 200
_LANGUAGES = ("eng_Latn", "fra_Latn", "deu_Latn")

_NOTE = """# Generated sample

Written by `ophamin corpus sample flores` (seed {seed}). Sentences of our own from a small grammar, in the folder and
file layout of FLORES-200; none of its text. Use it to try things out, never to claim something about a translator.
Licence: CC0-1.0.
"""

# One row per meaning: the same position in each language. Verbs govern the accusative, which the German objects are in.
_SUBJECTS = (
    ("The baker", "Le boulanger", "Der Bäcker"),
    ("My neighbour", "Mon voisin", "Mein Nachbar"),
    ("The young doctor", "La jeune médecin", "Die junge Ärztin"),
    ("A tired traveller", "Un voyageur fatigué", "Ein müder Reisender"),
    ("The captain", "Le capitaine", "Der Kapitän"),
    ("Nobody", "Personne", "Niemand"),
)
_VERBS = (
    ("sees", "voit", "sieht"),
    ("paints", "peint", "malt"),
    ("sells", "vend", "verkauft"),
    ("looks for", "cherche", "sucht"),
    ("repairs", "répare", "repariert"),
)
_OBJECTS = (
    ("the old bridge", "le vieux pont", "die alte Brücke"),
    ("a green boat", "un bateau vert", "ein grünes Boot"),
    ("three clocks", "trois horloges", "drei Uhren"),
    ("the kitchen window", "la fenêtre de la cuisine", "das Küchenfenster"),
    ("a bicycle without brakes", "un vélo sans freins", "ein Fahrrad ohne Bremsen"),
    ("the map of the island", "la carte de l'île", "die Karte der Insel"),
)
_TIMES = (
    ("every morning", "chaque matin", "jeden Morgen"),
    ("before lunch", "avant le déjeuner", "vor dem Mittagessen"),
    ("in the year {n}", "en l'an {n}", "im Jahr {n}"),
    ("after {n} days", "après {n} jours", "nach {n} Tagen"),
)


def write_flores_sample(folder: Path, seed: int) -> None:
    """Write ``flores200_dataset/{dev,devtest}/<language>.<split>``, its metadata and ``SAMPLE.md`` into ``folder``."""
    rng = Random(seed)
    dataset = folder / "flores200_dataset"
    for split in ("dev", "devtest"):
        (dataset / split).mkdir(parents=True, exist_ok=True)
        rows = [_sentence(rng) for _ in range(_LINES)]
        for position, language in enumerate(_LANGUAGES):
            _write(dataset / split / f"{language}.{split}", [row[position] for row in rows])
        about = [f"https://example.org/generated/{i // 4}\tgenerated\tnone\tno\tno" for i in range(_LINES)]
        _write(dataset / f"metadata_{split}.tsv", ["URL\tdomain\ttopic\thas_image\thas_hyperlink", *about])
    (folder / SAMPLE_NOTE).write_text(_NOTE.format(seed=seed), encoding="utf-8")


def _sentence(rng: Random) -> list[str]:
    subject, verb, thing, when = (rng.choice(part) for part in (_SUBJECTS, _VERBS, _OBJECTS, _TIMES))
    number = rng.randrange(2, 2000)
    sentences = []
    for position, language in enumerate(_LANGUAGES):
        middle = verb[position]
        if language == "fra_Latn" and subject[position] == "Personne":
            middle = f"ne {middle}"
        time = when[position].format(n=number)
        sentences.append(f"{subject[position]} {middle} {thing[position]} {time}.")
    return sentences


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
