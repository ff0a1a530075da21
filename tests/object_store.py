"""What speaks like S3 on a free port of loopback, for tests: moto, in a process of its own, with one bucket."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from urllib.request import Request, urlopen

PATIENCE = 60.0
BUCKET = "footnote"


@dataclass(frozen=True)
class ObjectStore:
    """A running store."""

    url: str

    @property
    def options(self) -> dict[str, str]:
        """Storage options with which LanceDB and obstore reach it."""
        return {
            "aws_endpoint": self.url,
            "allow_http": "true",
            "aws_region": "us-east-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }

    def uri(self, prefix: str) -> str:
        return f"s3://{BUCKET}/{prefix}"


@contextmanager
def running_object_store() -> Iterator[ObjectStore]:
    """Run an empty store until the block ends."""
    spawning = multiprocessing.get_context("spawn")
    here, there = spawning.Pipe()
    process = spawning.Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        assert here.poll(PATIENCE), "moto did not start"
        store = ObjectStore(f"http://127.0.0.1:{here.recv()}")
        with urlopen(Request(f"{store.url}/{BUCKET}", method="PUT")) as made:
            assert made.status == 200
        yield store
    finally:
        process.kill()
        process.join()
        here.close()
        there.close()


def _serve(told: Connection) -> None:
    import logging

    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    told.send(server.get_host_and_port()[1])
    while True:
        told.poll(None)
