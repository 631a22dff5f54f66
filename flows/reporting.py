"""What people see of a deployment in the Prefect UI: the plan and the report as markdown."""

from __future__ import annotations

from deployments.domain.status import DeploymentStatus
from deployments.driver.run import Run


def plan_tables(run: Run) -> str:
    """The plan: what changes, in which order, how risky that is."""
    plan = run.plan
    lines = [f"# Plan for {plan.environment}", ""]
    lines += ["| service | change | version | revision | strategy |", "|---|---|---|---|---|"]
    lines += [
        f"| {c.service} | {c.kind} | {c.previous_version or 'none'} -> {c.version} | {c.revision} | {c.strategy} |"
        for c in plan.changes
    ]
    lines += ["", f"**Risk {plan.risk_score} of 100**", ""]
    lines += [f"- {point.points}: {point.fact}" for point in plan.risk]
    lines += ["", "```mermaid", "graph LR"]
    services = run.specification.services
    lines += [f"  {needed} --> {service.name}" for service in services for needed in service.dependencies]
    lines += ["```", "", "| step | after |", "|---|---|"]
    lines += [f"| {step.key} | {', '.join(step.after)} |" for step in plan.steps[:200]]
    return "\n".join(lines)


def markdown_report(run: Run, status: DeploymentStatus, error: BaseException | None) -> str:
    """What happened: the end, the cause, every step that was done."""
    lines = [f"# {run.deployment}: {status}", ""]
    if error is not None:
        lines += [f"**Cause:** {error}", ""]
    lines += ["| service | version | revision | instances |", "|---|---|---|---|"]
    lines += [f"| {c.service} | {c.version} | {c.revision} | {', '.join(c.instances)} |" for c in run.plan.changes]
    lines += ["", "| step | proof |", "|---|---|"]
    lines += [f"| {key} | {brief(values)} |" for key, values in run.receipts.items()]
    return "\n".join(lines)


def brief(values: object) -> str:
    """A receipt on one line."""
    text = str(values).replace("|", "/").replace("\n", " ")
    return text if len(text) <= 160 else text[:157] + "..."
