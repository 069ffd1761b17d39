"""Print the oldest dependencies that setup.cfg allows, one pin a line: a requirements file."""

import configparser
import sys
from pathlib import Path

TESTS = ("numpy", "scipy", "numba", "matplotlib", "pytest", "hypothesis", "scikit-learn",
         "distributed", "pandas", "xarray", "joblib")
"""What the tests run with; tools that only read the code are wanted new."""


def main() -> None:
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
    wanted = setup["options"]["install_requires"] + setup["options.extras_require"]["test"]
    bounds = dict(line.split(">=") for line in wanted.split() if ">=" in line)
    missing = set(TESTS) - set(bounds)
    if missing:
        sys.exit(f"setup.cfg gives no lower bound for {', '.join(sorted(missing))}")
    print("\n".join(f"{name}=={bounds[name]}" for name in TESTS))


if __name__ == "__main__":
    main()
