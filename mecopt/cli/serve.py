"""``mecopt serve``: decisions for failing nodes over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mecopt.collaboration.network import Network
    from mecopt.offloading.policies.protocol import Policy


def serve(
    policy: Annotated[
        str, typer.Option(help="Folder of a trained policy, or the name of a rule.", metavar="NAME")
    ],
    network: Annotated[
        Path | None,
        typer.Option(
            help="JSON file of the network (docs/failing_nodes.md); else that of --preset and "
            "--seed.",
            metavar="FILE",
        ),
    ] = None,
    preset: Annotated[str, typer.Option(help="Preset of scenario ledrl.")] = "paper",
    seed: Annotated[int, typer.Option(help="Of the preset's network, and of the policy.")] = 0,
    most_hops: Annotated[int, typer.Option(help="Longest route.", metavar="N")] = 3,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8080,
    timeout_ms: Annotated[
        float, typer.Option(help="After which RATC answers for the policy.", metavar="MS")
    ] = 50.0,
    queue: Annotated[
        int, typer.Option(help="Most questions that wait for the policy.", metavar="N")
    ] = 64,
) -> None:
    """Serve decisions for failing nodes over HTTP.

    Example:

        mecopt serve --policy expected-success --port 8080

        curl localhost:8080/decide -d '{"task": {"origin": "3", "size_bytes": 3e6, "cycles": 3e10,
        "deadline_s": 4}, "down": ["5"]}'

    POST /decide answers with the route of one task, GET /health with what was answered so far. A
    policy that is late, fails or has too many questions waiting is stood in for by RATC. There is
    no authentication: serve on one machine or in a network of trust.
    """
    from mecopt.collaboration.serving.desk import Desk, Limits
    from mecopt.collaboration.serving.question import Asker
    from mecopt.collaboration.serving.server import bound

    limits = Limits(timeout_ms * 1e-3, queue)
    asker = Asker(_network(network, preset, seed), most_hops)
    with bound(host, port) as listening:
        desk = Desk(_policy(policy, preset, seed), asker, limits)
        server = listening.server(desk)
        desk.warm_up()
        typer.echo(f"{desk.policy.name} answers on {listening.url}/decide; Ctrl-C ends")
        listening.run(server)
    by = ", ".join(f"{count} {why}" for why, count in desk.state["answered"].items() if count)
    typer.echo(f"answered: {by or 'nothing'}")


def _network(file: Path | None, preset: str, seed: int) -> Network:
    from mecopt import strict_json
    from mecopt.collaboration.network import Network
    from mecopt.collaboration.scenarios import ledrl

    if file is None:
        return Network.of(ledrl.generate(preset, seed, slots=1))
    try:
        return Network.read(strict_json.content(file, finite=True))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _policy(name: str, preset: str, seed: int) -> Policy:
    from mecopt import plugins
    from mecopt.offloading.policies.by_name import POLICIES

    if Path(name).is_dir():
        return POLICIES.make(plugins.ANY_CHECKPOINT, preset=preset, seed=seed, checkpoint=name)
    return POLICIES.make(name, preset=preset, seed=seed)
