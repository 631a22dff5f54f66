"""Looks at the world and judges the rules before anything is touched."""

from __future__ import annotations

from datetime import timedelta

from prefect import task
from prefect.cache_policies import NO_CACHE

from deployments.driver.planning import Judged, judge_rules, make_plan
from tasks.runs import held, in_thread


@task(name="observe and plan", cache_policy=NO_CACHE, persist_result=False)
async def observe_and_plan(deployment: str) -> dict[str, int]:
    """Gather the facts, make the plan, keep both with the deployment. Safe to run twice: the kept plan stands."""
    run = held(deployment)
    await in_thread(make_plan, run)
    return {"steps": len(run.plan.steps), "risk": run.plan.risk_score}


@task(
    name="judge rules",
    cache_key_fn=lambda _, parameters: f"rules-{parameters['digest']}",
    cache_expiration=timedelta(minutes=1),
    persist_result=True,
)
async def judge_rules_once(deployment: str, digest: str) -> Judged:
    """Every validator and policy on specification and facts; the same digest of both is judged once a minute."""
    return await in_thread(judge_rules, held(deployment))
