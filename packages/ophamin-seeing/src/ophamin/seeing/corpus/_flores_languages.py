"""Which file a language name means: codes of FLORES-200, NTREX-128 and ISO 639, and English names.

A name is language, script and region, the last two optional, in any case, with ``_`` or ``-`` between: ``eng_Latn``,
``eng``, ``en``, ``English``, ``zho-CN``, ``srp-Cyrl``. It means the one file that agrees with it in all it says:

* language: ISO 639-3, 639-1 or an English name. A macrolanguage and the member that FLORES-200 has (or NTREX-128 the
  other way round) are the same language here: the table ``_MEMBERS``.
* script: of a Chinese file, ``CN`` and ``SG`` are ``Hans``; ``TW``, ``HK`` and ``MO`` are ``Hant``. A file that states
  no script agrees with any.
* region: a file that states none agrees with any; where one states the same, or neither does, that one is meant.

What is left over is ambiguous and named, never guessed: ``zho`` (``zho_Hans``, ``zho_Hant``), ``arb`` beside
``arb_Latn``, ``nor`` (``nob_Latn``, ``nno_Latn``), ``kur`` (``ckb_Arab``, ``kmr_Latn``), ``srp`` in NTREX-128.

Sources: ISO 639-3 macrolanguage mappings (SIL International); the file lists of FLORES-200 (204 files) and NTREX-128.
"""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["meant"]

# Macrolanguage: the members that stand for it in FLORES-200 and NTREX-128.
_MEMBERS = {
    "ara": ("arb",),
    "aym": ("ayr",),
    "aze": ("azj",),
    "est": ("ekk",),
    "fas": ("pes",),
    "fil": ("tgl",),
    "ful": ("fuv",),
    "grn": ("gug",),
    "kur": ("ckb", "kmr"),
    "lav": ("lvs",),
    "mlg": ("plt",),
    "mon": ("khk",),
    "msa": ("zsm",),
    "nep": ("npi",),
    "nor": ("nob", "nno"),
    "ori": ("ory",),
    "orm": ("gaz",),
    "pus": ("pbt",),
    "que": ("quy",),
    "sqi": ("als",),
    "srd": ("sro",),
    "swa": ("swh",),
    "uzb": ("uzn",),
    "yid": ("ydd",),
}
_SCRIPTS = {"cn": "hans", "sg": "hans", "tw": "hant", "hk": "hant", "mo": "hant"}
_NAMES = """
afr af afrikaans|amh am amharic|ara ar arabic|asm as assamese|aze az azerbaijani|bel be belarusian|ben bn bengali
bos bs bosnian|bul bg bulgarian|cat ca catalan|ces cs czech|cym cy welsh|dan da danish|deu de german|ell el greek
eng en english|est et estonian|eus eu basque|fas fa persian|fin fi finnish|fra fr french|gle ga irish|glg gl galician
guj gu gujarati|hau ha hausa|heb he hebrew|hin hi hindi|hrv hr croatian|hun hu hungarian|hye hy armenian|ibo ig igbo
ind id indonesian|isl is icelandic|ita it italian|jav jv javanese|jpn ja japanese|kan kn kannada|kat ka georgian
kaz kk kazakh|khm km khmer|kir ky kyrgyz|kor ko korean|kur ku kurdish|lao lo lao|lav lv latvian|lit lt lithuanian
ltz lb luxembourgish|mal ml malayalam|mar mr marathi|mkd mk macedonian|mlg mg malagasy|mlt mt maltese|mon mn mongolian
mri mi maori|msa ms malay|mya my burmese|nep ne nepali|nld nl dutch|nno nn nynorsk|nob nb bokmal|nor no norwegian
ori or odia|orm om oromo|pan pa punjabi|pol pl polish|por pt portuguese|pus ps pashto|ron ro romanian|rus ru russian
sin si sinhala|slk sk slovak|slv sl slovenian|sna sn shona|snd sd sindhi|som so somali|spa es spanish|sqi sq albanian
srp sr serbian|swa sw swahili|swe sv swedish|tam ta tamil|tel te telugu|tgk tg tajik|tgl tl tagalog|tha th thai
tir ti tigrinya|tuk tk turkmen|tur tr turkish|ukr uk ukrainian|urd ur urdu|uzb uz uzbek|vie vi vietnamese
wol wo wolof|xho xh xhosa|yid yi yiddish|yor yo yoruba|zho zh chinese|zul zu zulu
"""
_CODES = {other: row.split()[0] for row in _NAMES.replace("\n", "|").split("|") if row for other in row.split()}


def meant(name: str, files: Collection[str]) -> list[str]:
    """The files a name means, by their codes: one, none, or several where it is ambiguous."""
    if name in files:
        return [name]
    language, script, region = _parts(name)
    members = set(_MEMBERS.get(language, ()))
    found: dict[str, str] = {}
    for code in sorted(files):
        its, its_script, its_region = _parts(code)
        same = its == language or its in members or language in _MEMBERS.get(its, ())
        if (
            same
            and (not script or not its_script or script == its_script)
            and (not region or its_region in ("", region))
        ):
            found[code] = its_region
    nearest = [code for code, its_region in found.items() if its_region == region]
    return nearest or list(found)


def _parts(name: str) -> tuple[str, str, str]:
    """Language (ISO 639-3 where it is known), script and region, in lower case."""
    language, *rest = name.lower().replace("-", "_").split("_")
    script = next((part for part in rest if len(part) == 4), "")
    region = next((part for part in rest if len(part) in (2, 3)), "")
    return _CODES.get(language, language), script or _SCRIPTS.get(region, ""), region
