"""Entry point of the web app: ``python app.py``; see ``python app.py --help``."""

from __future__ import annotations

import typer

from app.cli import main

if __name__ == "__main__":
    typer.run(main)
