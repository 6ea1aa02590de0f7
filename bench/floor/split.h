/*
 * Splits a super-packet from a TUN device into packets that fit the tunnel's MTU, in place: the headers of packet i + 1 are written over the
 * end of packet i's payload, which the caller has consumed by then. So no payload byte is copied.
 */
#ifndef FLOOR_SPLIT_H
#define FLOOR_SPLIT_H

#include "packet.h"
#include "tun-device.h"

struct split {
  uint8_t *packet;
  struct layout layout;
  /* The headers as the kernel gave them: each packet's start from these. */
  uint8_t headers[128];
  size_t header_bytes, segment_bytes;
  /* Offset of the payload that has not been given out. */
  size_t at, end;
  uint32_t index;
  int whole;
};

/* Writes the checksum that the kernel left to the device (VIRTIO_NET_HDR_F_NEEDS_CSUM). */
static inline void complete_checksum(const vnet_header *header, uint8_t *packet, size_t bytes) {
  size_t start = header->csum_start, at = start + header->csum_offset;
  if (start >= bytes || at + 2 > bytes) return;
  uint16_t sum = (uint16_t)~fold(add_words(0, packet + start, bytes - start));
  // UDP: a checksum of zero would mean that there is none.
  put16(packet + at, sum == 0 && header->csum_offset == UDP_CHECKSUM_AT ? 0xffff : sum);
}

/* False if the super-packet is of a kind that was not asked for. */
static inline int split_start(struct split *s, const vnet_header *header, uint8_t *packet, size_t bytes) {
  s->packet = packet;
  s->end = bytes;
  s->at = 0;
  s->index = 0;
  s->whole = header->gso_type == VIRTIO_NET_HDR_GSO_NONE;
  if (s->whole) {
    if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) complete_checksum(header, packet, bytes);
    return 1;
  }
  if (!read_layout(packet, bytes, &s->layout) || header->gso_size == 0) return 0;
  s->header_bytes = s->layout.payload_at;
  if (s->header_bytes > sizeof s->headers) return 0;
  s->segment_bytes = header->gso_size;
  s->at = s->header_bytes;
  memcpy(s->headers, packet, s->header_bytes);
  return 1;
}

/* The next packet, or false. It is valid until the next call. */
static inline int split_next(struct split *s, uint8_t **packet, size_t *bytes) {
  if (s->at >= s->end) return 0;
  if (s->whole) {
    *packet = s->packet;
    *bytes = s->end;
    s->at = s->end;
    return 1;
  }
  const struct layout *l = &s->layout;
  size_t payload = s->end - s->at < s->segment_bytes ? s->end - s->at : s->segment_bytes;
  int last = s->at + payload == s->end;
  uint8_t *p = s->packet + s->at - s->header_bytes;
  size_t total = s->header_bytes + payload;
  memcpy(p, s->headers, s->header_bytes);
  if (l->version == 4) put16(p + 4, (uint16_t)(get16(s->headers + 4) + s->index));
  uint8_t *transport = p + l->transport_at;
  if (l->protocol == PROTOCOL_TCP) {
    put32(transport + 4, get32(transport + 4) + (uint32_t)(s->index * s->segment_bytes));
    // RFC 9293 and RFC 3168 as every segmenting device does it: FIN and PSH belong to the last segment, CWR to the first.
    if (!last) transport[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    if (s->index > 0) transport[13] &= (uint8_t)~TCP_CWR;
  }
  set_lengths(p, l, total);
  uint8_t *checksum = p + checksum_at(l);
  put16(checksum, 0);
  size_t transport_bytes = total - l->transport_at;
  uint16_t sum = (uint16_t)~fold(add_words(pseudo_sum(p, l, transport_bytes), transport, transport_bytes));
  put16(checksum, sum == 0 && l->protocol == PROTOCOL_UDP ? 0xffff : sum);
  s->at += payload;
  s->index++;
  *packet = p;
  *bytes = total;
  return 1;
}

#endif
