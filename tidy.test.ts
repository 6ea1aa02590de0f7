/**
 * The house rules as a test. Each rule says why it is there; a rule that no longer matches anything fails, so that none outlives
 * what it guards.
 */

import { readdirSync, readFileSync, statSync } from "node:fs"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"

const ROOT = fileURLToPath(new URL(".", import.meta.url))
const SKIP = new Set(["node_modules", ".git", "out", "coverage", "golden", "target"])

const walk = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder).flatMap((name) => {
    if (SKIP.has(name)) return []
    const path = join(folder, name)
    return statSync(path).isDirectory() ? walk(path) : [relative(ROOT, path)]
  })

const FILES = walk(ROOT)
const SOURCES = FILES.filter((file) => file.endsWith(".ts"))
const text = new Map(SOURCES.map((file) => [file, readFileSync(join(ROOT, file), "utf8")]))
/** Source without comments and string contents, so that a word in a sentence is not taken for code. */
const code = new Map(
  [...text].map(([file, source]) => [
    file,
    source
      .replace(/\/\*[\s\S]*?\*\//g, "")
      .replace(/(^|[^:"'`])\/\/.*$/gm, "$1")
      .replace(/"(?:[^"\\\n]|\\.)*"/g, '""')
  ])
)

const isTest = (file: string): boolean => /\.(test|contract|fixture|fuzz|bench)\.ts$/.test(file)

/** What each room may import: packages and rooms by prefix. The first prefix that fits a file decides. */
const IMPORTS: ReadonlyArray<{ readonly room: string; readonly may: ReadonlyArray<string> }> = [
  { room: "core/wire", may: ["core/wire", "core/crypto", "core/assert", "@noble/"] },
  { room: "core/link", may: ["core/link", "core/assert"] },
  { room: "core/measure", may: ["core/measure", "core/assert"] },
  { room: "core/crypto", may: ["core/crypto", "core/assert", "core/wire", "@noble/"] },
  { room: "core/lab", may: ["core/lab", "core/link", "core/wire", "core/measure", "core/assert"] },
  { room: "core/machine", may: ["core/machine", "core/wire", "core/measure", "core/crypto", "core/assert", "@noble/"] },
  { room: "core/port", may: ["core", "effect"] },
  { room: "core/api", may: ["core", "effect", "@noble/"] },
  { room: "core/server", may: ["core", "effect"] },
  { room: "nodes/broker", may: ["core", "effect", "nodes/broker"] },
  { room: "nodes/gateway", may: ["core", "effect", "nodes/gateway"] },
  { room: "nodes/client", may: ["core", "effect", "nodes/client"] },
  { room: "nodes/game", may: ["core", "effect", "nodes/game"] },
  {
    room: "nodes/real",
    may: ["core", "nodes", "effect", "@effect/platform-node", "node:", "libsql", "@libsql/client"]
  },
  { room: "nodes/native", may: ["nodes/native", "node:"] },
  { room: "sim", may: ["sim", "core", "effect"] },
  { room: "scenarios", may: ["scenarios", "core", "effect"] },
  { room: "reports", may: ["reports", "core", "node:", "uplot"] }
]

/** The room path of an import, e.g. `core/wire/batch.ts`, or the package name. */
const target = (file: string, specifier: string): string => {
  if (specifier.startsWith("@horizon/")) {
    const rest = specifier.slice("@horizon/".length)
    return /^(broker|gateway|client|game|native|real)\//.test(rest) ? `nodes/${rest}` : rest
  }
  if (specifier.startsWith(".")) return relative(ROOT, join(ROOT, file, "..", specifier))
  return specifier
}

const importsOf = (file: string): ReadonlyArray<string> =>
  [
    ...(text.get(file) ?? "").matchAll(/(?:^|\n)\s*(?:import|export)\b[^;"']*?from\s*"([^"]+)"|import\("([^"]+)"\)/g)
  ].map((match) => match[1] ?? match[2])

/** Files that a file starts as programs or reads, by their place beside it. */
const programsOf = (file: string): ReadonlyArray<string> =>
  [...(text.get(file) ?? "").matchAll(/new URL\("([^"]+\.ts)"/g)].map((match) => match[1])

/** Files whose values a file needs when it is loaded. */
const valueImportsOf = (file: string): ReadonlyArray<string> =>
  [...text.get(file)!.matchAll(/(?:^|\n)(?:import|export)\b(?!\s+type\b)([^;"']*?)from\s*"([^"]+)"/g)]
    .filter(([, names]) => !/^\s*\{(\s*type [^,}]+,?)+\}\s*$/.test(names))
    .map(([, , specifier]) => target(file, specifier))

describe("who may import whom", () => {
  test.each(IMPORTS)("$room imports only what the table of docs/ARCHITECTURE.md allows", ({ room, may }) => {
    const files = SOURCES.filter((file) => file.startsWith(`${room}/`) && !isTest(file))
    expect(files.length, "the room exists").toBeGreaterThan(0)
    const offences = files.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => !may.some((prefix) => target(file, specifier).startsWith(prefix)))
        .map((specifier) => `${file} imports ${specifier}`)
    )
    expect(offences).toEqual([])
  })

  test("only the production layers, and tests, know the native module: all else works without it", () => {
    const offences = SOURCES.filter((file) => !isTest(file) && !/^nodes\/(native|real)\//.test(file)).flatMap((file) =>
      importsOf(file)
        .filter((specifier) => target(file, specifier).startsWith("nodes/native"))
        .map((specifier) => `${file} imports ${specifier}`)
    )
    expect(offences).toEqual([])
  })

  test("no two files need each other to load: import cycles carry types only", () => {
    const needs = new Map(SOURCES.map((file) => [file, valueImportsOf(file).filter((other) => text.has(other))]))
    const reaches = (from: string, to: string, seen: Set<string>): boolean =>
      needs.get(from)!.some((next) => next === to || (!seen.has(next) && reaches(next, to, seen.add(next))))
    expect(SOURCES.filter((file) => reaches(file, file, new Set()))).toEqual([])
  })

  test("each package lists exactly the packages that it imports", () => {
    const offences: Array<string> = []
    for (const manifest of FILES.filter((file) => file.endsWith("/package.json"))) {
      const folder = manifest.slice(0, -"/package.json".length)
      const nested = FILES.filter(
        (file) => file.endsWith("/package.json") && file !== manifest && file.startsWith(`${folder}/`)
      )
      const own = SOURCES.filter(
        (file) =>
          file.startsWith(`${folder}/`) &&
          !isTest(file) &&
          !nested.some((other) => file.startsWith(other.slice(0, -"package.json".length)))
      )
      const used = new Set(
        own
          .flatMap(importsOf)
          .filter((specifier) => !specifier.startsWith(".") && !specifier.startsWith("node:"))
          .map((specifier) =>
            specifier
              .split("/")
              .slice(0, specifier.startsWith("@") ? 2 : 1)
              .join("/")
          )
      )
      const { dependencies = {}, name } = JSON.parse(readFileSync(join(ROOT, manifest), "utf8"))
      for (const dependency of used) {
        if (dependency !== name && dependencies[dependency] === undefined)
          offences.push(`${folder} uses ${dependency} without listing it`)
      }
      for (const dependency of Object.keys(dependencies)) {
        if (!used.has(dependency)) offences.push(`${folder} lists ${dependency} without using it`)
      }
    }
    expect(offences).toEqual([])
  })
})

interface Rule {
  readonly why: string
  readonly pattern: RegExp
  /** Files under the rule. */
  readonly where: (file: string) => boolean
  /** Files that may break it, each with its reason; each must really do so. */
  readonly except?: Readonly<Record<string, string>>
}

const inRooms =
  (...rooms: ReadonlyArray<string>) =>
  (file: string): boolean =>
    rooms.some((room) => file.startsWith(room)) && !isTest(file)

const PURE = ["core/", "sim/", "scenarios/", "nodes/broker/", "nodes/gateway/", "nodes/client/", "nodes/game/"]

const RULES: ReadonlyArray<Rule> = [
  {
    why: "time comes from the Clock port: a Date in a pure room would not replay",
    pattern: /\bDate\b|\bperformance\./,
    where: inRooms(...PURE),
    except: { "scenarios/actor/time-thief.ts": "the canary that steals real time, to prove that the guard catches it" }
  },
  {
    why: "randomness comes from the Entropy port or a labelled stream: Math.random would not replay",
    pattern: /Math\.random/,
    where: inRooms(...PURE)
  },
  {
    why: "the kernel can resume fibers, not promises",
    pattern: /\basync\b|(?<!\.)\bawait\b|new Promise|Promise\./,
    where: inRooms(...PURE)
  },
  {
    why: "a machine answers with a code or a Result; only assert() throws, for bugs",
    pattern: /\bthrow\b/,
    where: inRooms("core/wire/", "core/machine/", "core/link/", "core/measure/", "core/crypto/")
  },
  {
    why: "effects are run by the kernel, the command line, the runner and tests, so that one place owns each runtime",
    pattern: /Effect\.run[A-Z]/,
    where: inRooms(
      "core/",
      "sim/",
      "scenarios/",
      "nodes/broker/",
      "nodes/gateway/",
      "nodes/client/",
      "nodes/game/",
      "reports/"
    ),
    except: { "sim/kernel/process.ts": "the kernel starts fibers here" }
  },
  {
    why: "these can hang or lose elements when operations are pre-empted (see docs/adr/0004)",
    pattern: /Stream\.(flatMap|mergeAll)|Channel\.mergeAll/,
    where: inRooms("core/", "nodes/", "sim/", "scenarios/", "bench/")
  },
  {
    why: "a test that is switched off, or alone switched on, tests nothing",
    pattern: /\b(test|it|describe)\.(only|todo)\b/,
    where: isTest
  },
  {
    why: "work that is left is an issue, not a comment",
    pattern: /\b(TODO|FIXME|XXX)\b/,
    where: () => true
  }
]

describe("rules", () => {
  test.each(RULES)("$why", ({ pattern, where, except = {} }) => {
    const files = SOURCES.filter((file) => where(file) && file !== "tidy.test.ts")
    expect(files.length, "the rule guards something").toBeGreaterThan(0)
    const source = String(pattern).includes("TODO") ? text : code
    const offenders = files.filter((file) => pattern.test(source.get(file)!))
    expect(offenders.filter((file) => except[file] === undefined)).toEqual([])
    expect(
      Object.keys(except).filter((file) => !offenders.includes(file)),
      "exceptions that are not needed"
    ).toEqual([])
  })

  test("files are named in kebab-case, folders after what they hold", () => {
    const offences = SOURCES.filter(
      (file) =>
        !/^([a-z0-9-]+\/)*[a-z0-9-]+(\.(test|contract|fixture|fuzz|bench|scenario|config|setup))?\.ts$/.test(file) ||
        /(^|\/)(utils?|common|helpers?|types|misc|lib)(\/|\.ts)/.test(file)
    )
    expect(offences).toEqual([])
  })

  test("no file is longer than 600 lines: it would hold more than one noun", () => {
    expect(SOURCES.filter((file) => text.get(file)!.split("\n").length > 600)).toEqual([])
  })

  test("every source file is reached: imported by another, an entry point, or a test", () => {
    const reached = new Set(
      SOURCES.flatMap((file) => [
        ...importsOf(file).map((specifier) => target(file, specifier)),
        ...programsOf(file).map((path) => relative(ROOT, join(ROOT, file, "..", path)))
      ])
    )
    const named = FILES.filter((file) => /package\.json$|\.md$|^\.ci\/|\.ts$/.test(file)).map((file) =>
      readFileSync(join(ROOT, file), "utf8")
    )
    const dead = SOURCES.filter(
      (file) =>
        !reached.has(file) &&
        !/\.(test|fuzz|bench|config|setup)\.ts$/.test(file) &&
        !named.some((content) => content.includes(file) || content.includes(`"./${file.split("/").at(-1)}"`))
    )
    expect(dead).toEqual([])
  })
})

describe("the native module", () => {
  const rust = FILES.filter((file) => file.startsWith("nodes/native/") && file.endsWith(".rs"))
  const read = (file: string): string => readFileSync(join(ROOT, file), "utf8")

  test("Rust files are named in snake_case after what they hold, and none is longer than 600 lines", () => {
    expect(rust.length, "the rule guards something").toBeGreaterThan(0)
    const offences = rust.filter(
      (file) =>
        !/^nodes\/native\/(build|src\/([a-z0-9_]+\/)*[a-z0-9_]+)\.rs$/.test(file) ||
        /\/(utils?|common|helpers?|types|misc)(\/|\.rs)/.test(file) ||
        read(file).split("\n").length > 600
    )
    expect(offences).toEqual([])
  })

  test("every Rust file is a module of its folder's, so that it is compiled", () => {
    const dead = rust.filter((file) => {
      const [, folder, name] = /^(.*)\/([a-z0-9_]+)\.rs$/.exec(file)!
      if (name === "lib" || name === "build") return false
      const module = name === "mod" ? folder.split("/").at(-1)! : name
      const inside = name === "mod" ? folder.split("/").slice(0, -1).join("/") : folder
      const parents = [`${inside}/lib.rs`, `${inside}/mod.rs`, `${inside}.rs`].filter((parent) => rust.includes(parent))
      return !parents.some((parent) => new RegExp(`^(pub(\\(crate\\))? )?mod ${module};$`, "m").test(read(parent)))
    })
    expect(dead).toEqual([])
  })

  test("work that is left is an issue, not a comment", () => {
    expect(rust.filter((file) => /\b(TODO|FIXME|XXX)\b|\btodo!|\bunimplemented!/.test(read(file)))).toEqual([])
  })

  test("its crates are pinned exactly, as the lock file has them, and come from one registry that Cargo names by itself", () => {
    const lock = read("nodes/native/Cargo.lock")
    const crates = read("nodes/native/Cargo.toml")
      .split(/^(?=\[)/m)
      .filter((section) => /^\[(build-|dev-)?dependencies\]/.test(section))
      .flatMap((section) => section.split("\n").filter((line) => line.includes(" = ")))
    expect(crates.length, "the rule guards something").toBeGreaterThan(0)
    const loose = crates.filter((line) => {
      const [, name, version] = /^([\w-]+) = (?:\{ version = )?"=([\d.]+)"/.exec(line) ?? []
      return !lock.includes(`name = "${name}"\nversion = "${version}"\n`)
    })
    expect(loose).toEqual([])
    const sources = new Set([...lock.matchAll(/^source = "([^"]*)"$/gm)].map(([, source]) => source))
    expect(sources.size).toBe(1)
    expect([...sources][0]).toMatch(/^registry\+.*\/crates\.io-index$/)
  })
})

const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
  packages: Record<string, { resolved?: string; optionalDependencies?: Record<string, string> }>
}

test("the lock file holds the native packages of every platform, without which `npm ci` refuses it", () => {
  const missing = Object.values(lock.packages)
    .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    .filter((name) => !Object.keys(lock.packages).some((path) => path.endsWith(`node_modules/${name}`)))
  expect(missing).toEqual([])
})

test("every package of the root is used: by a test, a script or a setting", () => {
  const root = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"))
  const settings = ["tsconfig.json", "biome.json", "vitest.config.ts", "bench/test.ts", "package.json"].map((file) =>
    readFileSync(join(ROOT, file), "utf8")
  )
  const used = [
    ...text.values(),
    ...settings.map((file) => file.replace(/"(dev)?[dD]ependencies": \{[^}]*\}/g, ""))
  ].join("\n")
  // What each is known by where it is used, if that is not its name.
  const known: Readonly<Record<string, string>> = {
    typescript: '"tsc"',
    "@types/node": '"types": ["node"]',
    "@vitest/coverage-v8": 'provider: "v8"',
    "@biomejs/biome": '"biome"',
    node: "node nodes/cli.ts"
  }
  const names = Object.keys({ ...root.dependencies, ...root.devDependencies })
  expect(names.filter((name) => !used.includes(known[name] ?? `"${name}`) && !used.includes(`/${name}/`))).toEqual([])
})

test("the lock file names no registry host", () => {
  const hosts = Object.entries(lock.packages).filter(([, entry]) => entry.resolved?.includes("://"))
  expect(hosts.map(([name]) => name)).toEqual([])
})
