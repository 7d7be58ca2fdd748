"""Layers around the process that runs code: an identity without rights, and no network, files or processes to see.

Each is put up where the system lets a user without rights do it, and says whether it stands. None of them is needed:
what a process may do is decided by `tunixhack.verifiers.sandbox.system_calls`, and these stand behind it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct

from tunixhack.verifiers.sandbox.libc import check, libc

NOBODY = 65534
"""The user that a process of root's becomes."""
NAMESPACES = {
    "user": 0x10000000,
    "mount": 0x00020000,
    "net": 0x40000000,
    "pid": 0x20000000,
    "ipc": 0x08000000,
    "uts": 0x04000000,
}
"""See clone(2)."""
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _SIGKILL = 1, 4, 9
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 1, 2, 4, 8, 0x4000, 0x40000
_MNT_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITIES_VERSION_3 = 0x20080522
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446  # the same on every machine
_LANDLOCK_FILES = (1 << 13) - 1
"""All rights on files of Landlock's first version, see https://docs.kernel.org/userspace-api/landlock.html."""


def leave_root() -> bool:
    """Become nobody, where this process is root's.

    Returns:
        Whether it is not root's now; a container can have no user but root.
    """
    with contextlib.suppress(OSError):
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    # a process that has changed its user may not write its own maps until it says that it has no secret
    check(libc().prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "dumpable")
    return os.geteuid() != 0


def own_namespaces() -> bool:
    """Leave the system's network, mounts and names; the next child has its own process ids.

    Returns:
        Whether the system allows it.
    """
    user, group = os.geteuid(), os.getegid()
    if libc().unshare(sum(NAMESPACES.values())) == -1:
        return False
    for file, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with contextlib.suppress(OSError), open(f"/proc/self/{file}", "w", encoding="ascii") as writable:
            writable.write(text)
    return True


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    check(libc().prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "die with parent")


def empty_root(machine: str) -> bool:
    """Put an empty folder that cannot be written in the place of all files; needs `own_namespaces`.

    Returns:
        Whether the system allows it.
    """
    try:
        c, nothing = libc(), b"/proc"
        check(c.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None), "private mounts")
        flags = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
        check(c.mount(b"none", nothing, b"tmpfs", flags, b"size=4k,nr_inodes=2"), "an empty folder")
        os.chdir(nothing)
        check(c.syscall(_PIVOT_ROOT[machine], b".", b"."), "the new root")
        check(c.umount2(b".", _MNT_DETACH), "without the old root")
        os.chdir("/")
    except OSError:
        return False
    return not os.listdir("/")


def no_files_by_landlock() -> bool:
    """Take from this process, for good, the right to open, make or remove any file.

    Returns:
        Whether the kernel has Landlock.
    """
    c = libc()
    handled = struct.pack("=Q", _LANDLOCK_FILES)
    rules = c.syscall(_LANDLOCK_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if rules == -1:
        return False
    done = bool(c.syscall(_LANDLOCK_RESTRICT_SELF, rules, 0) == 0)
    os.close(rules)
    return done


def drop_capabilities(machine: str) -> None:
    """Give up what the first process of a user namespace may do within it."""
    header = struct.pack("=Ii", _CAPABILITIES_VERSION_3, 0)
    check(libc().syscall(_CAPSET[machine], header, struct.pack("=6I", *[0] * 6)), "no capabilities")


def limit(seconds: int, memory: int) -> None:
    """Limit this process for good; where the system's own limits are lower, they stay.

    Args:
        seconds: of the processor.
        memory: bytes of addresses, with what it has already.
    """
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        own = resource.getrlimit(what)[1]
        most = most if own == resource.RLIM_INFINITY else min(most, own)
        resource.setrlimit(what, (most, most))
