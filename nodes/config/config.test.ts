import { flag, integer, list, port, text } from "@horizon/core/port/config.ts"
import { Result, Schema } from "effect"
import { expect, test } from "vitest"
import { loadConfig, printConfig, type Sources, variableOf } from "./config.ts"

const settings = {
  httpPort: port({ description: "TCP port of the HTTP API.", default: 8080 }),
  name: text({ description: "Name of the server.", pattern: /^[a-z]+$/, expected: "lower-case letters" }),
  adminToken: text({ description: "Token of the first admin.", default: "", secret: true }),
  tags: list({ description: "Tags.", default: [] }),
  public: flag({ description: "Whether it is listed.", default: false }),
  sessionsMax: integer({ description: "Sessions.", minimum: 1, maximum: 1000, default: 100 })
}

const load = (change: Partial<Sources> = {}) =>
  loadConfig(settings, { node: "gateway", file: undefined, environment: {}, flags: { name: "a" }, ...change })
const problems = (change: Partial<Sources>) => {
  const result = load(change)
  if (Result.isSuccess(result)) throw new Error("it loaded")
  return result.failure
}
const file = (value: unknown) => ({
  path: "/etc/gw.json",
  text: typeof value === "string" ? value : JSON.stringify(value)
})

test("flags win over the environment, which wins over the file, which wins over defaults", () => {
  const given = file({ httpPort: 1, sessionsMax: 2, tags: ["x"], public: true })
  const environment = { HORIZON_GATEWAY_HTTP_PORT: "3", HORIZON_GATEWAY_SESSIONS_MAX: "4" }
  const { config, origins } = Result.getOrThrow(load({ file: given, environment, flags: { name: "b", httpPort: "5" } }))
  expect(config).toEqual({ httpPort: 5, name: "b", adminToken: "", tags: ["x"], public: true, sessionsMax: 4 })
  expect(origins).toEqual({
    httpPort: { kind: "flag", flag: "--http-port" },
    name: { kind: "flag", flag: "--name" },
    adminToken: { kind: "default" },
    tags: { kind: "file", path: "/etc/gw.json" },
    public: { kind: "file", path: "/etc/gw.json" },
    sessionsMax: { kind: "environment", variable: "HORIZON_GATEWAY_SESSIONS_MAX" }
  })
})

test("text becomes integers, booleans and lists as the setting says", () => {
  const environment = {
    HORIZON_GATEWAY_TAGS: "a, b,c",
    HORIZON_GATEWAY_PUBLIC: "yes",
    HORIZON_GATEWAY_HTTP_PORT: " 0 "
  }
  const { config } = Result.getOrThrow(load({ environment }))
  expect(config).toMatchObject({ tags: ["a", "b", "c"], public: true, httpPort: 0 })
})

test("an error is one line with the key, what was expected, what was given and where it came from", () => {
  expect(problems({ environment: { HORIZON_GATEWAY_HTTP_PORT: "http" } })).toEqual([
    'httpPort must be an integer from 0 to 65535, not "http" (from HORIZON_GATEWAY_HTTP_PORT)'
  ])
  expect(problems({ file: file({ httpPort: 70000 }) })).toEqual([
    "httpPort must be an integer from 0 to 65535, not 70000 (from /etc/gw.json)"
  ])
  expect(problems({ flags: { name: "Straße\n1" } })).toEqual([
    'name must be lower-case letters, not "Straße\\n1" (from --name)'
  ])
  expect(problems({ file: file({ public: "maybe" }) })).toEqual([
    'public must be true or false, not "maybe" (from /etc/gw.json)'
  ])
  expect(problems({ file: file({ tags: ["a", 3] }) })[0]).toContain("tags must be a list of texts")
})

test("a list whose elements are checked says what each must be", () => {
  const keys = {
    ...list({ description: "Keys.", default: [] }),
    schema: Schema.Array(Schema.String.check(Schema.isPattern(/^k_/, { expected: "k_ and more" })))
  }
  const result = loadConfig({ keys }, { node: "broker", file: undefined, environment: {}, flags: { keys: "k_1,x" } })
  expect(Result.isFailure(result) && result.failure).toEqual([
    'keys must be a list, each element k_ and more, not "k_1,x" (from --keys)'
  ])
})

test("an integer in the environment is decimal digits and nothing else", () => {
  for (const value of ["", "1e3", "0x10", "1.0", "9".repeat(30), "NaN", "80 80"]) {
    expect(problems({ environment: { HORIZON_GATEWAY_HTTP_PORT: value } })).toHaveLength(1)
  }
})

test("a missing setting says all the ways to give it", () => {
  expect(problems({ flags: {} })).toEqual([
    'name must be given (name of the server): set --name, HORIZON_GATEWAY_NAME, or "name" in the configuration file'
  ])
})

test("an unknown key in the file is an error that suggests the nearest", () => {
  expect(problems({ file: file({ httpPrt: 1 }) })).toEqual([
    "httpPrt is no setting (from /etc/gw.json); did you mean httpPort?"
  ])
  expect(problems({ file: file('{"__proto__": 1}') })[0]).toContain("__proto__ is no setting")
})

test("a file that is no JSON object is told with the place of the mistake", () => {
  const [line] = problems({ file: file('{"httpPort": 1,\n "name" "x"}') })
  expect(line).toMatch(/^\/etc\/gw\.json is not valid JSON: .*line 2/)
  expect(problems({ file: file([1]) })[0]).toContain("must hold one JSON object")
})

test("a misspelt variable is a warning, a foreign one is not", () => {
  const environment = { HORIZON_GATEWAY_HTTP_PROT: "1", HORIZON_GATEWAY_SERVICE_HOST: "10.0.0.1", PATH: "/bin" }
  const { warnings } = Result.getOrThrow(load({ environment }))
  expect(warnings).toEqual([
    "HORIZON_GATEWAY_HTTP_PROT is set, but is no setting; did you mean HORIZON_GATEWAY_HTTP_PORT?"
  ])
})

test("secrets are shown neither in the printed configuration nor in an error", () => {
  const loaded = Result.getOrThrow(load({ environment: { HORIZON_GATEWAY_ADMIN_TOKEN: "s3cret" } }))
  const lines = printConfig(settings, loaded)
  expect(lines.join("\n")).not.toContain("s3cret")
  expect(lines.find((line) => line.startsWith("adminToken"))).toMatch(/\(hidden\)\s+HORIZON_GATEWAY_ADMIN_TOKEN$/)
  expect(lines.find((line) => line.startsWith("httpPort"))).toMatch(/^httpPort\s+8080\s+default$/)
  expect(problems({ file: file({ adminToken: 31337 }) })[0]).not.toContain("31337")
})

test("names of variables follow the keys", () => {
  expect(variableOf("game", "tickRateHz")).toBe("HORIZON_GAME_TICK_RATE_HZ")
})
