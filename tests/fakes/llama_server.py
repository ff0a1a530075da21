"""A real inference server: llama.cpp's own, over a tiny model of random weights. Its words are nonsense, its wire real.

The model is of the llama architecture, with 2 layers of 64 dimensions and one token per byte; it loads in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType
from numpy.typing import NDArray
from xllamacpp import CommonParams, Server

LAYERS, WIDTH, HEADS, HIDDEN, CONTEXT = 2, 64, 4, 128, 4096
SPECIAL = ("<|begin|>", "<|end|>")
ENDS = b'"]}.'
TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant: "


@contextmanager
def llama_server(folder: Path) -> Iterator[str]:
    """Serve until the block ends; yields the base URL."""
    params = CommonParams()
    params.model.path = str(write_model(folder / "tiny.gguf"))
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx, params.n_parallel, params.warmup, params.verbosity = CONTEXT, 1, False, -1
    params.cpuparams.n_threads = 1
    server = Server(params)
    try:
        yield f"{server.listening_address}/v1"
    finally:
        del server


def write_model(path: Path) -> Path:
    """Write a model whose weights are random, the same ones each time."""
    words = [*(_letter(byte) for byte in range(256)), *SPECIAL, "th"]
    writer = GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(words)
    writer.add_token_types([TokenType.NORMAL] * 256 + [TokenType.CONTROL] * len(SPECIAL) + [TokenType.NORMAL])
    writer.add_token_merges(["t h"])  # there must be one
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    writer.add_chat_template(TEMPLATE)
    for name, shape in _shapes(len(words)).items():
        writer.add_tensor(name, _weights(name, shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _letter(byte: int) -> str:
    """Return the character that stands for a byte in GPT-2's vocabulary: itself where it can be printed."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [one for one in range(256) if one not in printable]
    return chr(byte) if byte in printable else chr(256 + others.index(byte))


def _shapes(words: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (words, WIDTH),
        "output_norm.weight": (WIDTH,),
        "output.weight": (words, WIDTH),
    }
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.{name}.weight": (WIDTH,) for name in ("attn_norm", "ffn_norm")}
        shapes |= {f"blk.{layer}.attn_{name}.weight": (WIDTH, WIDTH) for name in ("q", "k", "v", "output")}
        shapes |= {f"blk.{layer}.ffn_{name}.weight": (HIDDEN, WIDTH) for name in ("gate", "up")}
        shapes[f"blk.{layer}.ffn_down.weight"] = (WIDTH, HIDDEN)
    return shapes


def _weights(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    random = np.random.default_rng(len(name) + sum(shape))
    drawn = np.ones(shape) if "norm" in name else random.normal(0, 0.4, shape)
    if name == "output.weight":
        drawn[:33] = drawn[127:256] = 0  # printable nonsense …
        drawn[list(ENDS)] *= 2  # … that comes to an end now and then
    return drawn.astype(np.float32)
