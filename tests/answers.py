"""What an answer to a wrong input is: one line that names the value and the fix."""

import re

FIX = re.compile(
    r"\b(give|use|call|choose|run|name|pass|rename|install|start|continue|make|record|return|restore|let|take|map|"
    r"penalize|integrate|list)s?\b",
    re.IGNORECASE,
)
MOST_LETTERS = 260


def assert_answers(error, value, most=MOST_LETTERS):
    """The error is a plain `ValueError` of one line with `value` in it, and with a verb that says what to do."""
    text = str(error)
    assert type(error) is ValueError
    assert value in text
    assert "\n" not in text
    assert len(text) <= most
    assert FIX.search(text)
