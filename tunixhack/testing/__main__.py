"""Serve a scripted teacher from a shell, until it is killed: ``python -m tunixhack.testing --port 0``."""

from __future__ import annotations

import argparse
import asyncio
import json

from tunixhack._util.child_process import end_with_parent
from tunixhack.testing.behaviour import behaviour_from
from tunixhack.testing.server import Server


def main() -> None:
    """Print the address, then serve."""
    parser = argparse.ArgumentParser(prog="python -m tunixhack.testing", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="the address that it listens at")
    parser.add_argument("--behaviour", default="{}", help='JSON, for example {"faults": {"share": {"500": 0.1}}}')
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started it does")
    arguments = parser.parse_args()
    if arguments.with_parent:
        end_with_parent()
    asyncio.run(_serve(Server(behaviour_from(json.loads(arguments.behaviour))), arguments.port, arguments.host))


async def _serve(server: Server, port: int, host: str) -> None:
    listening = await server.listen(port, host)
    print(f"http://{host}:{listening.sockets[0].getsockname()[1]}/v1", flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    main()
