// Private keys in PEM (RFC 7468, RFC 1421): PKCS#1, SEC1 and PKCS#8, encrypted or not.
#include "PrivateKeys.h"

#include <limits.h>
#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <string.h>

typedef struct {
    const void *bytes;
    size_t length;
} phrase;

static int give_phrase(char *buffer, int size, int writing, void *data) {
    phrase *words = data;
    (void)writing;
    if (!words->bytes || words->length > (size_t)size) return -1;
    memcpy(buffer, words->bytes, words->length);
    return (int)words->length;
}

static int last_reason_is_unsupported(void) {
    int found = 0;
    for (unsigned long code; (code = ERR_get_error()) != 0;) {
        int library = ERR_GET_LIB(code), reason = ERR_GET_REASON(code);
        found |= reason == ERR_R_UNSUPPORTED;
        found |= library == ERR_LIB_EVP
            && (reason == EVP_R_UNSUPPORTED_ALGORITHM || reason == EVP_R_UNKNOWN_PBE_ALGORITHM
                || reason == EVP_R_UNSUPPORTED_CIPHER || reason == EVP_R_UNSUPPORTED_KEY_DERIVATION_FUNCTION
                || reason == EVP_R_UNSUPPORTED_PRIVATE_KEY_ALGORITHM || reason == EVP_R_UNSUPPORTED_PRF);
    }
    return found;
}

static int is_at_most(const ASN1_INTEGER *value, uint64_t limit) {
    uint64_t number;
    int result = value && ASN1_INTEGER_get_uint64(&number, value) && number <= limit;
    ERR_clear_error();
    return result;
}

// scrypt's parameters (RFC 7914 §7): salt, N, r, p.
static int scrypt_is_bearable(const ASN1_TYPE *parameter) {
    STACK_OF(ASN1_TYPE) *fields = ASN1_item_unpack(parameter->value.sequence, ASN1_ITEM_rptr(ASN1_SEQUENCE_ANY));
    int result = fields != NULL && sk_ASN1_TYPE_num(fields) >= 4;
    // N of 2^15 with r of 8 takes 32 MiB and 0.1 s.
    static const uint64_t limits[] = {[1] = 1 << 16, [2] = 8, [3] = 16};
    for (int i = 1; i <= 3 && result; i++) {
        const ASN1_TYPE *field = sk_ASN1_TYPE_value(fields, i);
        result = field->type == V_ASN1_INTEGER && is_at_most(field->value.integer, limits[i]);
    }
    sk_ASN1_TYPE_pop_free(fields, ASN1_TYPE_free);
    ERR_clear_error();
    return result;
}

// Whether the key derivation (RFC 8018 §6.2) ends in bearable time; what cannot be read is left to PKCS8_decrypt.
static int is_bearable(const X509_ALGOR *algorithm) {
    const ASN1_OBJECT *object;
    int type;
    const void *value;
    int result = 1;
    X509_ALGOR_get0(&object, &type, &value, algorithm);
    if (type != V_ASN1_SEQUENCE) return 1;
    if (OBJ_obj2nid(object) != NID_pbes2) {
        PBEPARAM *old = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBEPARAM));
        if (old) result = is_at_most(old->iter, CULVERT_KEY_MAXIMUM_ITERATIONS);
        PBEPARAM_free(old);
        ERR_clear_error();
        return result;
    }
    PBE2PARAM *both = ASN1_item_unpack(value, ASN1_ITEM_rptr(PBE2PARAM));
    if (both && both->keyfunc && both->keyfunc->parameter && both->keyfunc->parameter->type == V_ASN1_SEQUENCE) {
        const ASN1_TYPE *parameter = both->keyfunc->parameter;
        switch (OBJ_obj2nid(both->keyfunc->algorithm)) {
        case NID_id_pbkdf2: {
            PBKDF2PARAM *slow = ASN1_item_unpack(parameter->value.sequence, ASN1_ITEM_rptr(PBKDF2PARAM));
            if (slow) result = is_at_most(slow->iter, CULVERT_KEY_MAXIMUM_ITERATIONS);
            PBKDF2PARAM_free(slow);
            break;
        }
        case NID_id_scrypt: result = scrypt_is_bearable(parameter); break;
        default: break;
        }
    }
    PBE2PARAM_free(both);
    ERR_clear_error();
    return result;
}

static culvert_key_status from_pkcs8(PKCS8_PRIV_KEY_INFO *info, culvert_key_status otherwise, EVP_PKEY **made) {
    if (!info) return otherwise;
    *made = EVP_PKCS82PKEY(info);
    PKCS8_PRIV_KEY_INFO_free(info);
    if (*made) return CULVERT_KEY_OK;
    return last_reason_is_unsupported() ? CULVERT_KEY_UNSUPPORTED : CULVERT_KEY_MALFORMED;
}

static culvert_key_status from_encrypted_pkcs8(const uint8_t *der, long length, phrase *words, EVP_PKEY **made) {
    X509_SIG *sealed = d2i_X509_SIG(NULL, &der, length);
    if (!sealed) return CULVERT_KEY_MALFORMED;
    const X509_ALGOR *algorithm;
    const ASN1_OCTET_STRING *content;
    culvert_key_status status = CULVERT_KEY_TOO_COSTLY;
    X509_SIG_get0(sealed, &algorithm, &content);
    if (!words->bytes) {
        status = CULVERT_KEY_NEEDS_PASSPHRASE;
    } else if (is_bearable(algorithm)) {
        PKCS8_PRIV_KEY_INFO *info = PKCS8_decrypt(sealed, words->bytes, (int)words->length);
        culvert_key_status failure = CULVERT_KEY_WRONG_PASSPHRASE;
        if (!info && last_reason_is_unsupported()) failure = CULVERT_KEY_UNSUPPORTED;
        status = from_pkcs8(info, failure, made);
    }
    X509_SIG_free(sealed);
    return status;
}

// RFC 1421 §4.6: the cipher in the header, OpenSSL's one round of MD5 for the key.
static culvert_key_status from_traditional(
    int type, char *header, uint8_t *data, long length, phrase *words, EVP_PKEY **made) {
    EVP_CIPHER_INFO cipher;
    if (!PEM_get_EVP_CIPHER_INFO(header, &cipher))
        return last_reason_is_unsupported() ? CULVERT_KEY_UNSUPPORTED : CULVERT_KEY_MALFORMED;
    if (cipher.cipher) {
        if (!words->bytes) return CULVERT_KEY_NEEDS_PASSPHRASE;
        int block = EVP_CIPHER_get_block_size(cipher.cipher);
        if (length <= 0 || length % block != 0) return CULVERT_KEY_MALFORMED;
        if (!PEM_do_header(&cipher, data, &length, give_phrase, words))
            return last_reason_is_unsupported() ? CULVERT_KEY_UNSUPPORTED : CULVERT_KEY_WRONG_PASSPHRASE;
    }
    const uint8_t *cursor = data;
    *made = d2i_PrivateKey(type, NULL, &cursor, length);
    if (*made) return CULVERT_KEY_OK;
    // One wrong passphrase in 256 leaves a padding that looks right.
    return cipher.cipher ? CULVERT_KEY_WRONG_PASSPHRASE : CULVERT_KEY_MALFORMED;
}

static culvert_key_status checked(EVP_PKEY *made, culvert_key **key) {
    culvert_key *candidate = (culvert_key *)made;
    culvert_key_status status = CULVERT_KEY_OK;
    if (culvert_key_get_kind(candidate) == CULVERT_KEY_OTHER) status = CULVERT_KEY_UNSUPPORTED;
    else if (!culvert_key_is_whole(candidate)) status = CULVERT_KEY_MISMATCH;
    if (status == CULVERT_KEY_OK) *key = candidate;
    else culvert_key_free(candidate);
    return status;
}

culvert_key_status culvert_key_from_pem(
    const void *text, size_t length, const void *passphrase, size_t passphrase_length, culvert_key **key) {
    if (length > INT_MAX || passphrase_length > INT_MAX) return CULVERT_KEY_UNSUPPORTED;
    ERR_clear_error();
    BIO *bio = BIO_new_mem_buf(text, (int)length);
    phrase words = {passphrase, passphrase_length};
    culvert_key_status status = CULVERT_KEY_MALFORMED;
    EVP_PKEY *made = NULL;
    int is_over = bio == NULL;
    while (!is_over) {
        char *name = NULL, *header = NULL;
        unsigned char *data = NULL;
        long count = 0;
        if (!PEM_read_bio_ex(bio, &name, &header, &data, &count, PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE)) break;
        is_over = 1;
        if (!strcmp(name, PEM_STRING_RSA)) {
            status = from_traditional(EVP_PKEY_RSA, header, data, count, &words, &made);
        } else if (!strcmp(name, PEM_STRING_ECPRIVATEKEY)) {
            status = from_traditional(EVP_PKEY_EC, header, data, count, &words, &made);
        } else if (!strcmp(name, PEM_STRING_PKCS8INF)) {
            const uint8_t *cursor = data;
            status = from_pkcs8(d2i_PKCS8_PRIV_KEY_INFO(NULL, &cursor, count), CULVERT_KEY_MALFORMED, &made);
        } else if (!strcmp(name, PEM_STRING_PKCS8)) {
            status = from_encrypted_pkcs8(data, count, &words, &made);
        } else if (!strcmp(name, PEM_STRING_DSA)) {
            status = CULVERT_KEY_UNSUPPORTED;
        } else {
            // Before an EC key stand its parameters.
            is_over = 0;
        }
        OPENSSL_secure_free(name);
        OPENSSL_secure_free(header);
        OPENSSL_secure_clear_free(data, (size_t)count);
    }
    BIO_free(bio);
    if (made) status = checked(made, key);
    ERR_clear_error();
    return status;
}
