/* TUN devices of the floor programs. A device that is opened with offloads carries super-packets with a virtio header in front. */
#ifndef FLOOR_TUN_DEVICE_H
#define FLOOR_TUN_DEVICE_H

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "measure.h"

/* Since Linux 6.2; older headers lack the names. The kernel takes both or neither. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* The header in front of each packet, without the mergeable-buffers field that TUN does not use unless asked. */
typedef struct virtio_net_hdr vnet_header;

/* Largest IP packet, a super-packet or not. */
#define PACKET_BYTES_MAX 65535

enum tun_offload { TUN_PLAIN, TUN_TSO, TUN_USO };

/* Makes a TUN device in the present network namespace. Falls back from USO to TSO where the kernel has none: see `got`. */
static inline int open_tun(const char *name, enum tun_offload wanted, enum tun_offload *got) {
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) fail("cannot open /dev/net/tun: %s", strerror(errno));
  struct ifreq request = {.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | (wanted == TUN_PLAIN ? 0 : IFF_VNET_HDR))};
  if (strlen(name) >= IFNAMSIZ) fail("%s is too long for a device name", name);
  strcpy(request.ifr_name, name);
  if (ioctl(fd, TUNSETIFF, &request) != 0) fail("cannot make the TUN device %s: %s", name, strerror(errno));
  *got = wanted;
  if (wanted == TUN_PLAIN) return fd;
  unsigned tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  if (wanted == TUN_USO && ioctl(fd, TUNSETOFFLOAD, tso | TUN_F_USO4 | TUN_F_USO6) == 0) return fd;
  if (ioctl(fd, TUNSETOFFLOAD, tso) != 0) fail("%s takes no TSO offload: %s", name, strerror(errno));
  *got = TUN_TSO;
  return fd;
}

#endif
