"""What all tests share: an example of a property test has no time limit, for no test here is a timed one."""

from importlib.util import find_spec

if find_spec("hypothesis"):  # core's tests also run without it
    from hypothesis import settings

    # Whatever profile is the default (hypothesis takes another one under CI), but untimed.
    settings.register_profile("untimed", settings(deadline=None))
    settings.load_profile("untimed")
