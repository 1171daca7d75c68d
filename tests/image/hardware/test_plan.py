"""The steps: fixed where they decide bytes, different where two builds must differ."""

import hashlib
from dataclasses import asdict
from pathlib import Path

from troth.image.hardware import plan

ROOT, SOURCE, BUILD = Path("/host/tools"), Path("/host/source"), Path("/host/build")


def jobs(where: plan.Environment) -> list[plan.Job]:
    return [
        plan.unpack(ROOT, Path("/host/linux.tar.xz"), SOURCE, where),
        plan.configure(ROOT, SOURCE, BUILD, where),
        plan.compile_kernel(ROOT, SOURCE, BUILD, where),
    ]


def test_the_stamp_is_the_same_everywhere() -> None:
    for where in (plan.plain(2), plan.strange(2)):
        for job in jobs(where):
            said = {k: v for k, v in job.variables.items() if k.startswith("KBUILD_")}
            assert said == {
                "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
                "KBUILD_BUILD_USER": "build",
                "KBUILD_BUILD_HOST": "build",
                "KBUILD_BUILD_VERSION": "1",
            }
        for job in jobs(where)[1:]:
            assert {"RUSTC=/bin/false", "PAHOLE=/bin/false"} <= set(job.argv)


def test_two_builds_differ_in_all_that_must_not_matter() -> None:
    one, other = plan.plain(2), plan.strange(2)
    for name in ("name", "source", "build", "hostname", "umask", "jobs"):
        assert getattr(one, name) != getattr(other, name)
    for name in ("TZ", "LC_ALL", "USER"):
        assert one.variables[name] != other.variables[name]
    assert "SOURCE_DATE_EPOCH" in other.variables.keys() - one.variables.keys()
    assert one.source.count("/") != other.source.count("/")


def test_nothing_of_the_hosts_is_named_inside() -> None:
    for job in jobs(plan.plain(3)):
        assert not any("/host" in word for word in (*job.argv, *job.variables.values()))
        assert job.variables["PATH"] == "/usr/bin:/usr/sbin"


def test_only_what_is_made_can_be_written() -> None:
    unpack, *makes = jobs(plan.plain(2))
    assert [b.source for b in unpack.binds if b.writable] == [SOURCE]
    for job in makes:
        assert [b.source for b in job.binds if b.writable] == [BUILD]


def test_as_many_at_once_as_asked_for() -> None:
    assert "-j5" in plan.compile_kernel(ROOT, SOURCE, BUILD, plan.plain(5)).argv
    assert "-j6" in plan.compile_kernel(ROOT, SOURCE, BUILD, plan.strange(5)).argv


def test_a_step_that_changes_has_another_version() -> None:
    """`made_from` has the version alone: whoever changes a step raises it, and builds and locks anew."""
    told = repr(([asdict(job) for job in jobs(plan.plain(1))], plan.LINKS))
    digest = hashlib.sha256(told.encode()).hexdigest()
    assert plan.VERSION == 1
    assert digest == "13528fa75b210569b0a9904ed13591e0f11a686344fd918b8e0c6aef5e757969"
