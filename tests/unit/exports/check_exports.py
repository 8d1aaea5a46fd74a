#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_exports.py LIBWEIR.SO HEADER...: the library exports what the headers declare, no more and no less."""
import pathlib
import re
import subprocess
import sys


def declared(header):
    text = re.sub(r"/\*.*?\*/", "", pathlib.Path(header).read_text(), flags=re.DOTALL)
    pattern = r"^(?!typedef\b|static\b|#)[A-Za-z_][\w \t*]*?\b(weir_\w+)\s*\([^;{}]*\)\s*;"
    return set(re.findall(pattern, text, flags=re.MULTILINE))


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    symbols = (line.split() for line in lines.splitlines())
    # "A" is the version's own name.
    return {re.sub(r"@.*", "", name) for _, kind, name in symbols if kind != "A"}


library, *headers = sys.argv[1:]
wanted = set().union(*(declared(header) for header in headers))
found = exported(library)
for name in sorted(wanted - found):
    print(f"{name} is declared in a header but not exported: add it to scripts/libweir.map")
for name in sorted(found - wanted):
    print(f"{name} is exported but not declared in a header")
print(f"{len(found)} functions exported")
sys.exit(wanted != found or len(wanted) < 10)
