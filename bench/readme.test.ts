import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, expect, test } from "vitest"

const ROOT = fileURLToPath(new URL("..", import.meta.url))
/** The commands write where they are run, so they are run elsewhere. */
const folder = mkdtempSync(join(tmpdir(), "horizon-readme-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const readme = readFileSync(join(ROOT, "README.md"), "utf8")
const lines = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) => block.trim().split("\n"))
const commands = lines.filter((line) => line.startsWith("npx horizon "))

/** Runs a line as a user would; one that stays until Ctrl-C gets it once it has said that it is up. */
const type = (line: string): Promise<{ code: number | null; out: string }> =>
  new Promise((resolve) => {
    const [, ...words] = line.split(/\s+/).slice(1)
    const bin = join(ROOT, "node_modules/.bin")
    // npx puts the project's binaries, the runtime among them, first on the path.
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env["PATH"]}` }
    const child = spawn(join(bin, "horizon"), words, {
      env,
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"]
    })
    let out = ""
    const hear = (chunk: Buffer): void => {
      out += chunk
      if (words[0] === "up" && out.includes("Ctrl-C stops everything")) child.kill("SIGINT")
    }
    child.stdout.on("data", hear)
    child.stderr.on("data", hear)
    child.on("close", (code) => resolve({ code, out }))
  })

test("the README shows commands, and its two for a fresh machine are what package.json has", () => {
  expect(commands.length).toBeGreaterThan(4)
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"))
  for (const name of ["start", "test"]) expect(scripts[name], name).toBeDefined()
  expect(lines.filter((line) => /^npm ci && npm (start|test)/.test(line))).toHaveLength(2)
})

test.each(commands)("%s does what the README says, exit code 0", { timeout: 120_000 }, async (line) => {
  const { code, out } = await type(line)
  expect(out).not.toBe("")
  expect(code, out).toBe(0)
})

test("every path that the README names is there", () => {
  const paths = [...readme.matchAll(/\]\(([a-zA-Z][^):]*)\)/g)].map(([, path]) => path)
  expect(paths.length).toBeGreaterThan(3)
  expect(paths.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
})
