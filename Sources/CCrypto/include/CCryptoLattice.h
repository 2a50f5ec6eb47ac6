// Streamlined NTRU Prime 761, what RFC 9941 has beside X25519 (draft-josefsson-ntruprime-streamlined). Which instructions are
// executed, and which memory is touched, does not depend on a secret: `make constant-time` shows it.
#ifndef CCRYPTO_LATTICE_H
#define CCRYPTO_LATTICE_H
#include <stdint.h>

// Lengths, bytes. The last two are of the randomness that a key and a ciphertext are made of.
enum {
    CULVERT_SNTRUP761_PUBLIC = 1158,
    CULVERT_SNTRUP761_SECRET = 1763,
    CULVERT_SNTRUP761_CIPHERTEXT = 1039,
    CULVERT_SNTRUP761_SHARED = 32,
    CULVERT_SNTRUP761_KEY_RANDOM = 761 * 4 * 2 + 191,
    CULVERT_SNTRUP761_CIPHERTEXT_RANDOM = 761 * 4,
};

// A pair of keys. 1: done. 0: this randomness gives none; ask again with other. -1: no memory for a hash.
int culvert_sntrup761_key(const uint8_t *random, uint8_t *public_key, uint8_t *secret_key);

// What both ends will share, and the ciphertext that tells the owner of the key. Any bytes are a public key. 1, or -1: no
// memory for a hash; `shared` is wiped then.
int culvert_sntrup761_encapsulate(
    const uint8_t *random, const uint8_t *public_key, uint8_t *ciphertext, uint8_t *shared);

// What the ciphertext tells. Of one that is none, something that nobody else can know, and nobody can tell that from here (implicit
// rejection). 1, or -1: no memory for a hash; `shared` is wiped then.
int culvert_sntrup761_decapsulate(const uint8_t *secret_key, const uint8_t *ciphertext, uint8_t *shared);

#endif
