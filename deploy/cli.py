"""The `silverbear` command: start the platform, see its report, and look after its events, tokens and policies.

Exit codes: 0 done · 1 the answer is no (refused, not found, different, invalid, not started) ·
2 the command line is wrong · 3 the platform or the service could not be reached.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from libs.runtime.cli import add_command, command_line, run
from libs.runtime.policies import ROOT

PROFILES = ("cn-branch", "us-sba")
REPLICAS = range(1, 5)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (the process's own by default); returns its exit code."""
    parser, commands = command_line()
    parser.description = __doc__
    told = "start the whole platform on this machine, open a branch, and stay until Ctrl-C"
    up = add_command(commands, "up", told, "up --loans 3")
    up.add_argument("--profile", choices=PROFILES, default=PROFILES[0], help="whose rules (cn-branch)")
    up.add_argument("--loans", type=int, default=0, help="pay out so many generated loans first (0, at most 50)")
    told = "the same, with a portfolio sent through its whole life, reported and reconciled"
    show = add_command(commands, "demo", told, "demo --limit 40 --once")
    show.add_argument("--loans", default="", metavar="FILE", help="public SBA loan format; a generated branch without")
    show.add_argument("--limit", type=int, default=120, help="how many loans (120)")
    show.add_argument("--seed", type=int, default=1, help="the same seed draws the same loans (1)")
    show.add_argument("--once", action="store_true", help="end after the report")
    for starting in (up, show):
        starting.add_argument("--replicas", type=int, choices=REPLICAS, default=1, help="processes of each service (1)")
    told = "the branch report of a running platform, drawn from its topics alone"
    report = add_command(commands, "report", told, "report")
    file = ROOT / "var" / "platform.env"
    report.add_argument("--addresses", type=Path, default=file, help="the platform's addresses (var/platform.env)")
    for name, command in (("up", up), ("demo", show), ("report", report)):
        command.set_defaults(run=_of_the_platform, command=name)
    return run(parser, arguments)


def _of_the_platform(options: argparse.Namespace) -> str:
    from deploy.local.commands import COMMANDS  # noqa: PLC0415 - loads Kafka's client, which a token need not wait for

    return COMMANDS[options.command](options)


if __name__ == "__main__":
    raise SystemExit(main())
