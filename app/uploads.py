"""Files that arrive: uploads in Gradio's cache, and the built-in scan."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from app.file_owners import FileOwners
from caiseg import InvalidInput
from caiseg.synthetic import demo_scan


class Uploads:
    """Finds uploads, and gives each scan a folder of its own.

    Args:
        cache: Gradio's cache folder: uploads arrive in it, files are served from it.
        demo: Where the built-in scan is kept.
        owners: Who may read which folder.
    """

    def __init__(self, cache: Path, demo: Path, owners: FileOwners):
        self._cache = cache
        self._demo = demo
        self._owners = owners

    def find(self, path: Path, user: str) -> Path:
        """The uploaded file that a page named.

        Raises:
            InvalidInput: The path is not an upload of this user.
        """
        if not (self._owners.has_sent(user, path) and path.is_file()):
            raise InvalidInput("The file did not arrive; choose it again.")
        return path.resolve()

    def link(self, path: Path, user: str, beside: tuple[Path, str] | None = None) -> Path:
        """Put a file into a folder of its own, without copying it where the disk allows that.

        The page may outlive the upload, which Gradio deletes in its own time.

        Args:
            path: The file.
            user: Whose folder it becomes.
            beside: A second file that belongs to it, and the name by which it is looked for.

        Raises:
            InvalidInput: The second file's name is none.
        """
        folder = Path(tempfile.mkdtemp(dir=self._cache))
        self._owners.give(folder, user)
        link = _link(path, folder / path.name)
        if beside is not None:
            source, name = beside
            if Path(name).name != name or name in ("", ".", "..", path.name):
                shutil.rmtree(folder)
                raise InvalidInput(f"'{name}' cannot be the name of a voxel file; rename it.")
            _link(source, folder / name)
        return link

    def demo(self) -> Path:
        """The built-in scan; drawn at its first use."""
        if self._demo.exists():
            return self._demo
        try:
            return demo_scan(self._demo)
        except OSError:
            # In a container the home folder may be read-only.
            return demo_scan(self._cache / self._demo.name)


def _link(path: Path, link: Path) -> Path:
    try:
        os.link(path, link)
    except OSError:
        shutil.copyfile(path, link)
    return link
