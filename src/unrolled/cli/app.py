"""The table of commands, and the place where errors become one-line messages and exit codes.

Commands are named by their import path and loaded when called, so that `unrolled next` never pays for training. Exit
codes: 0 done, 1 an error explained in one line, 2 wrong usage, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from cyclopts import App, CycloptsError, MissingArgumentError, UnknownOptionError

import unrolled
from unrolled.cli.output import MistypedOption, fail, prepare_streams
from unrolled.errors import EXTRAS, UnrolledError, missing_extra, unknown_name


class Command(NamedTuple):
    """Where a command is, its line in `--help`, and the example under its own `--help`."""

    target: str
    line: str
    example: str


COMMANDS = {
    "demo": Command("train:demo", "Train on a built-in text for a minute, offline, and show what was learned.", "demo"),
    "train": Command("train:train", "Train a network on texts.", "train book.txt --out run --minutes 10"),
    "make-base": Command(
        "train:make_base", "Train a base network for short texts to start from.", "make-base novels/ --minutes 30"
    ),
    "ladder": Command(
        "ladder:ladder",
        "Train every rung on one text and compare them in a table.",
        "ladder book.txt --protocol honest",
    ),
    "next": Command("use:next_character", "Show the distribution of the next character.", 'next run "part of "'),
    "generate": Command("use:generate", "Generate text.", 'generate run --prompt "This is " --length 400 --seed 1'),
    "complete": Command("use:complete", "Show the likeliest ways to finish a word or a line.", 'complete run "The ki"'),
    "score": Command(
        "score:score", "Measure the bits per character of a text or of each line.", "score run other.txt --color"
    ),
    "columns": Command(
        "tables:columns",
        "Report what each column contributes, before you drop one.",
        "columns sales.csv --target Sales",
    ),
    "embed": Command(
        "tables:embed", "Learn a vector for each category.", "embed sales.csv --target Sales --out vectors"
    ),
    "compare": Command(
        "tables:compare", "Compare encodings, embeddings among them, under many models.", "compare demo"
    ),
    "plot": Command(
        "pictures:plot", "Draw the vectors of a run or of a table's columns.", "plot run --out vectors.html"
    ),
    "serve": Command("serve:serve", "Serve a network as a web page and an HTTP API.", "serve run --port 8000"),
    "cache": Command("cache:cache", "List or delete cached texts.", "cache --clear"),
    "lab": Command(
        "lab:lab",
        "Train rungs on tasks that cannot be solved without memory.",
        "lab adding --rung rnn,irnn --length 100",
    ),
}
LOOK_COMMANDS = {
    "diagram": Command(
        "pictures:diagram", "Draw the network unrolled over a text.", "look diagram lstm --out lstm.svg"
    ),
    "memory": Command(
        "look:memory", "Measure how far back predictions depend on the text.", "look memory run book.txt"
    ),
    "agree": Command(
        "agree:agree",
        "Test which of several continuations a network expects.",
        'look agree run "The man said that [he|she|it]"',
    ),
    "units": Command("look:units", "Find out what single hidden units respond to.", "look units run book.txt"),
    "state": Command(
        "look:state", "Show the hidden state over time.", 'look state run "a line of text" --out state.png'
    ),
}

app = App(
    name="unrolled",
    help="Train small recurrent networks on your own text, look inside them, and turn categories into vectors.",
    version=unrolled.__version__,
    version_flags=["--version", "-V"],
    help_format="plaintext",  # the writer of Markdown takes longer to load than all the rest
    suppress_keyboard_interrupt=False,  # `main` says that it stopped
)
look = App(name="look", help="Look inside a network: diagram, memory, agreement, units, state.")


def _register(parent: App, commands: dict[str, Command]) -> None:
    for name, command in commands.items():
        example = f"Example: `unrolled {command.example}`"
        parent.command(f"unrolled.cli.{command.target}", name=name, help=command.line, help_epilogue=example,
                       help_format="markdown")  # fmt: skip


_register(app, COMMANDS)
_register(look, LOOK_COMMANDS)
app.command(look)
app.register_install_completion_command(help="Install completion of commands and options in your shell.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (without the program name) and return its exit code."""
    prepare_streams()
    try:
        result = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except UnknownOptionError as error:
        fail(f"{unknown_name('option', error.token.keyword or error.token.value, _options(arguments))}")
        return 2
    except MissingArgumentError as error:
        fail(_missing(error))
        return 2
    except CycloptsError as error:
        fail(f"{error}".strip())
        return 2
    except MistypedOption as error:
        fail(f"{unknown_name('option', f'{error}', _options(arguments))}")
        return 2
    except UnrolledError as error:
        fail(f"{error}")
        return 1
    except BrokenPipeError:  # `unrolled generate ... | head`: the reader closed the pipe, which is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in EXTRAS:
            raise
        fail(f"{missing_extra(library)}")
        return 1
    except OSError as error:
        fail(f"{error.filename or 'the system'}: {error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        fail("stopped")
        return 130
    return result if isinstance(result, int) else 0


def _missing(error: MissingArgumentError) -> str:
    """What a command needs, and its example; or that an option needs a value."""
    argument, path = error.argument, error.command_chain or ()
    assert argument is not None
    if error.keyword is not None or argument.tokens:
        return f"{error.keyword or argument.tokens[-1].keyword or argument.name} needs a value"
    name = argument.name if argument.index is None else argument.name.lstrip("-").upper()
    commands = LOOK_COMMANDS if path[0] == "look" else COMMANDS
    return f"{' '.join(path)} needs {name}, as in: unrolled {commands[path[-1]].example}"


def _options(arguments: Sequence[str] | None) -> list[str]:
    """The options of the command that `arguments` name."""
    command = app.parse_commands(arguments)[1][-1]
    return [name for argument in command.assemble_argument_collection() for name in argument.names if name[:2] == "--"]
