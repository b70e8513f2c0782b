"""The `silverbear` command: parked events and failed calls of a service, tokens, policy versions; decides nothing.

Exit codes: 0 done · 1 the answer is no (refused, not found, different, invalid) · 2 the command line is wrong ·
3 the service could not be reached.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import uuid
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from libs.kernel.policy import Version, in_force
from libs.runtime.auth import HEAD_OFFICE, Issuer
from libs.runtime.paging import PAGE_ROWS_MAX
from libs.runtime.policies import ROOT, read_profile, read_versions

DONE, NO, USAGE, UNREACHABLE = 0, 1, 2, 3
ANSWER_SECONDS_MAX = 60.0
TOKEN_VARIABLE = "SILVERBEAR_TOKEN"  # noqa: S105 - a variable's name
ISSUER_VARIABLE = "SILVERBEAR_ISSUER"
TITLES = ("reason", "approved_by", "level", "source")


_Plain = argparse.RawDescriptionHelpFormatter
if TYPE_CHECKING:  # the class is generic only in the eyes of the type checker
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse gives it no public name


class Told(Exception):
    """The command ends here: what to tell on standard error, and the exit code."""

    def __init__(self, message: str, code: int = NO) -> None:
        super().__init__(message)
        self.code = code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line of a service's image, where nothing can be started; returns its exit code."""
    return run(command_line()[0], arguments)


def run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Run one command line (the process's own for None); returns its exit code."""
    options = parser.parse_args(arguments)
    try:
        print(options.run(options))  # noqa: T201 - a command's output
    except Told as told:
        print(f"silverbear: {told}", file=sys.stderr)  # noqa: T201 - a command's complaint
        return told.code
    return DONE


def command_line() -> tuple[argparse.ArgumentParser, Verbs]:
    """The parser of the commands that need a service's address or its files only, and where to add further ones."""
    parser = argparse.ArgumentParser(prog="silverbear", description=__doc__, formatter_class=_Plain)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_events(commands)
    _add_calls(commands)
    _add_token(commands)
    _add_policy(commands)
    return parser, commands


def add_command(verbs: Verbs, name: str, told: str, example: str) -> argparse.ArgumentParser:
    """One command with its help and an example of its use."""
    epilog = f"example:\n  silverbear {example}"
    return verbs.add_parser(name, help=told, description=told, epilog=epilog, formatter_class=_Plain)


def _add_events(commands: Verbs) -> None:
    told = "parked events of one service: look, send again, discard"
    group = add_command(commands, "events", told, "events parked --url http://127.0.0.1:8001")
    verbs = group.add_subparsers(required=True, metavar="VERB")
    for name, run_verb, told, argument, example in (
        ("parked", _parked, "the blocked keys, oldest first", "", ""),
        ("show", _show_key, "every parked or waiting event of one key", "key", "01a21489-…"),
        ("redrive", _redrive, "apply a key's events again, in order, stopping at a failure", "key", "01a21489-…"),
        ("discard", _discard, "drop one parked event for good", "event_id", '01a2148a-… --reason "sent twice"'),
    ):
        line = " ".join(filter(None, ("events", name, example, "--url http://127.0.0.1:8001")))
        verb = add_command(verbs, name, told, line)
        if argument:
            verb.add_argument(argument)
        if name == "discard":
            verb.add_argument("--reason", required=True, help="why, for the log: 3 to 300 characters")
        _add_door(verb, run_verb)


def _add_calls(commands: Verbs) -> None:
    told = "outbound calls that failed: look, try again, settle"
    group = add_command(commands, "calls", told, "calls failed --url http://127.0.0.1:8001")
    verbs = group.add_subparsers(required=True, metavar="VERB")
    for name, run_verb, told, example in (
        ("failed", _failed, "calls whose answer the rules rejected, oldest first", ""),
        ("retry", _retry, "take a failed call up again: asks by our reference first", '01a2148b-… --reason "mended"'),
        ("settle", _settle, "give a failed call up for good", '01a2148b-… --reason "paid by hand"'),
    ):
        line = " ".join(filter(None, ("calls", name, example, "--url http://127.0.0.1:8001")))
        verb = add_command(verbs, name, told, line)
        if name != "failed":
            verb.add_argument("call_id")
            verb.add_argument("--reason", required=True, help="why, for the log: 3 to 300 characters")
        _add_door(verb, run_verb)


def _add_door(verb: argparse.ArgumentParser, run_verb: Callable[[argparse.Namespace], str]) -> None:
    verb.add_argument("--url", required=True, help="the service's address, such as http://127.0.0.1:8001")
    verb.add_argument("--token", default="", help=f"an operator's token; {TOKEN_VARIABLE} by default")
    verb.set_defaults(run=run_verb)


def _add_token(commands: Verbs) -> None:
    told = "a token of the local issuer (a local platform and tests only)"
    parser = add_command(commands, "token", told, "token --role operator --actor you --level 'head office'")
    parser.add_argument("--role", required=True, action="append", help="may be given more than once")
    parser.add_argument("--actor", required=True, help="who acts")
    parser.add_argument("--branch", "--org", dest="org", default="", help="the organisation unit they act for")
    parser.add_argument("--level", default="", help=f"its level; `{HEAD_OFFICE}` reaches every branch")
    parser.add_argument("--party", default="", help="the partner they act for (role partner): sees its own things only")
    parser.add_argument("--scope", default="", help="what a partner may do, as in `covers.read covers.answer`")
    parser.add_argument("--seconds", type=int, default=86_400, help="how long it is valid (a day)")
    folder = Path(os.environ.get(ISSUER_VARIABLE) or ROOT / "var" / "issuer")
    parser.add_argument(
        "--folder", type=Path, default=folder, help=f"the issuer's folder; {ISSUER_VARIABLE} by default"
    )
    parser.set_defaults(run=_token)


def _add_policy(commands: Verbs) -> None:
    group = add_command(commands, "policy", "the dated policy files: show, diff, validate", "policy validate")
    verbs = group.add_subparsers(required=True, metavar="VERB")
    told = "the versions of a policy, or with --on the one in force on a day"
    show = add_command(verbs, "show", told, "policy show rating/scorecard --on 2025-09-01")
    show.add_argument("name", help="service/policy, such as rating/scorecard")
    show.add_argument("--profile", default="cn-branch", help="whose policy: cn-branch (default) or us-sba")
    show.add_argument("--on", type=date.fromisoformat, default=None, metavar="YYYY-MM-DD")
    show.set_defaults(run=_show_policy)
    told = "what two versions differ in; exit code 1 when they do"
    line = "policy diff application/authority@2025-07-01 application/authority-us-sba@1970-01-01"
    diff = add_command(verbs, "diff", told, line)
    diff.add_argument("before", help="service/policy@YYYY-MM-DD, as decisions store it")
    diff.add_argument("after", help="the same, of any policy")
    diff.set_defaults(run=_diff)
    told = "every policy of every profile: readable, titled, dated"
    add_command(verbs, "validate", told, "policy validate").set_defaults(run=_validate)


# --- events ---------------------------------------------------------------------------------------------------------


def _parked(options: argparse.Namespace) -> str:
    rows = _ask_pages(options, "/v1/ops/parked")
    if not rows:
        return "nothing is parked"
    lines = (
        f"{row['key']}\n    {row['status']}: {row['type'] or 'unreadable'} {row['event_id']}\n"
        f"    {row['waiting']} behind it, since {row['arrived']}\n    {row['reason']}"
        for row in rows
    )
    return "\n".join(lines)


def _show_key(options: argparse.Namespace) -> str:
    rows = _ask_pages(options, f"/v1/ops/parked/{quote(options.key, safe='')}")
    if not rows:
        raise Told(f"nothing is parked under {options.key}")
    for row in rows:
        row["headers"] = _as_json(row["headers"])
        row["payload"] = _as_json(row["payload"])
    return json.dumps(rows, ensure_ascii=False, indent=2)


def _redrive(options: argparse.Namespace) -> str:
    applied = 0
    # A long queue is applied a part at a time.
    while more := _ask(options, "POST", f"/v1/ops/parked/{quote(options.key, safe='')}/redrive")["applied"]:
        applied += more
    return f"applied {applied}"


def _discard(options: argparse.Namespace) -> str:
    path = f"/v1/ops/discarded/{quote(options.event_id, safe='')}"
    return f"discarded {_ask(options, 'POST', path, {'reason': options.reason})['discarded']}"


# --- calls ----------------------------------------------------------------------------------------------------------


def _failed(options: argparse.Namespace) -> str:
    rows = _ask_pages(options, "/v1/ops/calls")
    if not rows:
        return "no call stands as failed"
    lines = (
        f"{row['id']}\n    {row['kind']} {row['reference']} of {row['key']}, {row['business_date']}\n"
        f"    {row['attempts']} tries, since {row['since']}\n    {row['error']}"
        for row in rows
    )
    return "\n".join(lines)


def _retry(options: argparse.Namespace) -> str:
    path = f"/v1/ops/calls/{quote(options.call_id, safe='')}/retry"
    return f"retried {_ask(options, 'POST', path, {'reason': options.reason})['retried']}"


def _settle(options: argparse.Namespace) -> str:
    path = f"/v1/ops/calls/{quote(options.call_id, safe='')}/settle"
    return f"settled {_ask(options, 'POST', path, {'reason': options.reason})['settled']}"


def _ask_pages(options: argparse.Namespace, path: str) -> list[Any]:
    """Every row of a list, page by page."""
    rows, cursor = [], ""
    while True:
        page = _ask(options, "GET", f"{path}?limit={PAGE_ROWS_MAX}&cursor={quote(cursor, safe='')}")
        rows += page["items"]
        cursor = page["next"]
        if not cursor:
            return rows


def _ask(options: argparse.Namespace, method: str, path: str, body: dict[str, str] | None = None) -> Any:
    """One request to the service's operators' door; a problem answer becomes what the command tells."""
    token = options.token or os.environ.get(TOKEN_VARIABLE, "")
    if not token:
        raise Told(f"no token: give --token or set {TOKEN_VARIABLE} (`silverbear token --role operator …`)", USAGE)
    url = f"{options.url.rstrip('/')}{path}"
    try:
        # trust_env: the services are inside the house, a proxy of the environment is not on the way to them
        with httpx.Client(timeout=ANSWER_SECONDS_MAX, trust_env=False) as http:
            answer = http.request(
                method,
                url,
                json=body,
                headers={"authorization": f"Bearer {token}", "idempotency-key": str(uuid.uuid4())},
            )
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        raise Told(f"{options.url} does not answer: {error or type(error).__name__}", UNREACHABLE) from error
    content = _as_json(answer.text)
    if answer.is_success and not isinstance(content, str):
        return content
    if isinstance(content, dict) and "code" in content:
        raise Told(": ".join(str(content[part]) for part in ("code", "detail") if content.get(part)))
    raise Told(f"{url} answered {answer.status_code}, and not as a Silverbear service does")


def _as_json(text: Any) -> Any:
    """The value that `text` writes as JSON, or the text itself when it writes none."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


# --- token ----------------------------------------------------------------------------------------------------------


def _token(options: argparse.Namespace) -> str:
    if options.seconds < 1:
        raise Told("--seconds is at least 1", USAGE)
    if not (options.folder / "issuer.json").exists():
        raise Told(f"there is no issuer in {options.folder}; `silverbear up` makes the one of this machine")
    return Issuer(options.folder).token(
        options.actor,
        *options.role,
        org=options.org,
        level=options.level,
        party=options.party,
        scope=options.scope,
        seconds=options.seconds,
    )


# --- policy ---------------------------------------------------------------------------------------------------------


def _show_policy(options: argparse.Namespace) -> str:
    profile = _profile(options.profile)
    if options.name not in profile:
        known = ", ".join(sorted(profile))
        raise Told(f"{options.profile} has no policy {options.name}; it has {known}")
    name = profile[options.name]
    versions = _versions(name)
    if options.on is None:
        return "\n".join(f"{version.ref}  {version.reason}" for version in versions)
    version = in_force(versions, options.on)
    if version is None:
        raise Told(f"{name} has no version in force on {options.on}; the first is {versions[0].ref}")
    titles = [f"{title}: {getattr(version, title)}" for title in TITLES]
    terms = [f"{place} = {value}" for place, value in _flat(version.terms)]
    return "\n".join([version.ref, *titles, *terms])


def _diff(options: argparse.Namespace) -> str:
    before, after = (dict(_flat(_version(ref).terms)) for ref in (options.before, options.after))
    lines = [
        f"{place}: {before.get(place, 'absent')} -> {after.get(place, 'absent')}"
        for place in dict.fromkeys((*before, *after))
        if before.get(place) != after.get(place)
    ]
    if not lines:
        return "the terms are the same"
    print("\n".join(lines))  # noqa: T201 - a command's output
    raise Told(f"{len(lines)} terms differ")


def _validate(_: argparse.Namespace) -> str:
    problems: list[str] = []
    count = 0
    profiles = sorted(path.stem for path in (ROOT / "profiles").glob("*.toml"))
    for profile in profiles:
        try:
            names = _profile(profile)
        except Told as told:
            problems.append(str(told))
            continue
        for name in names.values():
            try:
                versions = _versions(name)
            except Told as told:
                problems.append(f"{profile}: {told}")
                continue
            count += len(versions)
            problems += [f"{profile}: {version.ref} has no {title}" for version, title in _untitled(versions)]
    if problems:
        raise Told("\n".join(problems))
    return f"{count} policy versions of {len(profiles)} profiles are readable, titled and dated"


def _untitled(versions: Sequence[Version]) -> list[tuple[Version, str]]:
    return [(version, title) for version in versions for title in TITLES if not str(getattr(version, title)).strip()]


def _profile(name: str) -> dict[str, str]:
    """The policies of a profile; Told when its file is missing or unreadable."""
    try:
        return read_profile(name).policies
    except FileNotFoundError as error:
        raise Told(f"there is no profile {name}") from error
    except (KeyError, ValueError, TypeError) as error:
        raise Told(f"profile {name} is unreadable: {error!r}") from error


def _versions(name: str) -> tuple[Version, ...]:
    """Every version of a policy, oldest first; Told when there is none or one is unreadable."""
    try:
        versions = read_versions(name)
    except (KeyError, ValueError) as error:
        raise Told(f"{name} is unreadable: {error!r}") from error
    if not versions:
        raise Told(f"{name} has no version")
    return versions


def _version(ref: str) -> Version:
    name, _, effective = ref.partition("@")
    if name.count("/") != 1 or not effective:
        raise Told(f"{ref} is not written as service/policy@YYYY-MM-DD", USAGE)
    for version in _versions(name):
        if version.ref == ref:
            return version
    raise Told(f"{name} has no version of {effective}")


def _flat(value: Any, place: str = "") -> list[tuple[str, str]]:
    """The leaves of nested tables and lists, each with the path to it."""
    match value:
        case dict():
            return [leaf for key, inner in value.items() for leaf in _flat(inner, f"{place}.{key}" if place else key)]
        case list() if any(isinstance(inner, dict | list) for inner in value):
            return [leaf for number, inner in enumerate(value) for leaf in _flat(inner, f"{place}[{number}]")]
        case list():
            return [(place, ", ".join(map(str, value)))]
        case _:
            return [(place, str(value))]


if __name__ == "__main__":
    raise SystemExit(main())
