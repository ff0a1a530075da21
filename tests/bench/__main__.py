"""`make bench`: run every benchmark of this package in turn; each prints a table."""

from __future__ import annotations

import pkgutil
import runpy

import tests.bench


def main() -> None:
    for module in pkgutil.iter_modules(tests.bench.__path__):
        if module.name.startswith("bench_"):
            print(f"\n== {module.name.removeprefix('bench_')}")
            runpy.run_module(f"tests.bench.{module.name}", run_name="__main__")


if __name__ == "__main__":
    main()
