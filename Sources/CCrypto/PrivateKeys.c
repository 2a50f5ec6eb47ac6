#include "PrivateKeys.h"

#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <string.h>

// A culvert_key is an EVP_PKEY under another name, so that libcrypto's headers stay here.
static EVP_PKEY *pkey(const culvert_key *key) { return (EVP_PKEY *)key; }

void culvert_key_free(culvert_key *key) { EVP_PKEY_free(pkey(key)); }

static const struct {
    culvert_key_kind kind;
    const char *name;
    const char *alias;
    size_t length;
} curves[] = {
    {CULVERT_KEY_P256, "prime256v1", "P-256", 32},
    {CULVERT_KEY_P384, "secp384r1", "P-384", 48},
    {CULVERT_KEY_P521, "secp521r1", "P-521", 66},
};
enum { CURVES = sizeof curves / sizeof curves[0] };

static size_t field_length(culvert_key_kind kind) {
    for (int i = 0; i < CURVES; i++)
        if (curves[i].kind == kind) return curves[i].length;
    return 0;
}

culvert_key_kind culvert_key_get_kind(const culvert_key *key) {
    switch (EVP_PKEY_get_base_id(pkey(key))) {
    case EVP_PKEY_ED25519: return CULVERT_KEY_ED25519;
    case EVP_PKEY_RSA: return CULVERT_KEY_RSA;
    case EVP_PKEY_EC: {
        char name[64];
        if (!EVP_PKEY_get_utf8_string_param(pkey(key), OSSL_PKEY_PARAM_GROUP_NAME, name, sizeof name, NULL))
            return CULVERT_KEY_OTHER;
        for (int i = 0; i < CURVES; i++)
            if (!strcmp(name, curves[i].name) || !strcmp(name, curves[i].alias)) return curves[i].kind;
        return CULVERT_KEY_OTHER;
    }
    default: return CULVERT_KEY_OTHER;
    }
}

int culvert_key_get_bits(const culvert_key *key) { return EVP_PKEY_get_bits(pkey(key)); }

// MARK: The public half

static size_t number(const culvert_key *key, const char *name, size_t width, uint8_t *out, size_t capacity) {
    BIGNUM *value = NULL;
    if (!EVP_PKEY_get_bn_param(pkey(key), name, &value)) {
        ERR_clear_error();
        return 0;
    }
    size_t length = width ? width : (size_t)BN_num_bytes(value);
    if (length > capacity || length > INT_MAX || BN_bn2binpad(value, out, (int)length) < 0) length = 0;
    BN_free(value);
    return length;
}

size_t culvert_key_public(const culvert_key *key, void *out, size_t capacity) {
    culvert_key_kind kind = culvert_key_get_kind(key);
    size_t width = field_length(kind);
    uint8_t *bytes = out;
    if (kind == CULVERT_KEY_RSA) return number(key, OSSL_PKEY_PARAM_RSA_N, 0, bytes, capacity);
    if (kind == CULVERT_KEY_ED25519) {
        size_t length = capacity;
        return EVP_PKEY_get_raw_public_key(pkey(key), out, &length) ? length : 0;
    }
    if (width == 0 || capacity < 1 + 2 * width) return 0;
    bytes[0] = 4;
    if (!number(key, OSSL_PKEY_PARAM_EC_PUB_X, width, bytes + 1, width)) return 0;
    if (!number(key, OSSL_PKEY_PARAM_EC_PUB_Y, width, bytes + 1 + width, width)) return 0;
    return 1 + 2 * width;
}

size_t culvert_key_exponent(const culvert_key *key, void *out, size_t capacity) {
    return number(key, OSSL_PKEY_PARAM_RSA_E, 0, out, capacity);
}

// MARK: From numbers

culvert_key_status culvert_key_from_ed25519(const void *seed, const void *public_key, culvert_key **key) {
    uint8_t derived[32];
    size_t length = sizeof derived;
    EVP_PKEY *made = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    if (!made || !EVP_PKEY_get_raw_public_key(made, derived, &length) || length != 32) {
        EVP_PKEY_free(made);
        ERR_clear_error();
        return CULVERT_KEY_MALFORMED;
    }
    if (memcmp(derived, public_key, 32) != 0) {
        EVP_PKEY_free(made);
        return CULVERT_KEY_MISMATCH;
    }
    *key = (culvert_key *)made;
    return CULVERT_KEY_OK;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *builder) {
    EVP_PKEY *made = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params && context && EVP_PKEY_fromdata_init(context) > 0)
        if (EVP_PKEY_fromdata(context, &made, EVP_PKEY_KEYPAIR, params) <= 0) made = NULL;
    EVP_PKEY_CTX_free(context);
    // The parameters are copies of the secret numbers, which OSSL_PARAM_free does not wipe.
    for (OSSL_PARAM *p = params; p && p->key; p++)
        if (p->data_type == OSSL_PARAM_UNSIGNED_INTEGER) OPENSSL_cleanse(p->data, p->data_size);
    OSSL_PARAM_free(params);
    return made;
}

// Whether the public half belongs to the private one.
static int is_pair(EVP_PKEY *made) {
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, made, NULL);
    int result = context && EVP_PKEY_pairwise_check(context) > 0;
    EVP_PKEY_CTX_free(context);
    return result;
}

// EVP_PKEY_get_bn_param leaves the number on the stack, below its caller.
static __attribute__((noinline)) void wipe_stack(void) {
    uint8_t below[8192];
    OPENSSL_cleanse(below, sizeof below);
}

// Whether the numbers of an RSA key are of one key (RFC 8017 §3.2): n = pq, and e, d and what speeds them up belong
// together. That p and q are primes is left to who made them.
static int is_rsa_pair(EVP_PKEY *made) {
    enum { N, E, P, Q, DP, DQ, INVERSE, COUNT };
    static const char *const names[] = {
        [N] = OSSL_PKEY_PARAM_RSA_N, [E] = OSSL_PKEY_PARAM_RSA_E, [P] = OSSL_PKEY_PARAM_RSA_FACTOR1,
        [Q] = OSSL_PKEY_PARAM_RSA_FACTOR2, [DP] = OSSL_PKEY_PARAM_RSA_EXPONENT1,
        [DQ] = OSSL_PKEY_PARAM_RSA_EXPONENT2, [INVERSE] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
    };
    BIGNUM *values[COUNT] = {NULL}, *d = NULL;
    BIGNUM *less = BN_secure_new(), *result = BN_secure_new(), *reduced = BN_secure_new();
    BN_CTX *context = BN_CTX_secure_new();
    int good = less && result && reduced && context && EVP_PKEY_get_bn_param(made, OSSL_PKEY_PARAM_RSA_D, &d);
    for (int i = 0; i < COUNT && good; i++) good = EVP_PKEY_get_bn_param(made, names[i], &values[i]);
    good = good && BN_is_odd(values[P]) && BN_is_odd(values[Q]) && BN_num_bits(values[P]) > 1
        && BN_num_bits(values[Q]) > 1 && BN_mul(result, values[P], values[Q], context)
        && BN_cmp(result, values[N]) == 0;
    for (int i = 0; i < 2 && good; i++)
        good = BN_sub(less, values[P + i], BN_value_one()) && BN_mod(reduced, d, less, context)
            && BN_cmp(reduced, values[DP + i]) == 0 && BN_mod_mul(result, reduced, values[E], less, context)
            && BN_is_one(result);
    good = good && BN_mod_mul(result, values[Q], values[INVERSE], values[P], context) && BN_is_one(result);
    for (int i = 0; i < COUNT; i++) BN_clear_free(values[i]);
    BN_clear_free(d);
    BN_clear_free(less);
    BN_clear_free(result);
    BN_clear_free(reduced);
    BN_CTX_free(context);
    ERR_clear_error();
    wipe_stack();
    return good;
}

int culvert_key_is_whole(const culvert_key *key) {
    switch (culvert_key_get_kind(key)) {
    case CULVERT_KEY_OTHER: return 0;
    // Its public half is computed; nothing else is in its file.
    case CULVERT_KEY_ED25519: return 1;
    // A modulus too long to be used is not looked into.
    case CULVERT_KEY_RSA: return culvert_key_get_bits(key) > 16384 || is_rsa_pair(pkey(key));
    case CULVERT_KEY_P256:
    case CULVERT_KEY_P384:
    case CULVERT_KEY_P521: return is_pair(pkey(key));
    }
    return 0;
}

static culvert_key_status finish(EVP_PKEY *made, culvert_key **key) {
    int is_whole = made && culvert_key_is_whole((culvert_key *)made);
    ERR_clear_error();
    if (is_whole) {
        *key = (culvert_key *)made;
        return CULVERT_KEY_OK;
    }
    EVP_PKEY_free(made);
    return made ? CULVERT_KEY_MISMATCH : CULVERT_KEY_MALFORMED;
}

culvert_key_status culvert_key_from_ec(
    culvert_key_kind kind, const void *point, size_t point_length, const void *scalar, size_t scalar_length,
    culvert_key **key) {
    const char *name = NULL;
    for (int i = 0; i < CURVES; i++)
        if (curves[i].kind == kind) name = curves[i].name;
    if (!name) return CULVERT_KEY_UNSUPPORTED;
    // An mpint has one zero byte more at most (RFC 4251 §5).
    if (point_length != 1 + 2 * field_length(kind) || scalar_length > field_length(kind)) return CULVERT_KEY_MALFORMED;
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *d = BN_bin2bn(scalar, (int)scalar_length, NULL);
    EVP_PKEY *made = NULL;
    if (builder && d && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, name, 0)
        && OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, point_length)
        && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, d))
        made = from_params("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_clear_free(d);
    return finish(made, key);
}

culvert_key_status culvert_key_from_rsa(
    culvert_number n, culvert_number e, culvert_number d, culvert_number inverse_q, culvert_number p,
    culvert_number q, culvert_key **key) {
    enum { N, E, D, P, Q, DP, DQ, INVERSE, COUNT };
    const culvert_number given[] = {[N] = n, [E] = e, [D] = d, [P] = p, [Q] = q, [DP] = d, [DQ] = d, [INVERSE] = inverse_q};
    static const char *const names[] = {
        [N] = OSSL_PKEY_PARAM_RSA_N, [E] = OSSL_PKEY_PARAM_RSA_E, [D] = OSSL_PKEY_PARAM_RSA_D,
        [P] = OSSL_PKEY_PARAM_RSA_FACTOR1, [Q] = OSSL_PKEY_PARAM_RSA_FACTOR2,
        [DP] = OSSL_PKEY_PARAM_RSA_EXPONENT1, [DQ] = OSSL_PKEY_PARAM_RSA_EXPONENT2,
        [INVERSE] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
    };
    BIGNUM *values[COUNT] = {NULL};
    BIGNUM *less = BN_secure_new();
    BN_CTX *context = BN_CTX_secure_new();
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *made = NULL;
    int ready = less && context && builder;
    for (int i = 0; i < COUNT && ready; i++) {
        // 16384 bits; whoever calls has a limit of its own.
        ready = given[i].length <= 2048 && (values[i] = BN_bin2bn(given[i].bytes, (int)given[i].length, NULL)) != NULL;
        if (ready && i != N && i != E) BN_set_flags(values[i], BN_FLG_CONSTTIME);
    }
    // d mod (p - 1) and d mod (q - 1), which the file leaves out; a factor below 2 has no place in a key.
    for (int i = 0; i < 2 && ready; i++)
        ready = BN_num_bits(values[P + i]) > 1 && BN_sub(less, values[P + i], BN_value_one())
            && BN_mod(values[DP + i], values[D], less, context);
    for (int i = 0; i < COUNT && ready; i++) ready = OSSL_PARAM_BLD_push_BN(builder, names[i], values[i]);
    if (ready) made = from_params("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_CTX_free(context);
    BN_clear_free(less);
    for (int i = 0; i < COUNT; i++) BN_clear_free(values[i]);
    return finish(made, key);
}

// MARK: Signing

static size_t plain_ecdsa(const culvert_key *key, const uint8_t *der, size_t length, uint8_t *out, size_t capacity) {
    size_t width = field_length(culvert_key_get_kind(key));
    if (width == 0 || capacity < 2 * width || length > LONG_MAX) return 0;
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &der, (long)length);
    if (!signature) return 0;
    int whole = BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, (int)width) >= 0
        && BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + width, (int)width) >= 0;
    ECDSA_SIG_free(signature);
    return whole ? 2 * width : 0;
}

size_t culvert_key_sign(
    const culvert_key *key, int digest, const void *data, size_t length, void *out, size_t capacity) {
    const EVP_MD *hash = digest == 160   ? EVP_sha1()
                         : digest == 256 ? EVP_sha256()
                         : digest == 384 ? EVP_sha384()
                         : digest == 512 ? EVP_sha512()
                                         : NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t made = 0;
    if (context && EVP_DigestSignInit(context, NULL, hash, NULL, pkey(key))) {
        if (EVP_PKEY_get_base_id(pkey(key)) == EVP_PKEY_EC) {
            uint8_t der[160];
            size_t der_length = sizeof der;
            if (EVP_DigestSign(context, der, &der_length, data, length) > 0)
                made = plain_ecdsa(key, der, der_length, out, capacity);
        } else {
            made = capacity;
            if (EVP_DigestSign(context, out, &made, data, length) <= 0) made = 0;
        }
    }
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return made;
}

int culvert_key_decrypt(
    const char *cipher, const void *cipher_key, const void *iv, const void *in, size_t length, const void *tag,
    void *out) {
    EVP_CIPHER *method = EVP_CIPHER_fetch(NULL, cipher, NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int count = 0, last = 0;
    // No padding of libcrypto's kind: the format has its own.
    int done = method && context && length <= INT_MAX && EVP_DecryptInit_ex2(context, method, cipher_key, iv, NULL)
        && EVP_CIPHER_CTX_set_padding(context, 0)
        && (!tag || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, (void *)tag) > 0)
        && EVP_DecryptUpdate(context, out, &count, in, (int)length) && EVP_DecryptFinal_ex(context, (uint8_t *)out + count, &last)
        && (size_t)count + (size_t)last == length;
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(method);
    ERR_clear_error();
    return done;
}
