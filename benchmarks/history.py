"""(e) Reads from a history of 100,000 deployments, against the same reads from one of 1,000."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg

from benchmarks.finding import Finding
from benchmarks.house import House, house
from benchmarks.measuring import ratio, seconds_of
from benchmarks.rendering import seconds, times
from deployments.store.criteria import Criteria
from deployments.store.records import Records

TITLE = "Reads from a long history"
FEW, MANY = 1_000, 100_000
ENVIRONMENTS = ("development", "staging", "production", "preview")
SPAN_DAYS = 365
COLUMNS = ("read", f"of {FEW:,}", f"of {MANY:,}", "how many times as long")
FILL = """
    INSERT INTO fairlead.deployments
        (id, project, environment, name, status, reason, created_by, correlation_id, services, is_rollback,
         steps_total, steps_done, version, fence, created_at, updated_at, finished_at)
    SELECT 'd-' || n, 'bench', (%(environments)s::text[])[1 + n %% 4], 'deployment-' || n,
           (array['completed', 'completed', 'completed', 'completed', 'completed', 'completed', 'completed',
                  'rolled_back', 'failed', 'cancelled'])[1 + n %% 10],
           'none', 'user-' || n %% 20, 'd-' || n, '[["web", "1.0"], ["api", "2.0"]]', n %% 25 = 0, 20, 20, 12, n,
           at, at + interval '40 seconds', at + interval '40 seconds'
    FROM (SELECT n, now() - %(days)s * interval '1 day' * (1 - n / %(last)s::float) AS at
          FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n) AS numbered
"""
DESCRIBE = """
    INSERT INTO fairlead.documents (deployment, kind, body)
    SELECT 'd-' || n, 'specification',
           jsonb_build_object('project', 'bench', 'services', jsonb_build_array(jsonb_build_object('name', 'web')))
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
"""


def measure(*, quick: bool) -> Finding:
    """Fill to the smaller size, read; fill to the larger one, read the same."""
    repetitions = 5 if quick else 25
    with house(is_up=False) as home:
        for name in ENVIRONMENTS:
            home.records.environments.ensure_default(name, project="bench", principal="ann")
        fill(home, 1, FEW)
        few = read_all(home.records, FEW, repetitions)
        fill(home, FEW + 1, MANY)
        many = read_all(home.records, MANY, repetitions)
    rows = [(name, seconds(few[name]), seconds(many[name]), times(ratio(many[name], few[name]))) for name in few]
    conditions = (
        f"The embedded PostgreSQL and the store's own reads, connection included in none. {MANY:,} deployments over "
        f"{SPAN_DAYS} days in {len(ENVIRONMENTS)} environments, seven of ten completed; the {FEW:,} are spread "
        f"over the same days. Medians of {repetitions}. A page is 50 deployments.",
    )
    return Finding("e", TITLE, conditions, COLUMNS, rows)


def fill(home: House, first: int, last: int) -> None:
    """Numbers `first` to `last`, spread over the days, and the planner's statistics brought up to date."""
    values = {"environments": list(ENVIRONMENTS), "days": SPAN_DAYS, "first": first, "last": last}
    address = home.plane.ensure_database().replace("postgresql+psycopg:", "postgresql:")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(FILL, values)
        connection.execute(DESCRIBE, values)
        connection.execute("VACUUM ANALYZE fairlead.deployments, fairlead.documents")


def read_all(records: Records, size: int, repetitions: int) -> dict[str, float]:
    """Median seconds of each read, once all were done and connections are open."""
    for read in reads(records, size).values():
        read()
    return {name: seconds_of(read, times=repetitions) for name, read in reads(records, size).items()}


def reads(records: Records, size: int) -> dict[str, Callable[[], object]]:
    """What people ask for, by what they call it."""
    queries, month = records.queries, Criteria(since=datetime.now(UTC) - timedelta(days=30))
    production = Criteria(environment="production")
    middle = records.deployments.get(f"d-{size // 2}")
    return {
        "one by its id": lambda: records.deployments.get(middle.id),
        "one by its name": lambda: records.deployments.get(middle.name),
        "newest page": lambda: queries.history(),
        "newest page of an environment": lambda: queries.history(production),
        "page in the middle, by the last one before": lambda: queries.history(before=middle),
        "page in the middle, by offset": lambda: queries.history(offset=size // 2),
        "newest failures of an environment": lambda: queries.failed(production),
        "statistics of 30 days": lambda: queries.statistics(month),
        "statistics of everything": lambda: queries.statistics(),
        "health of an environment": lambda: queries.health("production"),
        "utilisation of an environment": lambda: queries.utilisation("production"),
    }
