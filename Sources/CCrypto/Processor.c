#include "CCrypto.h"

int culvert_crypto_has_aes_instructions(void) {
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
    return 1;
#else
    return 0;
#endif
}
