"""The command line: ``python app.py --help``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.accounts import add_user
from app.settings import CHECKPOINTS, Device, Settings
from caiseg.errors import InvalidInput


def main(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 7860,
    checkpoints: Annotated[
        Path, typer.Option(help="Folder of .safetensors checkpoints.", show_default=False)
    ] = CHECKPOINTS,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = "auto",
    memory_gb: Annotated[
        float, typer.Option(min=0.1, help="GiB of memory that open scans may hold together.")
    ] = 4.0,
    disk_gb: Annotated[
        float, typer.Option(min=0.1, help="GiB that uploads and downloads may take on disk.")
    ] = 20.0,
    upload_mb: Annotated[
        int, typer.Option(min=1, help="MiB that an uploaded file may have.")
    ] = 2048,
    idle_minutes: Annotated[
        float, typer.Option(min=0.1, help="Minutes without a click until a scan leaves memory.")
    ] = 30.0,
    auth: Annotated[
        Path | None, typer.Option(help="File of users and password hashes; see --add-user.")
    ] = None,
    root_path: Annotated[
        str, typer.Option(help="Path or URL under which a reverse proxy publishes the app.")
    ] = "",
    new_user: Annotated[
        str | None,
        typer.Option(
            "--add-user",
            metavar="NAME",
            help="Ask for a password, add this user to the --auth file, and stop.",
        ),
    ] = None,
) -> None:
    """Serve CAISeg's annotation app. It listens on this machine only unless told otherwise."""
    try:
        if new_user is not None:
            _add_user(auth, new_user)
            return
        settings = Settings(
            host=host,
            port=port,
            checkpoints=checkpoints,
            device=device,
            memory_gb=memory_gb,
            disk_gb=disk_gb,
            upload_mb=upload_mb,
            idle_minutes=idle_minutes,
            auth=auth,
            root_path=root_path,
        )
        # PyTorch and Gradio take seconds to import; --help and refusals should not wait for them.
        from app.server import serve

        serve(settings)
    except InvalidInput as error:
        typer.secho(str(error), err=True, fg=typer.colors.RED)
        raise typer.Exit(code=2) from None


def _add_user(auth: Path | None, name: str) -> None:
    if auth is None:
        raise InvalidInput("Say which file the user goes into: --auth FILE --add-user NAME.")
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    add_user(auth, name, password)
    typer.echo(f"{name} can now log in to a server that is started with --auth {auth}.")
