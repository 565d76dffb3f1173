"""What the manual pages say of options and commands: made of the tables and commands themselves, by Sphinx.

Two directives: ``gearcored-options`` has all of gearcored's options, ``gearcore-commands`` all commands of
``gearcore``, each with its options.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from gearcore._version import __version__
from gearcore.cli import gearcore
from gearcore.cli.options import GROUPS, OPTIONS


class Options(SphinxDirective):
    """The options of gearcored, in the groups of its ``--help``."""

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(server_options()), allow_section_headings=True)


class Commands(SphinxDirective):
    """The commands of ``gearcore``."""

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(commands()), allow_section_headings=True)


def server_options() -> Iterator[str]:
    """A heading for each group, with a definition for each option."""
    for group in GROUPS:
        yield f"### {group}\n"
        for option in OPTIONS:
            if option.group == group:
                names = [f"-{option.short}"] if option.short else []
                yield definition([*names, f"--{option.name} {option.metavar}".strip()], option.help())


def commands(group: click.Group = gearcore, above: click.Context | None = None) -> Iterator[str]:
    """A heading for each command, with what its ``--help`` says; those of a group come behind it."""
    own = click.Context(group, info_name=group.name, parent=above)
    for name, command in group.commands.items():
        context = click.Context(command, info_name=name, parent=own)
        yield f"### {context.command_path}\n"
        yield f"`{' '.join(command.get_usage(context).removeprefix('Usage: ').split())}`\n"
        yield from paragraphs(command.help or "")
        for parameter in command.params:
            record = parameter.get_help_record(context)
            if record is not None and record[1]:  # arguments have a name and no more
                yield definition(re.split(r", |(?<=\S) / ", record[0]), record[1])
        if isinstance(command, click.Group):
            yield from commands(command, own)


def paragraphs(help_text: str) -> Iterator[str]:
    """A command's explanation; what click is not to wrap (behind a backspace) is a block of its own."""
    for paragraph in cleandoc(help_text).split("\n\n"):
        if paragraph.startswith("\b"):
            yield f"```text\n{cleandoc(paragraph.removeprefix(chr(8)))}\n```\n"
        else:
            yield f"{plain(paragraph)}\n"


def definition(names: list[str], text: str) -> str:
    """The names of an option, and what it means."""
    return f"{', '.join(f'`{name}`' for name in names)}\n: {plain(text)}\n"


def plain(text: str) -> str:
    """Text that means nothing but itself in Markdown."""
    return re.sub(r"([\\`*_<\[\]])", r"\\\1", " ".join(text.split()))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Called by Sphinx."""
    app.add_directive("gearcored-options", Options)
    app.add_directive("gearcore-commands", Commands)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}
