"""What this process may use of its machine: processor cores and memory, within a container's limits."""

import math
import os
import pathlib
import resource
from collections.abc import Iterator

_CGROUPS = pathlib.Path("/sys/fs/cgroup")
_MEMBERSHIP = pathlib.Path("/proc/self/cgroup")
_UNLIMITED = 1 << 60  # bytes; the first version of control groups says "no limit" by a number above this


def available_cores() -> int:
    """Number of processor cores that this process may use: those it is bound to, within its group's share of time."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([bound, *map(math.ceil, _quotas())]))


def available_memory() -> int | None:
    """Bytes of memory that this process and its children may use together; None if the system does not say it."""
    return min([*_group_memory(), *_physical_memory()], default=None)


def address_space_limit() -> int | None:
    """Bytes of address space that each process may have, as `ulimit -v` sets them; None without a limit."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def _quotas() -> Iterator[float]:
    """Yield the cores' worth of processor time that each control group around this process allows."""
    for words in _settings("cpu.max", "cpu"):
        if words[0].isdigit():
            yield int(words[0]) / int(words[1])
    quotas = _settings("cpu.cfs_quota_us", "cpu")
    periods = _settings("cpu.cfs_period_us", "cpu")
    for quota, period in zip(quotas, periods, strict=False):
        if quota[0].isdigit() and int(period[0]):
            yield int(quota[0]) / int(period[0])


def _group_memory() -> Iterator[int]:
    for words in [*_settings("memory.max", "memory"), *_settings("memory.limit_in_bytes", "memory")]:
        if words[0].isdigit() and int(words[0]) < _UNLIMITED:
            yield int(words[0])


def _physical_memory() -> Iterator[int]:
    if {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= os.sysconf_names.keys():
        yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _settings(name: str, controller: str) -> Iterator[list[str]]:
    """Yield the words of a setting in each control group around this process, the inmost first.

    In the first version of control groups, each controller has a tree; in the second, "" is that of all.
    """
    try:
        memberships = [line.split(":", 2) for line in _MEMBERSHIP.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return
    for _, controllers, path in memberships:
        if controllers and controller not in controllers.split(","):
            continue
        for root in {_CGROUPS / controllers, _CGROUPS / controller} if controllers else {_CGROUPS}:
            group = pathlib.PurePosixPath(path.lstrip("/"))
            for folder in [group, *group.parents]:
                try:
                    words = (root / folder / name).read_text(encoding="utf-8").split()
                except OSError:
                    continue
                if words:
                    yield words
