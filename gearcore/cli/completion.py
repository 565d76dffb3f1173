"""``gearcore completion``: what has a shell complete the words of ``gearcore`` and ``gearcored``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from gearcore.cli.option import Option
from gearcore.cli.options import OPTIONS

__all__ = ["completion"]

VARIABLE = "_GEARCORE_COMPLETE"
"""The environment variable by which the shell asks ``gearcore`` for words; click makes it of its name."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what has SHELL complete the commands and options of gearcore and gearcored.

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
    click.echo(FOR_GEARCORED[shell]())


def bash() -> str:
    """The options of ``gearcored`` for bash, which completes names of files where no option fits."""
    names = [*(option.name for option in OPTIONS), "help", "version"]
    return f"complete -o default -W '{' '.join(f'--{name}' for name in names)}' gearcored"


def zsh() -> str:
    """Those for zsh, which reads ``--help`` by itself."""
    return "compdef _gnu_generic gearcored"


def fish() -> str:
    """Those for fish, with the first sentence of what each means."""
    return "\n".join(map(fish_option, OPTIONS))


def fish_option(option: Option) -> str:
    """One option for fish: with names of files behind it, with something else, or with nothing."""
    value = {"": "", "FILE": " --require-parameter", "PATH": " --require-parameter"}
    short = f" --short-option {option.short}" if option.short else ""
    text = option.text.partition(". ")[0].removesuffix(".").replace("\\", "\\\\").replace("'", "\\'")
    return (
        f"complete --command gearcored --long-option {option.name}{short}"
        f"{value.get(option.metavar, ' --exclusive')} --description '{text}'"
    )


FOR_GEARCORED = {"bash": bash, "zsh": zsh, "fish": fish}
