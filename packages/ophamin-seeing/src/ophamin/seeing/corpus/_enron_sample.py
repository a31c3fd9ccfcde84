"""Generated mails in the three forms of the Enron corpus; people, texts and addresses are made up."""

from __future__ import annotations

import binascii
import csv
import gzip
import io
import tarfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from random import Random

__all__ = ["SAMPLE_NOTE", "generated_mails", "write_enron_sample"]

SAMPLE_NOTE = "SAMPLE.md"
_TEXTS = 240
_COPIED = 0.25

_NOTE = """# Generated sample

Written by `ophamin corpus sample enron` (seed {seed}). Mails of our own from templates, between people who do not
exist, in the three forms the Enron corpus comes in (CMU's archive, its maildir, Kaggle's emails.csv); none of its
mails. Use it to try things out, never to claim something about real mail. Licence: CC0-1.0.
"""

_PEOPLE = ("abara-n", "brandt-k", "costa-m", "dahl-j", "eriksen-p", "farouk-l", "grant-s", "hirano-t")
_DOMAIN = "example.com"
_FOLDERS = ("inbox", "sent_items", "_sent_mail", "discussion_threads", "projects/pipeline", "projects/budget")
_THINGS = ("the forecast", "the contract", "the meter data", "the budget", "the schedule", "the storage plan")
_ACTS = ("is attached", "needs your signature", "has changed again", "looks right to me", "is late", "went to legal")
_ASKS = (
    "Please call me at extension {n}.",
    "Could you check line {n} before noon?",
    "The volume for day {n} is wrong.",
    "We agreed on {n} dollars, not less.",
    "See page {n} of the draft.",
    "I will be in room {n} all day.",
)
_ENDS = ("Thanks,", "Regards,", "Best,", "Let me know.")
_ODD = ("Naïve question: is this final?", "The café on 5th, as always.", "It’s a 10 % rise — again.")


def write_enron_sample(folder: Path, seed: int) -> None:
    """Write ``maildir/``, ``enron_mail_sample.tar.gz``, ``emails.csv`` and ``SAMPLE.md`` into ``folder``."""
    mails = sorted(generated_mails(Random(seed), _TEXTS))
    for name, raw in mails:
        path = folder / "maildir" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    (folder / "enron_mail_sample.tar.gz").write_bytes(_archive(mails))
    table = io.StringIO()
    writer = csv.writer(table, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["file", "message"])
    # As in Kaggle's table, every line ends in a bare newline.
    writer.writerows((name, raw.decode("utf-8", "surrogateescape").replace("\r\n", "\n")) for name, raw in mails)
    (folder / "emails.csv").write_bytes(table.getvalue().encode("utf-8", "surrogateescape"))
    (folder / SAMPLE_NOTE).write_text(_NOTE.format(seed=seed), encoding="utf-8", newline="\n")


def generated_mails(rng: Random, texts: int) -> list[tuple[str, bytes]]:
    """Mails of ``texts`` distinct texts, a quarter of them with a copy elsewhere; (``user/folder/number.``, bytes).

    They have what real ones have: CRLF header lines over LF bodies, quoted-printable and Windows-1252 bodies, folded
    recipient lists, empty subjects, copies under a fresh Message-ID.
    """
    numbers: dict[str, int] = {}

    def place(user: str) -> str:
        where = f"{user}/{rng.choice(_FOLDERS)}"
        numbers[where] = numbers.get(where, 0) + rng.randint(1, 3)
        return f"{where}/{numbers[where]}."

    found = []
    for number in range(texts):
        sender, *to = rng.sample(_PEOPLE, rng.choice((2, 2, 2, 3, 7)))
        text = _text(rng, sender, number)
        sent = datetime(2001, 1, 1, 8, tzinfo=timezone(timedelta(hours=-7))) + timedelta(minutes=rng.randrange(500_000))
        subject = rng.choice(("", *(thing.removeprefix("the ") for thing in _THINGS)))
        way = rng.random()
        copies = [sender, to[0]] if rng.random() < _COPIED else [sender]
        for user in copies:
            found.append((place(user), _mail(rng, sender, to, subject, sent, text, way)))
    return found


def _text(rng: Random, sender: str, number: int) -> str:
    lines = [f"{rng.choice(_THINGS).capitalize()} {rng.choice(_ACTS)}."]
    lines += [rng.choice(_ASKS).format(n=rng.randrange(100, 9999)) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.15:
        lines.append(rng.choice(_ODD))
    return "\n".join([*lines, f"Reference {number}.", "", rng.choice(_ENDS), sender.partition("-")[0].capitalize(), ""])


def _mail(rng: Random, sender: str, to: list[str], subject: str, sent: datetime, text: str, way: float) -> bytes:
    kind, transfer, body = "us-ascii", "7bit", text.encode("cp1252")
    if not text.isascii() or way < 0.1:
        kind, transfer = "ANSI_X3.4-1968", "quoted-printable"
        body = binascii.b2a_qp(body.replace(b"\n", b"\r\n"), istext=True)
        if way > 0.5:  # undeclared Windows-1252, as it is found in old mail
            transfer, body = "7bit", text.encode("cp1252")
    elif way > 0.95:
        kind = "ANSI_X3.4-1968"
    message = f"{rng.randrange(10**7, 10**8)}.{1075850000000 + rng.randrange(10**9)}"
    addresses = [f"{name.replace('-', '.')}@{_DOMAIN}" for name in (sender, *to)]
    lines = [
        f"Message-ID: <{message}.JavaMail.sample@{_DOMAIN}>",
        f"Date: {sent.strftime('%a, %d %b %Y %H:%M:%S')} -0700 (PDT)",
        f"From: {addresses[0]}",
        f"To: {', '.join(addresses[1:4])}" + "".join(f", \r\n\t{address}" for address in addresses[4:]),
        f"Subject: {subject}",
        "Mime-Version: 1.0",
        f"Content-Type: text/plain; charset={kind}",
        f"Content-Transfer-Encoding: {transfer}",
        f"X-From: {sender}",
        f"X-Origin: {sender.capitalize()}",
        "X-FileName: generated.pst",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _archive(mails: list[tuple[str, bytes]]) -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for name, raw in mails:
            member = tarfile.TarInfo(f"maildir/{name}")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return packed.getvalue()
