"""The words that the Tab key offers for shoal and shoald, in bash as it is, in zsh and fish as far as they are installed."""

import re
import shutil
import subprocess

import pytest
from shoal_server import SOURCE_ROOT, build_dir

SCRIPTS = build_dir() / "man"


def complete(*words, function="_shoal", cwd=None):
    """What bash offers for the last of the words."""
    script = ("source \"$1\"; shift; function=$1; shift; compopt() { :; }; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); $function; "
              "printf '%s\\n' \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "--norc", "-c", script, "bash", SCRIPTS / "shoal.bash", function, *words], check=True,
                          capture_output=True, text=True, cwd=cwd)
    assert done.stderr == ""
    return done.stdout.split()


def rows(path, macro):
    return re.findall(rf"^{macro}\( *(\w+), *([\w.]+)?", (SOURCE_ROOT / path).read_text(), re.M)


def test_every_command_is_offered():
    names = [name.replace("_", "-") for name, _ in rows("src/cli/commands.def", "COMMAND")]
    assert len(names) > 10
    assert set(complete("shoal", "")) == {*names, "--help", "--version"}
    assert complete("shoal", "sta") == ["status", "stat"]
    assert complete("shoal", "nothing") == []


def test_every_verb_of_a_noun_is_offered():
    verbs = rows("src/cli/nouns/nouns.def", "VERB")
    assert verbs
    for noun in {noun for noun, _ in verbs}:
        wanted = [verb.replace("_", "-") for name, verb in verbs if name == noun]
        assert complete("shoal", noun, "") == wanted
    assert {"put", "get", "ls", "rm", "migrate"} <= set(complete("shoal", "data", ""))


def test_options_of_a_command_are_offered():
    assert {"--data", "--json", "--help"} <= set(complete("shoal", "status", "--"))
    assert {"--data", "--nfs-port", "--control", "--set", "--config"} <= set(complete("shoal", "up", "-"))
    assert {"-l", "-a", "-R", "-h"} <= set(complete("shoal", "ls", "-"))
    assert complete("shoal", "fs", "create", "--thr") == ["--throughput"]
    assert complete("shoal", "hosts", "--wr") == ["--write"]


def test_paths_and_options_of_shoald_are_offered(tmp_path):
    (tmp_path / "here").mkdir()
    assert complete("shoal", "status", "--data", "", cwd=tmp_path) == ["here"]
    assert complete("shoal", "cp", "he", cwd=tmp_path) == ["here"]
    assert complete("shoald", "--data", "", function="_shoald", cwd=tmp_path) == ["here"]
    assert {"--data", "--nfs-port", "--set", "--check-config"} <= set(complete("shoald", "-", function="_shoald"))
    settings = complete("shoald", "--set", "", function="_shoald")
    assert {"dns.listen=", "nfs.port=", "log.level="} <= set(settings)
    assert complete("shoal", "up", "--set", "") == settings


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_can_read_theirs(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", SCRIPTS / f"shoal.{shell}"], check=True)


def test_fish_offers_them():
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    done = subprocess.run(["fish", "--no-config", "-c", f"source {SCRIPTS}/shoal.fish; complete -C 'shoal hosts'; complete -C 'shoald --nfs'"],
                          check=True, capture_output=True, text=True)
    assert done.stdout.split("\n")[0].startswith("hosts\t") and "--nfs-port" in done.stdout
