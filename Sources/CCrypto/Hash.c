#include <openssl/evp.h>

#include "CCrypto.h"

size_t culvert_sha2(int bits, const culvert_part *parts, size_t count, uint8_t *digest) {
    const EVP_MD *kind = bits == 256 ? EVP_sha256() : bits == 512 ? EVP_sha512() : NULL;
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
