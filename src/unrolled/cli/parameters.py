"""The kinds of parameter that commands share, as annotations for cyclopts."""

from __future__ import annotations

import re
from typing import Annotated, Any

from cyclopts import Parameter

Flag = Parameter(negative="")
"""A truth value without its opposite: no --no-json, no --empty-stop."""


class MistypedOption(Exception):
    """A word that can only be meant as an option, where a text or a prompt was expected."""


def _no_option(kind: Any, value: Any) -> None:
    """Raises MistypedOption, which cyclopts lets pass, for what would else be taken for a text called --epcohs."""
    for word in value if isinstance(value, list | tuple) else [value]:
        if isinstance(word, str) and re.fullmatch(r"--[A-Za-z][\w-]*(=.*)?", word):
            raise MistypedOption(word.split("=")[0])


Words = Annotated[str, Parameter(allow_leading_hyphen=True, validator=_no_option)]
"""A text, a prompt, or the name of one; may begin with a hyphen, and '-' is standard input."""
