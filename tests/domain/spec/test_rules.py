"""Rules between the fields of a specification: what breaks each, where it is found, what is said."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.domain.spec.problems import Problem
from deployments.domain.spec.rules.table import problems_of
from tests.domain.specifications import service, specification, written

Written = dict[str, Any]


def check(**fields: Any) -> Written:
    return {"name": "smoke", "probe": {"kind": "http"}, **fields}


def command_probe(*words: str) -> Written:
    return check(probe={"kind": "command", "command": list(words)})


BROKEN: dict[str, tuple[Written, str, str]] = {
    "a name used twice": (written(service(), service()), "services[1].name", "`api` is the name of services[0]"),
    "a port used twice": (
        written(service(port=8000), service("web", port=8000)),
        "services[1].port",
        "Port 8000 is asked for by `api`",
    ),
    "a check named twice": (written(service(checks=[check(), check()])), "services[0].checks[1].name", "`smoke`"),
    "a resource named twice": (
        written(resource_requirements=[{"name": "d", "kind": "port"}, {"name": "d", "kind": "database"}]),
        "resource_requirements[1].name",
        "`d`",
    ),
    "an unknown dependency": (
        written(service(dependencies=["database"]), service("databases")),
        "services[0].dependencies[0]",
        "Did you mean `databases`?",
    ),
    "a dependency named twice": (
        written(service(dependencies=["web", "web"]), service("web")),
        "services[0].dependencies[1]",
        "named twice",
    ),
    "a service that waits for itself": (
        written(service(dependencies=["api"])),
        "services[0].dependencies",
        "circle: api -> api",
    ),
    "a circle": (
        written(service("a", dependencies=["b"]), service("b", dependencies=["c"]), service("c", dependencies=["a"])),
        "services[0].dependencies",
        "circle: a -> b -> c -> a",
    ),
    "an order with an unknown service": (
        written(activation_order=["api", "apu"]),
        "activation_order[1]",
        "Did you mean `api`?",
    ),
    "an order that names one twice": (written(activation_order=["api", "api"]), "activation_order[1]", "named twice"),
    "an order that leaves one out": (
        written(service(), service("web"), activation_order=["api"]),
        "activation_order",
        "does not name `web`",
    ),
    "an order against a dependency": (
        written(service(), service("web", dependencies=["api"]), activation_order=["web", "api"]),
        "activation_order[0]",
        "`web` comes before `api`, which it depends on",
    ),
    "no version": (written(service(version="latest")), "services[0].version", "is not a version"),
    "a path that leaves": (
        written(service(source={"kind": "path", "path": "app/../../etc"})),
        "services[0].source.path",
        "`..`",
    ),
    "a home that is not expanded": (
        written(service(source={"kind": "path", "path": "~/app"})),
        "services[0].source.path",
        "`~`",
    ),
    "a git command in place of an address": (
        written(service(source={"kind": "git", "url": "ext::sh -c ls"})),
        "services[0].source.url",
        "not the address",
    ),
    "an option in place of an address": (
        written(service(source={"kind": "git", "url": "--upload-pack=x"})),
        "services[0].source.url",
        "not the address",
    ),
    "a password in an address": (
        written(service(source={"kind": "git", "url": "https://ann:secret@example.org/x.git"})),
        "services[0].source.url",
        "password",
    ),
    "a range in place of a reference": (
        written(service(source={"kind": "git", "url": "https://example.org/x", "ref": "a..b"})),
        "services[0].source.ref",
        "not the name",
    ),
    "no requirement": (
        written(service(source={"kind": "pypi", "requirement": "flask=="})),
        "services[0].source.requirement",
        "not a requirement",
    ),
    "an option in place of a requirement": (
        written(service(source={"kind": "pypi", "requirement": "flask", "with": ["--index-url=x"]})),
        "services[0].source.with[0]",
        "not a requirement",
    ),
    "a requirement with an address": (
        written(service(source={"kind": "pypi", "requirement": "x @ https://example.org/x.whl"})),
        "services[0].source.requirement",
        "no recorded digest",
    ),
    "a package that is served": (written(service(framework="static")), "services[0].framework", "`static`"),
    "part of a package": (written(service(output_directory="x")), "services[0].output_directory", "as a whole"),
    "an unknown provider": (written(service(provider="interna")), "services[0].provider", "Did you mean `internal`?"),
    "nothing to run": (written(service(run_command=[])), "services[0].run_command", "how `api` is started"),
    "an empty program": (written(service(run_command=["", "x"])), "services[0].run_command", "is empty"),
    "a worker with a port": (written(service(type="worker", port=8000)), "services[0].port", "no route"),
    "a worker of files": (
        written(
            service(type="worker", framework="static", run_command=[], source={"kind": "path", "path": "site"}),
        ),
        "services[0].type",
        "a worker serves nothing",
    ),
    "a worker's check that is never asked": (
        written(service(type="worker", checks=[check(when="at_step")])),
        "services[0].checks[0].when",
        "never be asked",
    ),
    "health that is longer than its deadline": (
        written(service(timing={"min_healthy": "60s"})),
        "services[0].timing.min_healthy",
        "not less than `healthy_deadline` (1m)",
    ),
    "a deadline that is longer than the rollout's": (
        written(service(timing={"healthy_deadline": "10m"})),
        "services[0].timing.healthy_deadline",
        "not less than `progress_deadline` (10m)",
    ),
    "health that cannot be reached": (
        written(service(health_checks=[{"interval": "10s", "successes": 7}])),
        "services[0].health_checks[0].successes",
        "7 answers every 10s take 1m",
    ),
    "a check that cannot fail": (
        written(service(checks=[check(attempts=2, tolerated_failures=2)])),
        "services[0].checks[0].tolerated_failures",
        "could never fail",
    ),
    "an override of nothing": (
        written(configuration_overrides={"apj": {"values": {"A": "1"}}}),
        "configuration_overrides.apj",
        "Did you mean `api`?",
    ),
    "a file that is a directory": (
        written(service(configuration={"files": {"a": "", "a/b": ""}})),
        'services[0].configuration.files["a/b"]',
        "`a` is a file",
    ),
    "a route of no service": (
        written(service(run_command=["x", "{route.wob}"])),
        "services[0].run_command[1]",
        "{route.wob} names nothing",
    ),
    "a route of no dependency": (
        written(service(environment_variables={"WEB": "{route.web}"}), service("web")),
        "services[0].environment_variables.WEB",
        "Add `web` to its `dependencies`",
    ),
    "a route of a worker": (
        written(service(run_command=["{route.jobs}"], dependencies=["jobs"]), service("jobs", type="worker")),
        "services[0].run_command[0]",
        "`jobs` is a worker",
    ),
    "a resource that is not asked for": (
        written(service(run_command=["{resource.data}"])),
        "services[0].run_command[0]",
        "`resource_requirements` has none",
    ),
    "a value that is not given": (
        written(service(run_command=["{value.COLOR}"], configuration={"values": {"COLOUR": "red"}})),
        "services[0].run_command[0]",
        "Did you mean `COLOUR`?",
    ),
    "an instance's port in a file": (
        written(service(configuration={"files": {"a.ini": "port={port}"}})),
        'services[0].configuration.files["a.ini"]',
        "Write {{port}} to keep it as it is",
    ),
    "the same in an override": (
        written(configuration_overrides={"api": {"files": {"a": "{port}"}}}),
        "configuration_overrides.api.files.a",
        "{port} has no value here",
    ),
    "a probe that does not know": (
        written(service(checks=[command_probe("x", "{config}")])),
        "services[0].checks[0].probe.command[1]",
        "{config} has no value here",
    ),
    "a probe that names a route": (
        written(service(checks=[command_probe("x", "{route.api}")])),
        "services[0].checks[0].probe.command[1]",
        "{route.api} has no value here",
    ),
    "a command that does not know": (
        written(service(run_command=["{url}"])),
        "services[0].run_command[0]",
        "{url} has no value here",
    ),
}

FINE: dict[str, Written] = {
    "the least": written(),
    "static files": written(service(framework="static", run_command=[], source={"kind": "path", "path": "site"})),
    "only built": written(service(run_command=[]), skip_deploy=True),
    "a worker": written(service(type="worker", checks=[check(when="after_traffic")])),
    "a worker asked for health": written(service(type="worker", health_checks=[{"probe": {"kind": "http"}}])),
    "an own route": written(service(environment_variables={"SELF": "{route.api}"})),
    "a route of a dependency": written(service(), service("web", dependencies=["api"], run_command=["{route.api}"])),
    "an order that agrees": written(
        service("web", dependencies=["api"]), service("api"), service("jobs"), activation_order=["jobs", "api", "web"]
    ),
    "a value from an override": written(
        service(run_command=["{value.A}"]), configuration_overrides={"api": {"values": {"A": "1"}}}
    ),
    "files full of braces": written(
        service(configuration={"files": {"a.json": '{"a": {"port": 1}}', "b.j2": "{{ port }}", "c.sh": "${port}"}})
    ),
    "an absolute path": written(service(source={"kind": "path", "path": "/srv/app"})),
    "git over ssh": written(service(source={"kind": "git", "url": "git@example.org:team/x.git", "ref": "release/1"})),
    "git in a directory": written(service(source={"kind": "git", "url": "repositories/x", "ref": "v1.0^0"[:4]})),
    "a resource": written(
        service(run_command=["{resource.data}"]), resource_requirements=[{"name": "data", "kind": "directory"}]
    ),
    "a probe that knows": written(service(checks=[command_probe("{bin}/x", "{url}", "{port}")])),
}


@pytest.mark.parametrize(("asked", "field", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_rule_names_its_field_and_a_remedy(asked: Written, field: str, words: str) -> None:
    [problem] = problems_of(specification(*asked.pop("services"), **asked))
    assert problem.field == field
    assert words in str(problem)
    assert problem.remedy


@pytest.mark.parametrize("asked", FINE.values(), ids=FINE)
def test_what_keeps_the_rules_has_no_problems(asked: Written) -> None:
    assert problems_of(specification(*asked.pop("services"), **asked)) == ()


def test_every_circle_is_named_once() -> None:
    asked = specification(
        service("a", dependencies=["b"]),
        service("b", dependencies=["a"]),
        service("c", dependencies=["d"]),
        service("d", dependencies=["c"]),
        service("e", dependencies=["a"]),
    )
    assert [problem.message for problem in problems_of(asked)] == [
        "The services depend on each other in a circle: a -> b -> a.",
        "The services depend on each other in a circle: c -> d -> c.",
    ]


def test_a_problem_reads_as_one_line() -> None:
    assert str(Problem("a.b", "It is wrong.", "Mend it.", "x.yaml", 3)) == "x.yaml:3: a.b: It is wrong. Mend it."
    assert str(Problem("", "It is empty.")) == "It is empty."
