/*
 * The tunnel's datagram: 14 bytes of header in the clear (the layout of Horizon's session: connection id, channel, flags, sequence), the
 * ciphertext of one IP packet, a tag of 16 bytes. The header is the associated data, connection id and sequence are the nonce.
 * The key is fixed, there is no handshake and no replay window: this measures the work per packet and must carry nothing secret.
 */
#ifndef FLOOR_SEAL_H
#define FLOOR_SEAL_H

#include <openssl/evp.h>

#include "measure.h"

#define HEADER_BYTES 14
#define TAG_BYTES 16
#define SEAL_BYTES (HEADER_BYTES + TAG_BYTES)
#define NONCE_BYTES 12
#define KEY_BYTES 32

#define CHANNEL_TUNNEL 4
#define FLAGS_ENCRYPTED_AEAD 3

struct sealer {
  EVP_CIPHER_CTX *seal, *open;
  uint32_t connection;
  uint64_t sequence;
};

/* The two ends need different connection ids, because they share the key and a nonce must not come twice. */
static inline struct sealer make_sealer(uint32_t connection) {
  static const uint8_t key[KEY_BYTES] = {0x4b};
  struct sealer s = {.seal = EVP_CIPHER_CTX_new(), .open = EVP_CIPHER_CTX_new(), .connection = connection};
  if (s.seal == NULL || s.open == NULL ||
      EVP_EncryptInit_ex(s.seal, EVP_chacha20_poly1305(), NULL, key, NULL) != 1 ||
      EVP_DecryptInit_ex(s.open, EVP_chacha20_poly1305(), NULL, key, NULL) != 1)
    fail("OpenSSL has no ChaCha20-Poly1305");
  return s;
}

static inline void nonce_of(const uint8_t *header, uint8_t nonce[NONCE_BYTES]) {
  memcpy(nonce, header, 4);
  memcpy(nonce + 4, header + 6, 8);
}

/* Writes a datagram to `out` and returns its size. */
static inline size_t seal_packet(struct sealer *s, const uint8_t *packet, size_t bytes, uint8_t *out) {
  uint8_t nonce[NONCE_BYTES];
  int written;
  memcpy(out, &s->connection, 4);
  out[4] = CHANNEL_TUNNEL;
  out[5] = FLAGS_ENCRYPTED_AEAD;
  memcpy(out + 6, &s->sequence, 8);
  s->sequence++;
  nonce_of(out, nonce);
  EVP_EncryptInit_ex(s->seal, NULL, NULL, NULL, nonce);
  EVP_EncryptUpdate(s->seal, NULL, &written, out, HEADER_BYTES);
  EVP_EncryptUpdate(s->seal, out + HEADER_BYTES, &written, packet, (int)bytes);
  EVP_EncryptFinal_ex(s->seal, out + HEADER_BYTES + bytes, &written);
  EVP_CIPHER_CTX_ctrl(s->seal, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, out + HEADER_BYTES + bytes);
  return bytes + SEAL_BYTES;
}

/* Opens a datagram in place; the packet starts behind the header. Its size, or -1 if the datagram is not one of the peer's. */
static inline ssize_t open_packet(struct sealer *s, uint8_t *datagram, size_t bytes) {
  uint8_t nonce[NONCE_BYTES];
  int written;
  if (bytes <= SEAL_BYTES || datagram[4] != CHANNEL_TUNNEL || datagram[5] != FLAGS_ENCRYPTED_AEAD) return -1;
  size_t packet_bytes = bytes - SEAL_BYTES;
  nonce_of(datagram, nonce);
  EVP_DecryptInit_ex(s->open, NULL, NULL, NULL, nonce);
  EVP_CIPHER_CTX_ctrl(s->open, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, datagram + HEADER_BYTES + packet_bytes);
  EVP_DecryptUpdate(s->open, NULL, &written, datagram, HEADER_BYTES);
  EVP_DecryptUpdate(s->open, datagram + HEADER_BYTES, &written, datagram + HEADER_BYTES, (int)packet_bytes);
  return EVP_DecryptFinal_ex(s->open, datagram + HEADER_BYTES, &written) == 1 ? (ssize_t)packet_bytes : -1;
}

#endif
