import { execFileSync } from "node:child_process"
import { afterAll, expect, test } from "vitest"
import { named, namespacesMissing } from "../here.fixture.ts"
import { LabProcess } from "./lab-process.ts"
import { Outage } from "./outage.ts"

const NAMESPACE = `hzout${process.pid}`

if (namespacesMissing === "") {
  execFileSync("ip", ["netns", "add", NAMESPACE])
  execFileSync("ip", ["-n", NAMESPACE, "link", "set", "lo", "up"])
}
const enter = ["nsenter", `--net=/run/netns/${NAMESPACE}`, "--"]
const processes: Array<LabProcess> = []

afterAll(() => {
  for (const each of processes) each.signal("SIGKILL")
  if (namespacesMissing === "") execFileSync("ip", ["netns", "del", NAMESPACE], { stdio: "ignore" })
})

/** A service that answers each line with the line, and a user of it that says for each request how it fared. */
const PROGRAMS = {
  service: `
    require("node:http").createServer((request, response) => {
      console.error("asked " + request.url)
      response.end("fine")
    }).listen(8420, "127.0.0.1", () => console.error("listening"))`,
  user: `
    const http = require("node:http")
    const kept = new http.Agent({ keepAlive: true })
    let count = 0
    require("node:readline").createInterface({ input: process.stdin }).on("line", (path) => {
      const agent = path.startsWith("/kept") ? kept : undefined
      const request = http.get({ host: "127.0.0.1", port: 8420, path, agent, headers: { "x-filler": "x".repeat(80) } }, (response) => {
        response.resume().on("end", () => console.error(path + " ok."))
      })
      request.setTimeout(400, () => request.destroy(Object.assign(new Error(), { code: "SILENT" })))
      request.on("error", (error) => console.error(path + " " + error.code + "."))
    })`
}

const node = (program: string, input = false): LabProcess => {
  const made = new LabProcess({ command: [...enter, process.execPath, "-e", program], input, onError: () => {} })
  processes.push(made)
  return made
}

test.skipIf(namespacesMissing !== "")(
  named(
    "a service is away, or accepts and never answers, and what was asked then is never answered",
    namespacesMissing
  ),
  async () => {
    const service = node(PROGRAMS.service)
    const user = node(PROGRAMS.user, true)
    const said = (words: RegExp) => expect.poll(() => user.stderr, { timeout: 5_000 }).toMatch(words)
    await expect.poll(() => service.stderr, { timeout: 5_000 }).toMatch(/listening/)
    const ask = (path: string): boolean => user.input.write(`${path}\n`)
    const outage = new Outage(enter, 8420)

    ask("/kept-1")
    await said(/\/kept-1 ok/)
    await outage.begin("down")
    ask("/kept-2")
    ask("/new-2")
    await said(/\/kept-2 ECONNRE(SET|FUSED)/)
    await said(/\/new-2 ECONNREFUSED/)
    await outage.end()
    ask("/new-3")
    await said(/\/new-3 ok/)

    ask("/kept-4")
    await said(/\/kept-4 ok/)
    await outage.begin("half")
    ask("/kept-5")
    ask("/new-5")
    await said(/\/kept-5 SILENT/)
    await said(/\/new-5 SILENT/)
    await outage.end()
    ask("/new-6")
    await said(/\/new-6 ok/)
    // Longer than the system waits before it repeats what was not acknowledged.
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(service.stderr.match(/asked \S+/g)).toEqual(
      ["/kept-1", "/new-3", "/kept-4", "/new-6"].map((path) => `asked ${path}`)
    )
  }
)
