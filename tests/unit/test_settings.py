"""Settings: where they come from, and what a wrong one says."""

from pathlib import Path

import pytest

from backend.cli import main
from backend.log import chosen
from backend.settings import Settings, SettingsError

WRONG = [
    ({"FOOTNOTE_PORT": "many"}, "FOOTNOTE_PORT"),
    ({"FOOTNOTE_PORT": "70000"}, "FOOTNOTE_PORT"),
    ({"FOOTNOTE_TEAM": "a b"}, "FOOTNOTE_TEAM"),
    ({"FOOTNOTE_LOG_LEVEL": "LOUD"}, "FOOTNOTE_LOG_LEVEL"),
    ({"FOOTNOTE_EMBEDDER": "word2vec"}, "FOOTNOTE_EMBEDDER"),
]


@pytest.mark.parametrize(("variables", "named"), WRONG)
def test_a_wrong_setting_is_one_line_that_names_the_variable(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    named: str,
) -> None:
    for name, value in {"FOOTNOTE_DATA_DIR": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    assert main(["serve"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"{named}: ")
    assert printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"FOOTNOTE_HOST": "0.0.0.0"}, "set FOOTNOTE_API_KEY first"),
        ({"FOOTNOTE_API_KEY": "short"}, "16 characters"),
        ({"FOOTNOTE_API_KEYS": "king:0123456789abcdef"}, "role+role:key"),
    ],
)
def test_a_backend_that_would_be_open_does_not_start(variables: dict[str, str], says: str) -> None:
    from backend.app import keys_of

    names = {name.removeprefix("FOOTNOTE_").lower(): value for name, value in variables.items()}
    with pytest.raises(SettingsError) as caught:
        keys_of(Settings.model_validate(names))
    assert says in str(caught.value)
    assert "0123456789abcdef" not in str(caught.value)


def test_logs_are_json_in_production_and_readable_elsewhere() -> None:
    assert chosen(None, "production") == "json"
    assert chosen(None, "local") == "text"
    assert chosen("text", "production") == "text"
