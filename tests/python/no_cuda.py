"""Lets a torch from PyPI run without the 3 GB of NVIDIA's libraries that its wheel for Linux wants.

Usage: python no_cuda.py, in the environment where torch was installed with --no-deps. Needs cc, nm, objdump.

The wheel's libraries load only where NVIDIA's do, though nothing in them is called on a machine without a GPU. So each
missing one gets a stand-in beside torch's own: a library whose every function returns 100, CUDA's "no device".
"""

import re
import subprocess
import sysconfig
import tempfile
from collections import defaultdict
from pathlib import Path

LIB = Path(sysconfig.get_paths()["platlib"]) / "torch/lib"
SYSTEM = re.compile(r"lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+|gomp|quadmath|gfortran|z)\.so|ld-linux")


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def wanted():
    """The missing libraries, each with its functions by version; functions of no version are put in the first."""
    needed, undefined, defined, home = set(), {}, set(), {}
    for library in sorted(LIB.glob("*.so*")):
        header = output("objdump", "-p", library)
        needed |= set(re.findall(r"NEEDED\s+(\S+)", header))
        for name, versions in re.findall(r"required from (\S+):\n((?:\s+0x.*\n)+)", header):
            home |= {version: name for version in re.findall(r"(\S+)\n", versions)}
        for line in output("nm", "-D", library).splitlines():
            kind, symbol = line.split()[-2:]
            name, _, version = symbol.partition("@")
            if kind == "U":
                undefined[name] = version.lstrip("@")
            elif kind not in "wv":
                defined.add(name)
    missing = {name: defaultdict(list) for name in sorted(needed) if not SYSTEM.match(name) and not (LIB / name).exists()}
    for name, version in undefined.items():
        # What Python itself defines has no version either.
        if name not in defined and not re.match("_?Py", name):
            library = home.get(version) if version else next(iter(missing), None)
            if library in missing:
                missing[library][version].append(name)
    return missing


def write(library, versions, folder):
    symbols = [f'.globl "{n}"\n.type "{n}", @function\n"{n}":\n' for names in versions.values() for n in names]
    body = {"x86_64": "mov $100, %eax\nret\n", "aarch64": "mov w0, #100\nret\n"}[sysconfig.get_platform().split("-")[1]]
    nodes = [
        "%s{ global: %s };\n" % (version, "".join(f'"{name}";' for name in names))
        for version, names in versions.items()
        if version
    ]
    (folder / "stand-in.s").write_text(".text\n" + "".join(symbols) + body + '.section .note.GNU-stack,"",@progbits\n')
    (folder / "versions").write_text("".join(nodes))
    script = [f"-Wl,--version-script={folder}/versions"] if nodes else []
    output("cc", "-shared", "-nostdlib", *script, f"-Wl,-soname,{library}", "-o", LIB / library, folder / "stand-in.s")


with tempfile.TemporaryDirectory() as folder:
    for library, versions in wanted().items():
        write(library, versions, Path(folder))
