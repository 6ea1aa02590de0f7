import { createPrivateKey, createPublicKey } from "node:crypto"
import { expect, test } from "vitest"
import { nebulaConfig, whyNot } from "./nebula.ts"
import { fingerprintOf, openvpnConfig } from "./openvpn.ts"
import { PEERS } from "./registry.ts"
import { makeWireguardKeys, wireguardConfig } from "./wireguard.ts"

const lines = (text: string): ReadonlyArray<string> => text.split("\n")

test("every peer has a name of its own, and Horizon comes with its own MTU and with WireGuard's", () => {
  expect(new Set(PEERS.map((peer) => peer.name)).size).toBe(PEERS.length)
  expect(PEERS.filter((peer) => peer.kind === "horizon").map((peer) => peer.name)).toEqual(["horizon-1170", "horizon"])
})

test("OpenVPN's ends are each other's mirror, in user space, with the one cipher that was asked for", () => {
  const common = { device: "t", cipher: "CHACHA20-POLY1305" as const, certificateFile: "/x/c", keyFile: "/x/k" }
  const [a, b] = ["10.0.0.1", "10.0.0.2"]
  const client = lines(
    openvpnConfig({
      ...common,
      role: "tls-client",
      local: a,
      remote: b,
      innerLocal: "10.9.0.1",
      innerRemote: "10.9.0.2",
      peerFingerprint: "AA:BB"
    })
  )
  expect(client).toContain("tls-client")
  expect(client).toContain(`local ${a}`)
  expect(client).toContain(`remote ${b}`)
  expect(client).toContain("ifconfig 10.9.0.1 10.9.0.2")
  expect(client).toContain("data-ciphers CHACHA20-POLY1305")
  expect(client).toContain("peer-fingerprint AA:BB")
  expect(client).toContain("disable-dco")
  expect(client).not.toContain("dh none")
  const server = openvpnConfig({
    ...common,
    role: "tls-server",
    local: b,
    remote: a,
    innerLocal: "10.9.0.2",
    innerRemote: "10.9.0.1",
    peerFingerprint: "CC"
  })
  expect(lines(server)).toContain("dh none")
})

test("a certificate's fingerprint is read from what openssl prints, and anything else is refused", () => {
  const hex = Array.from({ length: 32 }, (_, i) => i.toString(16).padStart(2, "0").toUpperCase()).join(":")
  expect(fingerprintOf(`sha256 Fingerprint=${hex}\n`)).toBe(hex)
  expect(() => fingerprintOf("SHA1 Fingerprint=00:11")).toThrow("no SHA-256 fingerprint")
})

test("WireGuard's configuration names the peer's key, endpoint and the one address behind it", () => {
  const end = { privateKey: "PRIVATE=", peerPublicKey: "PUBLIC=", peerAddress: "10.0.0.2", peerInner: "10.9.0.2" }
  expect(wireguardConfig(end)).toBe(
    "[Interface]\nPrivateKey = PRIVATE=\nListenPort = 51820\n[Peer]\nPublicKey = PUBLIC=\nEndpoint = 10.0.0.2:51820\nAllowedIPs = 10.9.0.2/32\n"
  )
})

test("WireGuard's keys are 32 bytes in base64 and belong together", () => {
  const { privateKey, publicKey } = makeWireguardKeys()
  for (const key of [privateKey, publicKey]) expect(Buffer.from(key, "base64")).toHaveLength(32)
  const prefix = Buffer.from("302e020100300506032b656e04220420", "hex")
  const der = Buffer.concat([prefix, Buffer.from(privateKey, "base64")])
  const derived = createPublicKey(createPrivateKey({ key: der, format: "der", type: "pkcs8" })).export({
    format: "jwk"
  })
  expect(Buffer.from(derived.x!, "base64url").toString("base64")).toBe(publicKey)
})

test("Nebula's configuration says where the other end is and lets everything through", () => {
  const end = {
    device: "t",
    listen: "10.0.0.1",
    peerInner: "10.9.0.2",
    peerAddress: "10.0.0.2",
    caFile: "/x/ca",
    certificateFile: "/x/c",
    keyFile: "/x/k"
  }
  expect(JSON.parse(nebulaConfig(end))).toMatchObject({
    pki: { ca: "/x/ca", cert: "/x/c", key: "/x/k" },
    static_host_map: { "10.9.0.2": ["10.0.0.2:4242"] },
    listen: { host: "10.0.0.1", port: 4242 },
    tun: { dev: "t", mtu: 1300 },
    firewall: { inbound: [{ port: "any", proto: "any", host: "any" }] }
  })
})

test("of what Go says about a build that fails, the reason is kept", () => {
  expect(whyNot("go: nebula@v9 requires go >= 1.99.3 (running go 1.26.8; GOTOOLCHAIN=local)")).toBe(
    "requires go >= 1.99.3"
  )
  const download =
    "go: downloading github.com/a/b v1.0.0\n/cache/x@v1/tun.go:2:2: github.com/c/netlink@v1.3.2: reading https://proxy/x.zip: 403 Forbidden\n\tmore"
  expect(whyNot(download)).toBe("github.com/c/netlink@v1.3.2 is not to be had: 403 Forbidden")
  expect(whyNot("ld: out of memory")).toBe("ld: out of memory")
})
