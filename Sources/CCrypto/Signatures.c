#include "CCryptoSignatures.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

static EVP_PKEY *public_key(const uint8_t *modulus, size_t modulus_length, const uint8_t *exponent,
                            size_t exponent_length) {
    EVP_PKEY *key = NULL;
    OSSL_PARAM *parameters = NULL;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BIGNUM *n = BN_bin2bn(modulus, (int)modulus_length, NULL);
    BIGNUM *e = BN_bin2bn(exponent, (int)exponent_length, NULL);
    if (builder && context && n && e && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e)) {
        parameters = OSSL_PARAM_BLD_to_param(builder);
        if (parameters && EVP_PKEY_fromdata_init(context) > 0 &&
            EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) <= 0)
            key = NULL;
    }
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(context);
    BN_free(n);
    BN_free(e);
    return key;
}

int culvert_rsa_verify(int hash_bits, const uint8_t *modulus, size_t modulus_length, const uint8_t *exponent,
                       size_t exponent_length, const uint8_t *data, size_t data_length, const uint8_t *signature,
                       size_t signature_length) {
    EVP_PKEY *key = public_key(modulus, modulus_length, exponent, exponent_length);
    if (!key) return -1;
    int result = -1;
    EVP_PKEY_CTX *padding = NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest = hash_bits == 512 ? EVP_sha512() : EVP_sha256();
    if (context && EVP_DigestVerifyInit(context, &padding, digest, NULL, key) > 0 &&
        EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PADDING) > 0)
        result = EVP_DigestVerify(context, signature, signature_length, data, data_length) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return result;
}
