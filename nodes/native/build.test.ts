import { execFile, spawnSync } from "node:child_process"
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { buildNative } from "./build.ts"
import { load, loadNative, MODULE_NAME } from "./native.ts"
import { readStamp } from "./stamp.ts"

const HERE = fileURLToPath(new URL(".", import.meta.url))
const loaded = loadNative()
const why = "missing" in loaded ? loaded.missing : ""

let folder: string
let bin: string
let environment: NodeJS.ProcessEnv

/** A crate without code, and a PATH with nothing on it but what a test puts there. */
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "horizon-build-"))
  bin = join(folder, "bin")
  mkdirSync(bin)
  mkdirSync(join(folder, "src", "udp"), { recursive: true })
  writeFileSync(join(folder, "Cargo.toml"), '[package]\nrust-version = "1.88"\n')
  for (const name of ["Cargo.lock", "build.rs", "src/lib.rs", "src/udp/mod.rs"]) writeFileSync(join(folder, name), name)
  environment = { PATH: bin, HOME: folder }
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const program = (name: string, script: string): void => {
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(bin, name), 0o755)
}
const rust = (release: string, cargo: string): void => {
  program("rustc", `echo "release: ${release}"`)
  program("cargo", `echo called >> ${folder}/calls\n${cargo}`)
}
const calls = (): number =>
  existsSync(join(folder, "calls")) ? readFileSync(join(folder, "calls"), "utf8").split("\n").length - 1 : 0
const build = () => buildNative(folder, environment)
const module = (): string => join(folder, MODULE_NAME)

/** What cargo says when it has made `path`. */
const artefact = (path: string): string =>
  [
    'echo \'{"reason":"compiler-artifact","target":{"kind":["lib"]},"filenames":["/none"]}\'',
    `echo '{"reason":"compiler-artifact","target":{"kind":["cdylib"]},"filenames":["${path}"]}'`
  ].join("\n")

describe("a build that cannot be made says in one line what is missing and what to do, and fails nothing", () => {
  const cases: ReadonlyArray<
    readonly [what: string, prepare: () => void, line: RegExp, state: "unavailable" | "failed"]
  > = [
    ["no Rust", () => {}, /^not built: cargo is not here; install Rust 1\.88 .*npm run native/, "unavailable"],
    ["an old Rust", () => rust("1.63.0", ""), /^not built: Rust 1\.63 is too old; install Rust 1\.88/, "unavailable"],
    [
      "a Rust that does not run",
      () => {
        rust("1.95.0", "")
        program("rustc", "echo no default toolchain >&2; exit 1")
      },
      /^not built: Rust is here and does not run \(no default toolchain\); install/,
      "unavailable"
    ],
    [
      "no network",
      () => rust("1.95.0", "echo 'warning: spurious network error: Could not resolve host' >&2; exit 101"),
      /^not built: its crates cannot be downloaded; go online once/,
      "unavailable"
    ],
    [
      "no C compiler",
      () => rust("1.95.0", "echo 'error: linker `cc` not found' >&2; exit 101"),
      /^not built: there is no C compiler; apt install gcc/,
      "unavailable"
    ],
    [
      "a full disk",
      () => rust("1.95.0", "echo 'error: No space left on device (os error 28)' >&2; exit 101"),
      /^not built: the disk is full/,
      "unavailable"
    ],
    [
      "sources that do not compile",
      () => rust("1.95.0", "echo '   Compiling x\nerror[E0425]: cannot find value\n  --> src/lib.rs' >&2; exit 101"),
      /^not built: the compiler says: error\[E0425\]: cannot find value \(all of it: .*target\/build\.log\)/,
      "failed"
    ],
    ["a cargo that made nothing", () => rust("1.95.0", "exit 0"), /^not built: the compiler says/, "failed"],
    [
      "a library that cannot be loaded",
      () => {
        writeFileSync(join(folder, "lib.so"), "no library")
        rust("1.95.0", artefact(join(folder, "lib.so")))
      },
      /^not built: the native module cannot be loaded/,
      "failed"
    ]
  ]

  test.each(cases)("%s", (_, prepare, line, state) => {
    prepare()
    const outcome = build()
    expect(outcome.state).toBe(state)
    expect(outcome.line).toMatch(line)
    expect(outcome.line).toContain("Horizon runs without it")
    expect(outcome.line).not.toContain("\n")
    expect(existsSync(module())).toBe(false)
    // The loader, and so `doctor`, gives the same reason afterwards.
    const { failure } = readStamp(module())
    expect(outcome.line).toContain(failure)
    expect(load(module(), undefined)).toEqual({ missing: `the native module is not built: ${failure}` })
  })

  test("the compiler's whole output is kept in the file that is named", () => {
    rust("1.95.0", "echo one >&2; echo 'error: two' >&2; exit 101")
    build()
    expect(readFileSync(join(folder, "target", "build.log"), "utf8")).toBe("one\nerror: two\n")
  })

  test("a folder that is not the crate", () => {
    rmSync(join(folder, "src"), { recursive: true })
    expect(build()).toMatchObject({ state: "failed", line: expect.stringMatching(/^not built, .*src/) })
  })
})

test("HORIZON_NATIVE=off starts no compiler and leaves a module that is there", () => {
  rust("1.95.0", "exit 0")
  writeFileSync(module(), "module")
  expect(buildNative(folder, { ...environment, HORIZON_NATIVE: "off" }).state).toBe("skipped")
  expect(calls()).toBe(0)
  expect(readFileSync(module(), "utf8")).toBe("module")
})

test("a module of other sources is taken away when it cannot be built anew", () => {
  writeFileSync(module(), "module of other sources")
  expect(build().state).toBe("unavailable")
  expect(existsSync(module())).toBe(false)
})

test("the command ends with 0 whatever happens, and where a module is asked for it tells what is missing from what is broken", () => {
  for (const name of ["build.ts", "native.ts", "stamp.ts"]) copyFileSync(join(HERE, name), join(folder, name))
  const run = (...args: ReadonlyArray<string>) =>
    spawnSync(process.execPath, [join(folder, "build.ts"), ...args], { env: environment, encoding: "utf8" })
  const { status, stdout } = run()
  expect(stdout).toMatch(/^native module: not built: cargo is not here; .*\n$/)
  expect(status).toBe(0)
  expect(run("--must").status).toBe(69)
  environment = { ...environment, HORIZON_NATIVE: "off" }
  expect(run("--must")).toMatchObject({ status: 69, stdout: "native module: skipped, HORIZON_NATIVE=off\n" })
  environment = { ...environment, HORIZON_NATIVE: undefined }
  rust("1.95.0", "exit 101")
  expect(run().status).toBe(0)
  expect(run("--must").status).toBe(1)
})

describe.skipIf(why !== "")(`with the native module${why === "" ? "" : `: ${why}`}`, () => {
  beforeEach(() => copyFileSync(join(HERE, MODULE_NAME), join(folder, "libmade.so")))
  const cargo = () => rust("1.95.0", artefact(join(folder, "libmade.so")))

  test("is built once, and again when a source or the compiler changes", () => {
    cargo()
    expect(build()).toMatchObject({ state: "built", line: expect.stringMatching(/^built in \d+ s$/) })
    expect("module" in load(module(), undefined)).toBe(true)
    expect(build()).toEqual({ state: "current", line: "up to date" })
    expect(calls()).toBe(1)
    writeFileSync(join(folder, "src", "udp", "mod.rs"), "changed")
    expect(build().state).toBe("built")
    writeFileSync(join(folder, "src", "udp", "more.rs"), "")
    expect(build().state).toBe("built")
    writeFileSync(join(folder, "Cargo.lock"), "changed")
    expect(build().state).toBe("built")
    program("rustc", "echo 'release: 1.96.0'")
    expect(build().state).toBe("built")
    expect(build().state).toBe("current")
    expect(calls()).toBe(5)
  })

  test("stays when Rust goes away, or cannot build it anew, as long as the sources are the same", () => {
    cargo()
    build()
    rmSync(join(bin, "cargo"))
    expect(build().state).toBe("current")
    rust("1.96.0", "exit 101")
    expect(build().state).toBe("current")
    expect("module" in load(module(), undefined)).toBe(true)
  })

  test("two builds at once leave one whole module and nothing else", async () => {
    rust("1.95.0", `sleep 0.3\n${artefact(join(folder, "libmade.so"))}`)
    environment = { ...environment, PATH: `${bin}:/usr/bin:/bin` }
    for (const name of ["build.ts", "native.ts", "stamp.ts"]) copyFileSync(join(HERE, name), join(folder, name))
    const before = readdirSync(folder)
    const run = promisify(execFile)
    const command = () => run(process.execPath, [join(folder, "build.ts"), "--must"], { env: environment })
    await Promise.all([command(), command()])
    expect(calls()).toBe(2)
    const made = readdirSync(folder).filter((name) => !before.includes(name) && name !== "calls")
    expect(made.sort()).toEqual([MODULE_NAME, "horizon-native.stamp"])
    expect(build().state).toBe("current")
  })
})
