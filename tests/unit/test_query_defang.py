import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.query.defang import defang

_parts = st.sampled_from(
    [
        "<",
        ">",
        "!",
        "@",
        "#",
        "[",
        "]",
        "(",
        ")",
        "http://",
        "https://a.b",
        "|",
        "x",
        " ",
        "`",
        "<img src=x>",
        "\n",
        "-",
    ]
)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("see [the guide](https://evil.example/x)", "see the guide"),
        ("![spy](https://evil.example/p.png?q=1) seen", "spy seen"),
        ("<https://evil.example|click here> now", "click here now"),
        ("hello <!channel> and <@U123>, in <#C1|general>", "hello  and , in "),
        ("use <thinking> tags", "use ‹thinking› tags"),
        ('<img src="x" onerror="y"> text', " text"),
        ("go to https://a.example/x.", "go to `a.example/x`."),
        ("dated [November 2024] and item [2]", "dated November 2024 and item [2]"),
    ],
)
def test_what_could_link_or_notify_is_taken_out(text: str, safe: str) -> None:
    assert defang(text) == safe


def test_a_broadcast_does_not_notify() -> None:
    assert "@channel" not in defang("hey @channel look")


@given(st.lists(_parts, max_size=25).map("".join) | st.text(max_size=100))
def test_nothing_dangerous_is_left_and_twice_is_once(text: str) -> None:
    safe = defang(text)
    assert defang(safe) == safe
    assert not re.search(r"https?://\S|<[!@#]|\]\(|<img", safe, re.IGNORECASE)
