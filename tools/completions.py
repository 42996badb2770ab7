#!/usr/bin/env python3
"""Writes the completion of shoal and shoald for a shell: tools/completions.py bash|zsh|fish OUTPUT.

All of it comes from the lists that the programs are made of: COMMAND rows of cli/commands.def, VERB rows of any list below
cli/ (the words after a noun), OPTION rows of daemon/options.def. A new row is there by itself.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import defs  # noqa: E402 (needs the path above)

SRC = pathlib.Path(__file__).resolve().parents[1] / "src"
OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]*|-[a-zA-Z](?![\w-]))")
LETTERS = re.compile(r"\[-([a-zA-Z]{2,})\]")
GENERAL = ["--help"]
PATHS = {"--data", "--config", "--write", "--store", "-o"}  # their value is a path


def options_of(*texts):
    """Every option that the words of a row name, in their order; letters that stand together one by one."""
    found = []
    for text in texts:
        for letters in LETTERS.findall(text):
            found += [f"-{letter}" for letter in letters]
        found += OPTION.findall(text)
    return list(dict.fromkeys(found + GENERAL))


def one_line(text):
    return text.split("\n")[0].rstrip(".").strip()


def commands():
    """{name: (summary, options, {verb: (summary, options)})} in the order of the list."""
    verbs = {}
    for path in sorted((SRC / "cli").rglob("*.def")):
        for noun, verb, arguments, summary, details in defs.named(path, "VERB"):
            verbs.setdefault(noun, {})[verb.replace("_", "-")] = (one_line(summary), options_of(arguments, details, "--data -o"))
    result = {}
    for name, arguments, summary, details in defs.named(SRC / "cli" / "commands.def", "COMMAND"):
        name = name.replace("_", "-")
        options = options_of(arguments, details)
        if "options of shoald" in arguments:
            options += [option for option in daemon_options() if option not in options]
        result[name.replace("_", "-")] = (one_line(summary), options, verbs.get(name, {}) or verbs_in(arguments, details))
    return result


def verbs_in(arguments, details):
    """The verbs of a command that tells them in its details, as `  verb ...` lines."""
    if not arguments.startswith("VERB"):
        return {}
    found = {}
    for line in details.split("\n"):
        match = re.match(r"  ((?:[a-z]+(?:, )?)+)( |$)", line)
        for word in re.split(r", ", match[1]) if match else []:
            found[word] = (one_line(line.strip()), options_of(line, arguments, details))
    return found


def daemon_options():
    rows = defs.named(SRC / "daemon" / "options.def", "OPTION")
    return [row[2] for row in rows if row[2] != "NULL"] + ["--config", "--set"]


def settings():
    return [f"{row[0]}.{row[1]}=" for row in defs.named(SRC / "daemon" / "options.def", "OPTION")]


SHOALD = ["--check-config", "--print-config", "--help", "--version"]

BASH = r"""# bash completion of shoal and shoald; written by tools/completions.py
_shoal_words()
{
    local command=$1 verb=$2
    case "$command:$verb" in
@CASES@
    esac
}

_shoal_verbs()
{
    case $1 in
@VERBS@
    esac
}

_shoal()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local command=${COMP_WORDS[1]-} verb=${COMP_WORDS[2]-} verbs
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "@COMMANDS@ --help --version" -- "$current")
        return
    fi
    verbs=$(_shoal_verbs "$command")
    case $previous in
        @PATHS@) mapfile -t COMPREPLY < <(compgen -f -- "$current"); compopt -o filenames 2> /dev/null; return ;;
        --set) mapfile -t COMPREPLY < <(compgen -W "@SETTINGS@" -- "$current"); compopt -o nospace 2> /dev/null; return ;;
    esac
    if [ "$COMP_CWORD" = 2 ] && [ -n "$verbs" ] && [ "${current#-}" = "$current" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$current")
    elif [ "${current#-}" != "$current" ]; then
        [ -n "$verbs" ] || verb=
        mapfile -t COMPREPLY < <(compgen -W "$(_shoal_words "$command" "$verb")" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        compopt -o filenames 2> /dev/null
    fi
}

_shoald()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}
    case $previous in
        @PATHS@) mapfile -t COMPREPLY < <(compgen -f -- "$current"); compopt -o filenames 2> /dev/null ;;
        --set) mapfile -t COMPREPLY < <(compgen -W "@SETTINGS@" -- "$current"); compopt -o nospace 2> /dev/null ;;
        *) mapfile -t COMPREPLY < <(compgen -W "@SHOALD@" -- "$current") ;;
    esac
}

complete -F _shoal shoal
complete -F _shoald shoald
"""


def bash():
    cases, verb_lists = [], []
    for name, (_, options, verbs) in commands().items():
        for verb, (_, verb_options) in verbs.items():
            cases.append(f'        {name}:{verb}) echo "{" ".join(verb_options)}" ;;')
        cases.append(f'        {name}:*) echo "{" ".join(options)}" ;;')
        if verbs:
            verb_lists.append(f'        {name}) echo "{" ".join(verbs)}" ;;')
    return fill(BASH, CASES="\n".join(cases), VERBS="\n".join(verb_lists), PATHS="|".join(sorted(PATHS)))


def fill(text, **more):
    values = {"COMMANDS": " ".join(commands()), "SETTINGS": " ".join(settings()),
              "SHOALD": " ".join(daemon_options() + SHOALD), **more}
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def described(name, summary):
    """An entry of zsh's _describe."""
    return quoted(f"{name.replace(':', chr(92) + ':')}:{summary}")


def zsh():
    lines = ["#compdef shoal shoald", "# zsh completion of shoal and shoald; written by tools/completions.py", "",
             "_shoal_options() {", "    local -a words", "    case $1 in"]
    for name, (_, options, verbs) in commands().items():
        for verb, (_, verb_options) in verbs.items():
            lines.append(f"        {name}:{verb}) words=({' '.join(verb_options)}) ;;")
        lines.append(f"        {name}:*) words=({' '.join(options)}) ;;")
    lines += [f"        shoald) words=({' '.join(daemon_options() + SHOALD)}) ;;", "    esac", "    compadd -- $words", "}",
              "", "_shoal() {", "    local -a entries", "    case $words[CURRENT-1] in",
              f"        {'|'.join(sorted(PATHS))}) _files; return ;;",
              f"        --set) compadd -S '' -- {' '.join(settings())}; return ;;", "    esac",
              "    if [[ $service = shoald ]]; then", "        _shoal_options shoald", "        return", "    fi",
              "    if (( CURRENT == 2 )); then", "        entries=("]
    lines += [f"            {described(name, summary)}" for name, (summary, _, _) in commands().items()]
    lines += ["        )", "        _describe command entries", "        return", "    fi",
              "    if (( CURRENT == 3 )) && [[ $words[CURRENT] != -* ]]; then", "        case $words[2] in"]
    for name, (_, _, verbs) in commands().items():
        if verbs:
            entries = " ".join(described(verb, summary) for verb, (summary, _) in verbs.items())
            lines.append(f"            {name}) entries=({entries}); _describe verb entries; return ;;")
    lines += ["        esac", "    fi", "    if [[ $words[CURRENT] = -* ]]; then",
              "        _shoal_options $words[2]:$words[3]", "    else", "        _files", "    fi", "}", "", '_shoal "$@"']
    return "\n".join(lines) + "\n"


def fish():
    lines = ["# fish completion of shoal and shoald; written by tools/completions.py"]
    for name, (summary, options, verbs) in commands().items():
        lines.append(f"complete -c shoal -n __fish_use_subcommand -f -a {name} -d {quoted(summary)}")
        seen = f"'__fish_seen_subcommand_from {name}'"
        for verb, (verb_summary, _) in verbs.items():
            lines.append(f"complete -c shoal -n {seen} -f -a {verb} -d {quoted(verb_summary)}")
        for option in dict.fromkeys(options + [word for _, more in verbs.values() for word in more]):
            lines.append(f"complete -c shoal -n {seen} {fish_option(option)}")
    for option in daemon_options() + SHOALD:
        lines.append(f"complete -c shoald {fish_option(option)}")
    for setting in settings():
        lines.append(f"complete -c shoald -l set -x -a {quoted(setting)}")
    return "\n".join(lines) + "\n"


def fish_option(option):
    path = " -r -F" if option in PATHS else ""
    return (f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}") + path


def main():
    shell, output = sys.argv[1:3]
    pathlib.Path(output).write_text({"bash": bash, "zsh": zsh, "fish": fish}[shell]())


if __name__ == "__main__":
    main()
