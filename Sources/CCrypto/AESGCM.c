#include <endian.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "CCrypto.h"
#include "IPsecMB.h"

struct culvert_gcm {
    // Exactly one of the two is there.
    EVP_CIPHER_CTX *libcrypto;
    ipsec_mb_key *ipsec_mb;
    // Of the next invocation.
    uint8_t iv[CULVERT_GCM_IV];
};

// MARK: libcrypto

static EVP_CIPHER_CTX *libcrypto_new(int seals, const uint8_t *key, size_t key_length) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (context == NULL) return NULL;
    const EVP_CIPHER *cipher = key_length == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
    if (EVP_CipherInit_ex(context, cipher, NULL, key, NULL, seals) == 1) return context;
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

static int libcrypto_text(
    EVP_CIPHER_CTX *context, const uint8_t *aad, size_t aad_length, uint8_t *text, size_t length) {
    int done;
    if (length > INT_MAX || aad_length > INT_MAX) return -1;
    if (aad_length > 0 && EVP_CipherUpdate(context, NULL, &done, aad, (int)aad_length) != 1) return -1;
    if (length > 0 && EVP_CipherUpdate(context, text, &done, text, (int)length) != 1) return -1;
    return 0;
}

static int libcrypto_seal(
    EVP_CIPHER_CTX *context, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *text, size_t length,
    uint8_t *tag) {
    int done;
    uint8_t rest[16];
    if (EVP_CipherInit_ex(context, NULL, NULL, NULL, iv, -1) != 1) return -1;
    if (libcrypto_text(context, aad, aad_length, text, length) != 0) return -1;
    if (EVP_CipherFinal_ex(context, rest, &done) != 1) return -1;
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CULVERT_GCM_TAG, tag) == 1 ? 0 : -1;
}

static int libcrypto_open(
    EVP_CIPHER_CTX *context, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *text, size_t length,
    const uint8_t *tag) {
    int done;
    uint8_t rest[16];
    if (EVP_CipherInit_ex(context, NULL, NULL, NULL, iv, -1) != 1) return -1;
    if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, CULVERT_GCM_TAG, (void *)tag) != 1) return -1;
    if (libcrypto_text(context, aad, aad_length, text, length) != 0) return -1;
    return EVP_CipherFinal_ex(context, rest, &done) == 1 ? 0 : -1;
}

// MARK: Known answers

// Test cases 4 and 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega), which differ in the key's length.
static const uint8_t known_key[32] = {
    0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08,
    0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08,
};
static const uint8_t known_iv[CULVERT_GCM_IV] = {
    0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88,
};
static const uint8_t known_aad[20] = {
    0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed,
    0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2,
};
static const uint8_t known_text[60] = {
    0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5, 0xaf, 0xf5, 0x26,
    0x9a, 0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda, 0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31,
    0x8a, 0x72, 0x1c, 0x3c, 0x0c, 0x95, 0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49,
    0xa6, 0xb5, 0x25, 0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39,
};
static const uint8_t known_tag[2][CULVERT_GCM_TAG] = {
    {0x5b, 0xc9, 0x4f, 0xbc, 0x32, 0x21, 0xa5, 0xdb, 0x94, 0xfa, 0xe9, 0x5a, 0xe7, 0x12, 0x1a, 0x47},
    {0x76, 0xfc, 0x6e, 0xce, 0x0f, 0x4e, 0x17, 0x68, 0xcd, 0xdf, 0x88, 0x53, 0xbb, 0x2d, 0x55, 0x1b},
};

// Whether the tag of the known text is right (it covers the ciphertext) and the text comes back.
static int knows_answer(ipsec_mb_key *key, int wide) {
    uint8_t text[sizeof known_text], tag[CULVERT_GCM_TAG];
    memcpy(text, known_text, sizeof text);
    ipsec_mb_encrypt(key, known_iv, known_aad, sizeof known_aad, text, sizeof text, tag);
    if (memcmp(tag, known_tag[wide], sizeof tag) != 0) return 0;
    memset(tag, 0, sizeof tag);
    ipsec_mb_decrypt(key, known_iv, known_aad, sizeof known_aad, text, sizeof text, tag);
    return memcmp(tag, known_tag[wide], sizeof tag) == 0 && memcmp(text, known_text, sizeof text) == 0;
}

// The same with a text that is long enough for every loop in the code, against libcrypto's answer.
static int agrees_with_libcrypto(ipsec_mb_key *key, EVP_CIPHER_CTX *context) {
    uint8_t aad[4] = {0, 0, 16, 13}, text[4096 + 13], other[sizeof text];
    uint8_t tag[CULVERT_GCM_TAG], other_tag[CULVERT_GCM_TAG];
    for (size_t index = 0; index < sizeof text; index++) text[index] = other[index] = (uint8_t)(index * 37 >> 2);
    if (libcrypto_seal(context, known_iv, aad, sizeof aad, other, sizeof other, other_tag) != 0) return 0;
    ipsec_mb_encrypt(key, known_iv, aad, sizeof aad, text, sizeof text, tag);
    if (memcmp(text, other, sizeof text) != 0 || memcmp(tag, other_tag, sizeof tag) != 0) return 0;
    memset(tag, 0, sizeof tag);
    ipsec_mb_decrypt(key, known_iv, aad, sizeof aad, text, sizeof text, tag);
    if (memcmp(tag, other_tag, sizeof tag) != 0) return 0;
    for (size_t index = 0; index < sizeof text; index++) {
        if (text[index] != (uint8_t)(index * 37 >> 2)) return 0;
    }
    return 1;
}

static int ipsec_mb_works;

static void find_ipsec_mb(void) {
    if (ipsec_mb_load() != 0) return;
    int right = 1;
    for (int wide = 0; wide < 2; wide++) {
        size_t length = wide ? 32 : 16;
        ipsec_mb_key *key = ipsec_mb_key_new(known_key, length);
        EVP_CIPHER_CTX *context = libcrypto_new(1, known_key, length);
        right = right && key != NULL && context != NULL && knows_answer(key, wide)
            && agrees_with_libcrypto(key, context);
        ipsec_mb_key_free(key);
        EVP_CIPHER_CTX_free(context);
    }
    ipsec_mb_works = right;
}

int culvert_gcm_has_ipsec_mb(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_ipsec_mb);
    return ipsec_mb_works;
}

// MARK: Packets

culvert_gcm *culvert_gcm_new(int provider, int seals, const uint8_t *key, size_t key_length, const uint8_t *iv) {
    if (key_length != 16 && key_length != 32) return NULL;
    int ipsec_mb = provider != CULVERT_GCM_LIBCRYPTO && culvert_gcm_has_ipsec_mb();
    if (provider == CULVERT_GCM_IPSEC_MB && !ipsec_mb) return NULL;
    culvert_gcm *gcm = calloc(1, sizeof *gcm);
    if (gcm == NULL) return NULL;
    memcpy(gcm->iv, iv, sizeof gcm->iv);
    if (ipsec_mb) {
        gcm->ipsec_mb = ipsec_mb_key_new(key, key_length);
    } else {
        gcm->libcrypto = libcrypto_new(seals, key, key_length);
    }
    if (gcm->ipsec_mb != NULL || gcm->libcrypto != NULL) return gcm;
    culvert_gcm_free(gcm);
    return NULL;
}

void culvert_gcm_free(culvert_gcm *gcm) {
    if (gcm == NULL) return;
    EVP_CIPHER_CTX_free(gcm->libcrypto);  // overwrites the key
    ipsec_mb_key_free(gcm->ipsec_mb);
    OPENSSL_cleanse(gcm, sizeof *gcm);
    free(gcm);
}

static void count_invocation(culvert_gcm *gcm) {
    uint64_t counter;
    memcpy(&counter, gcm->iv + 4, sizeof counter);
    counter = be64toh(counter) + 1;
    counter = htobe64(counter);
    memcpy(gcm->iv + 4, &counter, sizeof counter);
}

int culvert_gcm_seal(
    culvert_gcm *gcm, const uint8_t *aad, size_t aad_length, uint8_t *text, size_t length, uint8_t *tag) {
    int result = 0;
    if (gcm->ipsec_mb != NULL) {
        ipsec_mb_encrypt(gcm->ipsec_mb, gcm->iv, aad, aad_length, text, length, tag);
    } else {
        result = libcrypto_seal(gcm->libcrypto, gcm->iv, aad, aad_length, text, length, tag);
    }
    count_invocation(gcm);
    return result;
}

int culvert_gcm_open(
    culvert_gcm *gcm, const uint8_t *aad, size_t aad_length, uint8_t *text, size_t length, const uint8_t *tag) {
    int result;
    if (gcm->ipsec_mb != NULL) {
        uint8_t computed[CULVERT_GCM_TAG];
        ipsec_mb_decrypt(gcm->ipsec_mb, gcm->iv, aad, aad_length, text, length, computed);
        result = CRYPTO_memcmp(computed, tag, sizeof computed) == 0 ? 0 : -1;
    } else {
        result = libcrypto_open(gcm->libcrypto, gcm->iv, aad, aad_length, text, length, tag);
    }
    count_invocation(gcm);
    // Both decipher while they compute the tag: what an attacker chose must not be left to be read.
    if (result != 0) {
        OPENSSL_cleanse(text, length);
        ERR_clear_error();
    }
    return result;
}
