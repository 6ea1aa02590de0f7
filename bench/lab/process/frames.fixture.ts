/** Frames and captures, made by hand for tests. */

import { HEADER_BYTES, putHeader, sealedFlags } from "@horizon/core/wire/header.ts"

/** An Ethernet frame with a UDP datagram; addresses as `a.b.c.d:port`. */
export const udpFrame = (source: string, destination: string, payload: Uint8Array): Buffer => {
  const frame = Buffer.alloc(42 + payload.length)
  frame.writeUInt16BE(0x0800, 12)
  frame[14] = 0x45
  frame.writeUInt16BE(28 + payload.length, 16)
  frame[22] = 64
  frame[23] = 17
  putEndpoint(frame, 26, 34, source)
  putEndpoint(frame, 30, 36, destination)
  frame.writeUInt16BE(8 + payload.length, 38)
  frame.set(payload, 42)
  return frame
}

const putEndpoint = (frame: Buffer, address: number, port: number, text: string): void => {
  const [host, number] = text.split(":")
  frame.set(host.split(".").map(Number), address)
  frame.writeUInt16BE(Number(number), port)
}

/** A datagram that looks sealed: its body and tag are `text` scrambled. */
export const sealed = (connectionId: number, sequence: number, text: string, epoch = 0, bytes = 80): Buffer => {
  const datagram = Buffer.alloc(bytes)
  let state = 2_166_136_261
  for (const character of `${text} ${sequence}`) state = Math.imul(state ^ character.charCodeAt(0), 16_777_619)
  for (let i = HEADER_BYTES; i < bytes; i++) {
    state = Math.imul(state ^ (state >>> 13), 1_540_483_477) + i
    datagram[i] = state >>> 11
  }
  putHeader(datagram, 0, connectionId, 4, sealedFlags(epoch), Math.floor(sequence / 2 ** 32), sequence >>> 0)
  return datagram
}

/** A capture file with these frames. */
export const captureOf = (
  frames: ReadonlyArray<Uint8Array>,
  form: { readonly bigEndian?: boolean; readonly nanoseconds?: boolean; readonly linkType?: number } = {}
): Buffer => {
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4)
    if (form.bigEndian === true) bytes.writeUInt32BE(value)
    else bytes.writeUInt32LE(value)
    return bytes
  }
  const magic = form.nanoseconds === true ? 0xa1b23c4d : 0xa1b2c3d4
  return Buffer.concat([
    ...[magic, 0x00040002, 0, 0, 262_144, form.linkType ?? 1].map(u32),
    ...frames.flatMap((frame, index) => [
      u32(1_000 + index),
      u32(7),
      u32(frame.length),
      u32(frame.length),
      Buffer.from(frame)
    ])
  ])
}
