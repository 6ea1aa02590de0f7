/**
 * HTTP/1.1 messages as bytes (RFC 9112), as far as the simulated world needs them: one exchange for each connection, whole bodies with
 * a content length, no chunks, no trailers. What travels through the simulated network is exactly these bytes, so sizes
 * are real, damage matters, and the run's digest sees every message.
 */

/** Bytes of a head, as Node limits it. */
export const HEAD_BYTES_MAX = 16 * 1024

/** Bytes of a body. */
export const BODY_BYTES_MAX = 16 << 20

export type HttpHeaders = ReadonlyArray<readonly [name: string, value: string]>

/**
 * A message as bytes, `content-length` included; `undefined` if the head has characters that cannot travel in one.
 * `contentLength` differs from the body's only in the answer to a HEAD request.
 */
export const encodeMessage = (
  startLine: string,
  headers: HttpHeaders,
  body: Uint8Array,
  contentLength = body.length
): Uint8Array | undefined => {
  const lines = headers.map(([name, value]) => `${name}: ${value}`)
  const all = [startLine, ...lines, `content-length: ${contentLength}`]
  if (!all.every(isLine)) return undefined
  const head = `${all.join("\r\n")}\r\n\r\n`
  const bytes = new Uint8Array(head.length + body.length)
  for (let i = 0; i < head.length; i++) bytes[i] = head.charCodeAt(i)
  bytes.set(body, head.length)
  return bytes
}

/** Visible Latin-1 and blanks: no line ends, nothing above one byte. */
const isLine = (line: string): boolean => /^[\t\x20-\x7e\x80-\xff]*$/.test(line)

export type ReaderState = "head" | "body" | "complete" | "malformed" | "head-too-large" | "body-too-large"

/** Reads one message as its bytes come in. */
export class HttpReader {
  state: ReaderState = "head"
  startLine = ""
  /** Lower-case names; several fields of one name are joined by commas, but for `set-cookie`. */
  readonly headers: Record<string, string> = {}
  readonly setCookies: Array<string> = []
  body = new Uint8Array(0)
  private readonly head: Array<number> = []
  private bodyAt = 0
  private readonly expectsBody: boolean

  /** `expectsBody` is false for the answer to a HEAD request, which has a length but no body. */
  constructor(expectsBody = true) {
    this.expectsBody = expectsBody
  }

  /** Takes the next bytes; the state afterwards. Bytes behind the end of the message are ignored. */
  feed(bytes: Uint8Array): ReaderState {
    let at = 0
    while (this.state === "head" && at < bytes.length) this.feedHead(bytes[at++])
    if (this.state === "body") {
      const count = Math.min(bytes.length - at, this.body.length - this.bodyAt)
      this.body.set(bytes.subarray(at, at + count), this.bodyAt)
      this.bodyAt += count
      if (this.bodyAt === this.body.length) this.state = "complete"
    }
    return this.state
  }

  private feedHead(byte: number): void {
    const { head } = this
    head.push(byte)
    const { length } = head
    if (byte === 10 && head[length - 2] === 13 && head[length - 3] === 10 && head[length - 4] === 13) this.parseHead()
    else if (length >= HEAD_BYTES_MAX) this.state = "head-too-large"
  }

  private parseHead(): void {
    const [startLine, ...lines] = this.headText().slice(0, -4).split("\r\n")
    this.startLine = startLine
    for (const line of lines) {
      const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line)
      if (match === null) {
        this.state = "malformed"
        return
      }
      this.addHeader(match[1].toLowerCase(), match[2])
    }
    this.startBody()
  }

  private addHeader(name: string, value: string): void {
    if (name === "set-cookie") this.setCookies.push(value)
    else this.headers[name] = Object.hasOwn(this.headers, name) ? `${this.headers[name]}, ${value}` : value
  }

  private startBody(): void {
    const text = this.headers["content-length"] ?? "0"
    const length = this.expectsBody ? Number(text) : 0
    if (!/^[0-9]{1,15}$/.test(text) || "transfer-encoding" in this.headers) this.state = "malformed"
    else if (length > BODY_BYTES_MAX) this.state = "body-too-large"
    else {
      this.body = new Uint8Array(length)
      this.state = length === 0 ? "complete" : "body"
    }
  }

  private headText(): string {
    const { head } = this
    let text = ""
    for (let at = 0; at < head.length; at += 4096) text += String.fromCharCode(...head.slice(at, at + 4096))
    return text
  }
}

/** The parts of a request line; `undefined` if it is none of HTTP/1.1. */
export const parseRequestLine = (line: string): { readonly method: string; readonly target: string } | undefined => {
  const match = /^([A-Z]+) (\/[\x21-\x7e]*) HTTP\/1\.1$/.exec(line)
  return match === null ? undefined : { method: match[1], target: match[2] }
}

/** The status of a status line; `undefined` if it is none of HTTP/1.1. */
export const parseStatusLine = (line: string): number | undefined => {
  const match = /^HTTP\/1\.1 ([1-5][0-9]{2})(?: .*)?$/.exec(line)
  return match === null ? undefined : Number(match[1])
}
