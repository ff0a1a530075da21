"""`make bench`: run every benchmark of this package in turn but the one that takes an hour; each prints a table."""

from __future__ import annotations

import pkgutil
import runpy

import tests.bench

LONG = "bench_scale"
"""Has a command of its own, `make bench-scale`."""


def main() -> None:
    for module in pkgutil.iter_modules(tests.bench.__path__):
        if module.name.startswith("bench_") and module.name != LONG:
            print(f"\n== {module.name.removeprefix('bench_')}")
            runpy.run_module(f"tests.bench.{module.name}", run_name="__main__")


if __name__ == "__main__":
    main()
