"""A plan as people and machines read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployments.cli.output import Output, cell
from deployments.cli.words import duration
from deployments.domain.codec import plan_to_json
from deployments.domain.errors import DeploymentError, ValidationFailed
from deployments.domain.plan import ChangeKind, Plan
from deployments.domain.steps import Phase, Step
from deployments.driver.planning import refuse_quarantined, refuse_results

if TYPE_CHECKING:
    from deployments.domain.facts import Facts
    from deployments.domain.spec.specification import DeploymentSpecification
    from deployments.domain.values import ValidationResult

SECRET_WORDS = ("password", "passwd", "secret", "token", "key", "credential")
LONGEST_VALUE = 100


@dataclass(frozen=True, slots=True)
class Preview:
    """Everything that is shown. `plan` is None while a source cannot be resolved; `missing` says which and why."""

    specification: DeploymentSpecification
    plan: Plan | None
    results: tuple[ValidationResult, ...]
    missing: Mapping[str, str]
    facts: Facts


def refusal(preview: Preview) -> DeploymentError | None:
    """What `deploy` would refuse with."""
    try:
        if preview.missing:
            wrong = "; ".join(f"{name}: {why}" for name, why in preview.missing.items())
            raise ValidationFailed(f"A source cannot be resolved: {wrong}", remedy="Mend the source.")
        refuse_results(preview.results)
        if preview.plan is not None:
            refuse_quarantined(preview.plan, preview.facts.quarantined)
    except DeploymentError as error:
        return error
    return None


def plan_document(preview: Preview, error: DeploymentError | None) -> dict[str, object]:
    """For machines."""
    from deployments.cli.failing import to_json

    plan = preview.plan
    return {
        "environment": preview.specification.target_environment,
        "is_allowed": error is None,
        "error": None if error is None else to_json(error),
        "is_empty": None if plan is None else plan.is_empty,
        "risk_score": None if plan is None else plan.risk_score,
        "plan": None if plan is None else {**plan_to_json(plan), "steps": [step_document(step) for step in plan.steps]},
        "rules": preview.results,
        "observed_at": preview.facts.now,
    }


def step_document(step: Step) -> dict[str, object]:
    """A step with how it is undone and looked at."""
    from deployments.domain.codec import action_to_json

    return {
        "key": step.key,
        "phase": step.phase,
        "service": step.service,
        "after": step.after,
        "action": action_to_json(step.action),
        "undo": step.action.undo or None,
        "probe": step.action.probe,
    }


def tell_plan(preview: Preview, output: Output) -> None:
    """For people, from what changes down to what was asked."""
    plan = preview.plan
    if plan is None:
        return
    title = f"Plan for {plan.environment} (project {preview.specification.project})"
    output.line(output.styled(title, "bold"))
    if plan.is_empty:
        output.line("The environment is as asked already: nothing would be done.")
    tell_services(plan, output)
    if not plan.is_empty:
        tell_order(plan, output)
        tell_steps(plan, output)
        tell_way_back(plan, output)
        tell_risk(plan, output)
    tell_judgement(preview, plan, output)
    tell_asked(preview, output)


def tell_services(plan: Plan, output: Output) -> None:
    """What happens to each service."""
    heading("services", output)
    rows = [
        (
            change.service,
            change.kind.value,
            change.version
            if change.kind is ChangeKind.UNCHANGED
            else f"{change.previous_version or 'none'} -> {change.version}",
            change.revision,
            change.strategy,
            f"{len(change.instances)}{' (warm ones again)' if change.reused else ''}",
        )
        for change in plan.changes
    ]
    output.table(("service", "change", "version", "revision", "strategy", "instances"), rows, indent="  ")


def tell_order(plan: Plan, output: Output) -> None:
    """Waves: everything within one is independent."""
    heading("order (what is in one line goes in parallel)", output)
    for number, wave in enumerate(plan.waves, 1):
        output.line(f"  {number}. {', '.join(wave)}")


def tell_steps(plan: Plan, output: Output) -> None:
    """By phase, with undo and probe."""
    heading(f"steps ({len(plan.steps)})", output)
    for phase in Phase:
        steps = plan.of_phase(phase)
        if steps:
            output.line(f"  {phase.value}")
            rows = [(step.key, step.action.undo or "nothing to undo", step.action.probe) for step in steps]
            output.table(("step", "undone by", "when in doubt"), rows, indent="    ")


def tell_way_back(plan: Plan, output: Output) -> None:
    """Until when, how fast, and what is lost."""
    back = plan.reversibility
    if back is None:
        return
    heading("way back", output)
    output.line(f"  everything can be undone until the step `{back.until}`")
    output.line(f"  traffic returns within {duration(back.traffic_returns_in)} of the decision")
    for loss in back.loses:
        output.line(f"  not without a pause: {cell(loss)}")


def tell_risk(plan: Plan, output: Output) -> None:
    """Each point with its fact."""
    heading(f"risk {plan.risk_score} of 100", output)
    for point in plan.risk:
        output.line(f"  {point.points:>3}  {cell(point.fact)}")
    if not plan.risk:
        output.line("    0  nothing observed adds to it")


def tell_judgement(preview: Preview, plan: Plan, output: Output) -> None:
    """Warnings and what the rules say; rules that pass are counted."""
    told = [f"  warning: {cell(text)}" for text in plan.warnings]
    told += [f"  {name}: {cell(text)}" for name, text in plan.summary.items()]
    passed = 0
    for result in preview.results:
        if result.is_valid and result.is_complete:
            passed += 1
            continue
        state = "refused" if result.stops_the_deployment else "incomplete" if not result.is_complete else "warning"
        told.append(f"  {state}: {result.validator}: {cell(result.message)}")
        told += [f"    remedy: {cell(text)}" for text in result.recommendations]
    if preview.results:
        told.append(f"  {passed} of {len(preview.results)} rules hold")
    if told:
        heading("rules and warnings", output)
        for line in told:
            output.line(line)


def tell_asked(preview: Preview, output: Output) -> None:
    """Every field of the specification that was given, so that none is overlooked."""
    heading("as asked", output)
    for path, value in given(preview.specification.model_dump(mode="json", by_alias=True, exclude_unset=True)):
        output.line(f"  {path}: {shown_value(path, value)}")


def given(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every leaf with its path; a service is named, not numbered."""
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from given(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for index, part in enumerate(value):
            yield from given(part, f"{path}[{part.get('name', index)}]")
    else:
        yield path, " ".join(str(part) for part in value) if isinstance(value, list) else value


def shown_value(path: str, value: object) -> str:
    """On one line, and not at all for what looks like a secret."""
    name = path.rpartition(".")[2].lower()
    is_free = ".environment_variables." in path or ".values." in path or ".headers." in path
    if is_free and any(word in name for word in SECRET_WORDS):
        return "(not shown)"
    text = cell(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def heading(text: str, output: Output) -> None:
    """A blank line, then the title of a part."""
    output.line()
    output.line(output.styled(text, "bold"))
