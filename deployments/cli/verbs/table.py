"""Every verb, in the order of `fairlead --help`."""

from __future__ import annotations

from deployments.cli.verb import Verb
from deployments.cli.verbs import (
    cancel,
    deploy,
    destroy,
    doctor,
    down,
    environment,
    history,
    logs,
    plan,
    rollback,
    schema,
    show,
    status,
    up,
    validate,
)

VERBS: tuple[Verb, ...] = (
    doctor.VERB,
    validate.VERB,
    schema.VERB,
    plan.VERB,
    deploy.VERB,
    status.VERB,
    logs.VERB,
    history.VERB,
    show.VERB,
    rollback.VERB,
    cancel.VERB,
    environment.VERB,
    up.VERB,
    down.VERB,
    destroy.VERB,
)
