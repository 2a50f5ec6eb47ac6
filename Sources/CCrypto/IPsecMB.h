// AES-GCM of libipsec-mb: four times as fast as libcrypto 3.0 on processors with vector AES instructions.
//
// The library is opened at run time, so a program that was built with its header also starts where it is missing.
// Whether its answers are right is judged by who calls (AESGCM.c).
#ifndef CULVERT_IPSEC_MB_H
#define CULVERT_IPSEC_MB_H
#include <stddef.h>
#include <stdint.h>

typedef struct ipsec_mb_key ipsec_mb_key;

// -1: not there at build or now, too old, or of no use on this processor. To be called once, before everything else.
int ipsec_mb_load(void);

ipsec_mb_key *ipsec_mb_key_new(const uint8_t *key, size_t key_length);
void ipsec_mb_key_free(ipsec_mb_key *key);

// Both work in place and write 16 bytes of tag: the one to send, the one to compare with.
void ipsec_mb_encrypt(
    ipsec_mb_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *text, size_t length,
    uint8_t *tag);
void ipsec_mb_decrypt(
    ipsec_mb_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *text, size_t length,
    uint8_t *tag);

#endif
