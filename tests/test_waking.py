"""The table of wakings."""

import numpy as np

from validation.waking import main, summary, trial


def test_table(capsys):
    assert main(["--n", "4", "--seeds", "2", "--seconds", "20"]) == 0
    out = capsys.readouterr().out
    assert "2 runs: 1 converged" in out and "0 off by more than 5%" in out
    outcome = trial(2, 4, 0, 20.0)
    worse = outcome._replace(fall=0.1)
    assert "1 of all fell by more than 0.5% (n = 4, seed 0)" in summary([outcome, worse])
    assert outcome.reached == 100 and np.all(outcome.errors < 0.01)
