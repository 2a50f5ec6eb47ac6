// Diffie-Hellman modulo a prime (RFC 4253 §8): big numbers, big-endian.
#ifndef CCRYPTO_EXCHANGE_H
#define CCRYPTO_EXCHANGE_H
#include <stddef.h>
#include <stdint.h>

// The longest modulus that is calculated with, bytes: 8192 bits.
enum { CULVERT_DH_MAXIMUM_LENGTH = 1024 };

// The prime of RFC 3526's group of so many bits (2048, 3072, 4096, 6144, 8192), bits / 8 bytes of it. 0: there is no such group.
int culvert_dh_prime(int bits, uint8_t *prime);

// `out` becomes base^exponent modulo the modulus: as long as the modulus, with zeros in front. The modulus is odd; base and
// exponent are no longer than it. The time depends on the lengths, not on the exponent; nothing of the exponent or of the
// result stays anywhere else.
// 1: done, and 1 < out < modulus - 1. 0: the result is not in there, so it is a secret to nobody; `out` is wiped. -1: no memory.
int culvert_dh_power(
    const uint8_t *modulus, size_t length, const uint8_t *base, size_t base_length, const uint8_t *exponent,
    size_t exponent_length, uint8_t *out);

#endif
