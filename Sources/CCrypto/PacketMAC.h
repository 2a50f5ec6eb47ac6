// HMAC with SHA-2 over packets (RFC 4253 6.4, RFC 6668): for the ciphers that do not authenticate.
#ifndef PACKET_MAC_H
#define PACKET_MAC_H
#include <stddef.h>
#include <stdint.h>

enum { PACKET_MAC_LONGEST = 64 };

typedef struct packet_mac packet_mac;

// bits: 256 or 512, of the digest; key, tag and digest are of one length. NULL: no memory, or another digest.
packet_mac *packet_mac_new(int bits, const uint8_t *key);
void packet_mac_free(packet_mac *mac);

// Bytes of a tag.
size_t packet_mac_length(const packet_mac *mac);
// Writes the tag of the sequence number and the bytes behind it.
void packet_mac_compute(packet_mac *mac, uint32_t sequence, const uint8_t *bytes, size_t count, uint8_t *tag);
// Whether it is this tag, in a time that does not tell where it differs.
int packet_mac_is(packet_mac *mac, uint32_t sequence, const uint8_t *bytes, size_t count, const uint8_t *tag);

#endif
