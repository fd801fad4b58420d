"""The models' own commands, which the program mounts. Heavy libraries are imported where they are needed.

Commands that read recordings expect a `training.dataset.Reader` as the context's object.
"""

import typer

from .calibrate_model import calibrate_model
from .distil import distil
from .evaluate import evaluate
from .finetune import finetune
from .listing import app as models


def add_commands(app: typer.Typer) -> None:
    """Mount ``models``, ``finetune``, ``evaluate``, ``distil`` and ``calibrate-model``."""
    app.add_typer(models, name="models")
    for command in (finetune, evaluate, distil, calibrate_model):
        app.command()(command)
