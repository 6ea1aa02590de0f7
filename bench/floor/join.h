/*
 * Joins packets that came out of the tunnel into super-packets for one write to a TUN device: neighbours of one TCP flow with consecutive
 * sequence numbers, or of one UDP flow with equal sizes. Only neighbours are joined, so order is kept across all flows. Nothing is copied: a
 * super-packet is written from where its parts lie.
 */
#ifndef FLOOR_JOIN_H
#define FLOOR_JOIN_H

#include <sys/uio.h>

#include "packet.h"
#include "tun-device.h"

/* The virtio header, the headers of the first packet with its payload, and the payloads of the others. */
#define JOIN_PACKETS_MAX 64

struct join {
  int tun;
  /* Whether the device takes UDP super-packets. */
  int udp;
  struct layout layout;
  uint8_t *first;
  struct iovec parts[1 + JOIN_PACKETS_MAX];
  int packets;
  size_t segment_bytes, total;
  uint32_t next_sequence;
  /* A short or pushed packet ends its super-packet. */
  int ended;
  uint64_t written, refused;
};

/* Writes what is pending. */
static inline void join_flush(struct join *j) {
  if (j->packets == 0) return;
  vnet_header header = {0};
  if (j->packets > 1) {
    const struct layout *l = &j->layout;
    set_lengths(j->first, l, j->total);
    // The kernel completes the checksum if it ever has to: it is given the pseudo header's sum, as by a network card.
    put16(j->first + checksum_at(l), fold(pseudo_sum(j->first, l, j->total - l->transport_at)));
    int tcp = l->protocol == PROTOCOL_TCP;
    header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header.gso_type = !tcp ? VIRTIO_NET_HDR_GSO_UDP_L4 : l->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
    header.hdr_len = l->payload_at;
    header.gso_size = (uint16_t)j->segment_bytes;
    header.csum_start = l->transport_at;
    header.csum_offset = tcp ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT;
  }
  j->parts[0] = (struct iovec){.iov_base = &header, .iov_len = sizeof header};
  if (writev(j->tun, j->parts, 1 + j->packets) > 0) j->written += (uint64_t)j->packets;
  else j->refused += (uint64_t)j->packets;
  j->packets = 0;
}

/* Whether the headers are those of the pending super-packet, apart from what differs within one. */
static inline int same_flow(const struct join *j, const uint8_t *p, const struct layout *l) {
  const uint8_t *q = j->first;
  if (l->version != j->layout.version || l->protocol != j->layout.protocol || l->payload_at != j->layout.payload_at) return 0;
  if (l->version == 4) {
    // Type of service, don't-fragment, time to live, protocol, addresses.
    if (p[1] != q[1] || p[6] != q[6] || memcmp(p + 8, q + 8, 2) != 0 || memcmp(p + 12, q + 12, 8) != 0) return 0;
  } else if (memcmp(p, q, 4) != 0 || memcmp(p + 6, q + 6, 34) != 0) return 0;
  const uint8_t *t = p + l->transport_at, *u = q + l->transport_at;
  if (memcmp(t, u, 4) != 0) return 0;
  if (l->protocol == PROTOCOL_UDP) return 1;
  // Acknowledgement, header length, window, options.
  return memcmp(t + 8, u + 8, 5) == 0 && memcmp(t + 14, u + 14, 2) == 0 &&
         memcmp(t + 20, u + 20, (size_t)(l->payload_at - l->transport_at - 20)) == 0;
}

/* Whether a packet may be part of a super-packet at all. Its checksum is proved here, because nobody looks at it again. */
static inline int joinable(const struct join *j, const uint8_t *packet, size_t bytes, struct layout *l) {
  if (!read_layout(packet, bytes, l) || l->payload_at == bytes) return 0;
  const uint8_t *transport = packet + l->transport_at;
  if (l->protocol == PROTOCOL_UDP) {
    if (!j->udp || get16(transport + UDP_CHECKSUM_AT) == 0) return 0;
  } else if ((transport[13] & ~TCP_PSH) != TCP_ACK) return 0;
  size_t transport_bytes = bytes - l->transport_at;
  return fold(add_words(pseudo_sum(packet, l, transport_bytes), transport, transport_bytes)) == 0xffff;
}

static inline void join_start(struct join *j, uint8_t *packet, size_t bytes) {
  j->first = packet;
  j->total = bytes;
  j->packets = 1;
  j->parts[1] = (struct iovec){.iov_base = packet, .iov_len = bytes};
}

/* Takes a packet, which must stay where it is until the next `join_flush`. */
static inline void join_add(struct join *j, uint8_t *packet, size_t bytes) {
  struct layout l;
  if (!joinable(j, packet, bytes, &l)) {
    join_flush(j);
    join_start(j, packet, bytes);
    join_flush(j);
    return;
  }
  size_t payload = bytes - l.payload_at;
  int tcp = l.protocol == PROTOCOL_TCP;
  uint8_t *transport = packet + l.transport_at;
  int fits = j->packets > 0 && !j->ended && j->packets < JOIN_PACKETS_MAX && payload <= j->segment_bytes &&
             j->total + payload <= PACKET_BYTES_MAX && (!tcp || get32(transport + 4) == j->next_sequence) &&
             same_flow(j, packet, &l);
  if (!fits) {
    join_flush(j);
    join_start(j, packet, bytes);
    j->layout = l;
    j->segment_bytes = payload;
    j->next_sequence = tcp ? get32(transport + 4) + (uint32_t)payload : 0;
    j->ended = tcp && (transport[13] & TCP_PSH) != 0;
    return;
  }
  j->parts[1 + j->packets] = (struct iovec){.iov_base = packet + l.payload_at, .iov_len = payload};
  j->packets++;
  j->total += payload;
  j->next_sequence += (uint32_t)payload;
  if (tcp && (transport[13] & TCP_PSH) != 0) {
    j->first[j->layout.transport_at + 13] |= TCP_PSH;
    j->ended = 1;
  }
  if (payload < j->segment_bytes) j->ended = 1;
}

#endif
