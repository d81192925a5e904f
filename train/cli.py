"""The command line: ``python -m train``, and its commands one by one."""

from __future__ import annotations

import sys

import typer

from caiseg.errors import InvalidInput
from caiseg.freed_memory import keep_freed_memory
from train.commands.ablate import ablate_command
from train.commands.amend import amend_command
from train.commands.benchmark import benchmark_command
from train.commands.card import card_command
from train.commands.compare import compare_command
from train.commands.evaluate import evaluate_command
from train.commands.explain import explain_command
from train.commands.export import export_command
from train.commands.fit import fit_command
from train.commands.prepare import prepare_command

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train and judge checkpoints.",
)
app.command("prepare")(prepare_command)
app.command("fit")(fit_command)
app.command("export")(export_command)
app.command("amend")(amend_command)
app.command("card")(card_command)
app.command("evaluate")(evaluate_command)
app.command("compare")(compare_command)
app.command("ablate")(ablate_command)
app.command("explain")(explain_command)
app.command("benchmark")(benchmark_command)


def main() -> None:
    """Run the command line; what a person can cause ends in one sentence, not a traceback."""
    keep_freed_memory()
    try:
        app()
    except InvalidInput as error:
        typer.secho(str(error), fg="red", err=True)
        sys.exit(2)
