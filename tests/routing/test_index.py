from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tierwise.call import Request
from tierwise.routing.index import RuleIndex
from tierwise.routing.rule import Rule, When

few = st.lists(st.sampled_from(["a", "b", "c"]), max_size=2, unique=True).map(tuple)
whens = st.builds(
    When,
    use_case=few,
    request_model=few,
    task_type=few,
    tenant=few,
    max_input_tokens=st.none() | st.integers(0, 3),
)
requests = st.builds(
    Request,
    provider=st.just("openai"),
    operation=st.just("chat"),
    api=st.just("responses"),
    model=st.sampled_from("abcd"),
    body=st.just({}),
    task_type=st.sampled_from("abcd"),
    use_case_id=st.sampled_from("abcd"),
    use_case_name=st.none() | st.sampled_from("abcd"),
    tenant=st.none() | st.sampled_from("abcd"),
    input_tokens_estimate=st.integers(0, 4),
)


@given(st.lists(st.tuples(whens, st.booleans()), max_size=8), requests)
def test_the_index_finds_what_a_walk_through_the_rules_finds(parts: list[tuple[When, bool]], request: Request):
    """First match wins, in the order of the file, among enabled rules only, whatever they are indexed by."""
    rules = [Rule(str(place), "pin", when, enabled=enabled) for place, (when, enabled) in enumerate(parts)]

    expected = next((rule for rule in rules if rule.enabled and rule.when.matches(request)), None)

    assert RuleIndex(rules).first_match(request) is expected
