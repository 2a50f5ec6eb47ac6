// AES-128-CTR, then HMAC-SHA-2 over the result, by libcrypto's own interface for everybody.
#ifndef LIBCRYPTO_FLOOR_H
#define LIBCRYPTO_FLOOR_H
#include <stddef.h>
#include <stdint.h>

typedef struct floor_key floor_key;

// bits: 256 or 512, of the digest. NULL: libcrypto refuses.
floor_key *floor_new(int bits);
void floor_free(floor_key *key);
// Ciphers the bytes in place and writes the tag behind them. 1: done.
int floor_seal(floor_key *key, uint8_t *bytes, size_t length);

#endif
