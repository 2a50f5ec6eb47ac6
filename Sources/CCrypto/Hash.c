// SHA1_* are meant for nobody new, and are what is quick.
#define OPENSSL_SUPPRESS_DEPRECATED 1
#include <openssl/sha.h>
#include <string.h>
#include <openssl/evp.h>

#include "CCrypto.h"

size_t culvert_sha2(int bits, const culvert_part *parts, size_t count, uint8_t *digest) {
    const EVP_MD *kind = bits == 256 ? EVP_sha256() : bits == 384 ? EVP_sha384() : bits == 512 ? EVP_sha512() : NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned int length = 0;
    int works = kind != NULL && context != NULL && EVP_DigestInit_ex(context, kind, NULL) == 1;
    for (size_t index = 0; works && index < count; index++) {
        works = EVP_DigestUpdate(context, parts[index].bytes, parts[index].length) == 1;
    }
    works = works && EVP_DigestFinal_ex(context, digest, &length) == 1;
    EVP_MD_CTX_free(context);  // overwrites its state
    return works ? length : 0;
}

// Its users do it for each line of a file: a context of the newer calls costs more than the hashing.
void culvert_hmac_sha1(const uint8_t key[20], const uint8_t *data, size_t count, uint8_t out[20]) {
    uint8_t block[SHA_CBLOCK];
    SHA_CTX context;
    memset(block, 0x36, sizeof block);
    for (int i = 0; i < SHA_DIGEST_LENGTH; i++) block[i] ^= key[i];
    SHA1_Init(&context);
    SHA1_Update(&context, block, sizeof block);
    SHA1_Update(&context, data, count);
    SHA1_Final(out, &context);
    // The outer key is the inner one under another mask (RFC 2104 §2).
    for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36 ^ 0x5c;
    SHA1_Init(&context);
    SHA1_Update(&context, block, sizeof block);
    SHA1_Update(&context, out, SHA_DIGEST_LENGTH);
    SHA1_Final(out, &context);
}
