"""`unrolled serve`: a trained model on a page in the browser and behind an HTTP API, without PyTorch."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from unrolled.cli.options import Flag, Only, Run
from unrolled.cli.output import fail, print_json
from unrolled.errors import InputError, import_extra
from unrolled.model.char_model import CharModel


def serve(
    run: Run,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    only: Only = None,
    password: Annotated[str | None, Parameter(env_var="UNROLLED_PASSWORD")] = None,
    without_password: Annotated[bool, Flag] = False,
    state_key: Annotated[str | None, Parameter(env_var="UNROLLED_STATE_KEY")] = None,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Open a network on a page: type, and see what it expects, what surprises it and what it remembers.

    Parameters
    ----------
    host
        The address to listen on. By default only this computer can reach it; 0.0.0.0 accepts every computer that can.
    port
        The port to listen on; 0 takes any that is free.
    password
        Required from everyone: browsers ask for it, clients send it as their API key. Other users of this machine can
        read it in the list of processes, but not where it is set in the environment.
    without_password
        Require no password even where other computers can reach the address.
    state_key
        A secret with which states are signed, so that they stay valid after a restart.
    json
        Print the address as one JSON object.
    """
    for library in ("fastapi", "uvicorn"):
        import_extra(library)
    from unrolled.serve import server
    from unrolled.serve.service import Service

    with server.listen(host, port) as listening:
        if not (server.is_local(listening) or password or without_password):
            raise InputError(
                f"--host is {host}, which other computers can reach: set a password (--password, or UNROLLED_PASSWORD "
                "in the environment), or let everyone in with --without-password"
            )
        service = Service(CharModel.from_pretrained(run, warn=fail, only=only), run.resolve().name, state_key)
        address = server.address_of(listening)
        if json:
            print_json({"run": f"{run}", "address": address}, flush=True)
        else:
            print(f"{run} is served at {address} (Ctrl-C ends it)", flush=True)
        server.serve(service, listening, password)
