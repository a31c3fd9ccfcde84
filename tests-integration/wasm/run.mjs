// Runs a Python file against core's sources under CPython in WebAssembly and prints what it prints.
// usage: node run.mjs SRC_DIRECTORY FILE.py
import { readFileSync } from "node:fs";
import { loadPyodide } from "pyodide";

const [source, file] = process.argv.slice(2);
const python = await loadPyodide();
python.FS.mkdirTree("/core");
python.FS.mount(python.FS.filesystems.NODEFS, { root: source }, "/core");
python.globals.set("code", readFileSync(file, "utf8"));
try {
  await python.runPythonAsync(`
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, "/core")
print(sys.version.split()[0], sys.platform, file=sys.stderr)
exec(compile(code, "portable_vectors.py", "exec"), {"__name__": "__main__"})
`);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
