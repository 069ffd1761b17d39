"""Progress: a bar where it can be drawn again, lines where it cannot."""

import io
import os
import sys

import pytest

import gflow
from gflow.engines import meter
from gflow.sweeping import report
from gflow.theory import faces


class Terminal(io.StringIO):
    def isatty(self):
        return True


def said(stream, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    flow = gflow.integrate(gflow.init.balanced(10, 2, 0.1), gflow.datasets.five_points(), 40.0,
                           method="DOP853", progress=True)
    return stream.getvalue(), flow


def test_a_log_gets_whole_lines(monkeypatch):
    text, flow = said(io.StringIO(), monkeypatch)
    lines = text.splitlines()
    assert "\r" not in text and "\033" not in text and 3 < len(lines) < 15
    assert all(line.startswith("gflow: t = ") for line in lines)
    assert lines[-1] == f"gflow: t = 40 of 40, {len(flow.events)} events"
    assert " left" in lines[1]


def test_a_terminal_without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    text, flow = said(Terminal(), monkeypatch)
    assert text.count("\n") == 1 and text.endswith("\n")
    assert f"t = 40 of 40, {len(flow.events)} events" in text.split("\r")[-1]


@pytest.mark.parametrize("wide", [200, 80, 60, 40, 20, 2])
def test_lines_fit_into_the_terminal(monkeypatch, wide):
    """One that wraps cannot be wiped out."""
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys.stderr, "fileno", lambda: 2)
    monkeypatch.setattr(os, "get_terminal_size", lambda handle: os.terminal_size((wide, 24)))
    clock = iter([0.0, 3000.0, 6000.0, 9000.0])
    monkeypatch.setattr(meter.time, "perf_counter", lambda: next(clock))
    found = meter.Meter(1.234e-11)
    for share in (0.1, 0.5, 1.0):
        found.show(share * 1.234e-11, 123456, share)
    faces._show(10**6, 10**7, 10**6)
    monkeypatch.setattr(report, "progress_line", lambda store: 100 * "#")
    report.Meter(None, True)._draw()
    *lines, of_planes, of_sweep = sys.stderr.getvalue().split("\r\033[K")[1:]
    assert len(lines) == 3 and max(map(len, (*lines, of_planes, of_sweep))) < wide
    assert all(("of 1.234e-11" in line) == (wide >= 40) and ("[#" in line) == (wide >= 80)
               for line in lines[:2])


def test_a_terminal_with_tqdm(monkeypatch):
    pytest.importorskip("tqdm")
    text, flow = said(Terminal(), monkeypatch)
    assert "100%" in text and f"t = 40 of 40, {len(flow.events)} events" in text
    assert text.endswith("\n")


class Bare:
    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


class Broken(Bare):
    def write(self, text):
        raise RuntimeError("no")

    flush = isatty = write


@pytest.mark.parametrize("stream", [Bare(), Broken(), object()])
def test_a_stream_that_fails_ends_nothing(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    flow = gflow.integrate(([0.1], [[0.1]]), ([[1.0]], [1.0]), 1.0, progress=True)
    assert flow.success
    gflow.theory.extremal_vectors(gflow.datasets.linear_teacher(8, 3, rng=0), progress=True)
    assert type(stream) is not Bare or "t = 1 of 1" in stream.text


def test_time_left(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    clock = iter([0.0, 30.0, 90.0])
    monkeypatch.setattr(meter.time, "perf_counter", lambda: next(clock))
    found = meter.Meter(8.0)
    found.show(2.0, 5, 0.25)
    assert stream.getvalue() == "gflow: t = 2 of 8, 5 events, about 90 s left\n"
