"""What a person sees while a run trains: one block on a terminal, plain lines elsewhere."""

import logging
import os
import signal
import subprocess
import sys

import pytest
from conftest import environment
from terminal import Terminal, colours, lines

from logogan_jax.core import progress
from logogan_jax.training.reporting.cost import Budget
from logogan_jax.training.reporting.screen import Screen, sparkline

SHOW = "\x1b[?25h"  # the cursor
HIDE = "\x1b[?25l"


@pytest.fixture
def on_terminal(monkeypatch):
    """A function (**variables) -> a Terminal that stdout and stderr are, with these variables of the environment."""
    opened = []

    def on_terminal(**variables):
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40", **variables}.items():
            monkeypatch.setenv(name, value)
        terminal = Terminal()
        for name in ("stdout", "stderr"):
            stream = os.fdopen(os.dup(terminal.slave), "w", buffering=1, encoding=variables.get("ENCODING", "utf-8"))
            opened.append(stream)
            monkeypatch.setattr(sys, name, stream)
        return terminal

    yield on_terminal
    for stream in opened:
        stream.close()


def closed(terminal):
    sys.stdout.close()
    sys.stderr.close()
    return terminal.close()


def show(screen):
    for step in range(10, 60, 10):
        screen.update(step)
        losses = {"critic/loss": 1 / step, "generator/loss": float(step), "critic/real": 3.0}
        screen.show_line(step, losses, 440.0, 125.0, Budget(price=3600.0))
    kids = [{"step": step, "evaluation/kid_toy": step / 1000, "evaluation/kid_toy_low": 0.01} for step in (20, 40)]
    screen.show_evaluations([*kids, {"step": 50, "critic/loss": 1.0}])


def test_a_terminal_shows_one_block_below_all_messages(on_terminal):
    terminal = on_terminal()
    handler = logging.StreamHandler()
    logging.getLogger("another").addHandler(handler)
    try:
        with Screen(100) as screen:
            screen.say("Starting [bold] in <runs>")
            show(screen)
            print("printed by another module")
            print("an error line", file=sys.stderr)
            logging.getLogger("another").warning("logged by another module")
            screen.warn("Warning at step 50: samples become alike.")
        logging.getLogger("another").warning("logged later")
        screen.end("Finished 100 steps.\nHow good they are")
    finally:
        logging.getLogger("another").removeHandler(handler)
    written = closed(terminal)
    seen = lines(written)
    at = lambda text: next(i for i, line in enumerate(seen) if text in line)
    block = at("step 50 of 100")
    for text in ("Starting [bold] in <runs>", "printed by", "an error line", "logged by"):
        assert at(text) < block and sum(text in line for line in seen) == 1, text
    assert [line.split("  ")[0] for line in seen[block + 1 : block + 6]] == [
        "pace", "critic", "generator", "KID", "event",
    ]  # fmt: skip
    assert "50%" in seen[block] and "440 images/s, 2 min 5 s left, $" in seen[block + 1]
    assert "0.020" in seen[block + 2] and seen[block + 3].endswith("▁▃▅▇█")
    assert "0.0400 at step 40, best 0.0200 at step 20" in seen[block + 4]
    assert seen[block + 5].endswith("Warning at step 50: samples become alike.")
    assert [line for line in seen[block + 6 :] if line] == ["logged later", "Finished 100 steps.", "How good they are"]
    assert written.rindex(SHOW) > written.rindex(HIDE)


def test_a_narrow_terminal_cuts_lines_short(on_terminal):
    terminal = on_terminal(COLUMNS="30")
    with Screen(100_000) as screen:
        show(screen)
    seen = lines(closed(terminal))
    assert all(len(line) <= 30 for line in seen) and any("of 100,000" in line for line in seen)
    assert any(line.startswith("KID") and line.endswith("…") for line in seen)


def test_a_terminal_without_colours_or_letters_gets_none(on_terminal):
    for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        terminal = on_terminal(**variables)
        with Screen(100) as screen:
            show(screen)
        assert bool(colours(closed(terminal))) == coloured
    terminal = on_terminal(ENCODING="ascii")
    with Screen(100) as screen:
        show(screen)
    assert closed(terminal).isascii()


def test_a_dumb_terminal_gets_plain_lines(on_terminal):
    terminal = on_terminal(TERM="dumb")
    with Screen(50) as screen:
        screen.say("Starting")
        show(screen)
    written = closed(terminal)
    assert "\x1b" not in written
    assert lines(written)[0] == "Starting" and "step 50/50  440 images/s, 2 min 5 s left, $" in written


def test_an_error_leaves_the_terminal_clean(on_terminal):
    terminal = on_terminal()
    stderr, stdout = sys.stderr, sys.stdout
    with pytest.raises(KeyboardInterrupt), Screen(100) as screen:
        show(screen)
        raise KeyboardInterrupt
    assert sys.stderr is stderr and sys.stdout is stdout
    print("Traceback")
    written = closed(terminal)
    assert written.rindex(SHOW) > written.rindex(HIDE) and lines(written)[-2:] == ["Traceback", ""]


def test_without_a_terminal_lines_are_those_of_a_bar(capsys):
    with Screen(50) as screen:
        screen.say("Starting")
        screen.update(10)
        screen.show_line(10, {"critic/loss": 0.02, "generator/loss": 50.0}, 440.0, 125.0, Budget())
        screen.update(50)
        screen.warn("Warning: toy.")
    screen.end("Finished.\nHow good")
    said = capsys.readouterr()
    text = "440 images/s, 2 min 5 s left, critic 0.020, generator 50.000"
    assert said.err == f"Starting\nstep 50/50  {text}\nWarning: toy.\n" and said.out == "Finished.\nHow good\n"
    with progress.Bar("step", 50, unit="steps") as bar:
        bar.say("Starting")
        bar.update(10)
        bar.update(10, text)
        bar.update(50)
        bar.say("Warning: toy.")
    assert capsys.readouterr().err == said.err


@pytest.mark.parametrize("terminal", [True, False])
def test_a_quiet_run_prints_warnings_and_the_last_line(on_terminal, capsys, terminal):
    there = on_terminal() if terminal else None
    with progress.hushed(), Screen(50) as screen:
        screen.say("Starting")
        show(screen)
        screen.warn("Warning: toy.")
        screen.end("Finished.\nHow good")
    written = closed(there) if there else "".join(reversed(capsys.readouterr()))
    assert written.split() == ["Warning:", "toy.", "Finished."]
    assert not progress.is_hushed()


def test_another_process_prints_nothing(capsys):
    with Screen(50, silent=True) as screen:
        screen.say("Starting")
        show(screen)
        screen.warn("Warning: toy.")
        screen.end("Finished.")
    assert capsys.readouterr() == ("", "")


def test_a_sparkline_has_a_character_for_each_value():
    assert sparkline([0.0, 1.0, 2.0, 7.0]) == "▁▂▃█" and sparkline([5.0, 5.0]) == "▁▁"
    assert sparkline([-1e308, 1e308]) == "▁█"


SCRIPT = """
import sys, time
from logogan_jax.training.reporting.cost import Budget
from logogan_jax.training.reporting.screen import Screen
with Screen(1000) as screen:
    screen.say("Starting")
    for step in range(1, 1000):
        screen.show_line(step, {"critic/loss": 1 / step}, 440.0, 125.0, Budget())
        if step == 5:
            print("ready", flush=True)
        time.sleep(0.01)
"""


@pytest.mark.slow
def test_ctrl_c_and_a_resized_window_leave_the_terminal_clean():
    terminal = Terminal()
    terminal.resize(100)
    words = [sys.executable, "-c", SCRIPT]
    variables = environment(TERM="xterm-256color")
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        variables.pop(name, None)
    slave = terminal.slave
    with subprocess.Popen(words, env=variables, stdin=slave, stdout=slave, stderr=slave) as running:
        terminal.wait_for("ready")
        terminal.resize(24)
        terminal.wait_for("…")  # lines are cut short for the new width
        running.send_signal(signal.SIGINT)
    written = terminal.close()
    assert running.returncode in (-signal.SIGINT, 130)
    assert written.rindex(SHOW) > written.rindex(HIDE)
    seen = [line for line in lines(written) if line]
    assert seen[0] == "Starting" and seen[-1] == "KeyboardInterrupt" and "Traceback" in " ".join(seen)
