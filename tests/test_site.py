"""The site: short gallery entries, links that lead somewhere, a picture made by the lines above it.

Sphinx builds it elsewhere (.ci/run without running anything, the hosted run with all pictures and
the notebook); what can be seen without Sphinx is looked at here.
"""

import re
import tokenize
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

import gflow
from gflow.experiments import published
from test_pages import PAGES, ROOT, blocks

matplotlib.use("Agg")
DOCS = ROOT / "docs"
ENTRIES = sorted((DOCS / "gallery").glob("*/*.py"))
MOST = 12


def lines_of_code(path):
    """Lines that hold code, not those of comments or of the docstring."""
    with open(path, "rb") as file:
        tokens = [token for token in tokenize.tokenize(file.readline)
                  if token.type not in (tokenize.ENCODING, tokenize.COMMENT, tokenize.NL,
                                        tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
                                        tokenize.ENDMARKER)]
    assert tokens[0].type == tokenize.STRING, f"{path.name} has no docstring"
    return len({line for token in tokens[1:] for line in range(token.start[0], token.end[0] + 1)})


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.stem)
def test_entries_are_short(path):
    assert 0 < lines_of_code(path) <= MOST


def test_everything_has_an_entry():
    code = {path: path.read_text(encoding="utf-8") for path in ENTRIES}
    settings = [path for path in ENTRIES if path.parent.name == "published"]
    for name in published:
        stem = re.fullmatch(r"W(\d+)[a-z]?", name)[1]
        own = [path for path in settings if path.stem.startswith(f"plot_w{int(stem):02d}_")]
        assert len(own) == 1, name
    for path in settings:
        assert "gflow.descend(" in code[path] and "distance" in code[path] or \
            "twin.W" in code[path], f"{path.name} does not say how far descent is"
    for name in ("panel", "step_sizes", "animate", *gflow.plot.NAMES):
        assert any(f"gflow.plot.{name}(" in text for text in code.values()), name


def slug(heading):
    """The anchor that GitHub and the site give a heading."""
    text = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def test_links_lead_somewhere():
    outside = re.compile(r"^[a-z]+:")
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"),
                      flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if outside.match(target):
                continue
            name, _, anchor = target.partition("#")
            found = (page.parent / name).resolve() if name else page
            assert found.exists(), f"{page.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in map(slug, headings), f"{page.name}: {target}"


def small(path):
    """A picture, coarse and grey, and what drew it."""
    with Image.open(path) as image:
        grey = np.asarray(image.convert("L").resize((92, 72)), dtype=float)
        return grey, image.info["Software"]


def test_readme_makes_its_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, _, code, _ = blocks(ROOT / "README.md")[0]
    assert code.count("\n") <= 11
    committed, by = small(DOCS / "three-points.png")
    exec(code, {})
    made, software = small(tmp_path / "three-points.png")
    # Other versions of Matplotlib place and hint letters otherwise.
    assert np.abs(made - committed).mean() < (0.3 if software == by else 8)
    # Another time has another picture.
    exec(code.replace("t=9.5", "t=60.0"), {})
    assert np.abs(small(tmp_path / "three-points.png")[0] - made).mean() > 0.3


@pytest.mark.slow
def test_the_notebook_runs():
    pytest.importorskip("nbclient")
    import nbformat
    from nbclient import NotebookClient
    book = nbformat.read(DOCS / "tutorial.ipynb", as_version=4)
    NotebookClient(book, timeout=300, kernel_name="python3",
                   resources={"metadata": {"path": str(Path(ROOT))}}).execute()
