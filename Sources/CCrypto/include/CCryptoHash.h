// SHA-2 over secrets: what the keys of a connection are made of and by; and the hash that known_hosts has for names.
#ifndef CCRYPTO_HASH_H
#define CCRYPTO_HASH_H
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const void *bytes;
    size_t length;
} culvert_part;

// The digest of the parts, one behind the other, written to `digest` and left nowhere else. bits: 256, 384 or 512. Returns
// the digest's length, bytes, or 0 where libcrypto does not have it.
size_t culvert_sha2(int bits, const culvert_part *parts, size_t count, uint8_t *digest);

// HMAC-SHA1 under a key as long as a digest (RFC 2104): how known_hosts hides names. For nothing that must be secret.
void culvert_hmac_sha1(const uint8_t key[20], const uint8_t *data, size_t count, uint8_t out[20]);

#endif
