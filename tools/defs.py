"""Reads a .def list: each row MACRO( a, b, "text" "more", c ) becomes a tuple (macro, [values])."""
import pathlib
import re

TOKEN = re.compile(r'/\*.*?\*/|"((?:[^"\\]|\\.)*)"|([(),])|([^\s"(),/]+|/)', re.S)


def rows(path):
    """All rows of the file in order. Strings are joined and unescaped; other values stay as written."""
    result = []
    macro, values, depth = None, [], 0
    word, text = [], None
    for match in TOKEN.finditer(pathlib.Path(path).read_text()):
        string, mark, other = match.groups()
        if string is not None:
            text = (text or "") + string.encode().decode("unicode_escape")
        elif mark == "(" and depth == 0:
            macro, values, word, depth = " ".join(word), [], [], 1
        elif mark == ")" and depth == 1:
            values.append(text if text is not None else " ".join(word))
            result.append((macro, values))
            macro, word, text, depth = None, [], None, 0
        elif mark == "," and depth == 1:
            values.append(text if text is not None else " ".join(word))
            word, text = [], None
        elif mark or other:
            depth += {"(": 1, ")": -1}.get(mark, 0)
            word.append(mark or other)
    return result


def named(path, macro):
    """The values of the rows with this macro."""
    return [values for name, values in rows(path) if name == macro]
