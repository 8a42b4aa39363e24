"""What tests of several modules use to write down their tables."""

import pytest


def slow_unless(names, *quick, mark=pytest.mark.slow):
    """Parameters that only the complete tests try, unless they are among the quick ones."""
    return [pytest.param(name, marks=() if name in quick else mark) for name in names]
