"""`edgerift audit --knows`: from the options to the surrogates, and what the audit says of them."""

import pytest

from edgerift.cli._audit import AuditCommand
from edgerift.cli._knowledge import KnowledgeOptions, surrogate_recipes
from edgerift.cli._theft import TheftOptions, thief
from edgerift.errors import InputError
from edgerift.extract import JacobianPolicy, RandomPolicy
from edgerift.images import ImagesSettings

DIGITS = ImagesSettings(source="digits", size=12, fingerprint="known")


def test_surrogates_share_one_extraction_of_so_many_queries(small_pair):
    command = AuditCommand(
        knowing=KnowledgeOptions(knows=("both", "build", "answers", "build"), surrogate_queries=70),
        stealing=TheftOptions(query_policy="jacobian", student="lenet"),
    )
    found = surrogate_recipes(command, small_pair.settings(), small_pair.images)
    assert list(found) == ["build", "answers"]
    build, answers = found.values()
    assert build.extract == answers.extract
    assert build.extract.budget == build.extract.queries.collages == 70
    assert build.extract.victim == small_pair.settings().build
    assert build.extract.attack.policy == JacobianPolicy()
    assert (build.extract.attack.student, build.extract.attack.seed) == ("lenet", 1)


def test_queries_without_surrogates_are_a_mistake(small_pair):
    for knows in ((), ("both",)):
        command = AuditCommand(knowing=KnowledgeOptions(knows=knows, surrogate_queries=70))
        with pytest.raises(InputError, match="--surrogate-queries is for --knows build or --knows answers"):
            surrogate_recipes(command, small_pair.settings(), small_pair.images)
    assert surrogate_recipes(AuditCommand(), small_pair.settings(), small_pair.images) == {}


def test_the_policy_is_random_unless_another_is_named():
    assert thief(TheftOptions(), DIGITS, "lenet").policy == RandomPolicy()
    assert thief(TheftOptions(query_policy="jacobian"), DIGITS, "lenet").policy == JacobianPolicy()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("audit", "--data", "digits", "--knows", "file"), "both"),
        (("extract", "--data", "digits", "--out", "x", "--query-policy", "jacobean"), "jacobian"),
        (
            ("extract", "--data", "digits", "--out", "x", "--attack", "dfme", "--query-policy", "jacobian"),
            "--query-policy is for --attack knockoff",
        ),
    ],
)
def test_wrong_calls_are_told_in_one_line(run, monkeypatch, tmp_path, arguments, told):
    monkeypatch.chdir(tmp_path)
    assert told in run(*arguments, "--store", str(tmp_path / "store")).line()


@pytest.mark.slow
def test_an_audit_of_who_lacks_a_model(run, adapted, tmp_path):
    arguments = (
        "--adapted", adapted.folder, "--data", "digits", "--size", 16, "--store", adapted.store, "--images", 24,
        "--threats", "evasion", "--epsilon", 24, "--knows", "build", "--knows", "answers",
        "--surrogate-queries", 120, "--query-policy", "jacobian", "--student", "lenet", "--clone-epochs", 3,
    )  # fmt: skip
    outcome = run("audit", *arguments, "--out", tmp_path / "audit")
    assert outcome.code in (0, 1), outcome.err
    text = " ".join(outcome.out.split())
    assert "Without the original, with 120 queries" in text
    assert "From answers alone, with 120 queries" in text
