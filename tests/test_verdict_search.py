"""The search that verdicts are compared with: it agrees, and it can disagree."""

from dataclasses import replace

from validation import verdicts


def test_the_search_agrees_and_can_disagree(capsys, monkeypatch):
    assert verdicts.main(["1", "--first", "2"]) == 0
    assert "1 problems (1 local minimum): 0 wrong" in capsys.readouterr().out
    judge = verdicts.verdict

    def wrong(model, data):
        found = judge(model, data)
        return replace(found, minimum=not found.minimum, strongest=2 * found.strongest,
                       spurious=not found.spurious, global_minimum=found.global_minimum + 0.01,
                       limit=1.1 * found.limit,
                       escapes=replace(found.escapes, sign=-found.escapes.sign))

    monkeypatch.setattr(verdicts, "verdict", wrong)
    assert [what.split(" at ")[0].split(" is ")[0] for what in verdicts.examine(2)[1]] == [
        "global minimum", "limit", "spurious", "minimum", "strongest", "no escape"]
