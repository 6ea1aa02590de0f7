/** Little-endian integers in byte arrays, without a DataView for each message. The caller has checked the length. */

export const putU16 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
}

export const putU32 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

export const getU16 = (bytes: Uint8Array, at: number): number => bytes[at] | (bytes[at + 1] << 8)

export const getI16 = (bytes: Uint8Array, at: number): number => (getU16(bytes, at) << 16) >> 16

export const getI32 = (bytes: Uint8Array, at: number): number =>
  bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)

export const getU32 = (bytes: Uint8Array, at: number): number => getI32(bytes, at) >>> 0
