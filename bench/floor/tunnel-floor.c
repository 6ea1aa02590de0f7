/*
 * One end of a tunnel in C: TUN on one side, UDP with ChaCha20-Poly1305 on the other, and no more than the bytes need. What a tunnel in
 * user space can reach on this host, and so the ceiling that Horizon's own is compared with.
 *
 *   tunnel-floor --tun DEVICE --bind ADDRESS:PORT --peer ADDRESS:PORT --end a|b --mode plain|offload [--mtu BYTES]
 *
 * `plain`: a system call for each packet on both sides. `offload`: the TUN device hands over super-packets, which are split to the MTU,
 * sealed one by one and sent as one GSO burst; bursts that GRO kept together are opened and joined to one write.
 * Says {"ready":true} when the device exists (address, MTU and `up` are the caller's); ends with one JSON line on SIGTERM.
 */
#define _GNU_SOURCE
#include "endpoint.h"
#include "join.h"
#include "seal.h"
#include "split.h"
#include "tun-device.h"

/* Packets read from one side before the other has its turn. */
#define TURN_PACKETS 64
#define IDLE_POLL_MS 100
/* Bursts that GRO may have kept together, taken in one call. */
#define RX_BURSTS 8
#define RX_BURST_BYTES 65536

/* Datagrams of one size (the last one may be shorter) that leave as one GSO send. */
struct burst {
  uint8_t bytes[65536];
  size_t used, segment;
  int count, ended;
};

struct tunnel {
  int tun, udp, offload;
  size_t datagram_bytes_max;
  struct sealer sealer;
  struct join join;
  struct burst burst;
  uint8_t *packet;
  uint8_t *received[RX_BURSTS];
  uint64_t packets_out, packets_in, datagrams_out, send_failed, open_failed, oversize;
};

static void burst_flush(struct tunnel *t) {
  struct burst *b = &t->burst;
  if (b->count == 0) return;
  union segment_control control = {0};
  struct iovec vector = {.iov_base = b->bytes, .iov_len = b->used};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  if (b->count > 1) set_gso_segment(&message, &control, b->segment);
  if (sendmsg(t->udp, &message, 0) < 0) t->send_failed += (uint64_t)b->count;
  else t->datagrams_out += (uint64_t)b->count;
  b->used = 0;
  b->count = 0;
  b->ended = 0;
}

/* Seals a packet straight into the burst. */
static void burst_add(struct tunnel *t, const uint8_t *packet, size_t bytes) {
  struct burst *b = &t->burst;
  size_t datagram = bytes + SEAL_BYTES;
  if (datagram > t->datagram_bytes_max) {
    t->oversize++;
    return;
  }
  if (b->count > 0 && (b->ended || datagram > b->segment || b->used + datagram > DATAGRAM_BYTES_MAX)) burst_flush(t);
  if (b->count == 0) b->segment = datagram;
  b->used += seal_packet(&t->sealer, packet, bytes, b->bytes + b->used);
  b->count++;
  if (datagram < b->segment) b->ended = 1;
  if (b->count == GSO_SEGMENTS_MAX) burst_flush(t);
}

/* From the host into the tunnel; false if there was nothing. */
static int pump_tun(struct tunnel *t) {
  struct split split;
  vnet_header header = {0};
  uint8_t *packet;
  size_t bytes, head = t->offload ? sizeof header : 0;
  int turn = 0;
  for (; turn < TURN_PACKETS; turn++) {
    ssize_t got = read(t->tun, t->packet, head + PACKET_BYTES_MAX);
    if (got <= (ssize_t)head) break;
    if (t->offload) memcpy(&header, t->packet, sizeof header);
    if (!split_start(&split, &header, t->packet + head, (size_t)got - head)) continue;
    while (split_next(&split, &packet, &bytes)) {
      t->packets_out++;
      burst_add(t, packet, bytes);
    }
    if (!t->offload) burst_flush(t);
  }
  burst_flush(t);
  return turn > 0;
}

static void open_one(struct tunnel *t, uint8_t *datagram, size_t bytes) {
  ssize_t packet_bytes = open_packet(&t->sealer, datagram, bytes);
  if (packet_bytes < 0) {
    t->open_failed++;
    return;
  }
  t->packets_in++;
  if (t->offload) {
    join_add(&t->join, datagram + HEADER_BYTES, (size_t)packet_bytes);
    return;
  }
  if (write(t->tun, datagram + HEADER_BYTES, (size_t)packet_bytes) == packet_bytes) t->join.written++;
  else t->join.refused++;
}

static int pump_udp_plain(struct tunnel *t) {
  int turn = 0;
  for (; turn < TURN_PACKETS; turn++) {
    ssize_t got = recv(t->udp, t->received[0], RX_BURST_BYTES, MSG_DONTWAIT);
    if (got < 0) break;
    open_one(t, t->received[0], (size_t)got);
  }
  return turn > 0;
}

static int pump_udp_bursts(struct tunnel *t) {
  struct mmsghdr messages[RX_BURSTS];
  struct iovec vectors[RX_BURSTS];
  union segment_control controls[RX_BURSTS];
  for (int i = 0; i < RX_BURSTS; i++) {
    vectors[i] = (struct iovec){.iov_base = t->received[i], .iov_len = RX_BURST_BYTES};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &vectors[i],
                                          .msg_iovlen = 1,
                                          .msg_control = controls[i].bytes,
                                          .msg_controllen = sizeof controls[i].bytes};
  }
  int got = recvmmsg(t->udp, messages, RX_BURSTS, MSG_DONTWAIT, NULL);
  for (int i = 0; i < got; i++) {
    size_t total = messages[i].msg_len, segment = gro_segment_bytes(&messages[i].msg_hdr, total);
    for (size_t at = 0; at < total; at += segment)
      open_one(t, t->received[i] + at, total - at < segment ? total - at : segment);
  }
  // The buffers are filled anew by the next call, so nothing may stay in them.
  join_flush(&t->join);
  return got > 0;
}

static const char *const MODES[] = {"plain", "offload", NULL};
static const char *const ENDS[] = {"a", "b", NULL};

static void open_sides(struct tunnel *t, int argc, char **argv) {
  enum tun_offload got;
  t->tun = open_tun(needed(argc, argv, "tun"), t->offload ? TUN_USO : TUN_PLAIN, &got);
  t->join = (struct join){.tun = t->tun, .udp = got == TUN_USO};
  struct sockaddr_in local = parse_endpoint(needed(argc, argv, "bind")), peer = parse_endpoint(needed(argc, argv, "peer"));
  t->udp = open_udp(&local);
  if (connect(t->udp, (struct sockaddr *)&peer, sizeof peer) != 0) fail("cannot connect UDP: %s", strerror(errno));
  if (t->offload) turn_on_gro(t->udp);
  t->packet = malloc(sizeof(vnet_header) + PACKET_BYTES_MAX);
  for (int i = 0; i < RX_BURSTS; i++)
    if ((t->received[i] = malloc(RX_BURST_BYTES)) == NULL) fail("out of memory");
  if (t->packet == NULL) fail("out of memory");
}

int main(int argc, char **argv) {
  watch_for_stop();
  static struct tunnel tunnel;
  struct tunnel *t = &tunnel;
  t->offload = choice(argc, argv, "mode", MODES);
  t->sealer = make_sealer(1 + (uint32_t)choice(argc, argv, "end", ENDS));
  t->datagram_bytes_max = (size_t)number(argc, argv, "mtu", 1170) + SEAL_BYTES;
  open_sides(t, argc, argv);
  printf("{\"ready\":true}\n");
  fflush(stdout);
  while (!stopped) {
    int busy = pump_tun(t);
    busy |= t->offload ? pump_udp_bursts(t) : pump_udp_plain(t);
    if (busy) continue;
    struct pollfd wait[2] = {{.fd = t->tun, .events = POLLIN}, {.fd = t->udp, .events = POLLIN}};
    poll(wait, 2, IDLE_POLL_MS);
  }
  struct cpu_seconds used = cpu_now();
  printf("{\"role\":\"tunnel\",\"mode\":\"%s\",\"packetsOut\":%llu,\"datagramsOut\":%llu,\"packetsIn\":%llu,\"written\":%llu,"
         "\"refused\":%llu,\"sendFailed\":%llu,\"openFailed\":%llu,\"oversize\":%llu,\"userSeconds\":%.6f,\"systemSeconds\":%.6f}\n",
         MODES[t->offload], (unsigned long long)t->packets_out, (unsigned long long)t->datagrams_out,
         (unsigned long long)t->packets_in, (unsigned long long)t->join.written, (unsigned long long)t->join.refused,
         (unsigned long long)t->send_failed, (unsigned long long)t->open_failed, (unsigned long long)t->oversize, used.user,
         used.system);
  return 0;
}
