import fc from "fast-check"
import { expect, test } from "vitest"
import {
  BODY_BYTES_MAX,
  encodeMessage,
  HEAD_BYTES_MAX,
  type HttpHeaders,
  HttpReader,
  parseRequestLine,
  parseStatusLine
} from "./http.ts"

const latin = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))
const read = (text: string, expectsBody = true): HttpReader => {
  const reader = new HttpReader(expectsBody)
  reader.feed(latin(text))
  return reader
}

test("a message is what RFC 9112 says it is, byte for byte", () => {
  const bytes = encodeMessage("GET /a?b=1 HTTP/1.1", [["host", "10.0.0.1"]], latin("hi"))
  expect(bytes).toEqual(latin("GET /a?b=1 HTTP/1.1\r\nhost: 10.0.0.1\r\ncontent-length: 2\r\n\r\nhi"))
})

test("a head that cannot travel is not made", () => {
  const make = (headers: HttpHeaders) => encodeMessage("GET / HTTP/1.1", headers, latin(""))
  expect(make([["a", "line\r\nbreak"]])).toBeUndefined()
  expect(make([["a", "☃"]])).toBeUndefined()
  expect(make([["a", "\u0000"]])).toBeUndefined()
  expect(make([["a", "caf\u00e9 \t~"]])).toBeDefined()
})

test("what was encoded is read again, in whatever pieces it comes", () => {
  const value = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1
  })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), value, fc.integer({ min: 1, max: 40 }), (body, header, piece) => {
      const bytes = encodeMessage(
        "HTTP/1.1 200 OK",
        [
          ["x-a", header],
          ["set-cookie", "a=1"],
          ["set-cookie", "b=2"]
        ],
        body
      )!
      const reader = new HttpReader()
      for (let at = 0; at < bytes.length; at += piece) reader.feed(bytes.subarray(at, at + piece))
      expect(reader.state).toBe("complete")
      expect(reader.startLine).toBe("HTTP/1.1 200 OK")
      expect(reader.headers["x-a"]).toBe(header)
      expect(reader.setCookies).toEqual(["a=1", "b=2"])
      expect(reader.body).toEqual(body)
    }),
    { numRuns: 200, seed: 1 }
  )
})

test("no bytes whatever make the reader throw", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), fc.boolean(), (pieces, asHeader) => {
      const reader = new HttpReader()
      if (asHeader) reader.feed(latin("GET / HTTP/1.1\r\n"))
      for (const piece of pieces) reader.feed(piece)
      expect(typeof reader.state).toBe("string")
    }),
    { numRuns: 300, seed: 1 }
  )
})

test("fields of one name are joined, names are lower-cased, blanks around values go", () => {
  const reader = read("GET / HTTP/1.1\r\nX-A:  1 \r\nx-a:2\r\n__proto__: 3\r\n\r\nrest")
  expect(reader.state).toBe("complete")
  expect(reader.headers["x-a"]).toBe("1, 2")
})

test("an answer to HEAD has a length and no body", () => {
  const reader = read("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", false)
  expect([reader.state, reader.body.length]).toEqual(["complete", 0])
})

test("what is malformed, chunked or too large is said so", () => {
  expect(read("GET / HTTP/1.1\r\nno colon\r\n\r\n").state).toBe("malformed")
  expect(read("GET / HTTP/1.1\r\na : 1\r\n\r\n").state).toBe("malformed")
  expect(read("GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n").state).toBe("malformed")
  expect(read("GET / HTTP/1.1\r\ncontent-length: 1, 1\r\n\r\n").state).toBe("malformed")
  expect(read("GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n").state).toBe("malformed")
  expect(read(`GET / HTTP/1.1\r\ncontent-length: ${BODY_BYTES_MAX + 1}\r\n\r\n`).state).toBe("body-too-large")
  expect(read(`GET / HTTP/1.1\r\na: ${"x".repeat(HEAD_BYTES_MAX)}`).state).toBe("head-too-large")
  expect(read(`GET / HTTP/1.1\r\na: ${"x".repeat(HEAD_BYTES_MAX - 100)}\r\n\r\n`).state).toBe("complete")
})

test("request and status lines are taken apart, others refused", () => {
  expect(parseRequestLine("POST /a/b?c=%20 HTTP/1.1")).toEqual({ method: "POST", target: "/a/b?c=%20" })
  for (const line of [
    "",
    "GET / HTTP/1.0",
    "get / HTTP/1.1",
    "GET  / HTTP/1.1",
    "GET http://x/ HTTP/1.1",
    "GET /\u00e9 HTTP/1.1"
  ])
    expect(parseRequestLine(line)).toBeUndefined()
  expect(parseStatusLine("HTTP/1.1 404 Not Found")).toBe(404)
  expect(parseStatusLine("HTTP/1.1 204")).toBe(204)
  for (const line of ["", "HTTP/1.1 600 x", "HTTP/1.1 2000", "HTTP/2 200 OK"])
    expect(parseStatusLine(line)).toBeUndefined()
})
