"""Files: where they are written, and what becomes of what was there."""

import errno
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest

import gflow
import gflow.commands.demo
from gflow.commands.cli import main
from gflow.commands.outputs import Figure, save_run
from gflow.problem.files import Output, plain, whole_file
from gflow.flows.archive import checksum

ROOT = Path(gflow.__file__).parents[1]


@pytest.fixture(scope="module")
def flow():
    return gflow.integrate(([0.1, 0.2], [[0.1], [-0.2]]), ([[1.0]], [1.0]), 1.0)


def write(path, content=b"new"):
    with whole_file(path) as file:
        file.write(content)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


# What is there decides

def test_links_stay_links(tmp_path):
    (tmp_path / "there").mkdir()
    target, link, dangling = (tmp_path / name for name in ("there/file", "link", "dangling"))
    target.write_bytes(b"old")
    link.symlink_to("there/file")
    dangling.symlink_to("there/none")
    for path in (link, dangling):
        write(path)
        assert path.is_symlink() and path.read_bytes() == b"new"
    hard = tmp_path / "hard"
    os.link(target, hard)
    write(hard, b"newer")
    assert target.read_bytes() == hard.read_bytes() == b"newer" and hard.stat().st_nlink == 2
    assert sorted(os.listdir(tmp_path / "there")) == ["file", "none"]


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o755])
def test_permissions_stay(tmp_path, bits):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(bits)
    seen = []
    with whole_file(path) as file:
        seen = [mode(tmp_path / name) for name in os.listdir(tmp_path) if name != "file"]
        file.write(b"new")
    assert mode(path) == bits and path.read_bytes() == b"new"
    assert seen == [0o600]
    # A new file is like any other of the user.
    write(tmp_path / "one")
    (tmp_path / "other").touch()
    assert mode(tmp_path / "one") == mode(tmp_path / "other")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives files away")
def test_owners_stay(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.chown(path, 4321, 1234)
    write(path)
    assert (os.stat(path).st_uid, os.stat(path).st_gid) == (4321, 1234)
    assert path.read_bytes() == b"new"


def test_devices_and_pipes_are_written_to(tmp_path, flow):
    flow.save("/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="nobody reads the pipe"):
        flow.save(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    while True:
        try:
            out = Output(pipe)
            break
        except OSError:         # until the reader has opened its end
            assert reader.is_alive()
    flow.save(out)
    reader.join(60)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    (tmp_path / "run.npz").write_bytes(got[0])
    assert (gflow.load(tmp_path / "run.npz").W == flow.W).all()


def test_what_cannot_be_written_is_refused_at_once(tmp_path, monkeypatch):
    locked = tmp_path / "locked"
    locked.write_bytes(b"old")
    locked.chmod(0o444)
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)         # names of sockets are short
        server.bind("socket")
        for path, words in ((locked, "write protected"), (tmp_path, "is a directory"),
                            (tmp_path / "socket", "is a socket"),
                            (tmp_path / "none" / "file", "make it first")):
            with pytest.raises(OSError, match=words) as caught:
                Output(path)
            assert "\n" not in str(caught.value)
    for path in ("", "a\0b"):
        with pytest.raises(ValueError, match="name of the file"):
            Output(path)
    with pytest.raises(TypeError, match="name"):
        Output(3.0)
    assert locked.read_bytes() == b"old"


def test_a_copy_that_fails_is_kept_elsewhere(flow, tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no device that is always full")
    with pytest.raises(OSError, match="the whole file is ") as caught:
        flow.save("/dev/full")
    name = str(caught.value).rpartition(" is ")[2]
    try:
        assert (gflow.load(name).W == flow.W).all()
    finally:
        os.unlink(name)


def test_the_command_saves_a_run_elsewhere_if_it_must(flow, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "folder").mkdir()
    out = Output(tmp_path / "folder" / "run.npz")
    (tmp_path / "folder").rmdir()
    with pytest.raises(OSError, match="instead") as caught:
        save_run(flow, out)
    name = str(caught.value).partition("the run is in ")[2].partition(" instead")[0]
    assert (gflow.load(name).W == flow.W).all()


# Names

def test_names_of_any_length_and_letters(tmp_path, flow, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a" * 251 + ".npz", "line\nbreak", "ä", "-", b"\xff.npz", "~/home.npz"):
        for _ in range(2):      # new, and in place of another
            flow.save(name)
        assert gflow.load(name).status == "finished"
    assert (tmp_path / "home.npz").exists() and len(os.listdir(tmp_path)) == 6


def test_the_directory_may_change_meanwhile(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with whole_file("file") as file:
        monkeypatch.chdir("other")
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_the_ending_of_a_figure_is_looked_at_first(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, words in (("fig", "no ending"), (".png", "no ending"),
                        ("fig.npz", "the ending .npz")):
        assert main(["demo", "--out", name]) == 2
        printed = capsys.readouterr()
        assert words in printed.err and ".pdf" in printed.err and printed.err.count("\n") == 1
        assert not printed.out
    assert os.listdir(tmp_path) == []
    Figure("fig.SVG").write(matplotlib.figure.Figure(), 100)
    assert b"<svg" in (tmp_path / "fig.SVG").read_bytes()
    Figure("/dev/null").write(matplotlib.figure.Figure(), 100)


@pytest.mark.parametrize("error", [RuntimeError("no LaTeX"), FileNotFoundError(2, "no", "xelatex"),
                                   ValueError("too\nlarge"), KeyError("font")])
def test_a_figure_that_cannot_be_drawn_is_refused_first(flow, tmp_path, monkeypatch, capsys, error):
    def fail(figure, file, **options):
        raise error
    monkeypatch.chdir(tmp_path)
    flow.save("run.npz")
    with monkeypatch.context() as patch:
        patch.setattr(matplotlib.figure.Figure, "savefig", fail)
        patch.setattr(gflow.commands.demo, "integrate", None)
        patch.setattr(gflow.plot, "figure", None)
        for command in ("demo --out a.pgf", "plot run.npz --out a.pgf"):
            assert main(command.split()) == 2
            printed = capsys.readouterr()
            assert printed.err.startswith("gflow: a.pgf cannot be drawn (")
            assert "another ending, such as .png" in printed.err and printed.err.count("\n") == 1
    picture = Figure("a.png")
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", fail)
    with pytest.raises(type(error) if isinstance(error, OSError) else ValueError) as caught:
        picture.write(matplotlib.figure.Figure(), 100)
    assert isinstance(error, OSError) or "a.png cannot be drawn" in str(caught.value)
    assert os.listdir() == ["run.npz"]


def test_names_that_a_terminal_cannot_show(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n1,2\n2,1\n")
    done = subprocess.run([sys.executable, "-m", "gflow", "integrate", tmp_path / "t.csv",
                           "--target", "y", "--width", "2", "--t-max", "0.1", "--out",
                           os.fsencode(tmp_path) + b"/\xff\xe4.npz"], capture_output=True,
                          env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep
                               .join(filter(None, sys.path))})
    assert done.returncode == 0 and b"written to" in done.stdout


# Damage

def spoiled(content, at, how):
    if how == "cut":
        return content[:at]
    if how == "flip":
        return content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1:]
    return content[:at] + content[at + 1:]


def test_a_damaged_file_is_refused_or_the_same(flow, tmp_path):
    path = tmp_path / "run.npz"
    flow.save(path)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for how in ("cut", "flip", "lose"):
        # Everywhere, and at every byte of the directory at the end.
        for at in [*rng.integers(len(content), size=60), *range(len(content) - 100, len(content))]:
            path.write_bytes(spoiled(content, int(at), how))
            try:
                again = gflow.load(path)
            except ValueError as error:
                assert "not a run saved by gflow" in str(error)
            else:
                assert (again.W == flow.W).all() and repr(again) == repr(flow)


def rewritten(path, change):
    """A file with other content, and the checksum of that."""
    with np.load(path) as content:
        arrays = dict(content)
    header = json.loads(str(arrays["header"]))
    change(header, arrays)
    arrays["header"] = np.array(json.dumps(header))
    arrays["checksum"] = np.array(checksum(arrays))
    np.savez(path, **arrays)


@pytest.mark.parametrize("change", [
    lambda header, arrays: header.update(status=3),
    lambda header, arrays: header.update(m=1),
    lambda header, arrays: header.update(m="2"),
    lambda header, arrays: header.pop("stats"),
    lambda header, arrays: header["stats"].pop("nfev"),
    lambda header, arrays: header["settings"].update(t_max="1"),
    lambda header, arrays: arrays.update(t=arrays["t"][::-1]),
    lambda header, arrays: arrays.update(t=arrays["t"].astype(str)),
    lambda header, arrays: arrays.update(initial_pattern=arrays["initial_pattern"] + np.int8(7)),
    lambda header, arrays: arrays.update(events=np.ones(3)),
    lambda header, arrays: arrays.update(path_series=arrays["path_series"][:, :1]),
    lambda header, arrays: arrays.update(path_breaks=arrays["path_breaks"][:2]),
    lambda header, arrays: arrays.update(X=np.array([["1"]])),
])
def test_content_that_does_not_fit_is_refused(flow, tmp_path, change):
    flow.save(tmp_path / "run.npz")
    rewritten(tmp_path / "run.npz", lambda header, arrays: None)
    assert (gflow.load(tmp_path / "run.npz").W == flow.W).all()
    rewritten(tmp_path / "run.npz", change)
    with pytest.raises(ValueError, match="not a run saved by gflow"):
        gflow.load(tmp_path / "run.npz")


def test_other_numbers_need_another_checksum(flow, tmp_path):
    flow.save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as content:
        arrays = dict(content)
    np.savez(tmp_path / "run.npz", **{**arrays, "y": arrays["y"] + 1})
    with pytest.raises(ValueError, match="damaged"):
        gflow.load(tmp_path / "run.npz")


def test_files_of_format_1_are_read(tmp_path):
    flow = gflow.integrate(([0.1], [[0.1]]), ([[1.0]], [1.0]), 1.0, save=["loss", "a"])
    flow.save(tmp_path / "run.npz")

    def older(header, arrays):
        header["format"] = 1
        del header["ragged"]
        for k, name in enumerate(header["saved"]):
            arrays[f"saved_{name}"] = arrays.pop(f"saved_{k}")
    rewritten(tmp_path / "run.npz", older)
    again = gflow.load(tmp_path / "run.npz")
    assert (again.loss == flow.loss).all() and (again.a == flow.a).all()


def test_a_huge_shape_takes_no_memory(flow, tmp_path):
    flow.save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as content:
        arrays = dict(content)
    np.savez(tmp_path / "run.npz", **arrays)
    content = (tmp_path / "run.npz").read_bytes()
    shape = b"'shape': (1, 1), }"
    assert shape in content
    (tmp_path / "run.npz").write_bytes(content.replace(shape, b"'shape': (9**9,9)}"[:len(shape)]))
    with pytest.raises(ValueError, match="not a run saved by gflow"):
        gflow.load(tmp_path / "run.npz")


def test_a_name_that_ends_like_a_directory_is_none_of_a_file(tmp_path, flow):
    with pytest.raises(IsADirectoryError, match="is the name of a directory"):
        flow.save(f"{tmp_path}/new/")
    assert not list(tmp_path.iterdir())
    flow.save(tmp_path / "run.npz")
    for name, error in ((tmp_path, IsADirectoryError),
                        (f"{tmp_path}/run.npz/", NotADirectoryError)):
        with pytest.raises(error, match="give the name of a run that flow.save wrote$"):
            gflow.load(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such pipes")
@pytest.mark.parametrize("cut", [0, 1])
def test_a_run_comes_through_a_pipe(flow, tmp_path, cut):
    flow.save(tmp_path / "run.npz")
    content = (tmp_path / "run.npz").read_bytes()
    os.mkfifo(tmp_path / "pipe")
    feeder = threading.Thread(target=(tmp_path / "pipe").write_bytes,
                              args=(content[:len(content) - cut],))
    feeder.start()
    if cut:
        with pytest.raises(ValueError, match="damaged"):
            gflow.load(tmp_path / "pipe")
    else:
        assert (gflow.load(tmp_path / "pipe").W == flow.W).all()
    feeder.join()


# Open files of the program itself

INTEGRATE = "integrate t.csv --target y --width 2 --t-max 0.1 --out "


def shell(folder, line, **more):
    """A command of gflow in a shell, with redirections and all."""
    (folder / "t.csv").write_text("x,y\n1,2\n2,1\n")
    return subprocess.run(["/bin/sh", "-c", f'"$PYTHON" -m gflow {line}'], cwd=folder,
                          capture_output=True, env={**os.environ, "PYTHON": sys.executable, **more,
                                                    "PYTHONPATH": str(ROOT)})


@pytest.mark.skipif(not os.path.exists("/dev/fd/1"), reason="open files have no names")
@pytest.mark.parametrize("name, redirection", [
    ("/dev/stdout", "> out"), ("/dev/stdout", ">> out"), ("/dev/fd/1", "| cat > out"),
    ("/proc/self/fd/1", ">> out"), ("link", ">> out"), ("/dev/stderr", "2>> out"),
    ("/dev/fd/3", "3>> out > other"), ("out", "> out")])
def test_content_and_report_do_not_meet(tmp_path, name, redirection):
    (tmp_path / "link").symlink_to("/dev/stdout")
    (tmp_path / "out").write_bytes(b"before\n")
    done = shell(tmp_path, f"{INTEGRATE}{name} {redirection}")
    assert done.returncode == 0, done.stderr
    content = (tmp_path / "out").read_bytes()
    before = b"before\n" if ">> out" in redirection else b""
    assert content.startswith(before + b"PK") and b"Certificate" not in content
    (tmp_path / "run.npz").write_bytes(content[len(before):])
    assert gflow.load(tmp_path / "run.npz").status == "finished"
    other = (tmp_path / "other").read_bytes() if "other" in redirection else b""
    assert b"Certificate: ok" in done.stdout + done.stderr + other
    assert (tmp_path / "link").is_symlink()


@pytest.mark.skipif(not os.path.exists("/dev/fd/1"), reason="open files have no names")
def test_open_files_that_cannot_take_it_are_refused(tmp_path):
    (tmp_path / "out").write_bytes(b"before\n")
    for line, words in (("/dev/stdout > both 2>&1", b"stdout and stderr both go"),
                        ("/dev/fd/77", b"is not open"), ("/dev/fd/0 < t.csv", b"for reading only"),
                        ("/dev/stdout >> t.csv", b"is the file that is read")):
        done = shell(tmp_path, INTEGRATE + line)
        both = tmp_path / "both"
        said = done.stderr + (both.read_bytes() if both.exists() else b"")
        both.unlink(missing_ok=True)
        assert done.returncode == 2 and words in said and said.count(b"\n") == 1


@pytest.mark.skipif(not os.path.exists("/dev/fd/1"), reason="open files have no names")
def test_pictures_and_runs_go_on_where_an_open_file_stands(flow, tmp_path, monkeypatch):
    from PIL import Image
    flow.save(tmp_path / "run.npz")
    done = shell(tmp_path, "plot run.npz --what loss --out /dev/stdout > loss")
    assert done.returncode == 0 and b"figure written" in done.stderr
    assert Image.open(tmp_path / "loss").format == "PNG"
    with open(tmp_path / "log", "w+b") as log:
        log.write(b"first ")
        log.flush()
        out = Output(f"/dev/fd/{log.fileno()}")
        for content in (b"second ", b"third "):
            with whole_file(out) as file:
                file.write(content)
        log.write(b"fourth")
    assert (tmp_path / "log").read_bytes() == b"first second third fourth"


def test_a_checkpoint_is_a_file(tmp_path):
    problem = ([0.1, 0.2], [[0.1], [-0.2]]), ([[1.0]], [1.0]), 1.0
    for name in filter(os.path.exists, ("/dev/null", "/dev/stderr")):
        with pytest.raises(ValueError, match="give the name of a file"):
            gflow.integrate(*problem, checkpoint=name)


# What the system says

def test_errors_of_the_system_have_a_name_and_advice(flow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink("circle", "circle")
    (tmp_path / "file").write_bytes(b"")
    for name in ("circle", "file/run.npz"):
        for work in (flow.save, gflow.load,
                     lambda name: gflow.datasets.from_csv(name, "y")):
            with pytest.raises(OSError, match=f"^{name}.* give ") as caught:
                work(name)
            assert "Errno" not in str(caught.value) and "\n" not in str(caught.value)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for part in ("fsync", "open"):
        with monkeypatch.context() as patch:
            patch.setattr(f"os.{part}", full)
            with pytest.raises(OSError, match="^run.npz cannot be written in .*: make room") as no:
                flow.save("run.npz")
            assert no.value.errno == errno.ENOSPC and "Errno" not in str(no.value)
    assert sorted(os.listdir()) == ["circle", "file"]


def test_a_limit_on_the_sizes_of_files_is_told(tmp_path):
    resource = pytest.importorskip("resource")
    code = ("import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, "
            f"{resource.RLIM_INFINITY})); from gflow.commands.cli import main; sys.exit(main())")
    (tmp_path / "t.csv").write_text("x,y\n1,2\n2,1\n")
    done = subprocess.run([sys.executable, "-c", code, *INTEGRATE.split(), "run.npz"],
                          cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 2 and done.stderr.startswith("gflow: run.npz cannot be written in ")
    assert "ulimit" in done.stderr and done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == ["t.csv"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_report_that_cannot_be_printed_is_told(flow, tmp_path):
    flow.save(tmp_path / "run.npz")
    done = shell(tmp_path, "info run.npz > /dev/full")
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"gflow: what is printed cannot be written (no space")


def test_names_that_the_system_cannot_write_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match="letters that this system cannot write: give another"):
        plain("\ud800.npz")


def test_a_table_of_files_that_were_joined_has_no_marks_in_its_names(tmp_path):
    path = tmp_path / "joined.csv"
    path.write_bytes(b"\xef\xbb\xbf\xef\xbb\xbfx,y\n1,2\n2,3\n")
    assert gflow.datasets.from_csv(path, "y").columns[0] == "x"


def test_figures_are_drawn_before_a_file_is_begun(tmp_path):
    """A signal that ends the program while they are drawn, which takes long, leaves nothing."""
    seen = []

    class Drawing:
        def savefig(self, file, **options):
            seen.append(os.listdir(tmp_path))
            file.write(b"drawn")

    Figure(tmp_path / "fig.svg").write(Drawing(), 100)
    assert seen == [[]] and (tmp_path / "fig.svg").read_bytes() == b"drawn"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no such file system")
@pytest.mark.parametrize("path", ["/proc/x.npz", "/proc/self/x.npz"])
def test_files_that_no_disk_holds_are_refused_at_once(path):
    with pytest.raises(OSError, match="cannot be made, for .* holds no files|cannot be written to"):
        Output(path)
