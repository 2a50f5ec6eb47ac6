// SHA256_* and SHA512_* are meant for nobody new. What is meant, EVP_MAC, has OpenSSL 3.0 allocate and free memory twice for
// each packet, when it goes back to the state that the key has made.
#define OPENSSL_SUPPRESS_DEPRECATED 1
#include <openssl/sha.h>

#include <endian.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "PacketMAC.h"

typedef union {
    SHA256_CTX narrow;
    SHA512_CTX wide;
} digest_state;

struct packet_mac {
    int is_wide;
    // After the key's block, under its two masks (RFC 2104): where each packet begins.
    digest_state inner, outer;
    // Of the packet in work: here, so that it is overwritten with the key.
    digest_state running;
};

static void begin(const packet_mac *mac, digest_state *state, const uint8_t *key, uint8_t mask) {
    uint8_t block[SHA512_CBLOCK];
    size_t count = mac->is_wide ? SHA512_CBLOCK : SHA256_CBLOCK;
    memset(block, mask, count);
    for (size_t index = 0; index < packet_mac_length(mac); index++) block[index] ^= key[index];
    if (mac->is_wide) {
        SHA512_Init(&state->wide);
        SHA512_Update(&state->wide, block, count);
    } else {
        SHA256_Init(&state->narrow);
        SHA256_Update(&state->narrow, block, count);
    }
    OPENSSL_cleanse(block, sizeof block);
}

packet_mac *packet_mac_new(int bits, const uint8_t *key) {
    if (bits != 256 && bits != 512) return NULL;
    packet_mac *mac = calloc(1, sizeof *mac);
    if (mac == NULL) return NULL;
    mac->is_wide = bits == 512;
    begin(mac, &mac->inner, key, 0x36);
    begin(mac, &mac->outer, key, 0x5c);
    return mac;
}

void packet_mac_free(packet_mac *mac) {
    if (mac == NULL) return;
    OPENSSL_cleanse(mac, sizeof *mac);
    free(mac);
}

size_t packet_mac_length(const packet_mac *mac) { return mac->is_wide ? SHA512_DIGEST_LENGTH : SHA256_DIGEST_LENGTH; }

void packet_mac_compute(packet_mac *mac, uint32_t sequence, const uint8_t *bytes, size_t count, uint8_t *tag) {
    uint32_t number = htobe32(sequence);
    if (mac->is_wide) {
        SHA512_CTX *state = &mac->running.wide;
        *state = mac->inner.wide;
        SHA512_Update(state, &number, sizeof number);
        SHA512_Update(state, bytes, count);
        SHA512_Final(tag, state);
        *state = mac->outer.wide;
        SHA512_Update(state, tag, SHA512_DIGEST_LENGTH);
        SHA512_Final(tag, state);
    } else {
        SHA256_CTX *state = &mac->running.narrow;
        *state = mac->inner.narrow;
        SHA256_Update(state, &number, sizeof number);
        SHA256_Update(state, bytes, count);
        SHA256_Final(tag, state);
        *state = mac->outer.narrow;
        SHA256_Update(state, tag, SHA256_DIGEST_LENGTH);
        SHA256_Final(tag, state);
    }
}

int packet_mac_is(packet_mac *mac, uint32_t sequence, const uint8_t *bytes, size_t count, const uint8_t *tag) {
    uint8_t computed[PACKET_MAC_LONGEST];
    packet_mac_compute(mac, sequence, bytes, count, computed);
    int is_same = CRYPTO_memcmp(computed, tag, packet_mac_length(mac)) == 0;
    // The right tag of a packet that somebody else has made.
    OPENSSL_cleanse(computed, sizeof computed);
    return is_same;
}
