"""Software is built and versioned on a mount, as people do it."""

import io
import tarfile

PARTS = 40


def add_file(archive, name, text, mtime):
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(text), 0o644, mtime
    archive.addfile(info, io.BytesIO(text.encode()))


def make_project(path):
    """A tar archive of a C project of about 200 files; returns what building it must give."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        mtime = 1_600_000_000
        for part in range(PARTS):
            header = f"#define VALUE_{part} {part * part}\nint part{part}(int x);\n"
            add_file(archive, f"project/include/part{part}.h", header, mtime + part)
            source = (f'#include "part{part}.h"\n'
                      f"int part{part}(int x) {{ return x * 31 % 1000003 + VALUE_{part}; }}\n")
            add_file(archive, f"project/src/group{part % 5}/part{part}.c", source, mtime + part)
            for page in range(3):
                text = f"part {part} page {page}\n" * (part + 1) * 10
                add_file(archive, f"project/doc/part{part}/page{page}.txt", text, mtime - part)
        main = "".join(f"int part{part}(int x);\n" for part in range(PARTS))
        calls = "".join(f"x = part{part}(x);\n" for part in range(PARTS))
        main += f'#include <stdio.h>\nint main(void) {{ int x = 1;\n{calls}printf("%d\\n", x); }}\n'
        add_file(archive, "project/src/main.c", main, mtime)
        makefile = (
            "SOURCES := $(wildcard src/*.c src/*/*.c)\nOBJECTS := $(SOURCES:.c=.o)\n"
            "program: $(OBJECTS)\n\tgcc -o $@ $^\n"
            "%.o: %.c\n\tgcc -c -MMD -Iinclude -o $@ $<\n"
            "clean:\n\trm -f program $(OBJECTS) $(OBJECTS:.o=.d)\n-include $(OBJECTS:.o=.d)\n")
        add_file(archive, "project/Makefile", makefile, mtime)
    value = 1
    for part in range(PARTS):
        value = value * 31 % 1000003 + part * part
    return {"objects": PARTS + 1, "output": str(value)}


def test_a_c_project_is_unpacked_built_and_rebuilt(client, work, tmp_path):
    archive = tmp_path / "project.tar"
    expected = make_project(archive)
    client.call("build.build_project", work, str(archive), expected)


def test_git_keeps_a_history_of_hundreds_of_commits(client, work):
    client.call("build.git_history", work, commits=8, files=40)


def test_a_real_tree_is_copied_with_all_attributes(client, work):
    client.call("build.copy_and_compare", "/usr/include/linux", work)
