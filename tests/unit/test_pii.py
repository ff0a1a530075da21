"""What is found of personal data in what people write, measured on a table made by hand."""

from __future__ import annotations

from typing import get_args

import pytest

from backend.pii import Blotter, Pii

KINDS: tuple[Pii, ...] = get_args(Pii)
ALL = Blotter(KINDS, ("DE", "US"))

CASES: tuple[tuple[str, dict[str, str]], ...] = (
    # ------------------------------------------------------------------------------------------------ what is there
    ("Why does ana.lima@example.com not get the newsletter?", {"ana.lima@example.com": "email"}),
    ("mail o'brien+test@sub.mail.example.co.uk please", {"o'brien+test@sub.mail.example.co.uk": "email"}),
    ("Send it to <jörg@müller-bäckerei.de>.", {"jörg@müller-bäckerei.de": "email"}),
    ("(hr_team@firm.io)", {"hr_team@firm.io": "email"}),
    ("ANA@EXAMPLE.ORG, who is that?", {"ANA@EXAMPLE.ORG": "email"}),
    ("a@b.example and c@d.example", {"a@b.example": "email", "c@d.example": "email"}),
    ("mailto:info@example.museum", {"info@example.museum": "email"}),
    ("user%40host@example.net", {"user%40host@example.net": "email"}),
    ("x@1and1.com", {"x@1and1.com": "email"}),
    ("My mail is me@example.com.", {"me@example.com": "email"}),
    ("Call +49 30 901820 about the key", {"+49 30 901820": "phone"}),
    ("phone +1 (415) 555-2671 or so", {"+1 (415) 555-2671": "phone"}),
    ("tel:+442079460958", {"+442079460958": "phone"}),
    ("+33 1 42 68 53 00 is the front desk", {"+33 1 42 68 53 00": "phone"}),
    ("Is (415) 555-2671 the desk?", {"(415) 555-2671": "phone"}),
    ("030 901820 in Berlin", {"030 901820": "phone"}),
    ("mobil 0171 2345678", {"0171 2345678": "phone"}),
    ("0049 171 2345678 from abroad", {"0049 171 2345678": "phone"}),
    ("reach me at 415-555-2671 ext. 12", {"415-555-2671 ext. 12": "phone"}),
    ("+91 98765 43210 at night", {"+91 98765 43210": "phone"}),
    ("Refund to DE89 3704 0044 0532 0130 00", {"DE89 3704 0044 0532 0130 00": "iban"}),
    ("iban DE89370400440532013000", {"DE89370400440532013000": "iban"}),
    ("GB82 WEST 1234 5698 7654 32 please", {"GB82 WEST 1234 5698 7654 32": "iban"}),
    ("gb82west12345698765432", {"gb82west12345698765432": "iban"}),
    ("FR14 2004 1010 0505 0001 3M02 606.", {"FR14 2004 1010 0505 0001 3M02 606": "iban"}),
    ("NL91 ABNA 0417 1643 00", {"NL91 ABNA 0417 1643 00": "iban"}),
    ("from CH93 0076 2011 6238 5295 7 to us", {"CH93 0076 2011 6238 5295 7": "iban"}),
    ("AT61 1904 3002 3457 3201 thanks", {"AT61 1904 3002 3457 3201": "iban"}),
    ("NO93 8601 1117 947", {"NO93 8601 1117 947": "iban"}),
    ("BE68 5390 0754 7034 was charged", {"BE68 5390 0754 7034": "iban"}),
    ("My card 4111 1111 1111 1111 is refused", {"4111 1111 1111 1111": "card"}),
    ("5500-0000-0000-0004?", {"5500-0000-0000-0004": "card"}),
    ("378282246310005 (Amex)", {"378282246310005": "card"}),
    ("6011000990139424", {"6011000990139424": "card"}),
    ("card: 3056 9309 0259 04", {"3056 9309 0259 04": "card"}),
    ("2223003122003222 is new", {"2223003122003222": "card"}),
    ("pay with 4222222222222", {"4222222222222": "card"}),
    ("Why is 203.0.113.7 blocked?", {"203.0.113.7": "ip"}),
    ("from 10.0.0.12, port 22", {"10.0.0.12": "ip"}),
    ("2001:db8::8a2e:370:7334 fails", {"2001:db8::8a2e:370:7334": "ip"}),
    ("ping fe80::1 works", {"fe80::1": "ip"}),
    ("http://192.0.2.44:8080/x", {"192.0.2.44": "ip"}),
    ("[2001:0db8:85a3:0000:0000:8a2e:0370:7334]", {"2001:0db8:85a3:0000:0000:8a2e:0370:7334": "ip"}),
    ("me@example.com from 203.0.113.7", {"me@example.com": "email", "203.0.113.7": "ip"}),
    # --------------------------------------------------------------------------------------------- what looks like it
    ("How many days of paid leave do I have in 2026?", {}),
    ("Does order 4111 1111 1111 1112 exist?", {}),
    ("ticket 1234567890123456", {}),
    ("release 1.2.3.4.5 or v10.4.2", {}),
    ("Python 3.11.9 and Node 20.1", {}),
    ("version 300.1.2.999", {}),
    ("at 12:30:45 on 2026-11-20", {}),
    ("C++ std::vector::size", {}),
    ("section 4.2.1, page 17", {}),
    ("DE89 3704 0044 0532 0130 01 is mistyped", {}),
    ("budget 2024-2025: 1,250,000 EUR", {}),
    ("invoice INV-2026-000123", {}),
    ("What does @ana mean in #general?", {}),
    ("name@localhost is not routed", {}),
    ("a @ b, not a@ b.com", {}),
    ("ISBN 978-3-16-148410-0", {}),
    ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", {}),
    ("uuid 123e4567-e89b-12d3-a456-426614174000", {}),
    ("1763640000 as a timestamp", {}),
    ("ratio 16:9, or 4:3", {}),
    ("mac 00:1a:2b:3c:4d:5e", {}),
    ("20.11.2026 and 1.5.2025", {}),
    ("between 10 and 20 people, 5.5 % each", {}),
    ("Form W-4 (2026), line 12", {}),
    ("the years 1998 1999 2000 2001", {}),
    ("SKU GB12ABCD and GB82WEST", {}),
    ("0.0.0.0 and :: are everywhere", {}),
    ("room 415, floor 5, desk 2671", {}),
)


@pytest.mark.parametrize(("text", "wanted"), CASES, ids=[f"{n}-{text[:30]}" for n, (text, _) in enumerate(CASES)])
def test_what_is_personal_is_found_and_what_looks_like_it_is_not(text: str, wanted: dict[str, str]) -> None:
    assert {text[start:end]: kind for start, end, kind in ALL.found(text)} == wanted


def test_recall_and_false_hits_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in KINDS:
        there = [(text, value) for text, wanted in CASES for value, of in wanted.items() if of == kind]
        hits = [(text, text[a:b]) for text, _ in CASES for a, b, of in ALL.found(text) if of == kind]
        found, false = len(set(there) & set(hits)), len(set(hits) - set(there))
        with capsys.disabled():
            print(f"\n{kind}: {found} of {len(there)} found, {false} false hits in {len(CASES)} texts", end="")
        assert (found / len(there), false) >= (0.9, 0)


def test_only_the_kinds_that_are_wanted_are_blotted_and_the_rest_stays_as_it_was() -> None:
    text = "me@example.com, +49 30 901820 — DE89 3704 0044 0532 0130 00!"
    assert Blotter(("email",)).blot(text) == "[email], +49 30 901820 — DE89 3704 0044 0532 0130 00!"
    assert ALL.blot(text) == "[email], [phone] — [iban]!"
    assert Blotter(()).blot(text) == text


def test_a_long_text_of_nothing_but_near_misses_takes_no_time_to_speak_of() -> None:
    for piece in ("a@", "1.", "1 ", "DE89 ", "+4", ":", "a.b@c-"):
        ALL.blot(piece * 2000)
