"""Small flows that stand in for deployments where only the way in is being tested. Each leaves its mark in a folder."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from enum import StrEnum
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, runtime, task
from pydantic import BaseModel, ConfigDict, Field

from deployments.domain.spec.specification import DeploymentSpecification


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Greeting(BaseModel):
    """What to say."""

    model_config = ConfigDict(extra="forbid")

    words: str = Field(min_length=1, description="What is said.")
    times: int = Field(default=1, ge=1, le=5)
    colour: Colour = Colour.RED


def mark(folder: str, name: str, text: str = "") -> None:
    """Leave a mark that a test can wait for: complete once it is there."""
    draft = Path(folder) / f".{name}"
    draft.write_text(text)
    draft.rename(Path(folder) / name)


@task
async def say(greeting: Greeting) -> str:
    return greeting.words * greeting.times


@flow
async def answer(words: str) -> str:
    return words


@flow
async def greet(folder: str, greeting: Greeting, environment: str = "") -> str:
    """Say it, and note where it ran."""
    began = time.time()
    get_run_logger().info("greeting %s", greeting.words)
    said = await answer(await say(greeting))
    noted = [str(began), said, environment, str(os.getpid()), str(runtime.flow_run.id), str(os.getsid(0))]
    mark(folder, f"greeted-{runtime.flow_run.id}", "\n".join(noted))
    return said


@flow
async def fail_once(folder: str) -> None:
    """Fail on the first run; the retry of the same flow run succeeds."""
    attempts = Path(folder) / f"attempts-{runtime.flow_run.id}"
    with attempts.open("a") as file:
        file.write("x")
    if attempts.stat().st_size == 1:
        raise RuntimeError("the first attempt fails")


def note_crash(flow: Any, flow_run: Any, state: Any) -> None:
    mark(flow_run.parameters["folder"], f"crashed-{flow_run.id}", state.message)


def note_cancellation(flow: Any, flow_run: Any, state: Any) -> None:
    mark(flow_run.parameters["folder"], f"cancelled-{flow_run.id}", state.name)


@flow
async def wait_inside(folder: str) -> None:
    mark(folder, f"inside-{runtime.flow_run.parent_flow_run_id}")
    while not (Path(folder) / "go").exists():
        await asyncio.sleep(0.05)


@flow(on_crashed=[note_crash], on_cancellation=[note_cancellation])
async def wait(folder: str) -> None:
    """Wait in a subflow until there is a file named `go`."""
    mark(folder, f"waiting-{runtime.flow_run.id}", str(os.getpid()))
    await wait_inside(folder)
    mark(folder, f"went-on-{runtime.flow_run.id}")


@flow
async def look_around(folder: str) -> None:
    """Note what the process inherited."""
    mark(folder, f"saw-{runtime.flow_run.id}", "\n".join(surroundings()))


def surroundings() -> list[str]:
    lines = [f"SIGCHLD {signal.getsignal(signal.SIGCHLD)!r}", f"SIGHUP {signal.getsignal(signal.SIGHUP)!r}"]
    for path in Path("/proc/self/fd").iterdir():
        try:
            lines.append(f"{path.name} {path.readlink()}")
        except OSError:
            continue
    return lines


@flow
async def propose(specification: DeploymentSpecification, folder: str = "") -> None:
    """Take a whole specification."""
    mark(folder, f"proposed-{runtime.flow_run.id}", specification.target_environment)
