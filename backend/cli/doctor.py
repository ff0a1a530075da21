"""`doctor`: what is wrong, and how to mend it. It changes nothing and makes nothing but the data folder:
`--mend` does (`backend.cli.mend`)."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp

from backend import app, server
from backend.cli.mend import looked_twice
from backend.errors import FootnoteError
from backend.experiments import ANSWER, load_plan
from backend.lock import owner
from backend.prompts import load_prompts
from backend.releases import read_released, violations
from backend.settings import Settings, SettingsError
from backend.writing import key_of

MIN_FREE = 1_000_000_000
"""Bytes of disk below which indexing may fail soon."""
SLACK = ("SLACK_BOT_TOKEN", "SLACK_APP_TOKEN")
MARKS = {"ok": "✓", "note": "·", "bad": "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found; `remedy` says how to mend what is bad."""

    level: Literal["ok", "note", "bad"]
    text: str
    remedy: str = ""


async def doctor(settings: Settings) -> int:
    """Print every finding. Return 1 if something is bad."""
    worst = 0
    async for finding in Doctor(settings, app.Places.of(settings)).findings():
        remedy = f"\n    → {finding.remedy}" if finding.remedy else ""
        sys.stdout.write(f"{MARKS[finding.level]} {finding.text}{remedy}\n")
        worst |= finding.level == "bad"
    return int(worst)


@dataclass(frozen=True, slots=True)
class Doctor:
    """The checks, each of which finds one thing."""

    settings: Settings
    places: app.Places

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield what each check finds; an error of ours that a check meets is its finding."""
        checks = (
            self._folder, self._disk, self._keys, self._address, self._model_and_index, self._database,
            self._agreement, self._prompts, self._answers, self._slack,
        )  # fmt: skip
        for check in checks:
            try:
                yield await check()
            except (FootnoteError, SettingsError) as error:
                yield Finding("bad", str(error))

    async def _folder(self) -> Finding:
        try:
            self.places.data.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.places.data):
                return Finding("ok", f"data folder: {self.places.data}")
        except OSError as error:
            remedy = "Make it writable for this user, or set FOOTNOTE_DATA_DIR to a folder that is."
            return Finding("bad", f"data folder {self.places.data}: {error.strerror}", remedy)

    async def _disk(self) -> Finding:
        folder = next(path for path in (self.places.data, *self.places.data.parents) if path.exists())
        free = shutil.disk_usage(folder).free
        text = f"disk: {free / 1e9:.1f} GB free"
        return (
            Finding("ok", text) if free > MIN_FREE else Finding("bad", text, "Free some space: writing may fail soon.")
        )

    async def _keys(self) -> Finding:
        if app.keys_of(self.settings):
            return Finding("ok", "API keys: configured")
        if not self.places.api_key.exists():
            return Finding("ok", "API key: will be made at the first start")
        if self.places.api_key.stat().st_mode & 0o077:
            return Finding("bad", f"API key: others can read {self.places.api_key}", f"chmod 600 {self.places.api_key}")
        return Finding("ok", f"API key: {self.places.api_key}")

    async def _address(self) -> Finding:
        url = owner(self.places.lock)
        if url is None:
            server.listen(self.settings.host, self.settings.port).close()
            return Finding(
                "ok", f"address: {self.settings.host}:{self.settings.port} is free; no backend runs on this data folder"
            )
        if not url:
            return Finding("note", "backend: starting")
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{url}/health/ready") as reply:
                if reply.status == 200:
                    return Finding("ok", f"backend: ready at {url}")
                return Finding(
                    "bad", f"backend: at {url}, but not ready", f"See {url}/health/detailed with an admin key."
                )
        except aiohttp.ClientError:
            return Finding(
                "bad", f"backend: holds the data folder but does not answer at {url}", "Stop it and start anew."
            )

    async def _model_and_index(self) -> Finding:
        async with app.opened_embedder(self.settings, self.places) as embedder:
            if "://" not in self.places.index and not _exists(self.places.index):
                return Finding("ok", f"model: {embedder.name}; the index will be made at the first start")
            async with app.opened_index(self.places, embedder) as index:
                status = await index.status()
        return Finding("ok", f"model and index: {status.embedder}, {status.rows} chunks")

    async def _database(self) -> Finding:
        path = self.places.database.removeprefix("sqlite:///")
        if path != self.places.database and not _exists(path):
            return Finding("ok", "database: will be made at the first start")
        async with app.opened_database(self.places) as database:
            try:
                counts = await database.documents.counts()
            except FootnoteError as error:
                return Finding("bad", f"database: {error}", "Run `python -m backend migrate`, or start the backend.")
        documents = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no documents yet"
        return Finding("ok", f"database: {documents}")

    async def _agreement(self) -> Finding:
        if self.places.database.startswith("sqlite") and not _exists(self.places.database.removeprefix("sqlite:///")):
            return Finding("ok", "records and index: nothing yet")
        async with app.opened_database(self.places) as database:
            seen = await looked_twice(self.places, database, in_use=owner(self.places.lock) is not None)
        if seen.lines():
            remedy = "Stop the backend, run `python -m backend doctor --mend`, and start it again."
            return Finding("bad", f"records and index: {'; '.join(seen.lines())}", remedy)
        if seen.lost:
            named = ", ".join(one.title for one in seen.lost[:3])
            return Finding("note", f"records and index agree; {len(seen.lost)} stored files are gone: {named}")
        kept = f"; {', '.join(seen.tables)} beside the live index" if seen.tables else ""
        return Finding("ok", f"records and index agree: {seen.documents} documents{kept}")

    async def _prompts(self) -> Finding:
        prompts = load_prompts(app.PROMPTS)
        plan = load_plan(app.PROMPTS)
        wrong = violations(prompts, read_released(app.PROMPTS), plan.in_use())
        if wrong:
            return Finding("bad", f"prompts: {wrong[0]}", "Restore the file, or see `python -m backend prompts check`.")
        prompts.get(self.settings.answer_prompt or plan.current[ANSWER])
        return Finding("ok", f"prompts: {', '.join(prompts.ids())}")

    async def _answers(self) -> Finding:
        if not self.settings.writes_with_llm:
            return Finding("note", "answers: quoted from the documents; with OPENAI_API_KEY a model writes them")
        models = self.settings.models_for("answer")
        for model in models:
            key_of(model)
        named = [f"{one.name} at {one.base_url}" if one.base_url else one.name for one in models]
        return Finding("ok", f"answers: written by {', else '.join(named)}")

    async def _slack(self) -> Finding:
        missing = [name for name in SLACK if not os.environ.get(name)]
        if len(missing) == len(SLACK):
            return Finding("note", "Slack: no tokens, so `make run` starts the local Slack")
        if missing and not os.environ.get("SLACK_SIGNING_SECRET"):
            return Finding("bad", f"Slack: {missing[0]} is not set", "See deploy/slack/manifest.yaml.")
        return Finding("ok", "Slack: tokens are set")


def _exists(path: str) -> bool:
    return Path(path).exists()
