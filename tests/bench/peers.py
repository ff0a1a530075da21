"""Indexes the same texts with LangChain and Chroma, or with LlamaIndex: `PYTHON peers.py NAME TEXTS MODEL THREADS`.

Run by `bench_ingest` with the interpreter of another environment, which is no part of the product's; prints one line of
JSON. Both embed with sentence-transformers, the way of their tutorials, but on the weights and threads of ours. Chunks
fit the model: LangChain's tutorial has 1,000 characters and 200 of overlap; LlamaIndex's default of 1,024 tokens would
have three quarters of each chunk cut off unseen, so it gets 256.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

Row = dict[str, str]


def module(name: str) -> Any:
    return importlib.import_module(name)


def langchain(model: str, folder: str) -> Callable[[list[Row]], int]:
    document = module("langchain_core.documents").Document
    splitter = module("langchain_text_splitters").RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
    embeddings = module("langchain_huggingface").HuggingFaceEmbeddings(model_name=model, model_kwargs={"device": "cpu"})
    store = module("langchain_chroma").Chroma("bench", embeddings, persist_directory=folder)

    def index(rows: list[Row]) -> int:
        chunks = splitter.split_documents([document(row["text"], metadata={"title": row["title"]}) for row in rows])
        for start in range(0, len(chunks), 1000):
            store.add_documents(chunks[start : start + 1000])
        return len(chunks)

    return index


def llamaindex(model: str, folder: str) -> Callable[[list[Row]], int]:
    core = module("llama_index.core")
    embedding = module("llama_index.embeddings.huggingface").HuggingFaceEmbedding(model_name=model, device="cpu")
    splitter = module("llama_index.core.node_parser").SentenceSplitter(chunk_size=256, chunk_overlap=20)

    def index(rows: list[Row]) -> int:
        documents = [core.Document(text=row["text"], metadata={"title": row["title"]}) for row in rows]
        nodes = splitter.get_nodes_from_documents(documents)
        made = core.VectorStoreIndex(nodes, embed_model=embedding)
        made.storage_context.persist(folder)
        return len(nodes)

    return index


PEERS = {"langchain": langchain, "llamaindex": llamaindex}


def main(name: str, path: str, model: str, threads: int) -> None:
    module("torch").set_num_threads(threads)
    with open(path, encoding="utf-8") as lines:  # noqa: PTH123 - nothing of ours is imported here
        rows = [json.loads(line) for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        index = PEERS[name](model, folder)
        index(rows[:2])
        began, burned = time.perf_counter(), time.process_time()
        chunks = index(rows)
        figures = {"chunks": chunks, "wall": time.perf_counter() - began, "cpu": time.process_time() - burned}
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
