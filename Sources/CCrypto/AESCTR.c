#include <endian.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "CCrypto.h"
#include "PacketMAC.h"

enum { LENGTH_FIELD = 4, BLOCK = CULVERT_CTR_BLOCK };

struct culvert_ctr {
    // Counts on from packet to packet (RFC 4344 4).
    EVP_CIPHER_CTX *stream;
    packet_mac *mac;
    int covers_ciphertext;
    // The first block of the packet that is being waited for, deciphered, where its length had to be known.
    int has_first;
    uint8_t first[BLOCK];
};

static const EVP_CIPHER *of_length(size_t key_length) {
    switch (key_length) {
    case 16: return EVP_aes_128_ctr();
    case 24: return EVP_aes_192_ctr();
    case 32: return EVP_aes_256_ctr();
    default: return NULL;
    }
}

culvert_ctr *culvert_ctr_new(
    const uint8_t *key, size_t key_length, const uint8_t *iv, int bits, const uint8_t *mac_key,
    int covers_ciphertext) {
    const EVP_CIPHER *cipher = of_length(key_length);
    culvert_ctr *made = cipher == NULL ? NULL : calloc(1, sizeof *made);
    if (made == NULL) return NULL;
    made->covers_ciphertext = covers_ciphertext;
    made->mac = packet_mac_new(bits, mac_key);
    made->stream = EVP_CIPHER_CTX_new();
    // Ciphering and deciphering are the same.
    if (made->mac != NULL && made->stream != NULL
        && EVP_CipherInit_ex(made->stream, cipher, NULL, key, iv, 1) == 1) {
        return made;
    }
    culvert_ctr_free(made);
    return NULL;
}

void culvert_ctr_free(culvert_ctr *ctr) {
    if (ctr == NULL) return;
    EVP_CIPHER_CTX_free(ctr->stream);  // overwrites the key
    packet_mac_free(ctr->mac);
    OPENSSL_cleanse(ctr, sizeof *ctr);
    free(ctr);
}

static int apply(culvert_ctr *ctr, uint8_t *to, const uint8_t *from, size_t length) {
    int done;
    if (length > INT_MAX) return -1;
    return length == 0 || EVP_CipherUpdate(ctr->stream, to, &done, from, (int)length) == 1 ? 0 : -1;
}

int culvert_ctr_seal(culvert_ctr *ctr, uint32_t sequence, uint8_t *packet, size_t length) {
    uint8_t *tag = packet + LENGTH_FIELD + length;
    if (ctr->covers_ciphertext) {
        if (apply(ctr, packet + LENGTH_FIELD, packet + LENGTH_FIELD, length) != 0) return -1;
        packet_mac_compute(ctr->mac, sequence, packet, LENGTH_FIELD + length, tag);
        return 0;
    }
    packet_mac_compute(ctr->mac, sequence, packet, LENGTH_FIELD + length, tag);
    return apply(ctr, packet, packet, LENGTH_FIELD + length);
}

// The stream is past the first block from then on, so it is deciphered once and kept.
static int decipher_first(culvert_ctr *ctr, const uint8_t *packet) {
    if (ctr->has_first) return 0;
    if (apply(ctr, ctr->first, packet, BLOCK) != 0) return -1;
    ctr->has_first = 1;
    return 0;
}

int culvert_ctr_length(culvert_ctr *ctr, const uint8_t *packet, uint32_t *length) {
    if (!ctr->covers_ciphertext && decipher_first(ctr, packet) != 0) return -1;
    memcpy(length, ctr->covers_ciphertext ? packet : ctr->first, sizeof *length);
    *length = be32toh(*length);
    return 0;
}

int culvert_ctr_open(culvert_ctr *ctr, uint32_t sequence, uint8_t *packet, size_t length) {
    size_t count = LENGTH_FIELD + length;
    if (ctr->covers_ciphertext) {
        if (!packet_mac_is(ctr->mac, sequence, packet, count, packet + count)) return -1;
        return apply(ctr, packet + LENGTH_FIELD, packet + LENGTH_FIELD, length);
    }
    if (count < BLOCK || decipher_first(ctr, packet) != 0) return -1;
    memcpy(packet, ctr->first, BLOCK);
    OPENSSL_cleanse(ctr->first, BLOCK);
    ctr->has_first = 0;
    int result = apply(ctr, packet + BLOCK, packet + BLOCK, count - BLOCK);
    if (result == 0 && !packet_mac_is(ctr->mac, sequence, packet, count, packet + count)) result = -1;
    // What an attacker chose must not be left to be read.
    if (result != 0) OPENSSL_cleanse(packet, count);
    return result;
}
