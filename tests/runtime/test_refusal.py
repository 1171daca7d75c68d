"""Whatever the kernel refuses is named, with what to change."""

import errno

import pytest

from troth.runtime import refusal


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"user/max_user_namespaces": "0"}, errno.EPERM, "user.max_user_namespaces"),
        ({}, errno.ENOSPC, "user.max_user_namespaces"),
        ({"kernel/unprivileged_userns_clone": "0"}, errno.EPERM, "unprivileged_userns_clone=1"),
        (
            {"kernel/apparmor_restrict_unprivileged_userns": "1"},
            errno.EACCES,
            "apparmor_restrict_unprivileged_userns=0",
        ),
        ({}, errno.EPERM, "container"),
    ],
)
def test_namespaces(monkeypatch, settings, code, words) -> None:
    monkeypatch.setattr(refusal, "_setting", lambda name: settings.get(name, ""))
    # Where a machine restricts namespaces, it may let them be made and refuse what is done in them.
    steps = ["namespaces"] if code == errno.ENOSPC else ["namespaces", "mounts", "network"]
    for step in steps:
        error = refusal.explain(step, code, "unshare")
        assert "namespaces" in str(error)
        assert words in error.fix
        assert error.exit_code == 5


def test_other_steps() -> None:
    init = refusal.explain("init", errno.EACCES, "/usr/bin/python3.13")
    assert "noexec" in init.fix
    assert "/usr/bin/python3.13" in str(init)
    assert "mounts" in str(refusal.explain("mounts", errno.ENOMEM, "mount /x"))
