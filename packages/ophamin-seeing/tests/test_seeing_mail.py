"""Mails as they really are: every trap gives the right text, or a named doubt, never a traceback."""

from __future__ import annotations

import email
from email.policy import compat32
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ophamin.seeing.corpus._enron_sample import generated_mails
from ophamin.seeing.corpus._mail import address, parse_mail


def text(raw: bytes) -> str:
    mail = parse_mail(raw)
    assert mail is not None
    return mail.text


@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["CRLF header", "LF header"])
@pytest.mark.parametrize("body", [b"one\ntwo\n", b"one\r\ntwo\r\n"], ids=["LF body", "CRLF body"])
def test_line_ends_are_mixed_at_will(end: bytes, body: bytes) -> None:
    mail = parse_mail(b"From: a@b.org" + end + b"Subject: " + end + end + body)
    assert mail is not None
    assert (mail.text, mail.headers) == ("one\ntwo\n", {"from": "a@b.org", "subject": ""})
    assert mail.doubts == ()


def test_a_body_may_hold_the_other_blank_line() -> None:
    assert text(b"A: 1\n\none\r\n\r\ntwo") == "one\n\ntwo"
    assert text(b"A: 1\r\n\r\none\n\ntwo") == "one\n\ntwo"


def test_headers() -> None:
    mail = parse_mail(
        b"From MAILER Mon Jan 1\nTo: a@b.org,\r\n\tc@d.org,\n  e@f.org\nReceived: 1\nreceived: 2\nRECEIVED: 3\n"
        b"Subject: =?iso-8859-1?Q?Gr=FC=DFe?= =?utf-8?b?4oKs?=\nX-Odd : 5\nno colon here\n\nbody"
    )
    assert mail is not None
    assert mail.headers == {
        "to": "a@b.org, c@d.org, e@f.org",
        "received": ["1", "2", "3"],
        "subject": "Grüße€",
        "x-odd": "5",
    }
    assert mail.first("received") == "1"
    assert mail.first("none") == ""
    assert mail.doubts == ("a malformed header line",)
    damaged = parse_mail(b"Subject: =?utf-8?b?abc?= =?no-such?q?x?=\n\n")
    assert damaged is not None
    assert damaged.headers["subject"]


@pytest.mark.parametrize(
    ("kind", "transfer", "body", "expected", "encoding"),
    [
        ("text/plain; charset=ANSI_X3.4-1968", "quoted-printable", b"a =\r\nb=3D=09c\r\n", "a b=\tc\n", ""),
        ("text/plain; charset=us-ascii", "7bit", b"it\x92s", "it’s", "cp1252"),
        ("text/plain; charset=us-ascii", "7bit", "naïve".encode(), "naïve", "utf-8"),
        ("text/plain; charset=us-ascii", "7bit", b"\x81\xff", "\x81ÿ", "latin-1"),
        ('text/plain; charset="iso-8859-8"', "8bit", b"\xf9", "ש", ""),
        ("text/plain; charset=x-unknown", "7bit", b"a", "a", "utf-8"),
        ("text/plain; charset=unicode_escape", "7bit", b"\\d", "\\d", "utf-8"),
        ("text/plain; charset=rot13", "7bit", b"a", "a", "utf-8"),
        ("text/plain; charset=\x00", "7bit", b"a", "a", "utf-8"),
        ("text/plain", "base64", b"aGVsbG8K\r\n", "hello\n", ""),
        ("", "", b"plain", "plain", ""),
    ],
)
def test_bodies_are_decoded_as_documented(kind: str, transfer: str, body: bytes, expected: str, encoding: str) -> None:
    mail = parse_mail(f"Content-Type: {kind}\nContent-Transfer-Encoding: {transfer}\n\n".encode() + body)
    assert mail is not None
    assert (mail.text, mail.encoding, mail.doubts) == (expected, encoding, ())


@pytest.mark.parametrize(
    ("raw", "expected", "doubt"),
    [
        (b"Content-Transfer-Encoding: base64\n\nabc", "abc", "a damaged base64 body, kept as it is"),
        (b"Content-Transfer-Encoding: spam\n\nabc", "abc", "an unknown transfer encoding, body kept as it is"),
        (b"Content-Type: multipart/mixed; boundary=x\n\nabc", "abc", "parts that cannot be split, body kept as it is"),
        (b"Content-Type: image/png\n\nabc", "", "no text part"),
        (b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: image/png\n\n1\n--x--", "", "no text part"),
    ],
)
def test_what_is_doubtful_is_said(raw: bytes, expected: str, doubt: str) -> None:
    mail = parse_mail(raw)
    assert mail is not None
    assert (mail.text, mail.doubts) == (expected, (doubt,))


def test_parts() -> None:
    both = (
        b"Content-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/plain; charset=latin1\n\n\xfc\n"
        b"--x\nContent-Type: text/html\n\n<p>no</p>\n--x\nContent-Type: text/plain\n\nlast\n--x--\n"
    )
    assert text(both) == "ü\nlast"
    assert text(both.replace(b"text/plain", b"text/html")) == "ü"
    assert text(b"Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n#86)C\n \nend\n") == "abc"


@pytest.mark.parametrize("raw", [b"", b"\n\nbody", b"no header at all", b"From x\n", b"\x00\x01", b" A: 1\n\n"])
def test_what_is_no_mail(raw: bytes) -> None:
    assert parse_mail(raw) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a@B.org", "a@b.org"),
        ('"x@y.org" <Real@B.org>', "real@b.org"),
        ("Doe, J. </O=ENRON/CN=JDOE>", ""),
        ("a@b.org (A. B.), c@d.org", "a@b.org"),
        ("", ""),
        ("<>", ""),
    ],
)
def test_addresses(value: str, expected: str) -> None:
    assert address(value) == expected


def test_the_splitter_agrees_with_the_standard_library() -> None:
    for _, raw in generated_mails(Random(7), 200):
        mail, theirs = parse_mail(raw), email.message_from_bytes(raw, policy=compat32)
        assert mail is not None
        assert mail.first("to").split() == str(theirs["to"]).split()
        assert mail.first("message-id") == theirs["message-id"]
        payload = theirs.get_payload(decode=True)
        assert isinstance(payload, bytes)
        assert mail.text == payload.decode("cp1252").replace("\r\n", "\n")


PIECES = st.sampled_from(
    [
        *(b"From: a@b.org", b"Content-Type: multipart/mixed; boundary=x", b"Content-Type: text/plain; charset=utf-16"),
        *(b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: quoted-printable", b"--x", b"--x--"),
        *(
            b"Subject: =?utf-8?b?4oKs",
            b"=?q?x?=",
            b"\r\n",
            b"\n",
            b"\n\n",
            b"\r",
            b" ",
            b"\t",
            b"\x00",
            b"\xff",
            b"=\n",
        ),
    ]
)


@settings(max_examples=300)
@given(st.lists(PIECES | st.binary(max_size=8), max_size=25).map(b"".join))
def test_no_bytes_make_it_fail(raw: bytes) -> None:
    mail = parse_mail(raw)
    if mail is not None:
        mail.text.encode("utf-8", "surrogatepass")
        assert all(isinstance(value, (str, list)) for value in mail.headers.values())


def test_thousands_of_nested_parts() -> None:
    head = b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n"
    assert parse_mail(b"".join(head % (i, i) for i in range(3000))) is not None


@pytest.mark.data
def test_real_nasty_mails(real_root: Path) -> None:
    files = [p for p in (real_root / "mail_nasty").rglob("*") if p.suffix in (".eml", ".txt")]
    assert len(files) > 200
    mails = [parse_mail(path.read_bytes()) for path in files]
    assert all(mail is not None for mail in mails)
    assert sum(bool(mail.text.strip()) for mail in mails if mail) > 215
    assert {doubt for mail in mails if mail for doubt in mail.doubts} <= {
        "no text part",
        "a malformed header line",
        "an unknown transfer encoding, body kept as it is",
        "parts that cannot be split, body kept as it is",
    }
