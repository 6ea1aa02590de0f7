/**
 * OpenVPN of the distribution, point to point in TLS mode (its static keys know no AEAD), with throwaway certificates that name each other
 * by fingerprint. The kernel's data channel offload is off: this compares tunnels in user space.
 */

import { missingTool, run } from "../lab/command.ts"
import { LabError } from "../lab/lab-error.ts"
import { Child } from "../net/child.ts"
import type { Pair } from "../net/pair.ts"
import { makePeerFolder, type PeerFolder } from "./folder.ts"
import { ENDS, INNER, type Peer, preparing, type Tunnel, type Version } from "./peer.ts"

export type OpenvpnCipher = "CHACHA20-POLY1305" | "AES-256-GCM"

const UDP_PORT = 1194
const MTU_BYTES = 1500
const READY = "Initialization Sequence Completed"
/** The two ends find each other by retries seconds apart. */
const READY_TIMEOUT_MS = 20_000
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024

const openvpn = (name: string, title: string, cipher: OpenvpnCipher): Peer => ({
  name,
  title,
  kind: "peer",
  prepare: () => preparing(version),
  start: (pair) => start(pair, cipher)
})

export const openvpnChacha20 = openvpn("openvpn-chacha20", "OpenVPN, ChaCha20-Poly1305", "CHACHA20-POLY1305")
export const openvpnAes = openvpn("openvpn-aes", "OpenVPN, AES-256-GCM", "AES-256-GCM")

const version = async (): Promise<Version> => {
  for (const tool of ["openvpn", "openssl"]) {
    const missing = missingTool(tool)
    if (missing !== undefined) throw new LabError("missing", missing)
  }
  // It ends with code 1 on some versions although it has answered.
  const said = await run(["openvpn", "--version"], { anyExit: true })
  return { version: /^OpenVPN (\S+)/.exec(said)?.[1] ?? "unknown" }
}

export interface OpenvpnEnd {
  readonly role: "tls-server" | "tls-client"
  readonly device: string
  readonly local: string
  readonly remote: string
  readonly innerLocal: string
  readonly innerRemote: string
  readonly cipher: OpenvpnCipher
  readonly certificateFile: string
  readonly keyFile: string
  /** SHA-256 of the other end's certificate, with colons. */
  readonly peerFingerprint: string
}

/** The configuration file of one end. */
export const openvpnConfig = (end: OpenvpnEnd): string =>
  [
    end.role,
    `dev ${end.device}`,
    "dev-type tun",
    "topology p2p",
    "proto udp4",
    `local ${end.local}`,
    `remote ${end.remote}`,
    `port ${UDP_PORT}`,
    `ifconfig ${end.innerLocal} ${end.innerRemote}`,
    `tun-mtu ${MTU_BYTES}`,
    "disable-dco",
    ...(end.role === "tls-server" ? ["dh none"] : []),
    `cert ${end.certificateFile}`,
    `key ${end.keyFile}`,
    `peer-fingerprint ${end.peerFingerprint}`,
    `data-ciphers ${end.cipher}`,
    `sndbuf ${SOCKET_BUFFER_BYTES}`,
    `rcvbuf ${SOCKET_BUFFER_BYTES}`,
    "fast-io",
    "connect-retry 1 2",
    "auth-nocache",
    "verb 1",
    ""
  ].join("\n")

interface Identity {
  readonly certificateFile: string
  readonly keyFile: string
  readonly fingerprint: string
}

const makeIdentity = async (folder: PeerFolder, name: string): Promise<Identity> => {
  const keyFile = `${folder.path}/${name}.key`
  const certificateFile = `${folder.path}/${name}.crt`
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", keyFile]
  await run(["openssl", "req", "-x509", ...key, "-out", certificateFile, "-days", "2", "-subj", `/CN=${name}`])
  const said = await run(["openssl", "x509", "-in", certificateFile, "-noout", "-fingerprint", "-sha256"])
  return { keyFile, certificateFile, fingerprint: fingerprintOf(said) }
}

/** The fingerprint in what `openssl x509 -fingerprint -sha256` prints. */
export const fingerprintOf = (said: string): string => {
  const found = /Fingerprint=([0-9A-F]{2}(?::[0-9A-F]{2}){31})/.exec(said)
  if (found === null) throw new LabError("failed", `openssl gave no SHA-256 fingerprint but ${JSON.stringify(said)}`)
  return found[1]
}

const start = async (pair: Pair, cipher: OpenvpnCipher): Promise<Tunnel> => {
  const folder = makePeerFolder(pair.id)
  const children: Array<Child> = []
  const stop = async (): Promise<void> => {
    for (const child of children) await child.stop()
    folder.remove()
  }
  try {
    const identity = { a: await makeIdentity(folder, "a"), b: await makeIdentity(folder, "b") }
    for (const end of ENDS) {
      const other = end === "a" ? "b" : "a"
      const config = openvpnConfig({
        role: end === "a" ? "tls-client" : "tls-server",
        device: `${pair.id}t`,
        local: pair[end].address,
        remote: pair[other].address,
        innerLocal: INNER[end],
        innerRemote: INNER[other],
        cipher,
        certificateFile: identity[end].certificateFile,
        keyFile: identity[end].keyFile,
        peerFingerprint: identity[other].fingerprint
      })
      const file = folder.write(`${end}.conf`, config)
      const command = ["openvpn", "--config", file]
      children.push(Child.start({ name: `openvpn, end ${end}`, command, enter: pair[end].enter }))
    }
    for (const child of children) await child.line((line) => line.includes(READY), READY_TIMEOUT_MS)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    addresses: INNER,
    mtuBytes: MTU_BYTES,
    processes: ENDS.map((end, index) => ({ pid: children[index].pid, end })),
    stop
  }
}
