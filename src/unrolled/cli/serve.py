"""`unrolled serve`: a trained model on a page in the browser and behind an HTTP API, without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from unrolled.cli.output import fail, print_json
from unrolled.cli.parameters import Flag
from unrolled.errors import import_extra
from unrolled.model.char_model import CharModel


def serve(
    run: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Open a network on a page: type, and see what it expects, what surprises it and what it remembers.

    Parameters
    ----------
    run
        The run folder, finished or not.
    host
        The address to listen on. By default only this computer reaches it; 0.0.0.0 lets in everyone who reaches it.
    port
        The port to listen on; 0 takes any that is free.
    json
        Print the address as one JSON object.
    """
    for library in ("fastapi", "uvicorn"):
        import_extra(library, "serve")
    from unrolled.serve import server
    from unrolled.serve.service import Answers

    answers = Answers(CharModel.from_pretrained(run, warn=fail), run.resolve().name)
    with server.listen(host, port) as listening:
        address = server.address_of(listening)
        if not server.is_local(listening):
            fail("everyone who reaches this address can use the network, and nothing asks who they are")
        if json:
            print_json({"run": f"{run}", "address": address}, flush=True)
        else:
            print(f"{run} is served at {address} (Ctrl-C ends it)", flush=True)
        server.serve(answers, listening)
