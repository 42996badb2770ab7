#!/usr/bin/env python3
"""Writes a man page from the .def lists: tools/manpages.py shoald.8|shoal.1|shoald.conf.5 VERSION OUTPUT."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import defs  # noqa: E402 (needs the path above)

SRC = pathlib.Path(__file__).resolve().parents[1] / "src"
LICENSE = "Apache License 2.0."


def escape(text):
    """Text that no line of it can be a request of troff."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in text.split("\n"))


def head(name, section, version, summary):
    return [f'.TH {name.upper()} {section} "" "shoal {version}" "Shoal"', ".SH NAME",
            f"{escape(name)} \\- {escape(summary)}"]


def item(term, text):
    return [".TP", f".B {escape(term)}", escape(text)]


def options():
    keys = ("section", "key", "flag", "type", "unit", "fallback", "low", "high", "when", "help")
    return [dict(zip(keys, row)) for row in defs.named(SRC / "daemon" / "options.def", "OPTION")]


def values_of(option):
    low, high = option["low"], option["high"]
    return {
        "TEXT": f"a text of {low} to {high} bytes",
        "WORD": f"a word of letters, digits and '-', of {low} to {high}",
        "DIGITS": f"{high} digits",
        "DOMAIN": f"a domain name of up to {high} bytes",
        "NUMBER": f"a number from {low} to {high}" + (f", in {option['unit']}" if option["unit"] else ""),
        "BYTES": "a number of bytes; KiB, MiB and GiB are units",
        "LEVEL": "error, warn, info or debug",
        "PROFILE": "extended or strict",
        "ADDRESS": "an IPv4 address and a port",
        "ENDPOINTS": "off, or addresses with ports between commas",
        "CIDRS": "networks or addresses between commas",
    }[option["type"]]


def describe(option):
    default = f" Default: {option['fallback']}." if option["fallback"] else ""
    reload = " SIGHUP takes over a change." if option["when"] == "RELOAD" else ""
    return f"{option['help']} ({values_of(option)}){default}{reload}"


def shoald(version):
    lines = head("shoald", 8, version, "EFS-compatible file service")
    lines += [".SH SYNOPSIS", ".B shoald \\-\\-data \\fIDIR\\fR [\\fIoptions\\fR]", ".SH DESCRIPTION",
              escape("Serves file systems that are made through the EFS API and mounted over NFSv4.1. All of its state "
                     "is in one data directory, which one daemon uses at a time. It needs no root, except for ports "
                     "below 1024. Log lines of key=value pairs go to stderr."), ".SH OPTIONS"]
    for option in options():
        if option["flag"] != "NULL":
            lines += item(f"{option['flag']} VALUE", describe(option))
    for term, text in (
            ("--config FILE", "Reads options from FILE; see shoald.conf(5)."),
            ("--set SECTION.KEY=VALUE", "Sets any option of shoald.conf(5)."),
            ("--check-config", "Checks all options, says what is wrong, and ends."),
            ("--print-config", "Prints the options in force, as a file, and ends."),
            ("--help, --version", "Prints a summary, or the version, and ends.")):
        lines += item(term, text)
    lines += [".SH SIGNALS"]
    lines += item("SIGTERM, SIGINT", "Take no new requests, finish those that run, make all durable, and end with 0.")
    lines += item("SIGHUP", "Reads the options again and takes over those that may change while it runs.")
    lines += [".SH EXIT STATUS", escape("0 ended as asked; 1 could not start or serve, with a sentence on stderr; "
                                       "2 wrong options."), ".SH FILES"]
    for term, text in (
            ("DIR/lock", "Locked while a daemon runs; its pid and epoch."),
            ("DIR/run/shoald.json", "Where the daemon serves; there only while it does."),
            ("DIR/admin-credentials", "The administrator's keys, in the form of ~/.aws/credentials; mode 0600.")):
        lines += item(term, text)
    lines += [".SH ENVIRONMENT"]
    lines += item("SHOAL_SECTION_KEY", "Any option of shoald.conf(5), such as SHOAL_NFS_PORT.")
    lines += item("NOTIFY_SOCKET", "Told READY=1, a STATUS, and STOPPING=1, for Type=notify units of systemd.")
    lines += item("WATCHDOG_USEC", "Where a manager sets it, it is told WATCHDOG=1 once a second.")
    return lines + [".SH SEE ALSO", "shoal(1), shoald.conf(5)"]


def conf(version):
    lines = head("shoald.conf", 5, version, "options of shoald")
    lines += [".SH DESCRIPTION", escape(
        "Lines of key = value below [section] lines; lines that begin with # or ; are remarks. What is unknown, "
        "given twice or out of range is an error. A value in the environment (SHOAL_SECTION_KEY) counts more than "
        "the file, one on the command line more than both.")]
    section = None
    for option in options():
        if option["section"] != section:
            section = option["section"]
            lines += [f".SH [{section}]"]
        lines += item(option["key"], describe(option))
    return lines + [".SH SEE ALSO", "shoald(8)"]


def entry(usage, summary, details):
    lines = [".SS " + escape(usage), escape(summary[0].upper() + summary[1:] + ".")]
    return lines + ([".PP", ".nf", escape(details), ".fi"] if details else [])


def shoal(version):
    lines = head("shoal", 1, version, "starts, stops and uses an EFS-compatible file service")
    lines += [".SH SYNOPSIS", ".B shoal \\fICOMMAND\\fR [\\fIarguments\\fR]", ".SH COMMANDS"]
    verbs = defs.named(SRC / "cli" / "nouns" / "nouns.def", "VERB")
    for name, arguments, summary, details in defs.named(SRC / "cli" / "commands.def", "COMMAND"):
        name = name.replace("_", "-")
        lines += entry(f"shoal {name} {arguments}", summary, details)
        for noun, verb, verb_arguments, verb_summary, verb_details in verbs:
            if noun == name:
                lines += entry(f"shoal {noun} {verb} {verb_arguments}", verb_summary, verb_details)
    lines += [".SH EXIT STATUS", escape("0 done; 1 failed, with a sentence on stderr; 2 wrong arguments; "
                                       "3 the service does not run."), ".SH ENVIRONMENT"]
    lines += item("SHOAL_DATA", "The data directory, where --data is not given.")
    return lines + [".SH SEE ALSO", "shoald(8), shoald.conf(5)"]


def main():
    page, version, output = sys.argv[1:4]
    lines = {"shoald.8": shoald, "shoald.conf.5": conf, "shoal.1": shoal}[page](version)
    lines += [".SH LICENSE", LICENSE]
    pathlib.Path(output).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
