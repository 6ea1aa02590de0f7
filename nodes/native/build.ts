/**
 * Builds the native module where Rust is there: `npm ci` runs this, and `npm run native` by hand.
 *
 * Horizon works without the module, so nothing here may spoil an installation: whatever is missing or fails becomes one line that
 * says what to do, and the exit code is 0. With `--must` it is 69 if there can be no module here, and 1 if the sources do not build.
 * `HORIZON_NATIVE=off` leaves all as it is.
 */

import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { delimiter, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { load, MODULE_NAME } from "./native.ts"
import { readStamp, writeStamp } from "./stamp.ts"

/** A clean build takes half a minute on two processors. */
const BUILD_MS_MAX = 15 * 60_000
const ASK_MS_MAX = 30_000
/** Compilers say a lot. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024

const WITHOUT = "Horizon runs without it, slower and without tunnels"
const AGAIN = "then run: npm run native"

/** How a build ended, as one line. After the last two there is no module: something it needs is not here, or the sources do not build. */
export interface Outcome {
  readonly state: "built" | "current" | "skipped" | "unavailable" | "failed"
  readonly line: string
}

/** Builds the crate in `folder` into a module there, if it was not built from these sources by this compiler. Never throws. */
export const buildNative = (folder: string, environment: NodeJS.ProcessEnv): Outcome => {
  try {
    if (environment["HORIZON_NATIVE"] === "off") return { state: "skipped", line: "skipped, HORIZON_NATIVE=off" }
    if (process.platform !== "linux") return { state: "skipped", line: `skipped, it is for Linux. ${WITHOUT}.` }
    return new Build(folder, environment).run()
  } catch (error) {
    return { state: "failed", line: `not built, ${(error as Error).message}. ${WITHOUT}.` }
  }
}

class Build {
  private readonly folder: string
  private readonly environment: NodeJS.ProcessEnv
  private readonly path: string
  private readonly sources: string
  /** Whether the module that is there is made of these sources. */
  private readonly current: boolean

  constructor(folder: string, environment: NodeJS.ProcessEnv) {
    this.folder = folder
    this.environment = environment
    this.path = join(folder, MODULE_NAME)
    this.sources = hashOfSources(folder)
    this.current = readStamp(this.path).sources === this.sources && "module" in load(this.path, undefined)
  }

  run(): Outcome {
    const toolchain = findToolchain(this.environment, rustNeeded(this.folder))
    if (typeof toolchain === "string") return this.without("unavailable", toolchain)
    return this.current && toolchain.version === readStamp(this.path).toolchain
      ? { state: "current", line: "up to date" }
      : this.compile(toolchain)
  }

  private compile({ cargo, version }: Toolchain): Outcome {
    const startMs = performance.now()
    const { error, status, stderr, stdout } = spawnSync(
      cargo,
      ["build", "--release", "--locked", "--target-dir", "target", "--message-format=json-render-diagnostics"],
      {
        cwd: this.folder,
        env: { ...this.environment, CARGO_TERM_COLOR: "never" },
        encoding: "utf8",
        timeout: BUILD_MS_MAX,
        maxBuffer: OUTPUT_BYTES_MAX
      }
    )
    const artefact = status === 0 ? artefactOf(stdout) : undefined
    if (error !== undefined) return this.without("unavailable", `cargo did not end: ${error.message}`)
    if (artefact === undefined) {
      const missing = CAUSES.find(([pattern]) => pattern.test(stderr))?.[1]
      const why = missing ?? `the compiler says: ${firstLine(stderr.slice(Math.max(0, stderr.search(/^error/m))))}`
      return this.without(missing === undefined ? "failed" : "unavailable", `${why} (all of it: ${this.log(stderr)})`)
    }
    this.install(artefact)
    const loaded = load(this.path, undefined)
    if ("missing" in loaded) return this.without("failed", loaded.missing)
    writeStamp(this.path, { sources: this.sources, toolchain: version })
    return { state: "built", line: `built in ${Math.round((performance.now() - startMs) / 1000)} s` }
  }

  /** In one step: a process that has the old module open keeps it. */
  private install(artefact: string): void {
    const draft = `${this.path}.${process.pid}`
    copyFileSync(artefact, draft)
    renameSync(draft, this.path)
  }

  /**
   * A module of these sources stays: it was built before Rust went away, or elsewhere. One of other sources is taken away, because nobody
   * would know that it does something else.
   */
  private without(state: "unavailable" | "failed", why: string): Outcome {
    if (this.current) return { state: "current", line: "up to date, and could not be built anew here" }
    rmSync(this.path, { force: true })
    writeStamp(this.path, { failure: why })
    return { state, line: `not built: ${why}. ${WITHOUT}.` }
  }

  private log(text: string): string {
    const path = join(this.folder, "target", "build.log")
    mkdirSync(join(this.folder, "target"), { recursive: true })
    writeFileSync(path, text)
    return relative(process.cwd(), path)
  }
}

/** Over the names and bytes of all that the module is made of. */
const hashOfSources = (folder: string): string => {
  const hash = createHash("sha256").update(process.arch)
  const sources = readdirSync(join(folder, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".rs"))
    .map((name) => join("src", name))
  for (const name of ["Cargo.lock", "Cargo.toml", "build.rs", ...sources.sort()]) {
    const bytes = readFileSync(join(folder, name))
    hash.update(`\n${name} ${bytes.length}\n`).update(bytes)
  }
  return hash.digest("hex")
}

interface Toolchain {
  readonly cargo: string
  readonly version: string
}

/** The oldest compiler that Cargo.toml allows. */
const rustNeeded = (folder: string): string =>
  /^rust-version = "([\d.]+)"/m.exec(readFileSync(join(folder, "Cargo.toml"), "utf8"))![1]

/** Cargo and its compiler, or what is wrong with them. */
const findToolchain = (environment: NodeJS.ProcessEnv, needed: string): Toolchain | string => {
  const get = `install Rust ${needed} or newer (with rustup, or apt install cargo where that is new enough), ${AGAIN}`
  const cargo = find("cargo", environment)
  const rustc = find("rustc", environment)
  if (cargo === undefined || rustc === undefined) return `cargo is not here; ${get}`
  const { stderr, stdout } = spawnSync(rustc, ["-vV"], { encoding: "utf8", env: environment, timeout: ASK_MS_MAX })
  const release = /^release: (\d+)\.(\d+)/m.exec(stdout ?? "")
  if (release === null) return `Rust is here and does not run (${firstLine(stderr ?? "")}); ${get}`
  const [major, minor] = needed.split(".").map(Number)
  if (Number(release[1]) < major || (Number(release[1]) === major && Number(release[2]) < minor))
    return `Rust ${release[1]}.${release[2]} is too old; ${get}`
  return { cargo, version: stdout }
}

/** Rustup's own folder is searched too: shells that are no login shells do not have it on their path. */
const find = (program: string, environment: NodeJS.ProcessEnv): string | undefined => {
  const home = environment["CARGO_HOME"] ?? join(environment["HOME"] ?? "/", ".cargo")
  return [...(environment["PATH"] ?? "").split(delimiter), join(home, "bin")]
    .map((directory) => join(directory, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** Where cargo says that the library lies. */
const artefactOf = (messages: string): string | undefined => {
  for (const line of messages.split("\n").filter((text) => text.includes('"compiler-artifact"'))) {
    const { filenames, target } = JSON.parse(line)
    if (target.kind.includes("cdylib")) return filenames.find((name: string) => existsSync(name))
  }
  return undefined
}

/** What a build may lack, by what cargo says then. */
const CAUSES: ReadonlyArray<readonly [pattern: RegExp, why: string]> = [
  [
    /could not resolve host|failed to download|spurious network error|unable to update|--offline/i,
    `its crates cannot be downloaded; go online once, ${AGAIN}`
  ],
  [
    /linker `[^`]*` not found|failed to find tool|\bcc\b.*not found/i,
    `there is no C compiler; apt install gcc libc6-dev, ${AGAIN}`
  ],
  [/No space left on device/i, `the disk is full; make room, ${AGAIN}`]
]

const firstLine = (text: string): string => text.trim().split("\n")[0].slice(0, 200)

if (import.meta.main) {
  const { line, state } = buildNative(fileURLToPath(new URL(".", import.meta.url)), process.env)
  console.log(`native module: ${line}`)
  if (process.argv.includes("--must"))
    process.exitCode = { built: 0, current: 0, skipped: 69, unavailable: 69, failed: 1 }[state]
}
