/* IP, TCP and UDP headers as far as splitting and joining super-packets needs them (RFC 791, 8200, 9293, 768), and checksums (RFC 1071). */
#ifndef FLOOR_PACKET_H
#define FLOOR_PACKET_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17

#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_CWR 0x80

/* Offsets of the checksum in the transport headers. */
#define TCP_CHECKSUM_AT 16
#define UDP_CHECKSUM_AT 6
#define UDP_HEADER_BYTES 8
#define IPV6_HEADER_BYTES 40

static inline uint16_t get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t get32(const uint8_t *at) { return (uint32_t)get16(at) << 16 | get16(at + 2); }

static inline void put16(uint8_t *at, uint16_t value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static inline void put32(uint8_t *at, uint32_t value) {
  put16(at, (uint16_t)(value >> 16));
  put16(at + 2, (uint16_t)value);
}

/* One's complement sums are the same in either byte order, so words are added as the machine loads them and swapped once at the end. */
static inline uint64_t add_words(uint64_t sum, const uint8_t *at, size_t bytes) {
  unsigned __int128 even = sum, odd = 0;
  uint64_t a, b, c, d;
  for (; bytes >= 32; at += 32, bytes -= 32) {
    memcpy(&a, at, 8);
    memcpy(&b, at + 8, 8);
    memcpy(&c, at + 16, 8);
    memcpy(&d, at + 24, 8);
    even += a;
    odd += b;
    even += c;
    odd += d;
  }
  for (; bytes >= 8; at += 8, bytes -= 8) {
    memcpy(&a, at, 8);
    even += a;
  }
  if (bytes > 0) {
    a = 0;
    memcpy(&a, at, bytes);
    odd += a;
  }
  even += odd;
  unsigned __int128 folded = (uint64_t)even + (even >> 64);
  return (uint64_t)folded + (uint64_t)(folded >> 64);
}

/* The 16-bit one's complement sum as it stands in a packet, not complemented. */
static inline uint16_t fold(uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)(sum << 8 | sum >> 8);
}

/* Where the parts of a TCP or UDP packet lie. */
struct layout {
  uint8_t version, protocol;
  uint16_t transport_at, payload_at, total;
};

/* False unless it is a whole, unfragmented IPv4 packet without options, or IPv6 without extension headers, that holds TCP or UDP. */
static inline int read_layout(const uint8_t *packet, size_t bytes, struct layout *out) {
  if (bytes < 28 || bytes > 65535) return 0;
  out->version = packet[0] >> 4;
  out->total = (uint16_t)bytes;
  if (out->version == 4) {
    if (packet[0] != 0x45 || get16(packet + 2) != bytes || (get16(packet + 6) & 0x3fff) != 0) return 0;
    out->protocol = packet[9];
    out->transport_at = 20;
  } else if (out->version == 6) {
    if (bytes < 48 || (size_t)get16(packet + 4) + IPV6_HEADER_BYTES != bytes) return 0;
    out->protocol = packet[6];
    out->transport_at = IPV6_HEADER_BYTES;
  } else return 0;
  if (out->protocol == PROTOCOL_UDP) {
    out->payload_at = (uint16_t)(out->transport_at + UDP_HEADER_BYTES);
    return get16(packet + out->transport_at + 4) == bytes - out->transport_at;
  }
  if (out->protocol != PROTOCOL_TCP || bytes < (size_t)out->transport_at + 20) return 0;
  out->payload_at = (uint16_t)(out->transport_at + (packet[out->transport_at + 12] >> 4) * 4);
  return out->payload_at >= out->transport_at + 20 && out->payload_at <= bytes;
}

/* Sum of the pseudo header for a transport part of `bytes` bytes (RFC 9293 §3.1, RFC 8200 §8.1). */
static inline uint64_t pseudo_sum(const uint8_t *packet, const struct layout *l, size_t bytes) {
  uint8_t tail[8] = {0};
  put32(tail, (uint32_t)bytes);
  tail[7] = l->protocol;
  uint64_t sum = l->version == 4 ? add_words(0, packet + 12, 8) : add_words(0, packet + 8, 32);
  return add_words(sum, tail, sizeof tail);
}

static inline size_t checksum_at(const struct layout *l) {
  return (size_t)l->transport_at + (l->protocol == PROTOCOL_TCP ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT);
}

/* Writes the lengths and the IPv4 header checksum for a packet of `bytes` bytes. */
static inline void set_lengths(uint8_t *packet, const struct layout *l, size_t bytes) {
  if (l->protocol == PROTOCOL_UDP) put16(packet + l->transport_at + 4, (uint16_t)(bytes - l->transport_at));
  if (l->version == 6) {
    put16(packet + 4, (uint16_t)(bytes - IPV6_HEADER_BYTES));
    return;
  }
  put16(packet + 2, (uint16_t)bytes);
  put16(packet + 10, 0);
  put16(packet + 10, (uint16_t)~fold(add_words(0, packet, 20)));
}

#endif
