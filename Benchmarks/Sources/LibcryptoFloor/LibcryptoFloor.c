#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "LibcryptoFloor.h"

struct floor_key {
    EVP_CIPHER_CTX *stream;
    EVP_MAC_CTX *mac;
};

floor_key *floor_new(int bits) {
    unsigned char bytes[64];
    memset(bytes, 7, sizeof bytes);
    floor_key *key = calloc(1, sizeof *key);
    if (key == NULL) return NULL;
    key->stream = EVP_CIPHER_CTX_new();
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (mac != NULL) key->mac = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    OSSL_PARAM digest[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, bits == 512 ? "SHA512" : "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    if (key->stream != NULL && key->mac != NULL
        && EVP_CipherInit_ex(key->stream, EVP_aes_128_ctr(), NULL, bytes, bytes, 1) == 1
        && EVP_MAC_init(key->mac, bytes, (size_t)bits / 8, digest) == 1) {
        return key;
    }
    floor_free(key);
    return NULL;
}

void floor_free(floor_key *key) {
    EVP_CIPHER_CTX_free(key->stream);
    EVP_MAC_CTX_free(key->mac);
    free(key);
}

int floor_seal(floor_key *key, uint8_t *bytes, size_t length) {
    int done;
    size_t written;
    return EVP_CipherUpdate(key->stream, bytes, &done, bytes, (int)length) == 1
        && EVP_MAC_init(key->mac, NULL, 0, NULL) == 1 && EVP_MAC_update(key->mac, bytes, length) == 1
        && EVP_MAC_final(key->mac, bytes + length, &written, 64) == 1;
}
