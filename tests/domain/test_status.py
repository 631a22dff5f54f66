"""The table of states: what can end, what is left again, and what a way back passes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from deployments.domain.errors import IllegalTransition
from deployments.domain.status import ENDED, FINAL, LEGAL, DeploymentStatus, check_transition

TARGETS = st.lists(st.sampled_from(DeploymentStatus), max_size=40)


@given(TARGETS)
def test_no_sequence_of_moves_leaves_a_final_state_or_is_undone_without_rolling_back(
    targets: list[DeploymentStatus],
) -> None:
    path = [DeploymentStatus.PENDING]
    for target in targets:
        try:
            check_transition(path[-1], target)
        except IllegalTransition:
            continue
        path.append(target)
    for present, following in pairwise(path):
        if present.is_final:
            assert following is DeploymentStatus.ROLLING_BACK
            assert present in ENDED | {DeploymentStatus.ROLLBACK_FAILED}
        if following in (DeploymentStatus.ROLLED_BACK, DeploymentStatus.ROLLBACK_FAILED):
            assert present is DeploymentStatus.ROLLING_BACK
        if following is DeploymentStatus.COMPLETED:
            assert not ENDED & set(path)


def test_every_state_that_is_not_final_can_end_and_only_the_documented_final_ones_are_left() -> None:
    def reach(state: DeploymentStatus) -> set[DeploymentStatus]:
        seen: set[DeploymentStatus] = set()
        left = [state]
        while left:
            for following in LEGAL[left.pop()] - seen:
                seen.add(following)
                left.append(following)
        return seen

    assert set(LEGAL) == set(DeploymentStatus)
    for state in DeploymentStatus:
        if state.is_final:
            assert LEGAL[state] <= {DeploymentStatus.ROLLING_BACK}
        else:
            assert reach(state) & FINAL
            assert DeploymentStatus.ROLLED_BACK in reach(state)
    assert LEGAL[DeploymentStatus.COMPLETED] == LEGAL[DeploymentStatus.ROLLED_BACK] == frozenset()
