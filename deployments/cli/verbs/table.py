"""Every verb, in the order of `fairlead --help`."""

from __future__ import annotations

from deployments.cli.verb import Verb
from deployments.cli.verbs.cancel import VERB as CANCEL
from deployments.cli.verbs.deploy import VERB as DEPLOY
from deployments.cli.verbs.destroy import VERB as DESTROY
from deployments.cli.verbs.doctor import VERB as DOCTOR
from deployments.cli.verbs.down import VERB as DOWN
from deployments.cli.verbs.environment import VERB as ENVIRONMENT
from deployments.cli.verbs.history import VERB as HISTORY
from deployments.cli.verbs.logs import VERB as LOGS
from deployments.cli.verbs.plan import VERB as PLAN
from deployments.cli.verbs.rollback import VERB as ROLLBACK
from deployments.cli.verbs.schema import VERB as SCHEMA
from deployments.cli.verbs.show import VERB as SHOW
from deployments.cli.verbs.status import VERB as STATUS
from deployments.cli.verbs.up import VERB as UP
from deployments.cli.verbs.validate import VERB as VALIDATE

VERBS: tuple[Verb, ...] = (
    DOCTOR,
    VALIDATE,
    SCHEMA,
    PLAN,
    DEPLOY,
    STATUS,
    LOGS,
    HISTORY,
    SHOW,
    ROLLBACK,
    CANCEL,
    ENVIRONMENT,
    UP,
    DOWN,
    DESTROY,
)
