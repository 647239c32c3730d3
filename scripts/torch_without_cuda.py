#!/usr/bin/env python3
"""Makes a PyTorch wheel import on a machine without CUDA libraries.

The Linux wheels of PyTorch link a dozen CUDA libraries, over a gigabyte of packages, that a run on the CPU never calls.
This builds an empty library for each one that the dynamic linker misses: it defines the symbols that torch asks for,
with their versions; each function answers 100, the CUDA code for "no device", or that text. They land in torch/lib, which
torch's own rpath searches. Needs gcc and readelf. Run it with the Python of the environment that holds torch.
"""
import collections
import importlib.util
import pathlib
import re
import subprocess
import sys
import tempfile

IS_CUDA_LIBRARY = re.compile(r"lib(cu|nccl|nv)")
IS_CUDA_SYMBOL = re.compile(r"_*(cu|nccl|nv)")


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, str(path)], capture_output=True, text=True, check=True).stdout


def scan(folder):
    """What the libraries of a folder need: sonames, the library of each symbol version, version ("" for none) -> symbols."""
    needed, home, symbols = set(), {}, collections.defaultdict(set)
    for path in sorted(folder.glob("lib*.so*")):
        needed |= set(re.findall(r"\(NEEDED\).*\[(.+)\]", readelf("-d", path)))
        for library, versions in re.findall(r"File: (\S+)  Cnt:.*\n((?:.*Name: .*\n)+)", readelf("-V", path)):
            home.update((version, library) for version in re.findall(r"Name: (\S+)", versions))
        for name, version in re.findall(r" UND (\w+)(?:@(\S+))?", readelf("--dyn-syms", path)):
            symbols[version].add(name)
    return needed, home, symbols


def build(target, versions):
    """An empty library: versions maps a version (or "") to the symbols it holds."""
    with tempfile.TemporaryDirectory() as folder:
        source, script = pathlib.Path(folder) / "empty.c", pathlib.Path(folder) / "versions"
        names = sorted(set().union(*versions.values()))
        source.write_text("".join(
            f'const char* {name}(void) {{ return "no device"; }}\n' if re.search("String|ErrorName", name) else
            f"long {name}(void) {{ return 100; }}\n" for name in names))
        nodes = [f"{version} {{ {' '.join(name + ';' for name in sorted(versions[version]))} }};\n"
                 for version in sorted(versions) if version]
        script.write_text("".join(nodes) or "{ global: *; };\n")
        subprocess.run(["gcc", "-shared", "-fPIC", "-w", "-fno-builtin", f"-Wl,-soname,{target.name}",
                        f"-Wl,--version-script={script}", "-o", str(target), str(source)], check=True)


def main():
    folder = pathlib.Path(importlib.util.find_spec("torch").submodule_search_locations[0]) / "lib"
    needed, home, symbols = scan(folder)
    missing = sorted(name for name in needed if IS_CUDA_LIBRARY.match(name) and not (folder / name).exists())
    # Symbols without a version are looked up in every library: one copy is enough.
    loose = {name for name in symbols[""] if IS_CUDA_SYMBOL.match(name)}
    for soname in missing:
        versions = {version: symbols[version] for version in home if home[version] == soname}
        build(folder / soname, versions | {"": loose})
        loose = set()
    print(f"{folder}: {len(missing)} empty CUDA libraries written")


if __name__ == "__main__":
    sys.exit(main())
