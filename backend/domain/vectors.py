"""Vectors and spans: the shapes that everything speaks in."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = NDArray[np.float32]
"""Shape (d,), unit length."""
Vectors: TypeAlias = NDArray[np.float32]
"""Shape (n, d), rows of unit length."""
Span: TypeAlias = tuple[int, int]
