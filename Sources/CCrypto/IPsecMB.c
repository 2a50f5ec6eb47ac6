#include "IPsecMB.h"

#if __has_include(<intel-ipsec-mb.h>)
#include <dlfcn.h>
#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/mman.h>

#include "CCrypto.h"

enum { TAG = 16 };

// The functions for this processor, taken from the library's manager: never changed after ipsec_mb_load.
static aes_gcm_enc_dec_t encrypt[2], decrypt[2];
static aes_gcm_pre_t expand[2];

struct ipsec_mb_key {
    struct gcm_key_data expanded;
    struct gcm_context_data context;
    int wide;  // 0: 128 bits, 1: 256 bits
};

int ipsec_mb_load(void) {
    // Its code for processors without AES instructions is slower than libcrypto's.
    if (!culvert_crypto_has_aes_instructions()) return -1;
    void *library = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return -1;
    IMB_MGR *(*allocate)(uint64_t) = (IMB_MGR * (*)(uint64_t)) dlsym(library, "alloc_mb_mgr");
    void (*release)(IMB_MGR *) = (void (*)(IMB_MGR *))dlsym(library, "free_mb_mgr");
    void (*initialise)(IMB_MGR *, IMB_ARCH *) = (void (*)(IMB_MGR *, IMB_ARCH *))dlsym(library, "init_mb_mgr_auto");
    size_t (*size)(void) = (size_t(*)(void))dlsym(library, "imb_get_mb_mgr_size");
    // The functions are members of a structure: one that is smaller than in our header is another one.
    if (allocate == NULL || release == NULL || initialise == NULL || size == NULL || size() < sizeof(IMB_MGR)) {
        dlclose(library);
        return -1;
    }
    IMB_MGR *manager = allocate(0);
    if (manager == NULL) {
        dlclose(library);
        return -1;
    }
    IMB_ARCH architecture = IMB_ARCH_NONE;
    initialise(manager, &architecture);
    encrypt[0] = manager->gcm128_enc;
    encrypt[1] = manager->gcm256_enc;
    decrypt[0] = manager->gcm128_dec;
    decrypt[1] = manager->gcm256_dec;
    expand[0] = manager->gcm128_pre;
    expand[1] = manager->gcm256_pre;
    // The manager is for the queued interface; these functions do not use it.
    release(manager);
    for (int wide = 0; wide < 2; wide++) {
        if (encrypt[wide] == NULL || decrypt[wide] == NULL || expand[wide] == NULL) return -1;
    }
    // The library stays open: its functions are in use until the process ends.
    return architecture == IMB_ARCH_NONE ? -1 : 0;
}

ipsec_mb_key *ipsec_mb_key_new(const uint8_t *key, size_t key_length) {
    if (key_length != 16 && key_length != 32) return NULL;
    // Pages of its own: aligned, zeroed, and what holds for a secret elsewhere holds for what it is expanded to.
    ipsec_mb_key *made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) return NULL;
    // Locking can be refused by RLIMIT_MEMLOCK; the other protections hold all the same.
    (void)mlock(made, sizeof *made);
    (void)madvise(made, sizeof *made, MADV_DONTDUMP);
    (void)madvise(made, sizeof *made, MADV_WIPEONFORK);
    made->wide = key_length == 32;
    expand[made->wide](key, &made->expanded);
    return made;
}

void ipsec_mb_key_free(ipsec_mb_key *key) {
    if (key == NULL) return;
    OPENSSL_cleanse(key, sizeof *key);
    munmap(key, sizeof *key);
}

void ipsec_mb_encrypt(
    ipsec_mb_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *text, size_t length,
    uint8_t *tag) {
    encrypt[key->wide](&key->expanded, &key->context, text, text, length, iv, aad, aad_length, tag, TAG);
}

void ipsec_mb_decrypt(
    ipsec_mb_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *text, size_t length,
    uint8_t *tag) {
    decrypt[key->wide](&key->expanded, &key->context, text, text, length, iv, aad, aad_length, tag, TAG);
}

#else

int ipsec_mb_load(void) { return -1; }
ipsec_mb_key *ipsec_mb_key_new(const uint8_t *key, size_t key_length) {
    (void)key, (void)key_length;
    return NULL;
}
void ipsec_mb_key_free(ipsec_mb_key *key) { (void)key; }
// Without a key there is nothing to call these with.
void ipsec_mb_encrypt(
    ipsec_mb_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *text, size_t length,
    uint8_t *tag) {
    (void)key, (void)iv, (void)aad, (void)aad_length, (void)text, (void)length, (void)tag;
    __builtin_trap();
}
void ipsec_mb_decrypt(
    ipsec_mb_key *key, const uint8_t *iv, const uint8_t *aad, size_t aad_length, uint8_t *text, size_t length,
    uint8_t *tag) {
    (void)key, (void)iv, (void)aad, (void)aad_length, (void)text, (void)length, (void)tag;
    __builtin_trap();
}

#endif
