#!/usr/bin/env python3
"""Make C of a protocol description in XDR language (RFC 4506).

    xdrgen.py header NAME.x OUT.h     types and prototypes
    xdrgen.py source NAME.x OUT.c     the codec
    xdrgen.py filler NAME.x OUT.c     random values of every type, for the round-trip test

How a form looks in C:
    const N = 1;                  #define N 1U
    enum e { A = 1 };             enum e { A = 1 }; any 32-bit value is decoded, the caller judges it
    typedef uint32_t t;           plain uint32_t where t is used; so with every typedef but the next
    typedef uint32_t t<MAX>;      struct t { uint32_t count; uint32_t *items; };
    opaque f[SIZE];               uint8_t f[SIZE];
    opaque f<MAX>; string f<MAX>; struct slice f; borrowed from the record when decoded
    T f<MAX>;                     struct { uint32_t count; T *items; } f;
    T *f;                         struct T *f; a list when it is the last member of T itself: read in a loop
    struct s { ... };             struct s { ... };
    union u switch (d) { ... };   struct u { d; union { arms }; };
    union u switch (X_opnum4 d)   union u { arms }, without d: u_decode() and u_encode() take the number

Every array and text has a maximum; one left open is an error, as is a type used before its definition or
recursion other than a list. An opaque that may reach BULK_MIN bytes is encoded by reference.
"""
import pathlib
import re
import sys

BULK_MIN = 1 << 20
LINE_MAX = 100

INTEGERS = {  # XDR name: (C type, bytes)
    "int": ("int32_t", 4), "int32_t": ("int32_t", 4), "unsigned int": ("uint32_t", 4),
    "uint32_t": ("uint32_t", 4), "hyper": ("int64_t", 8), "int64_t": ("int64_t", 8),
    "unsigned hyper": ("uint64_t", 8), "uint64_t": ("uint64_t", 8),
}

TOKEN = re.compile(r"""(?P<skip>\s+|/\*.*?\*/|^%[^\n]*)|(?P<word>[A-Za-z_]\w*)
                       |(?P<number>-?(?:0[xX][0-9a-fA-F]+|\d+))|(?P<sign>[{}()\[\]<>;:,=*])""",
                   re.VERBOSE | re.DOTALL | re.MULTILINE)


class DescriptionError(Exception):
    """The description is wrong; the message begins with file and line."""


def indent(lines, depth=1):
    return ["    " * depth + line if line else line for line in lines]


def signature(result, name, parameters, end=""):
    """A function's head, on one line or on two."""
    line = f"{result} {name}({parameters}){end}"
    return [line] if len(line) <= LINE_MAX else [f"{result} {name}(", f"    {parameters}){end}"]


# ---- types ---------------------------------------------------------------------------------------
# Each type knows its least size on the wire and how a value at the C expression `at` is read, written
# and filled. A fixed one has `size`, and is loaded from and stored to a place whose room was checked.

class Integer:
    def __init__(self, c_type, size):
        self.c_type, self.size, self.size_min = c_type, size, size

    def declare(self, name):
        return f"{self.c_type} {name}"

    def load(self, at, source):
        cast = "" if self.c_type.startswith("u") else f"({self.c_type})"
        return [f"{at} = {cast}load_be{self.size * 8}({source});"]

    def store(self, at, target):
        cast = "" if self.c_type.startswith("u") else f"(u{self.c_type.removeprefix('u')})"
        return [f"store_be{self.size * 8}({target}, {cast}{at});"]

    def fill(self, at):
        return [f"{at} = ({self.c_type})filler_number(filler);"]


class Enum(Integer):
    def __init__(self, name):
        super().__init__(f"enum {name}", 4)

    def load(self, at, source):
        return [f"{at} = ({self.c_type})load_be32({source});"]

    def store(self, at, target):
        return [f"store_be32({target}, (uint32_t){at});"]

    def fill(self, at):
        return [f"{at} = ({self.c_type})(uint32_t)filler_number(filler);"]


class Bool:
    size = size_min = 4

    def declare(self, name):
        return f"bool {name}"

    def load(self, at, source):
        return [f"if (load_be32({source}) > 1)", "    return false;",
                f"{at} = load_be32({source}) == 1;"]

    def store(self, at, target):
        return [f"store_be32({target}, {at} ? 1 : 0);"]

    def fill(self, at):
        return [f"{at} = filler_below(filler, 2) == 1;"]


class FixedOpaque:
    def __init__(self, bound, size):
        self.bound, self.size, self.size_min = bound, size, size

    def declare(self, name):
        return f"uint8_t {name}[{self.bound}]"

    def load(self, at, source):
        return [f"memcpy({at}, {source}, {self.bound});"]

    def store(self, at, target):
        return [f"memcpy({target}, {at}, {self.bound});"]

    def fill(self, at):
        return [f"filler_bytes(filler, {at}, {self.bound});"]


class Opaque:
    size, size_min = None, 4

    def __init__(self, bound, size_max):
        self.bound, self.size_max = bound, size_max

    def declare(self, name):
        return f"struct slice {name}"

    def get(self, at):
        return [f"if (!xdr_get_opaque(dec, {self.bound}, &{at}))", "    return false;"]

    def put(self, at):
        how = "xdr_put_opaque_reference" if self.size_max >= BULK_MIN else "xdr_put_opaque"
        return [f"assert({at}.size <= {self.bound});", f"{how}(enc, {at});"]

    def fill(self, at):
        return [f"{at} = filler_slice(filler, {self.bound});"]


class Array:
    """The count and items of a variable array; `at` is the struct that holds both."""
    size, size_min = None, 4

    def __init__(self, item, bound):
        self.item, self.bound = item, bound

    def members(self):
        if isinstance(self.item, FixedOpaque):
            return ["uint32_t count;", f"{self.item.declare('(*items)')};"]
        return ["uint32_t count;", f"{self.item.declare('*items')};"]

    def declare(self, name):
        return "struct { " + " ".join(self.members()) + f" }} {name}"

    def get(self, at):
        lines = [f"if (!take_count(dec, {self.bound}, {self.item.size_min}, &{at}.count))",
                 "    return false;",
                 f"{at}.items = xdr_get_room(dec, {at}.count, sizeof *{at}.items);",
                 f"if ({at}.items == NULL)", "    return false;"]
        loop = f"for (uint32_t i = 0; i < {at}.count; i++) {{"
        if self.item.size is None:
            return lines + [loop, *indent(self.item.get(f"{at}.items[i]")), "}"]
        body = ["const uint8_t *item = take(dec, " + f"{self.item.size});", "if (item == NULL)",
                "    return false;", *self.item.load(f"{at}.items[i]", "item")]
        return lines + [loop, *indent(body), "}"]

    def put(self, at):
        lines = [f"assert({at}.count <= {self.bound});", f"xdr_put_u32(enc, {at}.count);"]
        loop = f"for (uint32_t i = 0; i < {at}.count; i++) {{"
        if self.item.size is None:
            return lines + [loop, *indent(self.item.put(f"{at}.items[i]")), "}"]
        body = [f"uint8_t *item = xdr_reserve(enc, {self.item.size});", "if (item == NULL)",
                "    return;", *self.item.store(f"{at}.items[i]", "item")]
        return lines + [loop, *indent(body), "}"]

    def fill(self, at):
        return [f"{at}.count = filler_count(filler, {self.bound});",
                f"{at}.items = filler_room(filler, {at}.count * sizeof *{at}.items);",
                f"for (uint32_t i = 0; i < {at}.count; i++) {{",
                *indent(self.item.fill(f"{at}.items[i]")), "}"]


def take_optional(at, size):
    """Statements that set the pointer at `at` to room for what follows, or to NULL."""
    name = at.rpartition(">")[2]
    return [f"void *{name};", f"if (!take_optional(dec, {size}, &{name}))", "    return false;",
            f"{at} = {name};"]


class Optional:
    size, size_min = None, 4

    def __init__(self, name):
        self.name = name

    def declare(self, name):
        return f"struct {self.name} *{name}"

    def get(self, at):
        return [*take_optional(at, f"sizeof *{at}"),
                f"if ({at} != NULL && !xdr_get_{self.name}(dec, {at}))", "    return false;"]

    def put(self, at):
        return [f"xdr_put_bool(enc, {at} != NULL);", f"if ({at} != NULL)",
                f"    xdr_put_{self.name}(enc, {at});"]

    def fill(self, at):
        return [f"{at} = filler_optional(filler, sizeof *{at});", f"if ({at} != NULL)",
                f"    fill_{self.name}(filler, {at});"]


def fixed_size(members):
    """The sum of the members' sizes when all are fixed, else None."""
    sizes = [member.size for _, member in members]
    return None if None in sizes else sum(sizes)


def offset_by(place, offset):
    return place if offset == 0 else f"{place} + {offset}"


class Named:
    """Common to struct, union and typedef of an array: own C type, own functions."""
    keyword = "struct"

    def declare(self, name):
        return f"{self.keyword} {self.name} {name}"

    def get(self, at):
        return [f"if (!xdr_get_{self.name}(dec, &{at}))", "    return false;"]

    def put(self, at):
        return [f"xdr_put_{self.name}(enc, &{at});"]

    def fill(self, at):
        return [f"fill_{self.name}(filler, &{at});"]

    def get_head(self, end=""):
        return signature("bool", f"xdr_get_{self.name}",
                         f"struct xdr_decoder *dec, struct {self.name} *out", end)

    def put_head(self, end=""):
        return signature("void", f"xdr_put_{self.name}",
                         f"struct xdr_encoder *enc, const struct {self.name} *value", end)

    def prototypes(self):
        return ["MUST_CHECK " + self.get_head()[0], *self.get_head()[1:]], self.put_head()

    def function_pair(self, get_body, put_body):
        return [*self.get_head(), "{", *indent(get_body), "    return true;", "}", "",
                *self.put_head(), "{", *indent(put_body), "}", ""]

    def fill_function(self, body):
        return [*signature("static void", f"fill_{self.name}",
                           f"struct filler *filler, struct {self.name} *out"),
                "{", *indent(body), "}", ""]


class Reading:
    """How code looks in a get function; Writing has the same for a put."""
    pointer, room, failed = "const uint8_t *", "take(dec, {})", "return false;"
    base = "out->"

    @staticmethod
    def fixed(member, at, place):
        return member.load(at, place)

    @staticmethod
    def other(member, at):
        return member.get(at)


class Writing:
    pointer, room, failed = "uint8_t *", "xdr_reserve(enc, {})", "return;"
    base = "value->"

    @staticmethod
    def fixed(member, at, place):
        return member.store(at, place)

    @staticmethod
    def other(member, at):
        return member.put(at)


def member_lines(way, members, declared=False):
    """Statements for members in order; neighbours of fixed size share one check, in `at`, which
    the caller may have declared."""
    lines, run = [], []

    def close_run():
        nonlocal declared
        if not run:
            return
        pointer = "" if declared else way.pointer
        lines.extend([f"{pointer}at = {way.room.format(fixed_size(run))};", "if (at == NULL)",
                      f"    {way.failed}"])
        declared = True
        offset = 0
        for name, member in run:
            lines.extend(way.fixed(member, way.base + name, offset_by("at", offset)))
            offset += member.size
        run.clear()

    for name, member in members:
        if member.size is None:
            close_run()
            lines.extend(way.other(member, way.base + name))
        else:
            run.append((name, member))
    close_run()
    return lines


class Struct(Named):
    def __init__(self, name):
        self.name, self.members, self.size, self.size_min = name, [], None, 0

    def finish(self):
        self.size = fixed_size(self.members)
        self.size_min = sum(member.size_min for _, member in self.members)

    def next_member(self):
        """The name of the last member when that makes the struct a list, else None."""
        name, last = self.members[-1]
        return name if isinstance(last, Optional) and last.name == self.name else None

    def load(self, at, source):
        lines, offset = [], 0
        for name, member in self.members:
            lines.extend(member.load(f"{at}.{name}", offset_by(source, offset)))
            offset += member.size
        return lines

    def store(self, at, target):
        lines, offset = [], 0
        for name, member in self.members:
            lines.extend(member.store(f"{at}.{name}", offset_by(target, offset)))
            offset += member.size
        return lines

    def define(self):
        return [f"struct {self.name} {{",
                *indent(f"{member.declare(name)};" for name, member in self.members), "};", ""]

    def functions(self):
        after = self.next_member()
        if after is None:
            return self.function_pair(member_lines(Reading, self.members),
                                      member_lines(Writing, self.members))
        own = self.members[:-1]
        get_body = ["for (;;) {", *indent(member_lines(Reading, own)),
                    *indent(take_optional(f"out->{after}", "sizeof *out")),
                    f"    if (out->{after} == NULL)", "        break;",
                    f"    out = out->{after};", "}"]
        put_body = ["for (;;) {", *indent(member_lines(Writing, own)),
                    f"    xdr_put_bool(enc, value->{after} != NULL);",
                    f"    if (value->{after} == NULL)", "        break;",
                    f"    value = value->{after};", "}"]
        return self.function_pair(get_body, put_body)

    def filler(self):
        after = self.next_member()
        own = self.members if after is None else self.members[:-1]
        body = [line for name, member in own for line in member.fill(f"out->{name}")]
        if after is not None:
            body = ["for (;;) {", *indent(body),
                    f"    out->{after} = filler_optional(filler, sizeof *out);",
                    f"    if (out->{after} == NULL)", "        break;",
                    f"    out = out->{after};", "}"]
        return self.fill_function(body)


class ArrayType(Named):
    """typedef T name<MAX>."""
    size, size_min = None, 4

    def __init__(self, name, array):
        self.name, self.array = name, array

    def define(self):
        return [f"struct {self.name} {{", *indent(self.array.members()), "};", ""]

    def functions(self):
        dot = [self.array.get("(*out)"), self.array.put("(*value)")]
        arrows = [[line.replace("(*out).", "out->").replace("(*value).", "value->")
                   for line in lines] for lines in dot]
        return self.function_pair(*arrows)

    def filler(self):
        return self.fill_function([line.replace("(*out).", "out->")
                                   for line in self.array.fill("(*out)")])


class Union(Named):
    """arms: (labels, member name or None, type or None); the label None is `default`."""
    size = None

    def __init__(self, name, switch_name, switch_type, arms):
        self.name, self.switch_name, self.switch = name, switch_name, switch_type
        self.arms = arms
        self.has_default = any(None in labels for labels, _, _ in arms)
        self.size_min = 4 + min((member.size_min if member else 0) for _, _, member in arms)
        self.is_operations = getattr(switch_type, "c_type", "").endswith("opnum4")
        if self.is_operations:
            self.keyword, self.size_min = "union", None

    def define(self):
        arms = indent((f"{member.declare(name)};" for _, name, member in self.arms if member))
        if self.is_operations:
            return [f"union {self.name} {{", *arms, "};", ""]
        return [f"struct {self.name} {{", f"    {self.switch.declare(self.switch_name)};",
                "    union {", *indent(arms), "    };", "};", ""]

    def branch(self, way, otherwise):
        """The switch over the arms, and `otherwise` where no arm is."""
        on = "opcode" if self.is_operations else way.base + self.switch_name
        if isinstance(self.switch, Bool):
            on = "(int)" + on  # compilers warn of a bool there
        lines = [f"switch ({on}) {{"]
        for labels, name, member in self.arms:
            lines += ["default:" if label is None else f"case {label}:" for label in labels]
            body = []
            if member:
                body = member_lines(way, [(name, member)], declared=not self.is_operations)
            if body and body[0].startswith(way.pointer):
                lines[-1] += " {"
                lines += [*indent(body), "    break;", "}"]
            else:
                lines += [*indent(body), "    break;"]
        if not self.has_default:
            lines += ["default:", f"    {otherwise}"]
        return lines + ["}"]

    def bodies(self):
        head = [] if self.is_operations else [(self.switch_name, self.switch)]
        no_arm = f'assert(false && "{self.name}: no such arm");'
        return (member_lines(Reading, head) + self.branch(Reading, "return false;"),
                member_lines(Writing, head) + self.branch(Writing, no_arm))

    def prototypes(self):
        if not self.is_operations:
            return super().prototypes()
        head = self.operations_head()
        return ["MUST_CHECK " + head[0][0], *head[0][1:]], head[1]

    def operations_head(self):
        get = signature("bool", f"{self.name}_decode",
                        f"struct xdr_decoder *dec, uint32_t opcode, union {self.name} *out")
        put = signature("void", f"{self.name}_encode",
                        f"struct xdr_encoder *enc, uint32_t opcode, const union {self.name} *value")
        return get, put

    def functions(self):
        get_body, put_body = self.bodies()
        if not self.is_operations:
            return self.function_pair(get_body, put_body)
        get, put = self.operations_head()
        return [*get, "{", *indent(get_body), "    return true;", "}", "",
                *put, "{", *indent(put_body), "}", ""]

    def filler(self):
        """One case per label, so that each arm is met; a default by a number that is no label."""
        if self.is_operations:
            return []
        labels = [(label, arm) for arm in self.arms for label in arm[0]]
        body = [f"switch (filler_below(filler, {len(labels)})) {{"]
        for index, (label, (_, name, member)) in enumerate(labels):
            body.extend([f"case {index}:" if index < len(labels) - 1 else "default:",
                         f"    out->{self.switch_name} = "
                         + (label or f"({self.switch.c_type})FILLER_NO_LABEL") + ";"])
            if member:
                body.extend(indent(member.fill(f"out->{name}")))
            body.append("    break;")
        return self.fill_function(body + ["}"])


# ---- the description -----------------------------------------------------------------------------

class Description:
    """Parses a file: `types` by name, and `items`, all that is to be written, in order."""

    def __init__(self, path):
        self.path = path
        self.text = pathlib.Path(path).read_text()
        self.tokens, self.next = [], 0
        self.constants, self.types, self.items = {"TRUE": 1, "FALSE": 0}, {"bool": Bool()}, []
        for name, (c_type, size) in INTEGERS.items():
            self.types[name] = Integer(c_type, size)
        self.tokenize()
        while self.peek():
            self.definition()

    def fail(self, message):
        position = self.tokens[min(self.next, len(self.tokens)) - 1][1] if self.tokens else 0
        line = self.text.count("\n", 0, position) + 1
        raise DescriptionError(f"{self.path}:{line}: {message}")

    def tokenize(self):
        position = 0
        while position < len(self.text):
            match = TOKEN.match(self.text, position)
            if match is None:
                self.tokens.append(("", position))
                self.next = len(self.tokens)
                self.fail(f"not XDR language: {self.text[position:position + 20]!r}")
            if match.lastgroup != "skip":
                self.tokens.append((match.group(), position))
            position = match.end()

    def peek(self):
        return self.tokens[self.next][0] if self.next < len(self.tokens) else ""

    def take(self, expected=None):
        token = self.peek()
        self.next += 1
        if token == "" or (expected is not None and token != expected):
            self.fail(f"{expected or 'more'!r} expected, not {token!r}")
        return token

    def take_if(self, expected):
        if self.peek() != expected:
            return False
        self.next += 1
        return True

    def take_name(self):
        name = self.take()
        if not re.match(r"[A-Za-z_]", name):
            self.fail(f"a name expected, not {name!r}")
        return name

    def take_value(self):
        """A number or the name of a constant: (its text in C, its value)."""
        token = self.take()
        if token in self.constants:
            return token, self.constants[token]
        try:
            return token, int(token, 0)
        except ValueError:
            return self.fail(f"unknown constant {token!r}")

    def new_name(self):
        name = self.take_name()
        if name in self.types or name in self.constants:
            self.fail(f"{name!r} is defined twice")
        return name

    def definition(self):
        kind = self.take()
        parse = {"const": self.const, "enum": self.enum, "typedef": self.typedef,
                 "struct": self.struct, "union": self.union}.get(kind)
        if parse is None:
            self.fail(f"a definition expected, not {kind!r}")
        parse()
        self.take(";")

    def const(self):
        name = self.new_name()
        self.take("=")
        text, value = self.take_value()
        self.constants[name] = value
        self.items.append(("const", name, text))

    def enum(self):
        name = self.new_name()
        self.take("{")
        values = []
        while True:
            label = self.new_name()
            self.take("=")
            text, self.constants[label] = self.take_value()
            values.append((label, text))
            if not self.take_if(","):
                break
        self.take("}")
        self.types[name] = Enum(name)
        self.items.append(("enum", name, values))

    def typedef(self):
        name, kind = self.declaration(new=True)
        if isinstance(kind, Array):
            kind = ArrayType(name, kind)
            self.items.append(("type", name, kind))
        self.types[name] = kind

    def struct(self):
        name = self.new_name()
        kind = self.types[name] = Struct(name)
        self.take("{")
        while not self.take_if("}"):
            member, member_kind = self.declaration()
            if member_kind is kind:
                self.fail(f"{name!r} contains itself")
            if kind.members and kind.next_member():
                self.fail(f"the list pointer of {name!r} must be its last member")
            kind.members.append((member, member_kind))
            self.take(";")
        if not kind.members:
            self.fail(f"{name!r} is empty")
        kind.finish()
        self.items.append(("type", name, kind))

    def union(self):
        name = self.new_name()
        self.take("switch")
        self.take("(")
        switch_name, switch = self.declaration()
        if switch.size != 4:
            self.fail(f"{name!r} cannot switch on this type")
        self.take(")")
        self.take("{")
        arms = []
        while not self.take_if("}"):
            arms.append(self.arm())
        if not arms:
            self.fail(f"{name!r} has no arms")
        kind = self.types[name] = Union(name, switch_name, switch, arms)
        self.items.append(("type", name, kind))

    def arm(self):
        labels = []
        while self.peek() in ("case", "default"):
            if self.take() == "default":
                labels.append(None)
            else:
                text, _ = self.take_value()
                labels.append({"TRUE": "true", "FALSE": "false"}.get(text, text))
            self.take(":")
        if not labels:
            self.fail(f"'case' or 'default' expected, not {self.peek()!r}")
        member, kind = (None, None) if self.take_if("void") else self.declaration()
        self.take(";")
        return labels, member, kind

    def type_name(self):
        name = self.take_name()
        if name in ("struct", "enum", "union"):
            name = self.take_name()
        if name == "unsigned":
            name += " " + (self.take() if self.peek() in ("int", "hyper") else "int")
        return name

    def declaration(self, new=False):
        """`type name`, with its array or pointer: (name, type)."""
        type_name = self.type_name()
        is_bytes = type_name in ("opaque", "string")
        if not is_bytes and type_name not in self.types:
            self.fail(f"unknown type {type_name!r}")
        is_optional = self.take_if("*")
        name = self.new_name() if new else self.take_name()
        if is_optional:
            if not isinstance(self.types[type_name], Struct):
                self.fail(f"{name!r} points to what is no struct")
            return name, Optional(type_name)
        if self.take_if("<"):
            if self.peek() == ">":
                self.fail(f"{name!r} has no maximum")
            bound, size_max = self.take_value()
            self.take(">")
            return name, Opaque(bound, size_max) if is_bytes else Array(self.types[type_name], bound)
        if self.take_if("["):
            bound, size = self.take_value()
            self.take("]")
            if type_name != "opaque" or size % 4 != 0:
                self.fail(f"{name!r}: a fixed array is of opaque, a multiple of 4 long")
            return name, FixedOpaque(bound, size)
        if is_bytes:
            self.fail(f"{name!r} has no size")
        return name, self.types[type_name]


# ---- output --------------------------------------------------------------------------------------

def top_comment(path, what):
    return [f"/* {what}. Made by tools/xdrgen.py of {pathlib.Path(path).name}; do not edit. */"]


def write_header(description, out):
    lines = top_comment(description.path, "Types and codec") + ["#pragma once", "",
                                                                '#include "xdr/xdr.h"', "",
        "/* NOLINTBEGIN(readability-identifier-naming): the names are the RFC's */"]
    gets, last_kind = [], None
    for kind, name, body in description.items:
        if last_kind == "const" and kind != "const":
            lines.append("")
        last_kind = kind
        if kind == "const":
            number = body + "U" if body[0].isdigit() else body
            lines.append(f"#define {name} {number}")
        elif kind == "enum":
            lines += [f"enum {name} {{", *indent(f"{label} = {value}," for label, value in body),
                      "};", ""]
        else:
            lines += body.define()
            gets.append(body.prototypes())
    lines += ["/* A get is false when the bytes are not a valid encoding, or the arena is used up. */"]
    for get, put in gets:
        for head in (get, put):
            joined = " ".join(part.strip() for part in head).replace("( ", "(")
            lines += ([joined + ";"] if len(joined) < LINE_MAX
                      else [*head[:-1], head[-1] + ";"] if len(head) > 1
                      else [joined.split("(")[0] + "(", "    " + joined.split("(", 1)[1] + ";"])
    lines.append("/* NOLINTEND(readability-identifier-naming) */")
    pathlib.Path(out).write_text("\n".join(lines) + "\n")


SOURCE_HELPERS = """
/* The next `size` bytes; NULL when there are fewer. `size` is a multiple of 4. */
static inline const uint8_t *take(struct xdr_decoder *dec, size_t size)
{
    if (UNLIKELY(xdr_left(dec) < size))
        return NULL;
    const uint8_t *at = dec->next;
    dec->next += size;
    return at;
}

/* The count of an array; false when the bytes left cannot hold so many items of `item_size_min`. */
static inline bool take_count(
    struct xdr_decoder *dec, uint32_t count_max, size_t item_size_min, uint32_t *out)
{
    uint32_t count;
    if (!xdr_get_u32(dec, &count) || count > count_max || count > xdr_left(dec) / item_size_min)
        return false;
    *out = count;
    return true;
}

/* Room for what follows a TRUE; NULL after a FALSE. */
static inline bool take_optional(struct xdr_decoder *dec, size_t size, void **out)
{
    bool is_present;
    if (!xdr_get_bool(dec, &is_present))
        return false;
    *out = is_present ? xdr_get_room(dec, 1, size) : NULL;
    return !is_present || *out != NULL;
}
"""


def helpers_used(text):
    """Those of SOURCE_HELPERS that the code calls: a small description needs few, and clang warns of the others."""
    used = []
    for helper in SOURCE_HELPERS.strip("\n").split("\n\n"):
        name = re.search(r"(take\w*)[(]", helper)[1]
        if re.search(rf"\b{name}[(]", text):
            used.append(helper)
    return "\n\n".join(used)


def write_source(description, out):
    body_lines = []
    for kind, _, body in description.items:
        if kind == "type":
            body_lines += body.functions()
    lines = top_comment(description.path, "Codec")
    lines += [f'#include "xdr/{pathlib.Path(out).stem}.h"', "", *helpers_used("\n".join(body_lines)).split("\n")]
    lines += ["", *body_lines]
    pathlib.Path(out).write_text("\n".join(lines).rstrip("\n") + "\n")


def write_filler(description, out):
    """Random values, and a table that the round-trip test walks."""
    lines = top_comment(description.path, "Random values")
    lines += ['#include "filler.h"', ""]
    rows = []
    for kind, name, body in description.items:
        if kind != "type" or not body.filler():
            continue
        lines += body.filler()
        lines += [f"static void row_fill_{name}(struct filler *filler, void *out)", "{",
                  f"    fill_{name}(filler, out);", "}", "",
                  f"static bool row_get_{name}(struct xdr_decoder *dec, void *out)", "{",
                  f"    return xdr_get_{name}(dec, out);", "}", "",
                  f"static void row_put_{name}(struct xdr_encoder *enc, const void *value)", "{",
                  f"    xdr_put_{name}(enc, value);", "}", ""]
        rows.append(f'    {{ "{name}", sizeof(struct {name}), row_fill_{name}, row_get_{name}, '
                    f"row_put_{name} }},")
    lines += ["const struct filler_row filler_rows[] = {", *rows, "};",
              "const size_t filler_row_count = ARRAY_SIZE(filler_rows);"]
    pathlib.Path(out).write_text("\n".join(lines) + "\n")


def main(arguments):
    writers = {"header": write_header, "source": write_source, "filler": write_filler}
    if len(arguments) != 4 or arguments[1] not in writers:
        sys.exit(__doc__)
    try:
        writers[arguments[1]](Description(arguments[2]), arguments[3])
    except DescriptionError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv)
