/*
 * How many UDP datagrams a second this host moves with nothing behind the socket: what any layer above can at best reach.
 *
 *   udp-floor recv --bind 127.0.0.1:0 --mode recvfrom|recvmmsg|drain|gro [--cpu N]
 *   udp-floor send --to 127.0.0.1:9000 --mode sendto|sendmmsg|gso --size BYTES --seconds S [--packets N] [--rate PPS] [--cpu N]
 *
 * The receiver says {"ready":true,"port":N} when it is bound and counts until SIGTERM. Both end with one JSON line. A receiver's
 * seconds run from its first datagram to its last, so that the wait for the sender does not count; its CPU time likewise starts with
 * the first. Sockets are not connected: a server talks to many.
 */
#define _GNU_SOURCE
#include <linux/sock_diag.h>

#include "endpoint.h"

#define BATCH 64
#define SLOT_BYTES 2048
#define DRAIN_EVERY_NS 200000
/* Bursts that the GRO receiver takes in one call. */
#define GRO_BATCH 16
#define GRO_SLOT_BYTES 65536

/* How long a blocked receiver sleeps before it looks whether it shall stop. */
#define LOOK_EVERY_US 50000
/* A paced sender sleeps this long when it is ahead: short bursts, and the CPU left to the receiver. */
#define PACE_SLEEP_NS 50000
/* A sender that was held up makes up for no more than this: a longer burst would test the queues in between instead of the rate. */
#define CATCH_UP_MAX 256

struct count {
  uint64_t packets, bytes, failed;
};

static void print_result(const char *role, const char *mode, struct count count, double seconds, struct cpu_seconds from,
                         uint64_t drops) {
  struct cpu_seconds to = cpu_now();
  printf("{\"role\":\"%s\",\"mode\":\"%s\",\"packets\":%llu,\"bytes\":%llu,\"seconds\":%.6f,\"userSeconds\":%.6f,"
         "\"systemSeconds\":%.6f,\"drops\":%llu}\n",
         role, mode, (unsigned long long)count.packets, (unsigned long long)count.bytes, seconds, to.user - from.user,
         to.system - from.system, (unsigned long long)drops);
}

/* ── receiver ── */

static const char *const RECV_MODES[] = {"recvfrom", "recvmmsg", "drain", "gro", NULL};
enum recv_mode { RECVFROM, RECVMMSG, DRAIN, GRO };

struct slots {
  int count;
  struct mmsghdr *messages;
  struct sockaddr_in *peers;
  union segment_control *controls;
  struct iovec *vectors;
};

static struct slots make_slots(int count, size_t bytes) {
  struct slots slots = {.count = count,
                        .messages = calloc((size_t)count, sizeof(struct mmsghdr)),
                        .peers = calloc((size_t)count, sizeof(struct sockaddr_in)),
                        .controls = calloc((size_t)count, sizeof(union segment_control)),
                        .vectors = calloc((size_t)count, sizeof(struct iovec))};
  uint8_t *slab = malloc((size_t)count * bytes);
  if (slab == NULL || slots.vectors == NULL || slots.controls == NULL) fail("out of memory");
  memset(slab, 0, (size_t)count * bytes);
  for (int i = 0; i < count; i++) {
    slots.vectors[i] = (struct iovec){.iov_base = slab + (size_t)i * bytes, .iov_len = bytes};
    slots.messages[i].msg_hdr = (struct msghdr){.msg_iov = &slots.vectors[i], .msg_iovlen = 1};
  }
  return slots;
}

/* The kernel overwrites lengths, so they are set again before each call. */
static void reset_slots(struct slots *slots, int with_control) {
  for (int i = 0; i < slots->count; i++) {
    struct msghdr *message = &slots->messages[i].msg_hdr;
    message->msg_name = &slots->peers[i];
    message->msg_namelen = sizeof slots->peers[i];
    message->msg_control = with_control ? slots->controls[i].bytes : NULL;
    message->msg_controllen = with_control ? sizeof slots->controls[i].bytes : 0;
  }
}

/* Receives once; false if there was nothing. */
static int receive(int fd, enum recv_mode mode, struct slots *slots, struct count *count) {
  if (mode == RECVFROM) {
    socklen_t peer_bytes = sizeof slots->peers[0];
    ssize_t bytes = recvfrom(fd, slots->vectors[0].iov_base, SLOT_BYTES, 0, (struct sockaddr *)&slots->peers[0], &peer_bytes);
    if (bytes < 0) return 0;
    count->packets++;
    count->bytes += (uint64_t)bytes;
    return 1;
  }
  reset_slots(slots, mode == GRO);
  int got = recvmmsg(fd, slots->messages, (unsigned)slots->count, mode == DRAIN ? MSG_DONTWAIT : MSG_WAITFORONE, NULL);
  if (got <= 0) return 0;
  for (int i = 0; i < got; i++) {
    size_t bytes = slots->messages[i].msg_len;
    size_t segment = mode == GRO ? gro_segment_bytes(&slots->messages[i].msg_hdr, bytes) : bytes;
    count->packets += segment == 0 ? 1 : (bytes + segment - 1) / segment;
    count->bytes += bytes;
  }
  return 1;
}

static uint64_t kernel_drops(int fd) {
  uint32_t memory[SK_MEMINFO_VARS] = {0};
  socklen_t bytes = sizeof memory;
  return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &bytes) == 0 ? memory[SK_MEMINFO_DROPS] : 0;
}

static void run_receiver(int argc, char **argv) {
  enum recv_mode mode = (enum recv_mode)choice(argc, argv, "mode", RECV_MODES);
  struct sockaddr_in local = parse_endpoint(option(argc, argv, "bind", "127.0.0.1:0"));
  int fd = open_udp(&local);
  if (mode == GRO) turn_on_gro(fd);
  struct timeval look = {.tv_usec = LOOK_EVERY_US};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &look, sizeof look);
  prctl(PR_SET_TIMERSLACK, 1000);
  struct slots slots = mode == GRO ? make_slots(GRO_BATCH, GRO_SLOT_BYTES) : make_slots(BATCH, SLOT_BYTES);
  socklen_t local_bytes = sizeof local;
  getsockname(fd, (struct sockaddr *)&local, &local_bytes);
  printf("{\"ready\":true,\"port\":%d}\n", ntohs(local.sin_port));
  fflush(stdout);

  struct count count = {0};
  struct cpu_seconds cpu = cpu_now();
  double first = 0, last = 0;
  while (!stopped) {
    uint64_t before = count.packets;
    while (receive(fd, mode, &slots, &count) && mode == DRAIN && !stopped)
      ;
    if (count.packets != before) {
      last = now_seconds();
      if (before == 0) {
        first = last;
        cpu = cpu_now();
      }
    }
    if (mode == DRAIN) nanosleep(&(struct timespec){.tv_nsec = DRAIN_EVERY_NS}, NULL);
  }
  print_result("recv", RECV_MODES[mode], count, last - first, cpu, kernel_drops(fd));
}

/* ── sender ── */

static const char *const SEND_MODES[] = {"sendto", "sendmmsg", "gso", NULL};
enum send_mode { SENDTO, SENDMMSG, GSO };

struct sender {
  int fd;
  enum send_mode mode;
  size_t size;
  struct sockaddr_in to;
  struct slots slots;
  uint8_t *burst;
};

/* Sends at most `limit` datagrams with one system call. */
static void send_once(struct sender *s, uint64_t limit, struct count *count) {
  if (s->mode == SENDTO) {
    if (sendto(s->fd, s->burst, s->size, 0, (struct sockaddr *)&s->to, sizeof s->to) < 0) {
      count->failed++;
      return;
    }
    count->packets++;
    count->bytes += s->size;
    return;
  }
  if (s->mode == SENDMMSG) {
    unsigned wanted = limit < BATCH ? (unsigned)limit : BATCH;
    int sent = sendmmsg(s->fd, s->slots.messages, wanted, 0);
    if (sent < 0) {
      count->failed++;
      return;
    }
    count->packets += (uint64_t)sent;
    count->bytes += (uint64_t)sent * s->size;
    return;
  }
  uint64_t room = DATAGRAM_BYTES_MAX / s->size;
  uint64_t segments = room < GSO_SEGMENTS_MAX ? room : GSO_SEGMENTS_MAX;
  if (limit < segments) segments = limit;
  union segment_control control = {0};
  struct iovec vector = {.iov_base = s->burst, .iov_len = segments * s->size};
  struct msghdr message = {.msg_name = &s->to, .msg_namelen = sizeof s->to, .msg_iov = &vector, .msg_iovlen = 1};
  if (segments > 1) set_gso_segment(&message, &control, s->size);
  if (sendmsg(s->fd, &message, 0) < 0) {
    count->failed++;
    return;
  }
  count->packets += segments;
  count->bytes += segments * s->size;
}

static void run_sender(int argc, char **argv) {
  struct sender s = {.mode = (enum send_mode)choice(argc, argv, "mode", SEND_MODES),
                     .size = (size_t)number(argc, argv, "size", 200),
                     .to = parse_endpoint(needed(argc, argv, "to")),
                     .fd = open_udp(NULL),
                     .slots = make_slots(BATCH, SLOT_BYTES),
                     .burst = calloc(1, DATAGRAM_BYTES_MAX + 1)};
  double seconds = number(argc, argv, "seconds", 1);
  double packets = number(argc, argv, "packets", 1e18);
  double rate = number(argc, argv, "rate", 0);
  if (s.size < 1 || s.size > SLOT_BYTES) fail("--size must be 1 to %d", SLOT_BYTES);
  for (int i = 0; i < BATCH; i++) {
    s.slots.vectors[i].iov_len = s.size;
    s.slots.messages[i].msg_hdr.msg_name = &s.to;
    s.slots.messages[i].msg_hdr.msg_namelen = sizeof s.to;
  }
  prctl(PR_SET_TIMERSLACK, 1000);

  struct count count = {0};
  struct cpu_seconds cpu = cpu_now();
  double start = now_seconds(), now = start, pace_from = start;
  while (!stopped && (double)count.packets < packets && (now = now_seconds()) < start + seconds) {
    double sent = (double)count.packets;
    double due = rate > 0 ? rate * (now - pace_from) + 1 : packets;
    if (rate > 0 && due > sent + CATCH_UP_MAX) {
      pace_from += (due - sent - CATCH_UP_MAX) / rate;
      due = sent + CATCH_UP_MAX;
    }
    if (due > packets) due = packets;
    if (sent + 1 > due) {
      nanosleep(&(struct timespec){.tv_nsec = PACE_SLEEP_NS}, NULL);
      continue;
    }
    send_once(&s, (uint64_t)(due - sent), &count);
  }
  now = now_seconds();
  print_result("send", SEND_MODES[s.mode], count, now - start, cpu, count.failed);
}

int main(int argc, char **argv) {
  if (argc < 2) fail("say recv or send");
  watch_for_stop();
  int cpu = (int)number(argc, argv, "cpu", -1);
  if (cpu >= 0) pin_to_cpu(cpu);
  if (strcmp(argv[1], "recv") == 0) run_receiver(argc, argv);
  else if (strcmp(argv[1], "send") == 0) run_sender(argc, argv);
  else fail("say recv or send, not %s", argv[1]);
  return 0;
}
