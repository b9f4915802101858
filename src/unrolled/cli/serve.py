"""`unrolled serve`: a trained model on a page in the browser and behind an HTTP API, without PyTorch."""

from __future__ import annotations

from typing import Annotated

from unrolled.cli.options import Flag, Only, Run
from unrolled.cli.output import fail, print_json
from unrolled.errors import import_extra
from unrolled.model.char_model import CharModel


def serve(
    run: Run,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    only: Only = None,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Open a network on a page: type, and see what it expects, what surprises it and what it remembers.

    Parameters
    ----------
    host
        The address to listen on. By default only this computer can reach it; 0.0.0.0 accepts every computer that can.
    port
        The port to listen on; 0 takes any that is free.
    json
        Print the address as one JSON object.
    """
    for library in ("fastapi", "uvicorn"):
        import_extra(library)
    from unrolled.serve import server
    from unrolled.serve.service import Service

    service = Service(CharModel.from_pretrained(run, warn=fail, only=only), run.resolve().name)
    with server.listen(host, port) as listening:
        address = server.address_of(listening)
        if not server.is_local(listening):
            fail("everyone who can reach this address can use the network: there is no password")
        if json:
            print_json({"run": f"{run}", "address": address}, flush=True)
        else:
            print(f"{run} is served at {address} (Ctrl-C ends it)", flush=True)
        server.serve(service, listening)
