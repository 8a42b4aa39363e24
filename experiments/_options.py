"""The command line of the scripts in this folder: options, their checks, and exit statuses.

A script ends with an exit status and, if that is not 0, one line on stderr:

    0   done
    1   a file cannot be read or written, or memory or a device is missing
    2   an option has a wrong value: the line names it and the mend, and nothing is written
    130 interrupted
"""

import contextlib
import difflib
import errno
import io
import itertools
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar, get_type_hints

import tyro

from slantgan_jax.checks import check_number, shortened

LARGEST = 10**9
"""Of an option that counts, if it names no largest number of its own."""

T = TypeVar("T")


def command_line(main: Callable[[], Any]) -> None:
    """Runs `main` and exits with the status of the module's text."""
    signal.signal(signal.SIGINT, _interrupt)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # whatever letters the console has
    try:
        main()
        sys.stdout.flush()
        return
    except BrokenPipeError:  # nobody reads on; what was computed is saved
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except ValueError as error:
        message, status = f"error: {error}", 2
    except OSError as error:
        printing = error.errno == errno.ENOSPC and error.filename is None
        what = f"what is printed cannot be written ({error.strerror}): print to elsewhere, the results are saved"
        message, status = f"error: {what if printing else error}", 1
    except MemoryError as error:
        message, status = f"error: there is not enough memory ({shortened(str(error))}): make the numbers smaller", 1
    except RuntimeError as error:  # of JAX, for instance for memory of a device
        message, status = f"error: {error}", 1
    except KeyboardInterrupt as interrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # also while Python ends
        message, status = f"interrupted: {str(interrupt) or 'the same command starts again where it can'}", 130
    print(" ".join(message.split()), file=sys.stderr)
    sys.exit(status)


def _interrupt(*_: Any) -> None:
    """Raises `KeyboardInterrupt`, but not while one is being handled: that would stop what cleans up.

    One that was raised in a callback, as of the garbage collector, is lost. The next one is raised again.
    """
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return
        error = error.__context__
    raise KeyboardInterrupt


def options_of(options: Callable[..., T], arguments: list[str] | None, description: str | None = None) -> T:
    """The options of the command line. Raises `ValueError`, in one line, for what is not an option or has no value."""
    given = sys.argv[1:] if arguments is None else arguments
    for before, argument in zip(["", *given], given, strict=False):
        value = argument.partition("=")[2] if "=" in argument else argument
        if not value:
            option = argument.rstrip("=") or before or "an argument"
            raise ValueError(f"{option} is given without a value: give one, or leave it out")
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(options, args=arguments, description=description)
    except SystemExit as done:
        if not done.code:
            raise
        raise ValueError(_complaint(complaint.getvalue())) from None


def _complaint(text: str) -> str:
    """What tyro says in its frame as one line, with the mend."""
    lines = [line for line in (line.strip("╭╮╰╯│─ ") for line in text.splitlines()) if line]
    _title, *said = itertools.takewhile(lambda line: not line.startswith("For full helptext"), lines)
    for head, verb in (("Argument helptext:", "give"), ("Perhaps you meant:", "use")):
        if head in said:
            option = said[said.index(head) + 1].replace("{None}|", "")
            what = re.split(f" Got errors:| {head}", " ".join(said))[0].removeprefix("Error parsing ").rstrip(".")
            return f"{what}: {verb} {option}"
    return f"{' '.join(said)}: --help lists all options"


def checked(settings: Any) -> None:
    """Raises `ValueError` unless the settings pass the checks in their annotations, and their method `check` if any.

    A check is called with the option's name and a value, as in `Annotated[int, partial(check_whole, least=1, most=9)]`.
    It sees each entry of a tuple, which must have one, and each only once. None, for an option not given, passes. What
    is no function, such as a `listing`, is no check.
    """
    for name, hint in get_type_hints(type(settings), include_extras=True).items():
        option, value = f"--{name.replace('_', '-')}", getattr(settings, name)
        for check in filter(callable, getattr(hint, "__metadata__", ())):
            if value == ():
                raise ValueError(f"{option} names none: give at least one")
            if isinstance(value, tuple) and (twice := [entry for entry in value if value.count(entry) > 1]):
                raise ValueError(f"{option} has {twice[0]!r} more than once: give each once")
            for entry in value if isinstance(value, tuple) else () if value is None else (value,):
                check(option, entry)
    getattr(settings, "check", lambda: None)()


check_within = check_number
check_positive = partial(check_number, least=1e-30, most=1e30)  # what float32 has, too


def check_whole(name: str, value: int, least: int, most: int = LARGEST, multiple: int = 1) -> None:
    """Raises `ValueError` unless the option `name` is a multiple of `multiple` from `least` to `most`."""
    if not least <= value <= most or value % multiple:
        what = "whole number" if multiple == 1 else f"multiple of {multiple}"
        raise ValueError(f"{name} is {value}: give a {what} from {least} to {most}")


def check_known(name: str, given: str | Iterable[str], known: Iterable[str]) -> None:
    """Raises `ValueError` unless the option `name` has at least one entry and all are among the `known`."""
    given, known = [given] if isinstance(given, str) else list(given), list(known)
    if not given:
        raise ValueError(f"{name} names none: give at least one of {', '.join(map(repr, known))}")
    if unknown := [entry for entry in given if entry not in known]:
        alike = difflib.get_close_matches(unknown[0], known)
        names = dict.fromkeys([*alike, *known])  # all of them, those first that are like the wrong one
        raise ValueError(f"{name} has {unknown[0]!r}: choose from {', '.join(map(repr, names))}")


def listing(text: str, known: Iterable[str]) -> Any:
    """The help of an option for which `check_known` has the names: `text` and all of them, with quotes for a shell."""
    return tyro.conf.arg(help=f"{text} One of {', '.join(repr(n) if ' ' in n else n for n in known)}.")
