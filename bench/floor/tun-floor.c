/*
 * A bare TUN forwarder: what one device reads the other writes, nothing in between. The most that a tunnel in user space could carry
 * if its own work cost nothing.
 *
 *   tun-floor --a NETNS:DEVICE --b NETNS:DEVICE --mode plain|tso|uso
 *
 * NETNS is the name of a namespace that `ip netns` knows. Says {"ready":true} when both devices exist (addresses, MTU and `up` are the
 * caller's), forwards until SIGTERM, ends with one JSON line.
 */
#define _GNU_SOURCE
#include "tun-device.h"

/* Packets read from one device before the other has its turn. */
#define TURN_PACKETS 64
#define IDLE_POLL_MS 100

static const char *const MODES[] = {"plain", "tso", "uso", NULL};

static int open_in(const char *place, enum tun_offload wanted, enum tun_offload *got) {
  char path[256], name[IFNAMSIZ] = "";
  const char *colon = strchr(place, ':');
  if (colon == NULL || strlen(colon + 1) >= sizeof name) fail("%s is not NETNS:DEVICE", place);
  strcpy(name, colon + 1);
  snprintf(path, sizeof path, "/var/run/netns/%.*s", (int)(colon - place), place);
  int namespace = open(path, O_RDONLY | O_CLOEXEC);
  if (namespace < 0 || setns(namespace, 0) != 0) fail("cannot enter the namespace %s: %s", path, strerror(errno));
  close(namespace);
  return open_tun(name, wanted, got);
}

struct direction {
  int from, to;
  uint64_t packets, bytes, refused;
};

/* Forwards a turn; false if there was nothing to read. */
static int forward(struct direction *d, uint8_t *packet) {
  for (int i = 0; i < TURN_PACKETS; i++) {
    ssize_t bytes = read(d->from, packet, sizeof(vnet_header) + PACKET_BYTES_MAX);
    if (bytes <= 0) return i > 0;
    if (write(d->to, packet, (size_t)bytes) == bytes) {
      d->packets++;
      d->bytes += (uint64_t)bytes;
    } else d->refused++;
  }
  return 1;
}

int main(int argc, char **argv) {
  watch_for_stop();
  enum tun_offload wanted = (enum tun_offload)choice(argc, argv, "mode", MODES), got;
  int a = open_in(needed(argc, argv, "a"), wanted, &got);
  int b = open_in(needed(argc, argv, "b"), wanted, &got);
  if (got != wanted) fail("this kernel's TUN has no USO offload");
  uint8_t *packet = malloc(sizeof(vnet_header) + PACKET_BYTES_MAX);
  if (packet == NULL) fail("out of memory");
  struct direction ab = {.from = a, .to = b}, ba = {.from = b, .to = a};
  printf("{\"ready\":true}\n");
  fflush(stdout);
  while (!stopped) {
    int busy = forward(&ab, packet) | forward(&ba, packet);
    if (busy) continue;
    struct pollfd wait[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
    poll(wait, 2, IDLE_POLL_MS);
  }
  struct cpu_seconds cpu = cpu_now();
  printf("{\"role\":\"tun\",\"mode\":\"%s\",\"packets\":%llu,\"bytes\":%llu,\"refused\":%llu,\"userSeconds\":%.6f,"
         "\"systemSeconds\":%.6f}\n",
         MODES[wanted], (unsigned long long)(ab.packets + ba.packets), (unsigned long long)(ab.bytes + ba.bytes),
         (unsigned long long)(ab.refused + ba.refused), cpu.user, cpu.system);
  return 0;
}
