#include <endian.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "CCrypto.h"

enum { TAG = CULVERT_CHACHAPOLY_TAG, LENGTH_FIELD = 4, BLOCK = 64, POLY_KEY = 32, NONCE = 16 };

struct culvert_chachapoly {
    EVP_CIPHER_CTX *length;  // K_1
    EVP_CIPHER_CTX *text;    // K_2
    EVP_MAC_CTX *poly;       // keyed anew for each packet
};

static EVP_CIPHER_CTX *chacha_new(const uint8_t *key) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (context == NULL) return NULL;
    if (EVP_CipherInit_ex(context, EVP_chacha20(), NULL, key, NULL, 1) == 1) return context;
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

culvert_chachapoly *culvert_chachapoly_new(const uint8_t *key) {
    culvert_chachapoly *made = calloc(1, sizeof *made);
    if (made == NULL) return NULL;
    made->text = chacha_new(key);
    made->length = chacha_new(key + CULVERT_CHACHAPOLY_KEY / 2);
    EVP_MAC *poly = EVP_MAC_fetch(NULL, "POLY1305", NULL);
    if (poly != NULL) made->poly = EVP_MAC_CTX_new(poly);
    EVP_MAC_free(poly);
    if (made->text != NULL && made->length != NULL && made->poly != NULL) return made;
    culvert_chachapoly_free(made);
    return NULL;
}

void culvert_chachapoly_free(culvert_chachapoly *key) {
    if (key == NULL) return;
    EVP_CIPHER_CTX_free(key->length);  // these overwrite the keys
    EVP_CIPHER_CTX_free(key->text);
    EVP_MAC_CTX_free(key->poly);
    OPENSSL_cleanse(key, sizeof *key);
    free(key);
}

// From block 0 of a sequence number on. libcrypto's nonce has the block counter first, 64 bits, little-endian; the
// sequence number is a big-endian one of 64 bits.
static int begin(EVP_CIPHER_CTX *context, uint32_t sequence) {
    uint8_t nonce[NONCE] = {0};
    uint32_t number = htobe32(sequence);
    memcpy(nonce + NONCE - sizeof number, &number, sizeof number);
    return EVP_CipherInit_ex(context, NULL, NULL, NULL, nonce, -1) == 1 ? 0 : -1;
}

static int apply(EVP_CIPHER_CTX *context, uint8_t *to, const uint8_t *from, size_t length) {
    int done;
    if (length > INT_MAX) return -1;
    return EVP_CipherUpdate(context, to, &done, from, (int)length) == 1 ? 0 : -1;
}

// Begins the text of a packet: block 0 is the Poly1305 key, so the text begins with block 1.
static int begin_text(culvert_chachapoly *key, uint32_t sequence, uint8_t block[BLOCK]) {
    memset(block, 0, BLOCK);
    if (begin(key->text, sequence) != 0) return -1;
    return apply(key->text, block, block, BLOCK);
}

static int authenticate(
    culvert_chachapoly *key, const uint8_t *poly_key, const uint8_t *bytes, size_t count, uint8_t *tag) {
    size_t written;
    if (EVP_MAC_init(key->poly, poly_key, POLY_KEY, NULL) != 1) return -1;
    if (EVP_MAC_update(key->poly, bytes, count) != 1) return -1;
    return EVP_MAC_final(key->poly, tag, &written, TAG) == 1 && written == TAG ? 0 : -1;
}

int culvert_chachapoly_length(culvert_chachapoly *key, uint32_t sequence, const uint8_t *packet, uint32_t *length) {
    uint8_t clear[LENGTH_FIELD];
    if (begin(key->length, sequence) != 0 || apply(key->length, clear, packet, LENGTH_FIELD) != 0) return -1;
    memcpy(length, clear, sizeof *length);
    *length = be32toh(*length);
    return 0;
}

int culvert_chachapoly_seal(culvert_chachapoly *key, uint32_t sequence, uint8_t *packet, size_t length) {
    uint8_t block[BLOCK];
    uint8_t *text = packet + LENGTH_FIELD;
    int result = -1;
    if (begin(key->length, sequence) == 0 && apply(key->length, packet, packet, LENGTH_FIELD) == 0
        && begin_text(key, sequence, block) == 0 && apply(key->text, text, text, length) == 0) {
        result = authenticate(key, block, packet, LENGTH_FIELD + length, text + length);
    }
    OPENSSL_cleanse(block, sizeof block);
    return result;
}

int culvert_chachapoly_open(culvert_chachapoly *key, uint32_t sequence, uint8_t *packet, size_t length) {
    uint8_t block[BLOCK], tag[TAG];
    uint8_t *text = packet + LENGTH_FIELD;
    int result = -1;
    if (begin_text(key, sequence, block) == 0
        && authenticate(key, block, packet, LENGTH_FIELD + length, tag) == 0
        && CRYPTO_memcmp(tag, text + length, TAG) == 0) {
        result = apply(key->text, text, text, length);
    }
    OPENSSL_cleanse(block, sizeof block);
    return result;
}

int culvert_key_decrypt_chachapoly(
    const void *cipher_key, const void *in, size_t length, const void *tag, void *out) {
    culvert_chachapoly *key = culvert_chachapoly_new(cipher_key);
    uint8_t block[BLOCK], computed[TAG];
    int done = key != NULL && begin_text(key, 0, block) == 0 && authenticate(key, block, in, length, computed) == 0
               && CRYPTO_memcmp(computed, tag, TAG) == 0 && apply(key->text, out, in, length) == 0;
    OPENSSL_cleanse(block, sizeof block);
    culvert_chachapoly_free(key);
    return done;
}
