/* UDP sockets of the floor programs: `address:port` texts, binding with the largest buffers that the host grants. */
#ifndef FLOOR_ENDPOINT_H
#define FLOOR_ENDPOINT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "measure.h"

/* The same as the production layers ask for. */
#define SOCKET_BUFFER_BYTES (4 * 1024 * 1024)

/* Largest payload of an IPv4 UDP datagram. */
#define DATAGRAM_BYTES_MAX 65507
/* Segments that every kernel with UDP_SEGMENT takes in one send. */
#define GSO_SEGMENTS_MAX 64

static inline struct sockaddr_in parse_endpoint(const char *text) {
  char address[64];
  const char *colon = strrchr(text, ':');
  if (colon == NULL || (size_t)(colon - text) >= sizeof address) fail("%s is not address:port", text);
  memcpy(address, text, (size_t)(colon - text));
  address[colon - text] = '\0';
  struct sockaddr_in endpoint = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
  if (inet_pton(AF_INET, address, &endpoint.sin_addr) != 1) fail("%s is not an IPv4 address", address);
  return endpoint;
}

static inline int open_udp(const struct sockaddr_in *local) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("no UDP socket: %s", strerror(errno));
  int bytes = SOCKET_BUFFER_BYTES;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  if (local != NULL && bind(fd, (const struct sockaddr *)local, sizeof *local) != 0)
    fail("cannot bind UDP: %s", strerror(errno));
  return fd;
}

/* Asks the kernel to hand over whole bursts of equal datagrams of one sender; exits where it cannot. */
static inline void turn_on_gro(int fd) {
  int on = 1;
  if (setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) != 0) fail("this kernel has no UDP GRO: %s", strerror(errno));
}

/* Room for the one control message that UDP_SEGMENT or UDP_GRO needs. */
union segment_control {
  char bytes[CMSG_SPACE(sizeof(int))];
  struct cmsghdr align;
};

/* Bytes in each datagram of a received burst; all of it if the kernel joined nothing. */
static inline size_t gro_segment_bytes(struct msghdr *message, size_t received) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c))
    if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
      int segment;
      memcpy(&segment, CMSG_DATA(c), sizeof segment);
      return (size_t)segment;
    }
  return received;
}

/* Makes `message` a burst of datagrams of `segment` bytes each (the last one may be shorter). */
static inline void set_gso_segment(struct msghdr *message, union segment_control *control, size_t segment) {
  message->msg_control = control->bytes;
  message->msg_controllen = CMSG_SPACE(sizeof(uint16_t));
  struct cmsghdr *c = CMSG_FIRSTHDR(message);
  c->cmsg_level = IPPROTO_UDP;
  c->cmsg_type = UDP_SEGMENT;
  c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
  uint16_t bytes = (uint16_t)segment;
  memcpy(CMSG_DATA(c), &bytes, sizeof bytes);
}

#endif
