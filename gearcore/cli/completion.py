"""``gearcore completion``: what has a shell complete the words of ``gearcore``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]

VARIABLE = "_GEARCORE_COMPLETE"
"""The environment variable by which the shell asks ``gearcore`` for words; click makes it of its name."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what has SHELL complete commands and options.

    \b
    bash:  eval "$(gearcore completion bash)"       in ~/.bashrc
    zsh:   eval "$(gearcore completion zsh)"        in ~/.zshrc
    fish:  gearcore completion fish | source        in ~/.config/fish/config.fish
    """  # noqa: D301 - click reads the control character
    kind = get_completion_class(shell)
    assert kind is not None
    # The template alone: source() would also run the shell to see how old it is.
    made = kind(context.find_root().command, {}, "gearcore", VARIABLE)
    click.echo(made.source_template % made.source_vars())
