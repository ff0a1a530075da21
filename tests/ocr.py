"""Tesseract for tests that read pictures: skipped where there is none, required in CI."""

from __future__ import annotations

import os
import shutil

import pytest

from backend.ingest.ocr import PROGRAM

needs_ocr = pytest.mark.skipif(shutil.which(PROGRAM) is None and "CI" not in os.environ, reason="needs tesseract")
"""For a test that reads a scan."""
