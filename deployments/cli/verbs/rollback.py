"""`fairlead rollback ENVIRONMENT`: return to an earlier stable state, or finish a way back that stopped."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from deployments.cli.failing import BROKEN, OK
from deployments.cli.output import Output
from deployments.cli.reaching import open_world, read_settings, user
from deployments.cli.verb import Verb
from deployments.cli.verbs.deploy import finish, view_for, with_progress
from deployments.cli.words import services_words

if TYPE_CHECKING:
    from deployments.domain.entities import Deployment
    from deployments.driver.world import World
    from deployments.settings import Settings


def options(parser: ArgumentParser) -> None:
    """ENVIRONMENT, --to, --resume, and how progress is shown."""
    parser.add_argument("environment", metavar="ENVIRONMENT", nargs="?", help="which environment")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--to", metavar="DEPLOYMENT", help="return to this one; the stable one before unless given")
    target.add_argument("--resume", metavar="DEPLOYMENT", help="finish the way back of this one, which stopped")
    with_progress(parser)


def run(asked: Namespace, output: Output) -> int:
    """One of three: finish a way back, cancel what is under way, or deploy an earlier state."""
    from deployments.domain.errors import Refused

    settings = read_settings()
    settings.ensure_directories()
    if asked.resume:
        return resume(asked, output, settings)
    if asked.environment is None:
        raise Refused("rollback needs an environment.", remedy="fairlead rollback ENVIRONMENT; see `fairlead status`.")
    world = open_world(settings)
    current = world.records.queries.environment(asked.environment).current
    if current is not None and asked.to is None:
        return take_back_current(world, current, asked, output)
    from deployments.cli.deploying import Order, deploy_here, prepare_process
    from deployments.driver.returning import target_of_rollback

    back = target_of_rollback(world, asked.environment, asked.to)
    view = view_for(asked, output)
    try:
        view.say(f"Returning {asked.environment} to {back.target.name} ({services_words(back.target.services)}).")
        prepare_process(settings, view)
        ending = deploy_here(Order(back.specification, back.base, parent=back.target.id, is_rollback=True), view)
    finally:
        view.close()
    return finish(asked, output, ending, asked.environment)


def resume(asked: Namespace, output: Output, settings: Settings) -> int:
    """By the driver alone; Prefect is not needed."""
    from deployments.domain.status import DeploymentStatus
    from deployments.driver.reconciling import resume_rollback

    world = open_world(settings)
    found = world.records.deployments.get(asked.resume, environment=asked.environment)
    status = resume_rollback(world, found.id)
    if asked.json or asked.json_lines:
        output.json({"deployment": found.id, "name": found.name, "status": status})
    else:
        output.line(f"{found.name}: {status.value.replace('_', ' ')}.")
    return OK if status in (DeploymentStatus.ROLLED_BACK, DeploymentStatus.COMPLETED) else BROKEN


def take_back_current(world: World, current: Deployment, asked: Namespace, output: Output) -> int:
    """What is under way comes back by being cancelled: that is the last stable state."""
    from deployments.cli.waiting import code_of, follow_to_end

    world.records.commands.request(current.id, "rollback", by=user(), reason="fairlead rollback")
    is_quiet = asked.json or asked.json_lines
    if not is_quiet:
        output.line(f"{current.name} is under way: it is cancelled and taken back.")
    ended = follow_to_end(world, current, output, is_quiet=is_quiet)
    if is_quiet:
        output.json({"deployment": ended.id, "name": ended.name, "status": ended.status, "message": ended.message})
    else:
        output.line(f"{ended.name}: {ended.status.value.replace('_', ' ')}.")
    return code_of(ended, wanted="cancel")


VERB = Verb(
    name="rollback",
    summary="return to the last stable state, or to a named deployment",
    story="Deploys the state of an earlier deployment again, without canary steps and without building what is "
    "built: warm instances get the traffic back at once. While a deployment is under way, it is cancelled and "
    "taken back instead. A way back that could not be finished is finished with --resume, after its cause was "
    "mended.",
    examples=(
        ("fairlead rollback production", "to the stable state before the present one"),
        ("fairlead rollback production --to shop-41", "to the state of one deployment; `fairlead history` lists them"),
        ("fairlead rollback --resume shop-42", "finish a way back that needed a person"),
    ),
    options=options,
    run=run,
)
