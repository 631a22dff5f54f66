"""Observes, plans and judges one held deployment, and keeps what came out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter

from deployments.domain.codec import plan_to_json
from deployments.domain.environment import Permission
from deployments.domain.errors import Quarantined, SecurityError, ValidationFailed
from deployments.domain.plan import ChangeKind, Plan
from deployments.domain.planning import plan_deployment
from deployments.domain.policies.policy import Decision, PolicyDecision
from deployments.domain.policies.table import decide_all
from deployments.domain.revisions import digest_of
from deployments.domain.validators.table import validate_all
from deployments.domain.values import Category, ValidationResult
from deployments.driver.locks import locks_to_json
from deployments.driver.observing import observe
from deployments.driver.run import Run
from deployments.store.deployments import Document

RESULTS = TypeAdapter(tuple[ValidationResult, ...])


@dataclass(frozen=True, slots=True)
class Judged:
    """What every rule said."""

    results: tuple[ValidationResult, ...]


def make_plan(run: Run) -> None:
    """Observe and plan, unless the plan is kept already: a resumed deployment goes on with the plan it began."""
    if run.facts is None:
        run.facts = observe(
            run.world,
            run.specification,
            base=run.base,
            principal=run.principal,
            deployment=run.deployment,
            locks=run.locks,
        )
    if run.has_plan:
        return
    if run.facts.missing_paths:
        wrong = "; ".join(f"{name}: {message}" for name, message in run.facts.missing_paths.items())
        raise ValidationFailed(f"A source cannot be resolved: {wrong}", remedy="Mend the source and deploy again.")
    run.plan = plan_deployment(run.specification, run.facts, deployment=run.deployment, is_rollback=run.is_rollback)
    run.locks = dict(run.facts.locks)
    run.has_plan = True
    run.world.records.deployments.save_plan(
        run.lease, run.deployment, plan_to_json(run.plan), locks=locks_to_json(run.locks)
    )


def judge_rules(run: Run) -> Judged:
    """Every validator on specification and facts."""
    assert run.facts is not None
    permission = Permission.ROLLBACK if run.is_rollback else Permission.DEPLOY
    return Judged(validate_all(run.specification, run.facts, permission=permission))


def digest_of_inputs(run: Run) -> str:
    """Digest of everything the rules are judged from, the time of the look excepted."""
    assert run.facts is not None
    facts = {name: value for name, value in asdict(run.facts).items() if name not in ("now", "environment")}
    environment = run.facts.environment.model_dump(mode="json") if run.facts.environment else None
    specification = run.specification.model_dump(mode="json")
    return digest_of([specification, json.loads(json.dumps(facts, default=sorted_text)), environment])


def sorted_text(value: object) -> object:
    """Sets in order, everything else as text."""
    return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)


def refuse(run: Run, judged: Judged) -> None:
    """Keep the results; raise for the first critical rule that is broken or could not be judged, naming them all."""
    results = RESULTS.dump_python(judged.results, mode="json")
    run.world.records.deployments.save(run.lease, run.deployment, Document.RESULTS, results)
    refuse_results(judged.results)
    if not run.is_rollback and run.facts is not None:
        decisions = decide_all(run.specification, run.facts, results=judged.results, risk=run.plan.risk_score)
        refuse_decisions(decisions)
        refuse_quarantined(run.plan, run.facts.quarantined)


def refuse_results(results: tuple[ValidationResult, ...]) -> None:
    """Raise SecurityError when a security rule stops the deployment, ValidationFailed for any other."""
    stopping = [result for result in results if result.stops_the_deployment]
    if not stopping:
        return
    lines = "; ".join(result.message for result in stopping)
    remedy = " ".join(dict.fromkeys(text for result in stopping for text in result.recommendations))
    is_security = any(result.category is Category.SECURITY for result in stopping)
    raise (SecurityError if is_security else ValidationFailed)(lines, remedy=remedy or None)


def refuse_decisions(decisions: tuple[PolicyDecision, ...]) -> None:
    """Raise SecurityError for the first policy that does not allow the deployment."""
    for decision in decisions:
        if decision.decision is not Decision.ALLOWED:
            raise SecurityError(decision.message, remedy=decision.remedy or None, policy=decision.policy)


def refuse_quarantined(plan: Plan, quarantined: Mapping[str, str]) -> None:
    """Raise Quarantined when a revision was rolled back here before."""
    for change in plan.changes:
        reason = quarantined.get(change.revision)
        if reason and change.kind is not ChangeKind.UNCHANGED:
            raise Quarantined(
                f"{change.service} {change.version} (revision {change.revision}) was rolled back here: {reason}",
                remedy="Change the service; or, where a check or a criterion was wrong and not the service, lift it: "
                f"fairlead environment lift {plan.environment} {change.revision} --reason WHY.",
                revision=change.revision,
            )
