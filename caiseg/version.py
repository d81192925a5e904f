"""The program's version, which session files name."""

from __future__ import annotations

__version__ = "0.1.0"
