#!/usr/bin/env python3
"""What the code generator refuses, and that it says where."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

GENERATOR = sys.argv.pop(1)


def generate(text, what="source"):
    with tempfile.TemporaryDirectory() as folder:
        description = pathlib.Path(folder) / "test.x"
        description.write_text(text)
        out = pathlib.Path(folder) / "test_xdr.c"
        run = subprocess.run([sys.executable, GENERATOR, what, description, out],
                             capture_output=True, text=True, check=False)
        return run.returncode, run.stderr, out.read_text() if out.exists() else ""


class Refused(unittest.TestCase):
    def refuse(self, text, message, line):
        code, error, out = generate(text)
        self.assertNotEqual(code, 0)
        self.assertIn(message, error)
        self.assertIn(f"test.x:{line}: ", error)
        self.assertEqual(out, "")

    def test_an_array_without_a_maximum(self):
        self.refuse("struct s {\n    uint32_t a<>;\n};\n", "'a' has no maximum", 2)

    def test_an_opaque_without_a_maximum(self):
        self.refuse("typedef opaque text<>;\n", "'text' has no maximum", 1)

    def test_an_opaque_without_a_size(self):
        self.refuse("struct s {\n    opaque a;\n};\n", "'a' has no size", 2)

    def test_an_unknown_type(self):
        self.refuse("struct s {\n    uint32_t a;\n    other b;\n};\n", "unknown type 'other'", 3)

    def test_a_type_used_before_its_definition(self):
        self.refuse("struct s {\n    t a;\n};\nstruct t {\n    uint32_t a;\n};\n",
                    "unknown type 't'", 2)

    def test_an_unknown_constant_as_maximum(self):
        self.refuse("struct s {\n    opaque a<MANY>;\n};\n", "unknown constant 'MANY'", 2)

    def test_a_name_defined_twice(self):
        self.refuse("const A = 1;\nconst A = 2;\n", "'A' is defined twice", 2)

    def test_a_struct_that_contains_itself(self):
        self.refuse("struct s {\n    s a;\n};\n", "'s' contains itself", 2)

    def test_a_list_pointer_before_other_members(self):
        self.refuse("struct s {\n    s *next;\n    uint32_t a;\n};\n", "must be its last member", 3)

    def test_a_union_on_a_text(self):
        self.refuse("union u switch (hyper a) {\ncase 1:\n    void;\n};\n", "cannot switch", 1)

    def test_a_fixed_opaque_with_padding(self):
        self.refuse("struct s {\n    opaque a[5];\n};\n", "a multiple of 4", 2)

    def test_what_is_not_xdr(self):
        self.refuse("const A = 1;\nconst B = @;\n", "not XDR language", 2)

    def test_a_missing_end(self):
        self.refuse("struct s {\n    uint32_t a;\n", "", 2)


class Made(unittest.TestCase):
    def test_neighbours_of_fixed_size_share_one_check(self):
        code, _, out = generate("struct s {\n uint32_t a;\n hyper b;\n bool c;\n opaque d[8];\n};\n")
        self.assertEqual(code, 0)
        self.assertEqual(out.count("take(dec, 24)"), 1)
        self.assertEqual(out.count("xdr_reserve(enc, 24)"), 1)

    def test_bulk_bytes_go_by_reference(self):
        _, _, out = generate("struct s {\n opaque a<1048576>;\n opaque b<1048575>;\n};\n")
        self.assertIn("xdr_put_opaque_reference(enc, value->a)", out)
        self.assertIn("xdr_put_opaque(enc, value->b)", out)


if __name__ == "__main__":
    unittest.main()
