"""`fairlead environment`: the records of environments, and what is quarantined in them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter

from deployments.cli.failing import OK
from deployments.cli.output import Output, cell
from deployments.cli.reaching import open_world, read_settings, user
from deployments.cli.reading import read_environment_file, tell_changes
from deployments.cli.verb import Verb, with_json


def options(parser: ArgumentParser) -> None:
    """apply FILE, list, show NAME, lift NAME REVISION."""
    orders = parser.add_subparsers(dest="order", metavar="ORDER", title="orders")

    def order(name: str, text: str) -> ArgumentParser:
        made = orders.add_parser(name, help=text, description=text, formatter_class=RawDescriptionHelpFormatter)
        with_json(made)
        return made

    order("list", "list all environments (the default)")
    order("show", "show one environment's record, capacity and quarantine").add_argument("name", metavar="ENVIRONMENT")
    applying = order("apply", "write an environment's record from a file: capacity, limits, prices, grants")
    applying.add_argument("file", metavar="FILE", help="record in YAML or JSON; - reads standard input")
    lifting = order("lift", "let a quarantined revision be deployed again")
    lifting.add_argument("name", metavar="ENVIRONMENT")
    lifting.add_argument("revision", metavar="REVISION", help="as `environment show` lists it")
    lifting.add_argument("--reason", required=True, metavar="WHY", help="kept with the record")


def run(asked: Namespace, output: Output) -> int:
    """One of the orders."""
    asked.json = getattr(asked, "json", False)
    match asked.order:
        case "apply":
            return apply(asked, output)
        case "show":
            return show(asked, output)
        case "lift":
            return lift(asked, output)
        case _:
            return list_all(asked, output)


def apply(asked: Namespace, output: Output) -> int:
    """Only who administers an environment changes its record; who makes one is its first administrator by the file."""
    from deployments.domain.environment import Permission
    from deployments.domain.errors import Refused, SecurityError

    outcome = read_environment_file(asked.file)
    record = outcome.require()
    tell_changes(outcome, output)
    environments = open_world(read_settings()).records.environments
    present = environments.find(record.name)
    if present is not None and not present.permits(user(), Permission.ADMINISTER):
        raise SecurityError(
            f"{user()} may not change the record of {record.name}.",
            remedy=f"Ask one of its administrators: fairlead environment show {record.name}.",
        )
    if not any(Permission.ADMINISTER in grant.permissions for grant in record.grants):
        raise Refused(
            f"By this record nobody may administer {record.name}: it could never be changed again.",
            remedy=f"Grant `administer` to somebody, for instance to {user()}.",
        )
    environments.put(record, by=user())
    change = "made" if present is None else "unchanged" if present == record else "changed"
    if asked.json:
        output.json({"environment": record, "change": change})
    else:
        output.line(f"{record.name}: {change}.")
        if not record.permits(user(), Permission.ADMINISTER):
            output.line(f"Note: by this record, {user()} may not change it again.")
    return OK


def show(asked: Namespace, output: Output) -> int:
    """Record, use of its capacity, quarantine."""
    from deployments.cli.planning import given

    records = open_world(read_settings()).records
    found = records.queries.environment(asked.name)
    utilisation = records.queries.utilisation(asked.name)
    health = records.queries.health(asked.name)
    quarantined = records.quarantine.active(asked.name)
    if asked.json:
        output.json(
            {"record": found.record, "utilisation": utilisation, "health": health, "quarantined": dict(quarantined)}
        )
        return OK
    output.line(output.styled(f"{asked.name}: {found.status.value.replace('_', ' ')}", "bold"))
    for path, value in given(found.record.model_dump(mode="json", exclude_none=True)):
        output.line(f"  {path}: {cell(value)}")
    output.line(
        f"in use: {utilisation.instances} instances ({utilisation.warm} warm), {utilisation.cpu:g} cores,"
        f" {utilisation.memory_mb} MiB"
    )
    output.line(f"last seven days: {health.completed} completed, {health.unsuccessful} unsuccessful")
    for revision, entry in quarantined.items():
        output.line(f"quarantined {revision} of {entry.service}: {cell(entry.reason)}")
        output.line(f"  to lift it: fairlead environment lift {asked.name} {revision} --reason WHY")
    return OK


def lift(asked: Namespace, output: Output) -> int:
    """Needs the permission to administer."""
    from deployments.domain.environment import Permission
    from deployments.domain.errors import SecurityError

    records = open_world(read_settings()).records
    if not records.environments.get(asked.name).permits(user(), Permission.ADMINISTER):
        raise SecurityError(
            f"{user()} may not lift a quarantine in {asked.name}.",
            remedy=f"Ask one of its administrators: fairlead environment show {asked.name}.",
        )
    records.quarantine.lift(asked.name, asked.revision, by=user(), reason=asked.reason)
    if asked.json:
        output.json({"environment": asked.name, "revision": asked.revision, "lifted_by": user()})
    else:
        output.line(f"{asked.revision} may be deployed to {asked.name} again.")
    return OK


def list_all(asked: Namespace, output: Output) -> int:
    """A row each."""
    found = open_world(read_settings()).records.queries.environments()
    if asked.json:
        output.json({"environments": [{"record": one.record, "status": one.status} for one in found]})
        return OK
    if not found:
        output.line("There are no environments yet: `fairlead deploy FILE` makes the first one.")
        return OK
    rows = [
        (one.name, one.record.project, one.status.value, one.record.security_level.value, len(one.services))
        for one in found
    ]
    output.table(("environment", "project", "status", "security", "services"), rows)
    return OK


VERB = Verb(
    name="environment",
    summary="list, show and change the records of environments",
    story="An environment's record says what it may hold, what that may cost, and who may do what. It is made with "
    "defaults by the first deployment, and owned by whoever deployed. A revision that was rolled back is "
    "quarantined until it is lifted with a reason.",
    examples=(
        ("fairlead environment", "list them"),
        ("fairlead environment show production", "record, use of capacity, quarantine"),
        ("fairlead environment apply production.yaml", "write the record from a file"),
        ("fairlead environment lift production 3f2a9c --reason 'database is back'", "deploy that revision again"),
    ),
    options=options,
    run=run,
)
