"""What the pages tell the reader to type, typed: README.md and docs/*.md.

Python blocks of a page run in order, in one namespace and in an empty directory; an expression
with a number in the comment behind it must have that value, to the digits given (or lie ``below``
it). Indented lines right below a block are what it prints, but for what it cost. Of ``gflow``
commands the grid is cut down to its first point. A comment before a block,
``<!-- slow: reason -->`` or ``<!-- not run: reason -->``, keeps it for ``pytest -m slow``, or out.
"""

import ast
import io
import re
import shlex
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path

import matplotlib
import pytest

from gflow.commands import cli
from gflow.commands import sweep as sweeps
from validation.check import all_checks

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(?:<!-- (?P<mark>slow|not run): [^\n]+ -->\n)?"
                   r"(?:<!-- (?:demo|test) command -->\n)?"
                   r"^```(?P<language>python|sh)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"\n((?:    [^\n]*\n)+)")
"""Lines below a block."""
STATED = re.compile(r"#\s*(?P<below>below )?(?P<number>-?\d[\d.]*(?:e[+-]?\d+)?)(?=[\s:,;]|$)")


def blocks(page):
    """Blocks of a page: (mark, language, code, first line)."""
    text = page.read_text(encoding="utf-8")
    return [(found["mark"], found["language"], found["code"],
             text[:found.start("code")].count("\n") + 1) for found in BLOCK.finditer(text)]


def shown(page):
    """What pages say that blocks print: text by first line of the block."""
    text = page.read_text(encoding="utf-8")
    below = [(found, SHOWN.match(text, found.end() + 1)) for found in BLOCK.finditer(text)]
    return {text[:found.start("code")].count("\n") + 1: textwrap.dedent(after[1])
            for found, after in below if after}


def timeless(text):
    """A text without what a run cost: seconds, and work that rounding of the processor changes."""
    return re.sub(r"\d[\d.e-]* (s|right-hand sides|steps)\b", r"some \1",
                  "\n".join(map(str.rstrip, text.splitlines())))


def as_stated(value, found):
    """Whether a value is the number of a comment, to the digits given."""
    number = found["number"]
    if found["below"]:
        return 0 <= value < float(number)
    digits = len(re.sub(r"e.*|\D", "", number).lstrip("0")) or 1
    return f"{float(value):.{digits - 1}e}" == f"{float(number):.{digits - 1}e}"


def run_python(code, page, line, names):
    lines = code.splitlines()
    tree = ast.increment_lineno(ast.parse(code), line)
    for node in tree.body:
        found = STATED.search(lines[node.end_lineno - line - 1]) if isinstance(node, ast.Expr) \
            else None
        if not found:
            exec(compile(ast.Module([node], []), page.name, "exec"), names)
            continue
        value = node.value
        if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "print":
            value = value.args[0]
        got = eval(compile(ast.Expression(value), page.name, "eval"), names)
        assert as_stated(got, found), f"{page.name}:{node.lineno}: {got}, but {found[0]}"


def run_shell(code, page):
    commands = [shlex.split(line, comments=True)
                for line in code.replace("\\\n", " ").splitlines()]
    for words in filter(None, commands):
        assert words[0] == "gflow", f"{page.name}: mark a block with {words[0]} as not run"
        assert cli.main(words[1:]) == 0, f"{page.name}: {shlex.join(words)}"


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """An empty directory, where sweeps do the first point of their grid, in a thread."""
    real = sweeps.sweep

    def one_point(run, grid, *, executor, workers, **more):
        with ThreadPoolExecutor(1) as pool:
            grid = {name: values[:1] for name, values in grid.items()}
            return real(run, grid, executor=pool, workers=1, progress=False,
                        **{**more, "seeds": 1})

    monkeypatch.setattr(sweeps, "sweep", one_point)
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")


def run_page(page, marks):
    names, below = {"__name__": page.stem}, shown(page)
    for mark, language, code, line in blocks(page):
        if mark in marks and language == "python":
            with redirect_stdout(io.StringIO()) as said:
                run_python(code, page, line, names)
            if line in below:
                assert timeless(said.getvalue()) == timeless(below[line]), f"{page.name}:{line}"
        elif mark in marks:
            run_shell(code, page)


def with_blocks(mark):
    return [pytest.param(page, id=page.name) for page in PAGES
            if any(found[0] == mark for found in blocks(page))]


@pytest.mark.parametrize("page", with_blocks(None))
def test_pages_run(page, desk):
    run_page(page, {None})


@pytest.mark.slow
@pytest.mark.parametrize("page", with_blocks("slow"))
def test_slow_blocks_run(page, desk):
    run_page(page, {None, "slow"})


def test_every_block_is_seen():
    # An opening fence that the pattern above does not match would never run.
    for page in PAGES:
        fences = re.findall(r"^```(?:python|sh)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) == len(blocks(page)), page.name


def test_a_wrong_number_or_command_is_noticed(desk):
    names = {}
    run_python("x = 0.0057234\nx  # 0.0057\nprint(x)  # 0.00572: so it is\nx  # below 0.006\n",
               ROOT / "README.md", 1, names)
    for wrong in ("x  # 0.0058\n", "x  # below 0.005\n", "-x  # below 1\n"):
        with pytest.raises(AssertionError, match="README.md:7"):
            run_python(wrong, ROOT / "README.md", 6, names)
    with pytest.raises(SystemExit):
        run_shell("gflow sweep threshold --no-such-option 3\n", ROOT / "README.md")
    with pytest.raises(AssertionError, match="as not run"):
        run_shell("rm -r report\n", ROOT / "README.md")


def test_checks_and_commands_named_in_the_text_exist():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"--only ([A-Z][\w-]*)", text)) - {"ID"}
    assert len(named) > 10 and named <= set(all_checks())
    inline = re.findall(r"`gflow (integrate [^`]+)`", text.replace("\n", " "))
    assert inline
    for command in inline:
        cli._parser().parse_args(command.split())
