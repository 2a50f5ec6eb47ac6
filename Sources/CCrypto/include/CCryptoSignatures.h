// Signatures of public keys that are only there as numbers.
#ifndef CCRYPTO_SIGNATURES_H
#define CCRYPTO_SIGNATURES_H
#include <stddef.h>
#include <stdint.h>

// RSASSA-PKCS1-v1_5 with SHA-2 (RFC 8332, RFC 8017 8.2.2). hash_bits: 256 or 512. Numbers are big-endian, at most 2 KiB.
// 1: the signature is right; 0: it is not; -1: libcrypto does not take the key.
int culvert_rsa_verify(
    int hash_bits, const uint8_t *modulus, size_t modulus_length, const uint8_t *exponent, size_t exponent_length,
    const uint8_t *data, size_t data_length, const uint8_t *signature, size_t signature_length);

#endif
