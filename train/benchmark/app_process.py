"""The app as a process of its own, and what it says about its work."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from caiseg.errors import InvalidInput

_ROOT = Path(__file__).resolve().parents[2]
_SUM = re.compile(r"^caiseg_(\w+)_seconds_sum (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class AppProcess:
    """A server that answers.

    Attributes:
        url: Where its page is.
    """

    url: str

    def seconds(self) -> dict[str, float]:
        """All seconds so far by histogram of ``/metrics``, such as ``click`` and ``wait``."""
        with urllib.request.urlopen(f"{self.url}metrics") as answer:
            return {name: float(total) for name, total in _SUM.findall(answer.read().decode())}


@contextmanager
def app_serving(checkpoint: Path, device: str) -> Iterator[AppProcess]:
    """Run ``python app.py`` with one checkpoint until the ``with`` block ends.

    Raises:
        InvalidInput: It does not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / checkpoint.name).symlink_to(checkpoint.resolve())
        options = ["--port", "0", "--checkpoints", folder, "--device", device]
        process = subprocess.Popen(
            [sys.executable, str(_ROOT / "app.py"), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        said = []
        try:
            for line in process.stdout:
                said.append(line)
                if line.startswith("CAISeg listens on "):
                    yield AppProcess(line.split()[-1])
                    return
            raise InvalidInput(f"The app does not start: {''.join(said).strip()}")
        finally:
            process.terminate()
            process.communicate()
